"""Registering somebody who phones, comes to the desk or writes (`/guichet/seances/{id}/inscrire`)."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.web.app import service_of
from libs.web.auth import Staff
from libs.web.forms import Form, read_form
from libs.web.i18n import _, language_of
from libs.web.problems import Conflict, Malformed
from libs.web.templating import render
from services.registrations import page_queries
from services.registrations.inputs import RegistrationRequest
from services.registrations.pages import save
from services.registrations.problems import MaybeDuplicate
from services.registrations.session_view import SessionView
from services.registrations.signup_choices import STAFF_CHANNELS, form_choices, party_choices, seat_choices
from services.registrations.signup_form import (
    OLD_FORM_OF_TEAM,
    SignupForm,
    new_id,
    read_request,
    registration_id_of,
)

router = APIRouter(prefix="/guichet", include_in_schema=False)


@router.get("/seances/{session_id}/inscrire")
async def show_form(request: Request, staff: Staff, session_id: UUID, canal: str = "phone") -> Response:
    """The form of the team; `canal` is kept from one person to the next."""
    session = await _session(request, session_id)
    values = Form([("channel", canal if canal in STAFF_CHANNELS else "phone"), ("language", "fr")])
    return _page(request, session, SignupForm(_new_id(request, session_id), values))


@router.post("/seances/{session_id}/inscrire")
async def register(request: Request, staff: Staff, session_id: UUID) -> Response:
    """Register, then say what to tell the person."""
    sent = await read_form(request)
    session = await _session(request, session_id)
    form = SignupForm(sent.get("form_id", ""), sent)
    registration_id = registration_id_of(service_of(request).settings.secret, session_id, form.id)
    channel = sent.get("channel", "")
    asked, form.errors = read_request(
        sent, session.facts, channel=channel, language=language_of(request), one_route=False
    )
    if channel not in STAFF_CHANNELS:
        form.errors.add("channel", _("Choisissez comment la personne vous a joint."))
    if registration_id is None:
        form.renew(_new_id(request, session_id), OLD_FORM_OF_TEAM)
    if form.errors or asked is None or registration_id is None:
        return _page(request, session, form, 422)
    try:
        done = await save(request, session_id, asked, registration_id)
    except MaybeDuplicate:
        return await _question(request, session, form, asked)
    except Malformed as problem:
        form.correct(problem)
        return _page(request, session, form, 422)
    except Conflict as problem:
        form.errors.add("", problem.title)
        return _page(request, await _session(request, session_id), form, 409)
    return RedirectResponse(f"/guichet/inscriptions/{done.id}/a-dire", 303)


async def _session(request: Request, session_id: UUID) -> SessionView:
    async with service_of(request).database.reading() as tx:
        return await page_queries.session_view(tx, session_id, channel="phone")


def _new_id(request: Request, session_id: UUID) -> str:
    return new_id(service_of(request).settings.secret, session_id)


def _page(request: Request, session: SessionView, form: SignupForm, status: int = 200) -> Response:
    return render(
        request,
        "desk/signup.html",
        status,
        session=session,
        form=form,
        errors=form.errors,
        seat_kinds=seat_choices(session),
        parties=party_choices(session),
        **form_choices(language_of(request)),
    )


async def _question(
    request: Request, session: SessionView, form: SignupForm, asked: RegistrationRequest
) -> Response:
    """The team may see who is registered already: often it is the answer that the caller wants."""
    async with service_of(request).database.reading() as tx:
        known = await page_queries.alike(tx, session.id, asked)
    return render(request, "desk/another_person.html", 409, session=session, form=form, known=known)
