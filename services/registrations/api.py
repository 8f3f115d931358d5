"""The JSON API of registrations (`/api/registrations/v1`): one, and what can be done with it."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Concatenate, ParamSpec
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.clock import zone
from libs.messaging.contracts import NoticeOutcome, SessionState
from libs.settings import Settings
from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff, staff_of
from libs.web.idempotency import Idempotency, IdempotencyKey
from services.registrations import attendance, commands, parties, queries
from services.registrations.access import Requester, check_generation, manage_url
from services.registrations.gathering import LARGEST_PARTY
from services.registrations.inputs import Name, Reason
from services.registrations.models import Registration, SessionCopy
from services.registrations.problems import RegistrationUnknown
from services.registrations.reached import notices_of
from services.registrations.waitlist import HIGHEST_PRIORITY

router = APIRouter(prefix="/api/registrations/v1", tags=["registrations"])

P = ParamSpec("P")


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
    wait_id: UUID | None
    """The wait for many sessions by which the person came here."""
    seats: int
    gather_until: datetime | None
    contact: dict[str, str | None]
    created_at: datetime
    ticket: int | None
    """The number in the draw, where seats are drawn."""
    draw_rank: int | None
    session: SessionSummary
    manage_url: str
    reconfirmed_at: datetime | None = None
    """When the person last said that they still come."""
    reached: list[NoticeOutcome] = []
    """What became of each notice, oldest first: told, waiting, not told; by which routes it was tried."""


class WithReason(BaseModel):
    """Why staff leave the usual order; kept with the person, shown to staff alone."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class CancelRequest(BaseModel):
    """`reason` is told to the person; it comes in a body, since addresses end up in logs."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class MoveRequest(WithReason):
    """`before`: the registration of somebody who waits there too; null for the end of the line."""

    before: UUID | None


class PriorityRequest(WithReason):
    """0 is everybody's class, 9 comes first."""

    priority: Annotated[int, Field(ge=0, le=HIGHEST_PRIORITY)]


class TransferRequest(WithReason):
    """Without `may_wait` the person keeps what they have when no seat is free there."""

    session_id: UUID
    may_wait: bool = False


class SplitRequest(BaseModel):
    """How many people go on by themselves, and what one of them is called."""

    model_config = ConfigDict(extra="forbid")

    seats: Annotated[int, Field(ge=1, le=LARGEST_PARTY)]
    name: Name


class ShrinkRequest(BaseModel):
    """How many people still come."""

    model_config = ConfigDict(extra="forbid")

    party_size: Annotated[int, Field(ge=1, le=LARGEST_PARTY)]


class AttendanceRequest(BaseModel):
    """Whether somebody with a seat came; `confirmed` takes a note back."""

    model_config = ConfigDict(extra="forbid")

    outcome: attendance.Outcome


class ReconfirmRequest(BaseModel):
    """Whether the person still comes; `false` gives the seat up at once."""

    model_config = ConfigDict(extra="forbid")

    coming: bool


@router.get("/registrations/{registration_id}")
async def show(
    registration_id: UUID, requester: Requester, request: Request, tx: Reading
) -> RegistrationDetail:
    """One registration, for its person or staff."""
    await _check(request, tx, registration_id)
    return await _detail(tx, service_of(request).settings, registration_id)


@router.delete("/registrations/{registration_id}")
async def give_up(
    registration_id: UUID, requester: Requester, request: Request, tx: Transaction
) -> RegistrationDetail:
    """Give up the registration; the seat goes to the next person."""
    await _check(request, tx, registration_id)
    settings = service_of(request).settings
    await commands.cancel(tx, settings, registration_id, requester)
    return await _detail(tx, settings, registration_id)


@router.post("/registrations/{registration_id}/cancel")
async def cancel(
    registration_id: UUID,
    staff: Staff,
    body: CancelRequest,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> RegistrationDetail:
    """Staff end a registration, and tell the person why; the seat goes to the next person."""
    return await _once(request, key, tx, commands.cancel, registration_id, "staff", body.reason)


@router.post("/registrations/{registration_id}/accept")
async def accept(
    registration_id: UUID, requester: Requester, request: Request, key: IdempotencyKey, tx: Transaction
) -> RegistrationDetail:
    """Take the seat that is offered."""
    await _check(request, tx, registration_id)
    return await _once(request, key, tx, commands.accept, registration_id)


@router.post("/registrations/{registration_id}/decline")
async def decline(
    registration_id: UUID, requester: Requester, request: Request, key: IdempotencyKey, tx: Transaction
) -> RegistrationDetail:
    """Let the seat that is offered go to the next person."""
    await _check(request, tx, registration_id)
    return await _once(request, key, tx, commands.decline, registration_id)


@router.post("/registrations/{registration_id}/reconfirm")
async def reconfirm(
    registration_id: UUID,
    requester: Requester,
    body: ReconfirmRequest,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> RegistrationDetail:
    """Say whether the person still comes: yes keeps the seat, no gives it to the next person at once."""
    await _check(request, tx, registration_id)
    if body.coming:
        return await _once(request, key, tx, commands.reconfirm, registration_id)
    return await _once(request, key, tx, commands.cancel, registration_id, "person")


@router.post("/registrations/{registration_id}/split")
async def split(
    registration_id: UUID,
    requester: Requester,
    body: SplitRequest,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> RegistrationDetail:
    """Some of a party that waits go on by themselves, right behind it; the answer is their registration."""
    await _check(request, tx, registration_id)
    by = _by(request, requester)
    return await _once(request, key, tx, parties.split, registration_id, body.seats, body.name, by)


@router.post("/registrations/{registration_id}/shrink")
async def shrink(
    registration_id: UUID,
    requester: Requester,
    body: ShrinkRequest,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> RegistrationDetail:
    """Fewer people come than were to; their seats go to those who wait."""
    await _check(request, tx, registration_id)
    return await _once(
        request, key, tx, parties.shrink, registration_id, body.party_size, _by(request, requester)
    )


@router.post("/registrations/{registration_id}/revoke-links")
async def revoke_links(
    registration_id: UUID, staff: Staff, request: Request, key: IdempotencyKey, tx: Transaction
) -> RegistrationDetail:
    """Make every manage link sent so far worthless (410)."""
    return await _once(request, key, tx, commands.revoke_links, registration_id)


@router.post("/registrations/{registration_id}/move")
async def move(
    registration_id: UUID,
    staff: Staff,
    body: MoveRequest,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> RegistrationDetail:
    """Put somebody who waits right before another who waits, or last of all."""
    return await _once(request, key, tx, commands.move, registration_id, body.before, body.reason, staff.id)


@router.post("/registrations/{registration_id}/priority")
async def prioritise(
    registration_id: UUID,
    staff: Staff,
    body: PriorityRequest,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> RegistrationDetail:
    """Put somebody who waits into a priority class; others never learn why."""
    return await _once(
        request, key, tx, commands.prioritise, registration_id, body.priority, body.reason, staff.id
    )


@router.post("/registrations/{registration_id}/grant")
async def grant(
    registration_id: UUID,
    staff: Staff,
    body: WithReason,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> RegistrationDetail:
    """Give somebody who waits a seat over capacity, for as long as they keep it."""
    return await _once(request, key, tx, commands.grant, registration_id, body.reason, staff.id)


@router.post("/registrations/{registration_id}/transfer")
async def transfer(
    registration_id: UUID,
    staff: Staff,
    body: TransferRequest,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> RegistrationDetail:
    """Move somebody to another session; the answer is the new registration."""
    return await _once(
        request,
        key,
        tx,
        commands.transfer,
        registration_id,
        body.session_id,
        body.reason,
        staff.id,
        may_wait=body.may_wait,
    )


@router.post("/registrations/{registration_id}/no-answer")
async def no_answer(
    registration_id: UUID, staff: Staff, request: Request, key: IdempotencyKey, tx: Transaction
) -> RegistrationDetail:
    """Staff called once, on the last day, and nobody answered: the offer goes to the next person."""
    return await _once(request, key, tx, commands.no_answer, registration_id, staff.id)


@router.post("/registrations/{registration_id}/attendance")
async def note_attendance(
    registration_id: UUID,
    staff: Staff,
    body: AttendanceRequest,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> RegistrationDetail:
    """From the session's start on: whether the person came. It can be corrected, and nobody is told."""
    return await _once(request, key, tx, attendance.attend, registration_id, body.outcome)


async def _once(
    request: Request,
    key: Idempotency,
    tx: AsyncSession,
    command: Callable[Concatenate[AsyncSession, Settings, UUID, P], Awaitable[Registration]],
    registration_id: UUID,
    *args: P.args,
    **kwargs: P.kwargs,
) -> RegistrationDetail:
    """Carry out a command, and show the registration that it answers; a known key shows it without."""
    settings = service_of(request).settings
    known = await key.known(tx)
    if known is None:
        done = await command(tx, settings, registration_id, *args, **kwargs)
        known = {"id": str(done.id)}
        await key.keep(tx, known)
    return await _detail(tx, settings, UUID(known["id"]))


async def _check(request: Request, tx: AsyncSession, registration_id: UUID) -> None:
    generation = getattr(request.state, "generation", None)
    if generation is not None:
        await check_generation(tx, registration_id, generation)


def _by(request: Request, requester: str) -> str:
    """`person`, or who of the staff asks."""
    staff = staff_of(request) if requester == "staff" else None
    return requester if staff is None else staff.id


def summary_of(facts: SessionState, settings: Settings) -> SessionSummary:
    """A session in few words, as the answers about its people name it."""
    where = zone(facts.timezone)
    return SessionSummary(
        id=facts.id,
        title=facts.title,
        status=facts.status,
        starts_at=facts.starts_at_utc.astimezone(where),
        ends_at=facts.ends_at_utc.astimezone(where),
        starts_at_local=facts.starts_at.isoformat(timespec="minutes"),
        timezone=facts.timezone,
        venue=facts.venue.name if facts.venue else None,
        url=f"{settings.base_url}/seances/{facts.id}",
    )


async def _detail(tx: AsyncSession, settings: Settings, registration_id: UUID) -> RegistrationDetail:
    person = await tx.get(Registration, registration_id)
    row = await tx.get(SessionCopy, person.session_id) if person is not None else None
    if person is None or row is None:
        raise RegistrationUnknown
    facts = SessionState.model_validate(row.facts)
    detail: dict[str, Any] = {
        name: getattr(person, name) for name in RegistrationDetail.model_fields if hasattr(person, name)
    }
    return RegistrationDetail(
        **detail,
        position=await queries.position(tx, person),
        ticket=None if row.draw_stage is None else person.seq,
        contact={name: getattr(person, name) for name in ("email", "mobile", "phone", "postal")},
        session=summary_of(facts, settings),
        manage_url=manage_url(settings, person.id, person.generation),
        reached=(await notices_of(tx, [person.id])).get(person.id, []),
    )
