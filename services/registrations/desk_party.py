"""At the desk: fewer of a party come, or it goes on waiting in two parts, as the person asks."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.web.app import Reading, service_of
from libs.web.auth import Staff
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import _
from libs.web.problems import Conflict
from libs.web.templating import render
from services.registrations import page_queries, party_form
from services.registrations.desk_registration import registration_page
from services.registrations.party_form import Deed
from services.registrations.problems import MaybeDuplicate
from services.registrations.registration_view import RegistrationView

router = APIRouter(prefix="/guichet/inscriptions", include_in_schema=False)


@router.get("/{registration_id}/groupe/{deed}")
async def ask(request: Request, staff: Staff, tx: Reading, registration_id: UUID, deed: Deed) -> Response:
    """What will happen, and the question."""
    person = await page_queries.registration_view(tx, registration_id)
    if not party_form.is_possible(person, deed):
        return _back(registration_id)
    return _page(request, person, deed, Form(), FormErrors())


@router.post("/{registration_id}/groupe/{deed}")
async def change(request: Request, staff: Staff, registration_id: UUID, deed: Deed) -> Response:
    """Do it, then show the registration, or what to say to those who left the party."""
    sent, service = await read_form(request), service_of(request)
    async with service.database.reading() as tx:
        person = await page_queries.registration_view(tx, registration_id)
    if not party_form.is_possible(person, deed):
        return _back(registration_id)
    asked = party_form.read(sent, person, deed)
    if asked.errors:
        return _page(request, person, deed, sent, asked.errors)
    try:
        async with service.database.transaction() as tx:
            done = await asked.carry_out(tx, service.settings, person, staff.id)
    except MaybeDuplicate:
        errors = FormErrors({"name": _("Écrivez le nom d’une autre personne du groupe.")})
        return _page(request, person, deed, sent, errors)
    except Conflict as problem:
        async with service.database.reading() as tx:
            return await registration_page(request, tx, registration_id, problem)
    if deed == "separer":
        return RedirectResponse(f"/guichet/inscriptions/{done.id}/a-dire", 303)
    return _back(registration_id)


def _page(request: Request, person: RegistrationView, deed: Deed, sent: Form, errors: FormErrors) -> Response:
    return render(
        request,
        "desk/party.html",
        422 if errors else 200,
        person=person,
        session=person.session,
        deed=deed,
        sizes=party_form.choices(person, deed),
        form=sent,
        errors=errors,
    )


def _back(registration_id: UUID) -> Response:
    return RedirectResponse(f"/guichet/inscriptions/{registration_id}", 303)
