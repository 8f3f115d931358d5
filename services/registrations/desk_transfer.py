"""Moving somebody to another session at the desk (`/guichet/inscriptions/{id}/transfert`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs import vocabularies
from libs.settings import Settings
from libs.web.app import Reading, service_of
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import LazyString, _, language_of, ngettext
from libs.web.problems import Conflict
from libs.web.templating import render
from services.registrations import commands, page_queries, queries
from services.registrations.desk_actions import Outdated, carry_out, reason_of
from services.registrations.desk_choices import Choice, nearest, spot_at, spot_of
from services.registrations.desk_registration import registration_page
from services.registrations.models import Registration
from services.registrations.problems import AlreadyOver, SessionFull
from services.registrations.registration_view import ROUTES, RegistrationView
from services.registrations.session_view import SessionView
from services.registrations.waitlist import pool_for

router = APIRouter(prefix="/guichet/inscriptions", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Destination:
    """A session that somebody could go to, as it would be for them; `ahead` people wait there already."""

    choice: Choice
    kind: str
    has_room: bool
    ahead: int

    @property
    def session(self) -> SessionView:
        return self.choice.session


@router.get("/{registration_id}/transfert")
async def ask(
    request: Request,
    staff: Staff,
    tx: Reading,
    registration_id: UUID,
    lieu: str = "",
    sujet: str = "",
    vers: str = "",
) -> Response:
    """To which session; then, once one is chosen, what will happen, and why."""
    person = await page_queries.registration_view(tx, registration_id)
    if not person.is_live:
        return _back(registration_id)
    chosen = _id(vers)
    if chosen is None:
        return await _choices(request, tx, person, lieu.strip(), sujet)
    return await _question(request, tx, person, chosen, Form(), FormErrors())


@router.post("/{registration_id}/transfert")
async def transfer(request: Request, staff: Staff, registration_id: UUID) -> Response:
    """Do it, then say what to tell the person."""
    sent, errors = await read_form(request), FormErrors()
    session_id = _id(sent.get("session_id", ""))
    reason = reason_of(sent, errors)
    if errors or session_id is None:
        return await _again(request, registration_id, session_id, sent, errors)
    wanted, may_wait = session_id, sent.get("may_wait") == "1"

    async def command(tx: AsyncSession, settings: Settings) -> Registration:
        return await commands.transfer(
            tx, settings, registration_id, wanted, reason, staff.id, may_wait=may_wait
        )

    try:
        done = await carry_out(request, registration_id, sent, command)
    except (AlreadyOver, Outdated) as problem:
        return await _refused(request, registration_id, wanted, problem)
    except Conflict as problem:
        # It takes nobody, or nobody without waiting: another can be chosen, or a place in its line.
        waits = isinstance(problem, SessionFull) and not may_wait
        errors.add("", _NO_SEAT if waits else problem.title)
        return await _again(request, registration_id, wanted if waits else None, sent, errors, 409)
    return _say(done.id)


async def _refused(request: Request, registration_id: UUID, session_id: UUID, problem: Conflict) -> Response:
    """The registration as it is now, and why nothing was done; unless the same form was sent twice."""
    async with service_of(request).database.reading() as tx:
        person = await page_queries.registration_view(tx, registration_id)
        if person.now_at is not None and person.now_at.facts.id == session_id:
            return _say(person.now_at.id)
        return await registration_page(request, tx, registration_id, problem)


async def _again(
    request: Request,
    registration_id: UUID,
    session_id: UUID | None,
    sent: Form,
    errors: FormErrors,
    status: int = 422,
) -> Response:
    async with service_of(request).database.reading() as tx:
        person = await page_queries.registration_view(tx, registration_id)
        if not person.is_live:
            return _back(registration_id)
        if session_id is None:
            errors.add("", _("Choisissez une séance."))
            return await _choices(request, tx, person, "", "", errors, status)
        return await _question(request, tx, person, session_id, sent, errors, status)


async def _choices(
    request: Request,
    tx: AsyncSession,
    person: RegistrationView,
    place: str,
    theme: str,
    errors: FormErrors | None = None,
    status: int = 200,
) -> Response:
    sessions = [view for view in await page_queries.coming(tx) if _suits(view, person, theme)]
    spot = spot_of(place, sessions) if place else spot_at(person.session.facts.venue)
    choices = nearest(sessions, spot)
    return render(
        request,
        "desk/transfer.html",
        status,
        person=person,
        session=person.session,
        place=place,
        theme=theme,
        themes=vocabularies.choices("themes", language_of(request)),
        spot=spot,
        destinations=await _destinations(tx, person, choices),
        errors=errors or FormErrors(),
    )


async def _question(
    request: Request,
    tx: AsyncSession,
    person: RegistrationView,
    session_id: UUID,
    sent: Form,
    errors: FormErrors,
    status: int = 200,
) -> Response:
    session = await page_queries.session_view(tx, session_id, channel="phone")
    if not session.is_open or session.id == person.session.id:
        errors.add("", _("Cette séance ne prend pas d’inscriptions : %(state)s.", state=session.badge))
        return await _choices(request, tx, person, "", "", errors, 409 if status == 200 else status)
    destination = (await _destinations(tx, person, [Choice(session)]))[0]
    return render(
        request,
        "desk/transfer_question.html",
        status,
        person=person,
        session=person.session,
        there=destination,
        has_seat=_has_seat(person),
        consequences=_consequences(person, destination),
        reason=sent.get("reason", ""),
        version=sent.get("version", str(person.version)),
        errors=errors,
    )


def _consequences(person: RegistrationView, there: Destination) -> list[LazyString]:
    """What a transfer does to the person, and to the seat that they leave."""
    sentences = (
        [
            ngettext(
                "La personne aura une place à l’autre séance.",
                "La personne aura %(count)s places à l’autre séance.",
                person.seats,
            )
        ]
        if there.has_room
        else _waits(there.ahead)
    )
    if there.kind != person.seat_kind:
        sentences.append(
            _("Elle participera en ligne, par vidéo.")
            if there.kind == "online"
            else _("Elle participera sur place.")
        )
    sentences.append(
        ngettext(
            "Sa place ici va tout de suite à la personne suivante.",
            "Ses places ici vont tout de suite aux personnes suivantes.",
            person.seats,
        )
        if _has_seat(person)
        else _("Elle quitte la liste d’attente d’ici.")
    )
    return [*sentences, _("La personne en sera prévenue %(route)s.", route=ROUTES[person.route])]


def _waits(ahead: int) -> list[LazyString]:
    place = (
        ngettext(
            "Elle attendra là-bas, après %(count)s personne.",
            "Elle attendra là-bas, après %(count)s personnes.",
            ahead,
        )
        if ahead
        else _("Elle attendra là-bas, la première de la liste.")
    )
    return [_("Aucune place n’y est libre pour cette personne."), place]


def _has_seat(person: RegistrationView) -> bool:
    """Whether a seat of theirs, taken or kept, goes to somebody else."""
    return person.status in {"confirmed", "offered"}


def _suits(view: SessionView, person: RegistrationView, theme: str) -> bool:
    """Another session for the same public, on the subject asked for if there is one."""
    here = person.session.facts
    return view.id != here.id and view.facts.stream == here.stream and theme in ("", view.facts.theme)


async def _destinations(
    tx: AsyncSession, person: RegistrationView, choices: Sequence[Choice]
) -> list[Destination]:
    free = await queries.free_pools(tx, [choice.session.id for choice in choices])
    channel = (await tx.get_one(Registration, person.id)).channel
    found = []
    for choice in choices:
        view = choice.session
        kind = person.seat_kind if person.seat_kind in view.kinds else view.kinds[0]
        seats = view.by_kind.get(kind)
        fits = person.party_size <= view.facts.party.limit
        has_room = fits and pool_for(free[view.id], kind, channel, person.seats) is not None
        found.append(Destination(choice, kind, has_room, seats.waitlisted if seats else 0))
    return found


def _say(registration_id: UUID) -> Response:
    return RedirectResponse(f"/guichet/inscriptions/{registration_id}/a-dire", 303)


def _back(registration_id: UUID) -> Response:
    return RedirectResponse(f"/guichet/inscriptions/{registration_id}", 303)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


_NO_SEAT = _("Aucune place n’y est libre en ce moment.")
