"""What national staff decide on an instance's page: a restoration, a lost key, the quarantine read again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import NationalStaff, StaffMember
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import LazyString, _
from libs.web.problems import NotFound
from libs.web.templating import render
from services.national import registry
from services.national.believing import Reason
from services.national.instance_states import InstanceState, Key, states
from services.national.problems import InstanceUnknown, KeyUnknown
from services.national.registry import By
from services.national.replaying import replay

router = APIRouter(prefix="/national/instances/{slug}", include_in_schema=False)

_LONGEST_REASON = 500
_LONGEST_INITIALS = 8


@dataclass(frozen=True, slots=True)
class Restoration:
    """Epochs of an instance that wait to be confirmed; `known` is the one that is believed now."""

    known: int
    said: Sequence[int]
    messages: int


@router.get("/restauration")
async def ask_about_restoration(
    request: Request, reading: Reading, staff: NationalStaff, slug: str
) -> HTMLResponse:
    """Which epoch its team reads out, and why."""
    return await _restoration_page(request, reading, slug, Form(), FormErrors())


@router.post("/restauration")
async def confirm_restoration(request: Request, tx: Transaction, staff: NationalStaff, slug: str) -> Response:
    """Believe the instance's new epoch from now on."""
    form, waits = await read_form(request), await _restoration(tx, slug)
    errors = FormErrors()
    epoch = int(form["epoch"]) if form.get("epoch", "").isdecimal() and len(form["epoch"]) < 10 else 0
    if epoch not in waits.said:
        errors.add("epoch", _("Aucun message n’attend sous ce numéro. Demandez-le à l’équipe de l’instance."))
    _check_who_and_why(form, errors)
    if errors:
        return await _restoration_page(request, tx, slug, form, errors)
    await registry.confirm_epoch(tx, _by(staff, form), slug, epoch)
    return _back(slug, "restauration")


@router.get("/cles/{key_id}/revoquer")
async def ask_about_key(
    request: Request, reading: Reading, staff: NationalStaff, slug: str, key_id: str
) -> HTMLResponse:
    """What revoking the key will do."""
    return await _key_page(request, reading, slug, key_id, Form(), FormErrors())


@router.post("/cles/{key_id}/revoquer")
async def revoke_key(
    request: Request, tx: Transaction, staff: NationalStaff, slug: str, key_id: str
) -> Response:
    """Believe nothing that the key has ever signed."""
    form, errors = await read_form(request), FormErrors()
    _check_who_and_why(form, errors)
    if errors:
        return await _key_page(request, tx, slug, key_id, form, errors)
    await registry.revoke_key(tx, _by(staff, form), slug, key_id)
    return _back(slug, "cle")


@router.post("/relire")
async def read_again(request: Request, reading: Reading, staff: NationalStaff, slug: str) -> Response:
    """Judge what is in the instance's quarantine again; what is newer stays."""
    await _instance(reading, slug)
    done = await replay(service_of(request).database, [slug])
    return _back(slug, "relu", crus=done.applied, restent=done.left)


def done_by(query: Mapping[str, str]) -> LazyString | None:
    """What the decision did that led back to the instance's page, if one did."""
    match query.get("fait"):
        case "restauration":
            return _("La restauration est confirmée. Ce qui attendait est relu en quelques secondes.")
        case "cle":
            return _("La clé est révoquée. Plus rien de ce qu’elle signe n’est cru.")
        case "relu":
            return _(
                "La quarantaine est relue. Crus maintenant : %(believed)s. Encore gardés à part : %(left)s.",
                believed=_number(query.get("crus")),
                left=_number(query.get("restent")),
            )
    return None


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0


def _back(slug: str, done: str, **counts: int) -> RedirectResponse:
    query = "".join(f"&{name}={count}" for name, count in counts.items())
    return RedirectResponse(f"/national/instances/{slug}?fait={done}{query}", 303)


def _by(staff: StaffMember, form: Form) -> By:
    return By(f"{staff.id}, {form['initials'].upper()}", form["reason"])


def _check_who_and_why(form: Form, errors: FormErrors) -> None:
    reason = form.get("reason", "")
    if not reason:
        errors.add("reason", _("Dites pourquoi, en une phrase : l’équipe le lira plus tard."))
    if len(reason) > _LONGEST_REASON:
        errors.add("reason", _("Écrivez au plus %(count)s caractères.", count=_LONGEST_REASON))
    if not 1 <= len(form.get("initials", "")) <= _LONGEST_INITIALS:
        errors.add("initials", _("Écrivez vos initiales : 1 à 8 lettres."))


async def _restoration_page(
    request: Request, session: AsyncSession, slug: str, form: Form, errors: FormErrors
) -> HTMLResponse:
    one, now = await _instance(session, slug)
    waits = await _restoration(session, slug)
    if not waits.said:
        raise NotFound
    return _page(request, "national/restoration.html", form, errors, one=one, now=now, waits=waits)


async def _key_page(
    request: Request, session: AsyncSession, slug: str, key_id: str, form: Form, errors: FormErrors
) -> HTMLResponse:
    one, now = await _instance(session, slug)
    key = next((key for key in one.keys if key.key_id == key_id), None)
    if key is None or key.revoked_at is not None:
        raise KeyUnknown
    return _page(
        request,
        "national/revoke.html",
        form,
        errors,
        one=one,
        key=key,
        is_the_last=_valid(one.keys, now) <= {key.key_id},
    )


def _valid(keys: Sequence[Key], now: datetime) -> set[str]:
    return {key.key_id for key in keys if key.state(now) == "valid"}


def _page(request: Request, name: str, form: Form, errors: FormErrors, **context: Any) -> HTMLResponse:
    page = render(request, name, 422 if errors else 200, form=form, errors=errors, **context)
    page.headers["Cache-Control"] = "no-store"
    return page


async def _instance(session: AsyncSession, slug: str) -> tuple[InstanceState, datetime]:
    found = await states(session)
    for one in found.instances:
        if one.heard.slug == slug:
            return one, found.now
    raise InstanceUnknown


async def _restoration(session: AsyncSession, slug: str) -> Restoration:
    # Nothing is kept apart for this reason whose signature wasn't found right first.
    row = (await session.execute(_WAITING, {"slug": slug, "reason": Reason.UNCONFIRMED_EPOCH})).first()
    if row is None:
        raise InstanceUnknown
    return Restoration(row.known, sorted(epoch for epoch in row.said if epoch > row.known), row.messages)


_WAITING = sa.text("""
select instance.epoch as known, count(waiting.id) as messages,
    coalesce(array_agg(distinct cast(headers ->> 'ce_epoch' as int))
        filter (where headers ->> 'ce_epoch' is not null), '{}') as said
from instance left join quarantined waiting on waiting.instance = slug and reason = :reason
where slug = :slug group by slug
""")
