"""The registration form of a session (`/inscription/{session_id}`), for everybody."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.manage_tokens import manage_token
from libs.messaging.contracts import Alternative
from libs.web.app import service_of
from libs.web.forms import Form, read_form
from libs.web.i18n import _, language_of
from libs.web.problems import Conflict, Malformed
from libs.web.templating import render
from services.registrations import page_queries
from services.registrations.inputs import RegistrationRequest
from services.registrations.lane import lane_of
from services.registrations.problems import MaybeDuplicate, SeatKindUnknown
from services.registrations.registering import Ask, Registered
from services.registrations.session_view import SessionView, people_ahead
from services.registrations.signup_choices import form_choices, party_choices, seat_choices
from services.registrations.signup_form import OLD_FORM, SignupForm, new_id, read_request, registration_id_of

router = APIRouter(include_in_schema=False)


@router.get("/inscription/{session_id}")
async def show_form(request: Request, session_id: UUID) -> Response:
    """The form, or why nobody can register now and what to do instead."""
    session = await _session(request, session_id)
    return await _page(request, session, _fresh(request, session_id))


@router.post("/inscription/{session_id}")
async def register(request: Request, session_id: UUID) -> Response:
    """Register, then lead to the person's own page; sent twice, it is done once."""
    sent = await read_form(request)
    session = await _session(request, session_id)
    secret = service_of(request).settings.secret
    form = SignupForm(sent.get("form_id", ""), sent)
    registration_id = registration_id_of(secret, session_id, form.id)
    asked, form.errors = read_request(
        sent, session.facts, channel="web", language=language_of(request), one_route=True
    )
    if registration_id is None:
        form.renew(new_id(secret, session_id), OLD_FORM)
    if asked is None or registration_id is None:
        return await _page(request, session, form, 422)
    try:
        done = await save(request, session_id, asked, registration_id)
    except MaybeDuplicate:
        return _question(request, session, form)
    except SeatKindUnknown:
        form.errors.add("seat_kind", _("Choisissez sur place ou en ligne."))
        return await _page(request, session, form, 422)
    except Malformed as problem:
        form.correct(problem)
        return await _page(request, session, form, 422)
    except Conflict:
        # It closed, or filled up, while the form was being filled in: say what is so now.
        return await _page(request, await _session(request, session_id), form, 409)
    token = manage_token(secret, done.id, done.generation)
    return RedirectResponse(f"/mon-inscription/{token}", 303)


@router.get("/inscription/{session_id}/deja-inscrit")
async def already_registered(request: Request, session_id: UUID) -> Response:
    """For somebody who may be registered already: how to find out, without saying who is."""
    return render(request, "signup/already.html", session=await _session(request, session_id))


async def save(
    request: Request, session_id: UUID, asked: RegistrationRequest, registration_id: UUID
) -> Registered:
    """Register by the lane; the form's id makes a form sent twice one registration."""
    return await lane_of(request).register(Ask(session_id, asked, registration_id, may_exist=True))


async def _session(request: Request, session_id: UUID) -> SessionView:
    async with service_of(request).database.reading() as tx:
        return await page_queries.session_view(tx, session_id)


def _fresh(request: Request, session_id: UUID) -> SignupForm:
    values = Form([("language", language_of(request))])
    return SignupForm(new_id(service_of(request).settings.secret, session_id), values)


async def _page(request: Request, session: SessionView, form: SignupForm, status: int = 200) -> Response:
    if not session.is_open:
        return await _closed(request, session, 200 if status == 200 else 409)
    others = [] if session.seats.available > 0 else await _others(request, session)
    page = render(
        request,
        "signup/form.html",
        status,
        session=session,
        form=form,
        errors=form.errors,
        others=others,
        seat_kinds=seat_choices(session),
        parties=party_choices(session),
        ahead=people_ahead(session.seats.waitlisted),
        **form_choices(language_of(request)),
    )
    return kept(page)


async def _closed(request: Request, session: SessionView, status: int) -> Response:
    return render(
        request, "signup/closed.html", status, session=session, others=await _others(request, session)
    )


async def _others(request: Request, session: SessionView) -> Sequence[Alternative]:
    service = service_of(request)
    async with service.database.reading() as tx:
        return await page_queries.alternatives(tx, service.settings, session)


def _question(request: Request, session: SessionView, form: SignupForm) -> Response:
    return kept(render(request, "signup/another_person.html", 409, session=session, form=form))


def kept(page: Response) -> Response:
    """The way back shows the form as it was left; `no-store` would ask to send it again instead."""
    page.headers["Cache-Control"] = "private, no-cache"
    return page
