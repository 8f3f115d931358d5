"""Waits for many sessions at the desk (`/guichet/attentes`): those that last, a new one, one of them."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs import vocabularies
from libs.clock import decision_time
from libs.web.app import Reading, service_of
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import _, language_of
from libs.web.problems import Malformed
from libs.web.templating import render
from services.registrations import wait_queries, waits
from services.registrations.access import wait_url
from services.registrations.desk_registration import MAX_REASON
from services.registrations.page_queries import route_of
from services.registrations.problems import MaybeDuplicate
from services.registrations.registration_view import ROUTES
from services.registrations.signup_choices import STAFF_CHANNELS, channel_label, form_choices
from services.registrations.signup_form import OLD_FORM_OF_TEAM, SignupForm, new_id, registration_id_of
from services.registrations.spelling import spelled
from services.registrations.wait_form import FORM, beginning, choices, in_order, read_wait
from services.registrations.wait_pages import own_wait, regions_here, save, spot_typed, wait_context
from services.registrations.wait_view import places_of, theme_of

router = APIRouter(prefix="/guichet/attentes", include_in_schema=False)


@router.get("")
async def list_waits(request: Request, staff: Staff, tx: Reading, sujet: str = "") -> Response:
    """The waits that last, the longest first."""
    language = language_of(request)
    found = await wait_queries.open_waits(tx, theme=sujet)
    return render(
        request,
        "desk/waits.html",
        waits=[(wait, theme_of(wait, language), places_of(wait, language)) for wait in found],
        many=wait_queries.MANY,
        theme=sujet,
        themes=vocabularies.choices("themes", language),
    )


@router.get("/nouvelle")
async def show_form(request: Request, staff: Staff, tx: Reading, canal: str = "phone") -> Response:
    """The form of the team."""
    today = waits.today(await decision_time(tx))
    values = beginning(request.query_params, today, "fr")
    channel = canal if canal in STAFF_CHANNELS else "phone"
    form = SignupForm(_new_id(request), Form([("channel", channel), *values.pairs]))
    return await _form_page(request, form)


@router.post("/nouvelle")
async def begin(request: Request, staff: Staff) -> Response:
    """Note the wait, then show it with what to tell the person."""
    sent = await read_form(request)
    form = SignupForm(sent.get("form_id", ""), sent)
    wait_id = registration_id_of(service_of(request).settings.secret, FORM, form.id)
    channel = sent.get("channel", "")
    asked, form.errors = read_wait(
        sent,
        await spot_typed(request, sent),
        channel=channel,
        language=language_of(request),
        one_route=False,
    )
    if channel not in STAFF_CHANNELS:
        form.errors.add("channel", _("Choisissez comment la personne vous a joint."))
        form.errors = in_order(form.errors)
    if wait_id is None:
        form.renew(_new_id(request), OLD_FORM_OF_TEAM)
    if form.errors or asked is None or wait_id is None:
        return await _form_page(request, form, 422)
    try:
        wait = await save(request, wait_id, asked)
    except MaybeDuplicate as problem:
        form.errors.add("another_person", problem.title)
        return await _form_page(request, form, 409, may_be_known=True)
    except Malformed as malformed:
        form.correct(malformed)
        form.errors = in_order(form.errors)
        return await _form_page(request, form, 422)
    return RedirectResponse(f"/guichet/attentes/{wait.id}", 303)


@router.get("/{wait_id}")
async def show(request: Request, staff: Staff, tx: Reading, wait_id: UUID) -> Response:
    """One wait with its stops, for somebody who has the person on the line."""
    return render(request, "desk/wait.html", **await _context(request, tx, wait_id))


@router.get("/{wait_id}/terminer")
async def ask_to_end(request: Request, staff: Staff, tx: Reading, wait_id: UUID) -> Response:
    """What will happen, and the question."""
    context = await _context(request, tx, wait_id)
    if context["wait"].status != "open":
        return _back(wait_id)
    return render(request, "desk/wait_end.html", **context, errors=FormErrors(), reason="")


@router.post("/{wait_id}/terminer")
async def end(request: Request, staff: Staff, wait_id: UUID) -> Response:
    """End it: as the person asked, or by the team, whose reason the person reads."""
    sent, errors = await read_form(request), FormErrors()
    by_team, reason = sent.get("by") == "staff", sent.get("reason", "")
    if by_team and not reason:
        errors.add("reason", _("Écrivez la raison : la personne la lira."))
    if len(reason) > MAX_REASON:
        errors.add("reason", _("Écrivez au plus %(count)s caractères.", count=MAX_REASON))
    service = service_of(request)
    if errors:
        async with service.database.reading() as tx:
            context = await _context(request, tx, wait_id)
        return render(request, "desk/wait_end.html", 422, **context, errors=errors, reason=reason)
    async with service.database.transaction() as tx:
        by: waits.By = "staff" if by_team else "person"
        await waits.end(tx, service.settings, wait_id, by, reason if by_team else None)
    return _back(wait_id)


@router.post("/{wait_id}/lien")
async def revoke_links(request: Request, staff: Staff, wait_id: UUID) -> Response:
    """Make every link to the wait's page sent so far worthless."""
    service = service_of(request)
    async with service.database.transaction() as tx:
        await waits.revoke_links(tx, service.settings, wait_id)
    return _back(wait_id)


async def _context(request: Request, tx: AsyncSession, wait_id: UUID) -> dict[str, Any]:
    own = await own_wait(tx, request, wait_id)
    wait, language = own.wait, language_of(request)
    return {
        **wait_context(request, own),
        "spelling": spelled(wait.confirmation_number, language),
        "channel": channel_label(wait.channel),
        "route": ROUTES[route_of(wait)],
        "needs": [vocabularies.label("accommodations", need, language) for need in wait.accommodations],
        "manage_url": wait_url(service_of(request).settings, wait.id, wait.generation),
    }


async def _form_page(
    request: Request, form: SignupForm, status: int = 200, *, may_be_known: bool = False
) -> Response:
    language = language_of(request)
    return render(
        request,
        "desk/wait_new.html",
        status,
        form=form,
        errors=form.errors,
        pro=form.value("stream") == "pro",
        may_be_known=may_be_known,
        **{**form_choices(language), **choices(language, await regions_here(request))},
    )


def _new_id(request: Request) -> str:
    return new_id(service_of(request).settings.secret, FORM)


def _back(wait_id: UUID) -> Response:
    return RedirectResponse(f"/guichet/attentes/{wait_id}", 303)
