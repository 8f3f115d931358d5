"""One registration at the desk (`/guichet/inscriptions/{id}`): what to tell the person, what can be done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs import vocabularies
from libs.settings import Settings
from libs.web.app import Reading, service_of
from libs.web.auth import Staff, StaffMember
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import LazyString, _, language_of, ngettext
from libs.web.problems import Conflict
from libs.web.templating import render
from services.registrations import commands, page_queries
from services.registrations.access import manage_url
from services.registrations.desk_actions import ACTIONS, Act, carry_out, reason_of
from services.registrations.desk_line import explained
from services.registrations.models import Registration
from services.registrations.notice_lines import notice_lines
from services.registrations.problems import AlreadyOver, OfferOver
from services.registrations.registration_state import state_of
from services.registrations.registration_view import ROUTES, STATUSES, RegistrationView
from services.registrations.signup_choices import channel_label, seat_kind_label
from services.registrations.spelling import spaced, spelled

router = APIRouter(prefix="/guichet/inscriptions", include_in_schema=False)

Action = Literal[
    "accepter", "refuser", "annuler", "annuler-equipe", "lien", "place-en-plus", "sans-reponse", "vient"
]  # fmt: skip

MAX_REASON = 300
"""Of a reason that the person will read in a message."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is done. `why`: what to say about the reason, where one is needed."""

    title: LazyString
    consequences: tuple[LazyString, ...]
    label: LazyString
    why: LazyString | None = None
    is_gain: bool = False
    tells: bool = True


@router.get("/{registration_id}")
async def show(request: Request, staff: Staff, tx: Reading, registration_id: UUID) -> Response:
    """The registration, for somebody who has the person on the line."""
    return await registration_page(request, tx, registration_id)


@router.get("/{registration_id}/a-dire")
async def what_to_say(request: Request, staff: Staff, tx: Reading, registration_id: UUID) -> Response:
    """The words to say once somebody is registered, the number spelled out."""
    return render(request, "desk/say.html", **await _context(request, tx, registration_id))


@router.get("/{registration_id}/{action}")
async def ask(request: Request, staff: Staff, tx: Reading, registration_id: UUID, action: Action) -> Response:
    """What will happen, and the question."""
    context = await _context(request, tx, registration_id)
    return _question(request, context, action)


@router.post("/{registration_id}/{action}")
async def act(request: Request, staff: Staff, registration_id: UUID, action: Action) -> Response:
    """Do it, then show the registration as it is now."""
    sent, errors = await read_form(request), FormErrors()
    reason = _reason(sent, action, errors)
    if errors:
        async with service_of(request).database.reading() as tx:
            context = await _context(request, tx, registration_id)
        return _question(request, context, action, errors, sent)
    try:
        done = await _do(request, staff, registration_id, action, sent, reason)
    except (OfferOver, AlreadyOver):
        # Answered or over in the meantime: the registration says what is so now.
        return _back(registration_id)
    except Conflict as problem:
        return await _refused(request, Act(registration_id, "granted", reason, staff.id, sent), problem)
    # Who was asked next is what one wants to know after a call that nobody answered.
    return _line(done.session_id) if action == "sans-reponse" else _back(registration_id)


def _reason(sent: Form, action: Action, errors: FormErrors) -> str:
    if action == "place-en-plus":
        return reason_of(sent, errors)
    reason = sent.get("reason", "")
    if action == "annuler-equipe" and not reason:
        errors.add("reason", _("Écrivez la raison : la personne la lira."))
    if len(reason) > MAX_REASON:
        errors.add("reason", _("Écrivez au plus %(count)s caractères.", count=MAX_REASON))
    return reason


async def _do(
    request: Request, staff: StaffMember, id_: UUID, action: Action, sent: Form, reason: str
) -> Registration:
    if action == "place-en-plus":

        async def grant(tx: AsyncSession, settings: Settings) -> Registration:
            return await commands.grant(tx, settings, id_, reason, staff.id)

        return await carry_out(request, id_, sent, grant)
    service = service_of(request)
    async with service.database.transaction() as tx:
        return await _simply_do(tx, service.settings, id_, action, reason, staff.id)


async def _simply_do(
    tx: AsyncSession, settings: Settings, id_: UUID, action: Action, reason: str, by: str
) -> Registration:
    match action:
        case "accepter":
            return await commands.accept(tx, settings, id_)
        case "refuser":
            return await commands.decline(tx, settings, id_)
        case "annuler":
            return await commands.cancel(tx, settings, id_, "person")
        case "vient":
            return await commands.reconfirm(tx, settings, id_)
        case "annuler-equipe":
            return await commands.cancel(tx, settings, id_, "staff", reason)
        case "sans-reponse":
            return await commands.no_answer(tx, settings, id_, by)
    return await commands.revoke_links(tx, settings, id_)


async def _refused(request: Request, act: Act, problem: Conflict) -> Response:
    """The registration as it is now, and why nothing was done; unless the same form was sent twice."""
    async with service_of(request).database.reading() as tx:
        if await act.was_done(tx):
            return _back(act.registration_id)
        return await registration_page(request, tx, act.registration_id, problem)


async def registration_page(
    request: Request, tx: AsyncSession, registration_id: UUID, refused: Conflict | None = None
) -> Response:
    """The registration, for somebody who has the person on the line; `refused`: what could not be done."""
    context = await _context(request, tx, registration_id)
    person: RegistrationView = context["person"]
    waiting = (
        await explained(tx, person.id, person.session, language_of(request))
        if person.status == "waitlisted"
        else None
    )
    return render(
        request,
        "desk/registration.html",
        409 if refused else 200,
        **context,
        refused=refused,
        waiting=waiting,
        notices=notice_lines(person, language_of(request)),
        history=await page_queries.history(tx, person.id),
        actions=ACTIONS,
    )


async def _context(request: Request, tx: AsyncSession, registration_id: UUID) -> dict[str, Any]:
    person = await page_queries.registration_view(tx, registration_id)
    row = await tx.get_one(Registration, registration_id)
    language = language_of(request)
    needs = (await page_queries.needs(tx, [person.id])).get(person.id, [])
    return {
        "person": person,
        "session": person.session,
        "state": state_of(person, language),
        "row": row,
        "status": STATUSES[person.status],
        "route": ROUTES[person.route],
        "number": spaced(person.number),
        "spelling": spelled(person.number, language),
        "needs": [vocabularies.label("accommodations", need, language) for need in needs],
        "channel": channel_label(row.channel),
        "seat_kind": seat_kind_label(person.seat_kind) if len(person.session.kinds) > 1 else None,
        "manage_url": manage_url(service_of(request).settings, person.id, person.generation),
    }


def _question(
    request: Request,
    context: Mapping[str, Any],
    action: Action,
    errors: FormErrors | None = None,
    sent: Form | None = None,
) -> Response:
    person: RegistrationView = context["person"]
    if not _is_possible(person, action):
        return _back(person.id)
    question, given = _question_of(person, action), sent or Form()
    told = (
        [_("La personne en sera prévenue %(route)s.", route=ROUTES[person.route])] if question.tells else []
    )
    return render(
        request,
        "desk/action.html",
        422 if errors else 200,
        **context,
        action=action,
        question=question,
        consequences=[*question.consequences, *told],
        errors=errors or FormErrors(),
        reason=given.get("reason", ""),
        version=given.get("version", str(person.version)),
    )


def _back(registration_id: UUID) -> Response:
    return RedirectResponse(f"/guichet/inscriptions/{registration_id}", 303)


def _line(session_id: UUID) -> Response:
    return RedirectResponse(f"/guichet/seances/{session_id}/attente", 303)


def _is_possible(person: RegistrationView, action: Action) -> bool:
    match action:
        case "accepter" | "refuser":
            return person.may_answer
        case "sans-reponse":
            return person.may_be_passed_over
        case "vient":
            return person.may_reconfirm
        case "place-en-plus":
            return person.is_live and person.status == "waitlisted"
    return action == "lien" or person.is_live


def _question_of(person: RegistrationView, action: Action) -> Question:
    return _grant(person) if action == "place-en-plus" else _questions(person.seats)[action]


def _grant(person: RegistrationView) -> Question:
    """Says how far over capacity the session will be: seats that are held or offered count as taken."""
    planned: int = getattr(person.session.facts.capacity, person.seat_kind)
    seats = person.session.by_kind.get(person.seat_kind)
    after = (seats.capacity if seats else planned) + person.seats
    return Question(
        _("Donner une place au-delà de la capacité ?"),
        (
            ngettext(
                "Cette séance a %(count)s place prévue.",
                "Cette séance a %(count)s places prévues.",
                planned,
            ),
            ngettext(
                "Avec celle-ci, il y en aura %(after)s : une de plus que prévu.",
                "Avec celle-ci, il y en aura %(after)s : %(count)s de plus que prévu.",
                after - planned,
                after=after,
            ),
            _("Les autres personnes qui attendent gardent leur rang."),
        ),
        _("Oui, donner une place de plus"),
        why=_("L’équipe seule lira cette raison."),
        is_gain=True,
    )


def _questions(seats: int) -> Mapping[str, Question]:
    """Those whose words depend on nothing else than how many seats there are."""
    return {
        "accepter": Question(
            ngettext("La personne prend la place ?", "La personne prend les %(count)s places ?", seats),
            (
                ngettext(
                    "Elle aura une place à cet atelier.", "Elle aura %(count)s places à cet atelier.", seats
                ),
            ),
            ngettext("Oui, elle prend la place", "Oui, elle prend les places", seats),
            is_gain=True,
        ),
        "refuser": Question(
            ngettext("La personne laisse la place ?", "La personne laisse les %(count)s places ?", seats),
            (
                ngettext(
                    "La place va tout de suite à la personne suivante.",
                    "Les places vont tout de suite aux personnes suivantes.",
                    seats,
                ),
            ),
            ngettext("Oui, elle laisse la place", "Oui, elle laisse les places", seats),
        ),
        "sans-reponse": Question(
            _("Personne n’a répondu à l’appel ?"),
            (
                ngettext(
                    "La place n’est plus gardée pour cette personne.",
                    "Les places ne sont plus gardées pour cette personne.",
                    seats,
                ),
                ngettext(
                    "La place va tout de suite à la personne suivante.",
                    "Les places vont tout de suite aux personnes suivantes.",
                    seats,
                ),
            ),
            _("Oui, passer à la personne suivante"),
        ),
        "annuler": Question(
            _("La personne ne vient plus ?"),
            (
                _("Son inscription est annulée, à sa demande."),
                ngettext(
                    "Sa place va tout de suite à la personne suivante.",
                    "Ses places vont tout de suite aux personnes suivantes.",
                    seats,
                ),
            ),
            _("Oui, annuler à sa demande"),
        ),
        "annuler-equipe": Question(
            _("Annuler cette inscription, de notre part ?"),
            (
                _("Son inscription est annulée, même si elle voulait venir."),
                ngettext(
                    "Sa place va tout de suite à la personne suivante.",
                    "Ses places vont tout de suite aux personnes suivantes.",
                    seats,
                ),
            ),
            _("Oui, nous annulons"),
            why=_("La personne lira cette phrase."),
        ),
        "vient": Question(
            _("La personne vient ?"),
            (
                ngettext(
                    "Elle garde sa place, et nous ne le lui demandons plus.",
                    "Elle garde ses places, et nous ne le lui demandons plus.",
                    seats,
                ),
            ),
            _("Oui, elle vient"),
            is_gain=True,
            tells=False,
        ),
        "lien": Question(
            _("Remplacer le lien personnel ?"),
            (
                _("Le lien que la personne a reçu ne s’ouvrira plus."),
                _("Le nouveau lien s’affiche ensuite ici : il faut le lui remettre."),
            ),
            _("Oui, remplacer le lien"),
            tells=False,
        ),
    }
