"""The line at the desk (`/guichet/seances/{id}/attente`): who waits, why there, and giving another place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.settings import Settings
from libs.web.app import Reading, service_of
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import LazyString, _, language_of
from libs.web.problems import Conflict
from libs.web.templating import render
from services.registrations import commands, page_queries, queries
from services.registrations.desk_actions import Act, carry_out, reason_of
from services.registrations.explaining import why
from services.registrations.models import Registration
from services.registrations.offers import LAST_DAY
from services.registrations.problems import RegistrationUnknown
from services.registrations.queries import InLine
from services.registrations.reached import reach_of_all
from services.registrations.registration_state import counted_hours
from services.registrations.session_view import SessionView
from services.registrations.signup_choices import channel_label, seat_kind_label
from services.registrations.waitlist import HIGHEST_PRIORITY

router = APIRouter(prefix="/guichet", include_in_schema=False)

SHOWN = 100
"""People on one page of the line."""
NAMED = 200
"""People of the line that a form lets choose from."""
LAST = "fin"

_CLASSES = (_("Ordinaire"), _("Prioritaire"), _("Très prioritaire"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody in the line, explained. `reason`: why staff gave them this place or class."""

    entry: InLine
    why: Sequence[LazyString]
    reason: str

    @property
    def person(self) -> Registration:
        return self.entry.person


@router.get("/seances/{session_id}/attente")
async def show(
    request: Request, staff: Staff, tx: Reading, session_id: UUID, suite: str = "", personne: str = ""
) -> Response:
    """Who waits, in order, and why each stands where they stand; `personne` has just been given a place."""
    return await line_page(request, tx, session_id, first=suite, placed=personne)


async def line_page(
    request: Request,
    tx: AsyncSession,
    session_id: UUID,
    *,
    first: str = "",
    placed: str = "",
    refused: Conflict | None = None,
) -> Response:
    """The line as it is now; `refused`: what could not be done because it had changed."""
    session = await page_queries.session_view(tx, session_id, channel="phone")
    line = await queries.line(tx, session_id)
    found = next((place for place, entry in enumerate(line) if str(entry.person.id) == placed), None)
    start = (found // SHOWN * SHOWN) if found is not None else _number(first)
    language = language_of(request)
    offered = await queries.people(tx, session_id, ("offered",))
    shown = [_explained(entry, session, language) for entry in line[start : start + SHOWN]]
    return render(
        request,
        "desk/line.html",
        409 if refused else 200,
        session=session,
        offered=offered,
        counted={
            id_: counted_hours(week, language)
            for id_, week in (await page_queries.office_weeks(tx, offered)).items()
        },
        last_day=session.facts.starts_at_utc - session.now <= LAST_DAY,
        may_act=session.facts.status == "published" and session.facts.starts_at_utc > session.now,
        waiting=len(line),
        sections=[(kind, [one for one in shown if one.person.seat_kind == kind]) for kind in session.kinds],
        reach=await reach_of_all(tx, [person.id for person in offered] + [one.person.id for one in shown]),
        placed=line[found] if found is not None else None,
        refused=refused,
        previous=start - SHOWN if start >= SHOWN else None,
        next=start + SHOWN if start + SHOWN < len(line) else None,
        channel_label=channel_label,
        seat_kind_label=seat_kind_label,
    )


@router.get("/inscriptions/{registration_id}/rang")
async def ask_where(request: Request, staff: Staff, tx: Reading, registration_id: UUID) -> Response:
    """Before whom, and why?"""
    return await _move_page(request, tx, registration_id, Form(), FormErrors())


@router.post("/inscriptions/{registration_id}/rang")
async def move(request: Request, staff: Staff, registration_id: UUID) -> Response:
    """Give somebody another place in the line, then show it."""
    sent, errors = await read_form(request), FormErrors()
    where = sent.get("before", "")
    before = None if where == LAST else _id(where)
    if where != LAST and before in (None, registration_id):
        errors.add("before", _("Choisissez où placer la personne."))
    reason = reason_of(sent, errors)
    if errors:
        async with service_of(request).database.reading() as tx:
            return await _move_page(request, tx, registration_id, sent, errors)

    async def command(tx: AsyncSession, settings: Settings) -> Registration:
        return await commands.move(tx, settings, registration_id, before, reason, staff.id)

    try:
        done = await carry_out(request, registration_id, sent, command)
    except Conflict as problem:
        return await _refused(request, Act(registration_id, "moved", reason, staff.id, sent), problem)
    return _back(done)


@router.get("/inscriptions/{registration_id}/priorite")
async def ask_class(request: Request, staff: Staff, tx: Reading, registration_id: UUID) -> Response:
    """Which class, and why?"""
    return await _class_page(request, tx, registration_id, Form(), FormErrors())


@router.post("/inscriptions/{registration_id}/priorite")
async def prioritise(request: Request, staff: Staff, registration_id: UUID) -> Response:
    """Put somebody into a priority class, then show their place."""
    sent, errors = await read_form(request), FormErrors()
    priority = _number(sent.get("priority", ""), otherwise=-1)
    if not 0 <= priority <= HIGHEST_PRIORITY:
        errors.add("priority", _("Choisissez une classe."))
    reason = reason_of(sent, errors)
    if errors:
        async with service_of(request).database.reading() as tx:
            return await _class_page(request, tx, registration_id, sent, errors)

    async def command(tx: AsyncSession, settings: Settings) -> Registration:
        return await commands.prioritise(tx, settings, registration_id, priority, reason, staff.id)

    try:
        done = await carry_out(request, registration_id, sent, command)
    except Conflict as problem:
        return await _refused(request, Act(registration_id, "prioritised", reason, staff.id, sent), problem)
    return _back(done)


def class_label(priority: int) -> LazyString:
    """The name of a priority class, for the team."""
    if priority < len(_CLASSES):
        return _CLASSES[priority]
    return _("Classe prioritaire %(priority)s", priority=priority)


def _explained(entry: InLine, session: SessionView, language: str) -> Waiting:
    decision = entry.decision
    moved_at = None if decision is None else session.local(decision.at)
    until = entry.person.gather_until and session.local(entry.person.gather_until)
    sentences = why(entry.rank, language, moved_at, until)
    return Waiting(entry, sentences, decision.reason if decision else "")


async def explained(
    tx: AsyncSession, registration_id: UUID, session: SessionView, language: str
) -> Waiting | None:
    """Where one person stands, and why; None for who doesn't wait."""
    line = await queries.line(tx, session.id)
    return next(
        (_explained(entry, session, language) for entry in line if entry.person.id == registration_id), None
    )


async def _move_page(
    request: Request, tx: AsyncSession, registration_id: UUID, sent: Form, errors: FormErrors
) -> Response:
    context = await _waiting_context(request, tx, registration_id, sent, errors)
    if context is None:
        return RedirectResponse(f"/guichet/inscriptions/{registration_id}", 303)
    line = await queries.line(tx, context["session"].id)
    kind = context["person"].seat_kind
    others = [one for one in line if one.person.id != registration_id and one.person.seat_kind == kind]
    return render(
        request,
        "desk/move.html",
        422 if errors else 200,
        **context,
        places=_places(others),
        shown=min(len(others), NAMED),
        more=len(others) > NAMED,
        consequences=_consequences([context["waiting"].person, *(one.person for one in others)]),
    )


def _places(others: Sequence[InLine]) -> list[tuple[str, LazyString]]:
    """Where somebody may be put among the others who wait for the same kind of seat."""
    if not others:
        return []
    return [
        ("", _("Choisissez")),
        *((str(one.person.id), _before(one)) for one in others[:NAMED]),
        (LAST, _("À la fin de la liste")),
    ]


def _before(one: InLine) -> LazyString:
    name, rank, priority = one.person.name, one.rank.position, one.person.priority
    if not priority:
        return _("Avant %(name)s, rang %(rank)s", name=name, rank=rank)
    return _(
        "Avant %(name)s, rang %(rank)s, classe prioritaire %(priority)s",
        name=name,
        rank=rank,
        priority=priority,
    )


def _consequences(people: Iterable[Registration]) -> list[LazyString]:
    consequences = [
        _("Les autres personnes gardent leur ordre entre elles."),
        _("Personne n’en est prévenu. La raison reste dans l’équipe."),
    ]
    if any(person.priority for person in people):
        consequences.append(_("La personne prend la classe de celle qu’elle précède."))
        consequences.append(_("À la fin de la liste, elle a la classe ordinaire."))
    return consequences


async def _class_page(
    request: Request, tx: AsyncSession, registration_id: UUID, sent: Form, errors: FormErrors
) -> Response:
    context = await _waiting_context(request, tx, registration_id, sent, errors)
    if context is None:
        return RedirectResponse(f"/guichet/inscriptions/{registration_id}", 303)
    current: int = context["waiting"].person.priority
    classes = sorted({*range(len(_CLASSES)), current})
    return render(
        request,
        "desk/priority.html",
        422 if errors else 200,
        **context,
        classes=[(str(priority), class_label(priority)) for priority in classes],
        chosen=sent.get("priority", str(current)),
    )


async def _waiting_context(
    request: Request, tx: AsyncSession, registration_id: UUID, sent: Form, errors: FormErrors
) -> Mapping[str, Any] | None:
    """What both forms show of somebody who waits; None for who doesn't any more."""
    person = await page_queries.registration_view(tx, registration_id)
    waiting = await explained(tx, registration_id, person.session, language_of(request))
    if waiting is None or person.has_begun:
        return None
    return {
        "person": person,
        "session": person.session,
        "waiting": waiting,
        "version": sent.get("version", str(person.version)),
        "before": sent.get("before", ""),
        "reason": sent.get("reason", ""),
        "errors": errors,
        "seat_kind_label": seat_kind_label,
    }


async def _refused(request: Request, act: Act, problem: Conflict) -> Response:
    """The line as it is now and why nothing was done; unless the same form was sent twice."""
    async with service_of(request).database.reading() as tx:
        person = await tx.get(Registration, act.registration_id)
        if person is None:
            raise RegistrationUnknown
        if await act.was_done(tx):
            return _back(person)
        return await line_page(request, tx, person.session_id, refused=problem)


def _back(person: Registration) -> Response:
    return RedirectResponse(
        f"/guichet/seances/{person.session_id}/attente?personne={person.id}#p-{person.id}", 303
    )


def _number(text: str, otherwise: int = 0) -> int:
    """A small number in an address or a form; anything else is `otherwise`."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else otherwise


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
