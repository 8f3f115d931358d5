"""The JSON API of registrations (`/api/registrations/v1`)."""

import hashlib
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.clock import decision_time, zone
from libs.manage_tokens import manage_token
from libs.messaging.contracts import SeatsState, SessionState
from libs.settings import Settings
from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff, bearer_of, staff_of
from libs.web.i18n import language_of, translate
from libs.web.problems import Unauthorized
from services.registrations import commands, queries
from services.registrations.access import Requester, check_generation, manage_url
from services.registrations.commands import ClientKey, Registered
from services.registrations.explaining import why
from services.registrations.inputs import RegistrationRequest
from services.registrations.models import Registration, SessionCopy
from services.registrations.problems import RegistrationUnknown, SessionUnknown

router = APIRouter(prefix="/api/registrations/v1", tags=["registrations"])

Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]

PACKAGE = "services.registrations"
SEATED = ("confirmed", "offered", "attended", "absent", "excused")


class RegistrationCreated(BaseModel):
    """`position` is the place in the line, 1 being next. The token is shown here and in messages only."""

    id: UUID
    session_id: UUID
    status: str
    position: int | None
    confirmation_number: str
    manage_url: str
    manage_token: str


class SessionSummary(BaseModel):
    """Times with their offset, beside the wall time and zone that were decided."""

    id: UUID
    title: str
    status: str
    starts_at: datetime
    ends_at: datetime
    starts_at_local: str
    timezone: str
    venue: str | None
    url: str


class RegistrationDetail(BaseModel):
    """A registration as its person, and staff, may see it."""

    id: UUID
    session_id: UUID
    status: str
    position: int | None
    offer_expires_at: datetime | None
    confirmation_number: str
    name: str
    language: str
    channel: str
    seat_kind: str
    party_size: int
    contact: dict[str, str | None]
    created_at: datetime
    session: SessionSummary
    manage_url: str


class RosterEntry(BaseModel):
    """What the desk needs on the day: a name, whether there is a seat, nothing about the person."""

    id: UUID
    name: str
    status: str
    seat_kind: str
    confirmation_number: str


class LineEntry(BaseModel):
    """Where somebody stands, and why."""

    id: UUID
    name: str
    position: int
    seat_kind: str
    channel: str
    seq: int
    since: datetime
    why: str


class Roster(BaseModel):
    items: list[RosterEntry]
    next: str | None = None


class Line(BaseModel):
    items: list[LineEntry]
    next: str | None = None


@router.post("/sessions/{session_id}/registrations", status_code=201)
async def register(
    session_id: UUID,
    body: RegistrationRequest,
    request: Request,
    response: Response,
    tx: Transaction,
    idempotency_key: Key = None,
) -> RegistrationCreated:
    """Register somebody. Channels other than `web` need a staff token."""
    if body.channel != "web" and staff_of(request) is None:
        raise Unauthorized
    settings = service_of(request).settings
    client_key = _client_key(request, session_id, idempotency_key)
    done = await commands.register(tx, settings, session_id, body, uuid4(), client_key)
    if not done.created:
        response.status_code = 200
    response.headers["Location"] = f"/api/registrations/v1/registrations/{done.id}"
    return _created(settings, done)


@router.get("/registrations/{registration_id}")
async def show(
    registration_id: UUID, requester: Requester, request: Request, tx: Reading
) -> RegistrationDetail:
    """One registration, for its person or staff."""
    await _check(request, tx, registration_id)
    return await _detail(tx, service_of(request).settings, registration_id)


@router.delete("/registrations/{registration_id}")
async def cancel(
    registration_id: UUID,
    requester: Requester,
    request: Request,
    tx: Transaction,
    reason: str | None = None,
) -> RegistrationDetail:
    """Give up the registration; the seat goes to the next person."""
    await _check(request, tx, registration_id)
    settings = service_of(request).settings
    await commands.cancel(tx, settings, registration_id, requester, reason)
    return await _detail(tx, settings, registration_id)


@router.post("/registrations/{registration_id}/accept")
async def accept(
    registration_id: UUID, requester: Requester, request: Request, tx: Transaction
) -> RegistrationDetail:
    """Take the seat that is offered."""
    await _check(request, tx, registration_id)
    settings = service_of(request).settings
    await commands.accept(tx, settings, registration_id)
    return await _detail(tx, settings, registration_id)


@router.post("/registrations/{registration_id}/decline")
async def decline(
    registration_id: UUID, requester: Requester, request: Request, tx: Transaction
) -> RegistrationDetail:
    """Let the seat that is offered go to the next person."""
    await _check(request, tx, registration_id)
    settings = service_of(request).settings
    await commands.decline(tx, settings, registration_id)
    return await _detail(tx, settings, registration_id)


@router.post("/registrations/{registration_id}/revoke-links")
async def revoke_links(
    registration_id: UUID, staff: Staff, request: Request, tx: Transaction
) -> RegistrationDetail:
    """Make every manage link sent so far worthless (410)."""
    settings = service_of(request).settings
    await commands.revoke_links(tx, settings, registration_id)
    return await _detail(tx, settings, registration_id)


@router.get("/sessions/{session_id}/seats")
async def seats(session_id: UUID, tx: Reading) -> SeatsState:
    """The seats of a session. Public."""
    await _session(tx, session_id)
    kinds = (await queries.seats_by_kind(tx, [session_id]))[session_id]
    return queries.seats_state(session_id, kinds, await decision_time(tx))


@router.get("/sessions/{session_id}/roster")
async def roster(session_id: UUID, staff: Staff, tx: Reading) -> Roster:
    """Who has a seat, by name."""
    await _session(tx, session_id)
    people = await queries.people(tx, session_id, SEATED)
    return Roster(
        items=[
            RosterEntry(
                id=person.id,
                name=person.name,
                status=person.status,
                seat_kind=person.seat_kind,
                confirmation_number=person.confirmation_number,
            )
            for person in sorted(people, key=lambda person: person.name_key)
        ]
    )


@router.get("/sessions/{session_id}/line")
async def line(session_id: UUID, staff: Staff, request: Request, tx: Reading) -> Line:
    """Who waits, in order, and why they stand where they stand."""
    await _session(tx, session_id)
    people = await queries.people(tx, session_id, ("waitlisted",))
    return Line(
        items=[
            LineEntry(
                id=person.id,
                name=person.name,
                position=place,
                seat_kind=person.seat_kind,
                channel=person.channel,
                seq=person.seq,
                since=person.created_at,
                why=translate(why(person.seq, place - 1), language_of(request), PACKAGE),
            )
            for place, person in enumerate(people, start=1)
        ]
    )


async def _check(request: Request, tx: AsyncSession, registration_id: UUID) -> None:
    generation = getattr(request.state, "generation", None)
    if generation is not None:
        await check_generation(tx, registration_id, generation)


async def _session(tx: AsyncSession, session_id: UUID) -> SessionCopy:
    row = await tx.get(SessionCopy, session_id)
    if row is None or row.facts is None:
        raise SessionUnknown
    return row


def _client_key(request: Request, session_id: UUID, key: str | None) -> ClientKey | None:
    """The key within this route and credential; the credential is kept as a hash."""
    if key is None:
        return None
    credential = hashlib.sha256((bearer_of(request) or "").encode()).hexdigest()[:16]
    return ClientKey(f"POST {request.url.path} {credential}", key)


def _created(settings: Settings, done: Registered) -> RegistrationCreated:
    return RegistrationCreated(
        id=done.id,
        session_id=done.session_id,
        status=done.status,
        position=done.position,
        confirmation_number=done.confirmation_number,
        manage_url=manage_url(settings, done.id, done.generation),
        manage_token=manage_token(settings.secret, done.id, done.generation),
    )


async def _detail(tx: AsyncSession, settings: Settings, registration_id: UUID) -> RegistrationDetail:
    person = await tx.get(Registration, registration_id)
    row = await tx.get(SessionCopy, person.session_id) if person is not None else None
    if person is None or row is None:
        raise RegistrationUnknown
    facts = SessionState.model_validate(row.facts)
    where = zone(facts.timezone)
    detail: dict[str, Any] = {
        name: getattr(person, name) for name in RegistrationDetail.model_fields if hasattr(person, name)
    }
    return RegistrationDetail(
        **detail,
        position=await queries.position(tx, person),
        contact={name: getattr(person, name) for name in ("email", "mobile", "phone", "postal")},
        session=SessionSummary(
            id=facts.id,
            title=facts.title,
            status=facts.status,
            starts_at=facts.starts_at_utc.astimezone(where),
            ends_at=facts.ends_at_utc.astimezone(where),
            starts_at_local=facts.starts_at.isoformat(timespec="minutes"),
            timezone=facts.timezone,
            venue=facts.venue.name if facts.venue else None,
            url=f"{settings.base_url}/seances/{facts.id}",
        ),
        manage_url=manage_url(settings, person.id, person.generation),
    )
