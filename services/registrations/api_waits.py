"""The JSON API of waits for many sessions (`/api/registrations/v1/waits`)."""

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.manage_tokens import manage_token
from libs.settings import Settings
from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff, staff_of
from libs.web.idempotency import IdempotencyKey
from libs.web.problems import Unauthorized
from services.registrations import wait_queries, waits
from services.registrations.access import Waiter, check_wait_generation, manage_url, wait_url
from services.registrations.api import CancelRequest, SessionSummary, summary_of
from services.registrations.joining import Joining
from services.registrations.models import Wait
from services.registrations.problems import WaitUnknown
from services.registrations.wait_inputs import WaitRequest
from services.registrations.wait_queries import Stop

router = APIRouter(prefix="/api/registrations/v1/waits", tags=["waits"])


class StopDetail(BaseModel):
    """One session of a wait: a place in its line, or a seat that is kept until `offer_expires_at`.

    `registration_id` is what the offer is accepted or declined by, as any registration.
    """

    registration_id: UUID
    status: str
    position: int | None
    offer_expires_at: datetime | None
    session: SessionSummary
    manage_url: str


class AroundDetail(BaseModel):
    """Within `km` kilometres of a point, in degrees."""

    latitude: float
    longitude: float
    km: float
    place: str | None


class WaitDetail(BaseModel):
    """A wait as its person, and staff, may see it.

    `status`: `open`; `found`: a seat was accepted; `ended` by somebody; `over`: no day is left.
    """

    id: UUID
    status: str
    confirmation_number: str
    name: str
    language: str
    channel: str
    contact: dict[str, str | None]
    theme: str
    stream: str
    regions: list[str]
    around: AroundDetail | None
    online: bool
    session_language: str | None
    first_day: date
    last_day: date
    created_at: datetime
    ended_at: datetime | None
    stops: list[StopDetail]
    manage_url: str


class WaitCreated(WaitDetail):
    """The token is shown here and in messages only."""

    manage_token: str


@router.post("", status_code=201)
async def begin(request: Request, body: WaitRequest, key: IdempotencyKey, response: Response) -> WaitCreated:
    """Wait for a seat at any session of a theme. Channels other than `web` need a staff token.

    The wait joins the line of every session that is open, and of each that opens later. A free seat is
    offered; accepting one ends all other stops.
    """
    if body.channel != "web" and staff_of(request) is None:
        raise Unauthorized
    service = service_of(request)
    async with service.database.transaction() as tx:
        known = await key.known(tx)
        if known is None:
            wait, _created = await waits.note(tx, service.settings, uuid4(), body)
            wait_id = wait.id
            await key.keep(tx, {"id": str(wait_id)})
        else:
            wait_id, response.status_code = UUID(known["id"]), 200
    await Joining(service.database, service.settings).join_wait(wait_id)
    response.headers["Location"] = f"{router.prefix}/{wait_id}"
    async with service.database.reading() as tx:
        detail = await _detail(tx, service.settings, wait_id)
        generation = (await _wait(tx, wait_id)).generation
    token = manage_token(service.settings.secret, wait_id, generation)
    return WaitCreated(**detail.model_dump(), manage_token=token)


@router.get("/{wait_id}")
async def show(wait_id: UUID, waiter: Waiter, request: Request, tx: Reading) -> WaitDetail:
    """One wait with all its stops, for its person or staff."""
    await _check(request, tx, wait_id)
    return await _detail(tx, service_of(request).settings, wait_id)


@router.delete("/{wait_id}")
async def end(wait_id: UUID, waiter: Waiter, request: Request, tx: Transaction) -> WaitDetail:
    """Give up the wait: every place in a line, and every seat that is kept, goes to the next person."""
    await _check(request, tx, wait_id)
    settings = service_of(request).settings
    await waits.end(tx, settings, wait_id, waiter)
    return await _detail(tx, settings, wait_id)


@router.post("/{wait_id}/cancel")
async def cancel(
    wait_id: UUID, staff: Staff, body: CancelRequest, request: Request, key: IdempotencyKey, tx: Transaction
) -> WaitDetail:
    """Staff end a wait, and tell the person why."""
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await waits.end(tx, settings, wait_id, "staff", body.reason)
        await key.keep(tx, {"id": str(wait_id)})
    return await _detail(tx, settings, wait_id)


@router.post("/{wait_id}/revoke-links")
async def revoke_links(
    wait_id: UUID, staff: Staff, request: Request, key: IdempotencyKey, tx: Transaction
) -> WaitDetail:
    """Make every link to the wait's page sent so far worthless (410)."""
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await waits.revoke_links(tx, settings, wait_id)
        await key.keep(tx, {"id": str(wait_id)})
    return await _detail(tx, settings, wait_id)


async def _check(request: Request, tx: AsyncSession, wait_id: UUID) -> None:
    generation = getattr(request.state, "generation", None)
    if generation is not None:
        await check_wait_generation(tx, wait_id, generation)


async def _wait(tx: AsyncSession, wait_id: UUID) -> Wait:
    wait = await tx.get(Wait, wait_id)
    if wait is None or not wait.name:
        raise WaitUnknown
    return wait


async def _detail(tx: AsyncSession, settings: Settings, wait_id: UUID) -> WaitDetail:
    wait = await _wait(tx, wait_id)
    found: dict[str, Any] = {
        name: getattr(wait, name) for name in WaitDetail.model_fields if hasattr(wait, name)
    }
    around = None
    if wait.latitude is not None and wait.longitude is not None and wait.km is not None:
        around = AroundDetail(latitude=wait.latitude, longitude=wait.longitude, km=wait.km, place=wait.place)
    return WaitDetail(
        **found,
        contact={name: getattr(wait, name) for name in ("email", "mobile", "phone", "postal")},
        around=around,
        session_language=wait.spoken,
        stops=[_stop(stop, settings) for stop in await wait_queries.stops(tx, wait)],
        manage_url=wait_url(settings, wait.id, wait.generation),
    )


def _stop(stop: Stop, settings: Settings) -> StopDetail:
    person = stop.registration
    return StopDetail(
        registration_id=person.id,
        status=person.status,
        position=stop.position,
        offer_expires_at=person.offer_expires_at,
        session=summary_of(stop.facts, settings),
        manage_url=manage_url(settings, person.id, person.generation),
    )
