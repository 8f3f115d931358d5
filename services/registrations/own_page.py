"""The person's own page (`/mon-inscription/{token}`): where they stand, and what they can do about it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.ical import MEDIA_TYPE
from libs.manage_tokens import BadToken, read_manage_token
from libs.settings import Settings
from libs.web.app import service_of
from libs.web.i18n import COOKIE, known_language, language_of
from libs.web.templating import render
from services.registrations import commands, page_queries
from services.registrations.access import check_generation, manage_url, wait_url
from services.registrations.models import Registration, Wait
from services.registrations.own_calendar import calendar_file
from services.registrations.problems import (
    AlreadyOver,
    LinkUnknown,
    NoCalendarEntry,
    OfferOver,
    RegistrationUnknown,
)
from services.registrations.registration_state import state_of
from services.registrations.registration_view import RegistrationView
from services.registrations.spelling import spaced

router = APIRouter(include_in_schema=False)

Command = Callable[[AsyncSession, Settings, UUID], Awaitable[Registration]]

HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
"""The address is the key: it stays on this site, and the page on no shared computer."""


async def _own(request: Request, token: str) -> RegistrationView:
    """The registration that the link opens; `LinkUnknown`, or `LinkRevoked` once staff replaced it."""
    service = service_of(request)
    try:
        claim = read_manage_token(service.settings.secret, token)
        async with service.database.reading() as tx:
            person = await page_queries.registration_view(tx, claim.registration_id)
            await check_generation(tx, person.id, claim.generation)
            return person
    except (BadToken, RegistrationUnknown):
        raise LinkUnknown(headers=HEADERS) from None


Own = Annotated[RegistrationView, Depends(_own)]


@router.get("/mon-inscription/{token}")
async def show(request: Request, token: str, person: Own) -> Response:
    """Where the person stands. Nothing changes by looking."""
    if _speaks_another_language(request, person):
        return RedirectResponse(f"/mon-inscription/{token}?lang={person.language}", 303, HEADERS)
    service = service_of(request)
    async with service.database.reading() as tx:
        others = (
            await page_queries.alternatives(tx, service.settings, person.session)
            if person.offers_others
            else []
        )
        wait = await tx.get(Wait, person.wait_id) if person.wait_id is not None else None
    new_link = _link_to_new(person, service.settings)
    wait_link = _link_to_wait(person, wait, service.settings)
    return page(
        request,
        "own/registration.html",
        token,
        person,
        others=others,
        new_link=new_link,
        wait_link=wait_link,
        waits_elsewhere=wait is not None and wait.status == "open",
    )


@router.get("/mon-inscription/{token}/annuler")
async def ask_to_cancel(request: Request, token: str, person: Own) -> Response:
    """What will happen, and the question."""
    return page(request, "own/cancel.html", token, person) if person.is_live else back(token)


@router.post("/mon-inscription/{token}/annuler")
async def cancel(request: Request, token: str, person: Own) -> Response:
    """Give up the registration; the seat goes to the next person."""

    async def by_person(tx: AsyncSession, settings: Settings, id_: UUID) -> Registration:
        return await commands.cancel(tx, settings, id_, "person")

    return await _done(request, token, person, by_person)


@router.get("/mon-inscription/{token}/presence")
async def ask_whether_they_come(request: Request, token: str, person: Own) -> Response:
    """« Venez-vous toujours ? », with two buttons. Nothing changes by looking."""
    if person.status != "confirmed" or not person.is_live:
        return back(token)
    return page(request, "own/presence.html", token, person)


@router.post("/mon-inscription/{token}/presence/oui")
async def come(request: Request, token: str, person: Own) -> Response:
    """The person still comes."""
    return await _done(request, token, person, commands.reconfirm)


@router.post("/mon-inscription/{token}/presence/non")
async def come_no_more(request: Request, token: str, person: Own) -> Response:
    """The person doesn't come; the seat goes to the next one at once."""
    return await cancel(request, token, person)


@router.get("/mon-inscription/{token}/presence/oui")
@router.get("/mon-inscription/{token}/presence/non")
async def ask_again(token: str, person: Own) -> Response:
    """Followed by a mail program, or typed: the question, with its buttons."""
    return RedirectResponse(f"/mon-inscription/{token}/presence", 303, HEADERS)


@router.post("/mon-inscription/{token}/accepter")
async def accept(request: Request, token: str, person: Own) -> Response:
    """Take the seat that is kept."""
    return await _done(request, token, person, commands.accept)


@router.post("/mon-inscription/{token}/refuser")
async def decline(request: Request, token: str, person: Own) -> Response:
    """Let the seat go to the next person."""
    return await _done(request, token, person, commands.decline)


@router.get("/mon-inscription/{token}/accepter")
@router.get("/mon-inscription/{token}/refuser")
async def look_again(token: str, person: Own) -> Response:
    """A link that was followed, by a person or by a mail program: the page, with its buttons."""
    return back(token)


@router.get("/mon-inscription/{token}/calendrier.ics")
async def calendar(request: Request, person: Own) -> Response:
    """The person's own entry, for their calendar; who was transferred has it on the new page."""
    if person.now_at is not None:
        raise NoCalendarEntry(headers=HEADERS)
    body = calendar_file(person, service_of(request).settings, language_of(request))
    name = {"Content-Disposition": 'attachment; filename="atelier.ics"'}
    return Response(body, media_type=MEDIA_TYPE, headers=HEADERS | name)


async def _done(request: Request, token: str, person: RegistrationView, command: Command) -> Response:
    service = service_of(request)
    # Too late, or answered already: the page says what is so now.
    with suppress(OfferOver, AlreadyOver):
        async with service.database.transaction() as tx:
            await command(tx, service.settings, person.id)
    return back(token)


def back(token: str) -> Response:
    """To where the person stands now."""
    return RedirectResponse(f"/mon-inscription/{token}", 303, HEADERS)


def page(
    request: Request,
    template: str,
    token: str,
    person: RegistrationView,
    *,
    status: int = 200,
    **context: Any,
) -> Response:
    """A page about this registration, kept by nobody but the reader."""
    answer = render(
        request,
        template,
        status,
        person=person,
        session=person.session,
        state=state_of(person, language_of(request)),
        number=spaced(person.number),
        here=f"/mon-inscription/{token}",
        **context,
    )
    answer.headers.update(HEADERS)
    return answer


def _link_to_new(person: RegistrationView, settings: Settings) -> str | None:
    """From a registration that was transferred to the one that took its place; nothing changes by following.

    A link that the team replaced leads nowhere any more, so none that is older may lead around that.
    """
    there = person.now_at
    if there is None or there.link_replaced:
        return None
    return manage_url(settings, there.id, there.generation)


def _link_to_wait(person: RegistrationView, wait: Wait | None, settings: Settings) -> str | None:
    """From one stop to the page of the wait with all of them; none once a link was replaced."""
    if wait is None or not wait.name or max(person.generation, wait.generation) > 1:
        return None
    return wait_url(settings, wait.id, wait.generation)


def _speaks_another_language(request: Request, person: RegistrationView) -> bool:
    """Whether the page would come in French to somebody who asked for another language and never chose."""
    chosen = {"lang": request.query_params.get("lang"), "kept": request.cookies.get(COOKIE)}
    unchosen = not any(known_language(value) for value in chosen.values())
    return unchosen and known_language(person.language) not in {None, language_of(request)}
