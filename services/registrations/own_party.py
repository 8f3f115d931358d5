"""On the person's own page: fewer come, or the party goes on waiting in two parts."""

from contextlib import suppress

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs.web.app import service_of
from libs.web.forms import Form, FormErrors, read_form
from libs.web.i18n import _
from services.registrations import party_form
from services.registrations.own_page import Own, back, page
from services.registrations.party_form import Deed
from services.registrations.problems import AlreadyOver, MaybeDuplicate, NotSmaller, NotWaiting
from services.registrations.registration_view import RegistrationView

router = APIRouter(include_in_schema=False)


@router.get("/mon-inscription/{token}/groupe/{deed}")
async def ask(request: Request, token: str, person: Own, deed: Deed) -> Response:
    """What will happen, and the question."""
    if not party_form.is_possible(person, deed):
        return back(token)
    return _page(request, token, person, deed, Form(), FormErrors())


@router.post("/mon-inscription/{token}/groupe/{deed}")
async def change(request: Request, token: str, person: Own, deed: Deed) -> Response:
    """Do it, then show where the person stands now."""
    if not party_form.is_possible(person, deed):
        return back(token)
    sent = await read_form(request)
    asked = party_form.read(sent, person, deed)
    if asked.errors:
        return _page(request, token, person, deed, sent, asked.errors)
    service = service_of(request)
    try:
        # Changed or answered in the meantime: the page says what is so now.
        with suppress(AlreadyOver, NotWaiting, NotSmaller):
            async with service.database.transaction() as tx:
                await asked.carry_out(tx, service.settings, person, "person")
    except MaybeDuplicate:
        errors = FormErrors({"name": _("Écrivez le nom d’une autre personne que vous.")})
        return _page(request, token, person, deed, sent, errors)
    return back(token)


def _page(
    request: Request, token: str, person: RegistrationView, deed: Deed, sent: Form, errors: FormErrors
) -> Response:
    return page(
        request,
        "own/party.html",
        token,
        person,
        status=422 if errors else 200,
        deed=deed,
        sizes=party_form.choices(person, deed),
        form=sent,
        errors=errors,
    )
