"""Waiting for many sessions: the form (`/attendre`), and the wait's own page (`/mon-attente/{token}`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.clock import decision_time
from libs.manage_tokens import BadToken, manage_token, read_manage_token
from libs.web.app import service_of
from libs.web.forms import Form, read_form
from libs.web.i18n import language_of
from libs.web.problems import Malformed
from libs.web.templating import render
from services.registrations import page_queries, wait_queries, waits
from services.registrations.access import check_wait_generation, manage_url
from services.registrations.desk_choices import spot_of
from services.registrations.joining import Joining
from services.registrations.models import Wait
from services.registrations.nearby import Spot
from services.registrations.own_page import HEADERS
from services.registrations.pages import kept
from services.registrations.problems import LinkUnknown, MaybeDuplicate, WaitUnknown
from services.registrations.signup_choices import form_choices
from services.registrations.signup_form import OLD_FORM, SignupForm, new_id, registration_id_of
from services.registrations.spelling import spaced
from services.registrations.wait_form import FORM, beginning, choices, in_order, read_wait
from services.registrations.wait_inputs import WaitRequest
from services.registrations.wait_view import StopView, places_of, state_of_wait, stop_view, theme_of

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Own:
    """A wait, its stops in words, and the moment at which they were read."""

    wait: Wait
    stops: list[wait_queries.Stop]
    views: list[StopView]
    now: datetime


@router.get("/attendre")
async def show_form(request: Request) -> Response:
    """The form; what the page before knows (`sujet`, `region`, `pres`, `km`, `du`, `au`) is filled in."""
    service, language = service_of(request), language_of(request)
    async with service.database.reading() as tx:
        today = waits.today(await decision_time(tx))
    form = SignupForm(new_id(service.settings.secret, FORM), beginning(request.query_params, today, language))
    return await _form_page(request, form)


@router.post("/attendre")
async def begin(request: Request) -> Response:
    """Note the wait, join the lines that are open, then lead to its own page; sent twice, it is done once."""
    sent = await read_form(request)
    service = service_of(request)
    secret = service.settings.secret
    form = SignupForm(sent.get("form_id", ""), sent)
    wait_id = registration_id_of(secret, FORM, form.id)
    asked, form.errors = read_wait(
        sent, await spot_typed(request, sent), channel="web", language=language_of(request), one_route=True
    )
    if wait_id is None:
        form.renew(new_id(secret, FORM), OLD_FORM)
    if asked is None or wait_id is None:
        return await _form_page(request, form, 422)
    try:
        wait = await save(request, wait_id, asked)
    except MaybeDuplicate:
        return kept(render(request, "wait/another_person.html", 409, form=form))
    except Malformed as problem:
        form.correct(problem)
        form.errors = in_order(form.errors)
        return await _form_page(request, form, 422)
    return RedirectResponse(f"/mon-attente/{manage_token(secret, wait.id, wait.generation)}", 303)


@router.get("/attendre/deja-note")
async def already_noted(request: Request) -> Response:
    """For somebody who may wait already: how to find out, without saying who does."""
    return render(request, "wait/already.html")


async def save(request: Request, wait_id: UUID, asked: WaitRequest) -> Wait:
    """Note the wait and let it join every line that is open now."""
    service = service_of(request)
    async with service.database.transaction() as tx:
        wait, _created = await waits.note(tx, service.settings, wait_id, asked)
    await Joining(service.database, service.settings).join_wait(wait.id)
    return wait


async def spot_typed(request: Request, sent: Form) -> Spot | None:
    """Where the place is that somebody typed; venues are known by their names too."""
    if sent.get("where") != "near":
        return None
    async with service_of(request).database.reading() as tx:
        return spot_of(sent.get("near", ""), await page_queries.coming(tx))


async def regions_here(request: Request) -> Sequence[str]:
    """The regions in which this network has sessions."""
    async with service_of(request).database.reading() as tx:
        return (await tx.scalars(_REGIONS)).all()


async def _form_page(request: Request, form: SignupForm, status: int = 200) -> Response:
    language = language_of(request)
    page = render(
        request,
        "wait/form.html",
        status,
        form=form,
        errors=form.errors,
        pro=form.value("stream") == "pro",
        **{**form_choices(language), **choices(language, await regions_here(request))},
    )
    return kept(page)


async def own_wait(tx: AsyncSession, request: Request, wait_id: UUID) -> Own:
    """The wait with its stops in words. Raises `WaitUnknown`, also once the person is erased from it."""
    settings, language = service_of(request).settings, language_of(request)
    wait = await tx.get(Wait, wait_id)
    if wait is None or not wait.name:
        raise WaitUnknown
    now = await decision_time(tx)
    stops = await wait_queries.stops(tx, wait)
    views = [
        stop_view(
            stop, manage_url(settings, stop.registration.id, stop.registration.generation), now, language
        )
        for stop in stops
    ]
    return Own(wait, stops, views, now)


async def _own(request: Request, token: str) -> Own:
    service = service_of(request)
    try:
        claim = read_manage_token(service.settings.secret, token)
        async with service.database.reading() as tx:
            await check_wait_generation(tx, claim.registration_id, claim.generation)
            return await own_wait(tx, request, claim.registration_id)
    except (BadToken, WaitUnknown):
        raise LinkUnknown(headers=HEADERS) from None


OwnWait = Annotated[Own, Depends(_own)]


@router.get("/mon-attente/{token}")
async def show(request: Request, token: str, own: OwnWait) -> Response:
    """What the person waits for, and where. Nothing changes by looking."""
    return _page(request, "wait/own.html", token, own)


@router.get("/mon-attente/{token}/terminer")
async def ask_to_end(request: Request, token: str, own: OwnWait) -> Response:
    """What will happen, and the question."""
    return _page(request, "wait/end.html", token, own) if own.wait.status == "open" else _back(token)


@router.post("/mon-attente/{token}/terminer")
async def end(request: Request, token: str, own: OwnWait) -> Response:
    """Give up the wait, every place in a line and every seat that is kept."""
    service = service_of(request)
    async with service.database.transaction() as tx:
        await waits.end(tx, service.settings, own.wait.id, "person")
    return _back(token)


def wait_context(request: Request, own: Own) -> dict[str, Any]:
    """What every page about a wait shows of it."""
    language, wait = language_of(request), own.wait
    return {
        "wait": wait,
        "stops": own.views,
        "state": state_of_wait(wait, own.stops, language),
        "theme": theme_of(wait, language),
        "places": places_of(wait, language),
        "number": spaced(wait.confirmation_number),
    }


def _page(request: Request, template: str, token: str, own: Own) -> Response:
    page = render(request, template, **wait_context(request, own), here=f"/mon-attente/{token}")
    page.headers.update(HEADERS)
    return page


def _back(token: str) -> Response:
    return RedirectResponse(f"/mon-attente/{token}", 303, HEADERS)


_REGIONS = sa.text(
    "select distinct facts ->> 'region' as region from session"
    " where status = 'published' and facts ->> 'region' is not null order by region"
)
