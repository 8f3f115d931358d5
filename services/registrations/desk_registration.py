"""One registration at the desk (`/guichet/inscriptions/{id}`): what to tell the person, what can be done."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs import vocabularies
from libs.web.app import Reading, service_of
from libs.web.auth import Staff
from libs.web.forms import FormErrors, read_form
from libs.web.i18n import LazyString, _, language_of
from libs.web.templating import render
from services.registrations import commands, page_queries
from services.registrations.access import manage_url
from services.registrations.models import Registration
from services.registrations.problems import AlreadyOver, OfferOver
from services.registrations.registration_view import ROUTES, STATUSES, RegistrationView, state_of
from services.registrations.signup_choices import channel_label, seat_kind_label
from services.registrations.spelling import spaced, spelled

router = APIRouter(prefix="/guichet/inscriptions", include_in_schema=False)

Action = Literal["accepter", "refuser", "annuler", "annuler-equipe", "lien"]

MAX_REASON = 300


@router.get("/{registration_id}")
async def show(request: Request, staff: Staff, tx: Reading, registration_id: UUID) -> Response:
    """The registration, for somebody who has the person on the line."""
    return render(request, "desk/registration.html", **await _context(request, tx, registration_id))


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
    reason = (await read_form(request)).get("reason", "")
    service = service_of(request)
    errors = FormErrors()
    if action == "annuler-equipe" and not reason:
        errors.add("reason", _("Écrivez la raison : la personne la lira."))
    if len(reason) > MAX_REASON:
        errors.add("reason", _("Écrivez au plus %(count)s caractères.", count=MAX_REASON))
    if errors:
        async with service.database.reading() as tx:
            context = await _context(request, tx, registration_id)
        return _question(request, context, action, errors, reason)
    # Answered or over in the meantime: the registration says what is so now.
    with suppress(OfferOver, AlreadyOver):
        async with service.database.transaction() as tx:
            await _do(request, tx, registration_id, action, reason)
    return RedirectResponse(f"/guichet/inscriptions/{registration_id}", 303)


async def _do(request: Request, tx: AsyncSession, id_: UUID, action: Action, reason: str) -> None:
    settings = service_of(request).settings
    match action:
        case "accepter":
            await commands.accept(tx, settings, id_)
        case "refuser":
            await commands.decline(tx, settings, id_)
        case "annuler":
            await commands.cancel(tx, settings, id_, "person")
        case "annuler-equipe":
            await commands.cancel(tx, settings, id_, "staff", reason)
        case "lien":
            await commands.revoke_links(tx, settings, id_)


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
    reason: str = "",
) -> Response:
    person: RegistrationView = context["person"]
    if not _is_possible(person, action):
        return RedirectResponse(f"/guichet/inscriptions/{person.id}", 303)
    title, consequences, label = _QUESTIONS[action]
    return render(
        request,
        "desk/action.html",
        422 if errors else 200,
        **context,
        action=action,
        title=title,
        consequences=[*consequences, _("La personne en sera prévenue %(route)s.", route=ROUTES[person.route])]
        if action != "lien"
        else consequences,
        label=label,
        errors=errors or FormErrors(),
        reason=reason,
    )


def _is_possible(person: RegistrationView, action: Action) -> bool:
    if action in {"accepter", "refuser"}:
        return person.may_answer
    return action == "lien" or person.is_live


_QUESTIONS: Mapping[str, tuple[LazyString, list[LazyString], LazyString]] = {
    "accepter": (
        _("La personne prend la place ?"),
        [_("Elle aura une place à cet atelier.")],
        _("Oui, elle prend la place"),
    ),
    "refuser": (
        _("La personne laisse la place ?"),
        [_("La place va tout de suite à la personne suivante.")],
        _("Oui, elle laisse la place"),
    ),
    "annuler": (
        _("La personne ne vient plus ?"),
        [
            _("Son inscription est annulée, à sa demande."),
            _("Sa place va tout de suite à la personne suivante."),
        ],
        _("Oui, annuler à sa demande"),
    ),
    "annuler-equipe": (
        _("Annuler cette inscription, de notre part ?"),
        [
            _("Son inscription est annulée, même si elle voulait venir."),
            _("Sa place va tout de suite à la personne suivante."),
        ],
        _("Oui, nous annulons"),
    ),
    "lien": (
        _("Remplacer le lien personnel ?"),
        [
            _("Le lien que la personne a reçu ne s’ouvrira plus."),
            _("Le nouveau lien s’affiche ensuite ici : il faut le lui remettre."),
        ],
        _("Oui, remplacer le lien"),
    ),
}
