"""The JSON API of registrations (`/api/registrations/v1`)."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.clock import decision_time, zone
from libs.messaging.contracts import Attempt, NoticeOutcome, SeatsState, SessionState
from libs.settings import Settings
from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff, staff_of
from libs.web.i18n import language_of, translate
from libs.web.idempotency import IdempotencyKey
from services.registrations import attendance, commands, queries
from services.registrations.access import Requester, check_generation, manage_url
from services.registrations.explaining import why
from services.registrations.gathering import LARGEST_PARTY
from services.registrations.inputs import Name, Reason
from services.registrations.models import Registration, SessionCopy
from services.registrations.problems import RegistrationUnknown, SessionUnknown
from services.registrations.reached import notices_of, reach_of_all
from services.registrations.reached import unreached as people_unreached
from services.registrations.reaching import Reach
from services.registrations.waitlist import HIGHEST_PRIORITY

router = APIRouter(prefix="/api/registrations/v1", tags=["registrations"])

PACKAGE = "services.registrations"
SEATED = ("confirmed", "offered", "attended", "absent", "excused")


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


class RosterEntry(BaseModel):
    """What the desk needs on the day: a name, whether there is a seat, nothing about the person."""

    id: UUID
    name: str
    status: str
    seat_kind: str
    party_size: int
    confirmation_number: str
    reach: str | None = None
    """How far the newest news came: `told`, `waiting`, `trying`, `unreached`; null while nothing is known."""


class LineEntry(BaseModel):
    """Where somebody stands among those who wait for the same kind of seat, and why.

    `priority` 0 is everybody's class, 9 comes first; `moved`: staff gave the person this place. `reason` is
    what staff wrote when they gave the place or the class; only staff may read it.
    """

    id: UUID
    name: str
    position: int
    seat_kind: str
    party_size: int
    seats: int
    gather_until: datetime | None
    channel: str
    seq: int
    priority: int
    moved: bool
    since: datetime
    why: str
    reason: str | None
    reach: str | None = None
    """As on the roster."""


class WithReason(BaseModel):
    """Why staff leave the usual order; kept with the person, shown to staff alone."""

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


class WalkIns(BaseModel):
    """How many people came to the session without being registered, in all."""

    model_config = ConfigDict(extra="forbid")

    walk_ins: Annotated[int, Field(ge=0, le=attendance.MOST_WALK_INS)]


class Roster(BaseModel):
    items: list[RosterEntry]
    next: str | None = None


class UnreachedEntry(BaseModel):
    """Somebody whom the newest news (`cause`) has not reached, with every try.

    `state`: `trying` while there is a route left, else `unreached`; `routes`: by which it was tried in vain.
    """

    id: UUID
    name: str
    status: str
    state: str
    cause: str
    routes: list[str]
    tried: list[Attempt]


class Unreached(BaseModel):
    items: list[UnreachedEntry]
    next: str | None = None


class Line(BaseModel):
    items: list[LineEntry]
    next: str | None = None


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
    registration_id: UUID, requester: Requester, request: Request, key: IdempotencyKey, tx: Transaction
) -> RegistrationDetail:
    """Take the seat that is offered."""
    await _check(request, tx, registration_id)
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await commands.accept(tx, settings, registration_id)
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


@router.post("/registrations/{registration_id}/decline")
async def decline(
    registration_id: UUID, requester: Requester, request: Request, key: IdempotencyKey, tx: Transaction
) -> RegistrationDetail:
    """Let the seat that is offered go to the next person."""
    await _check(request, tx, registration_id)
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await commands.decline(tx, settings, registration_id)
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


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
    settings = service_of(request).settings
    if await key.known(tx) is None:
        if body.coming:
            await commands.reconfirm(tx, settings, registration_id)
        else:
            await commands.cancel(tx, settings, registration_id, "person")
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


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
    settings = service_of(request).settings
    known = await key.known(tx)
    if known is not None:
        return await _detail(tx, settings, UUID(known["id"]))
    new = await commands.split(tx, settings, registration_id, body.seats, body.name, _by(request, requester))
    await key.keep(tx, {"id": str(new.id)})
    return await _detail(tx, settings, new.id)


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
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await commands.shrink(tx, settings, registration_id, body.party_size, _by(request, requester))
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


@router.post("/registrations/{registration_id}/revoke-links")
async def revoke_links(
    registration_id: UUID, staff: Staff, request: Request, key: IdempotencyKey, tx: Transaction
) -> RegistrationDetail:
    """Make every manage link sent so far worthless (410)."""
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await commands.revoke_links(tx, settings, registration_id)
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


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
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await commands.move(tx, settings, registration_id, body.before, body.reason, staff.id)
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


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
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await commands.prioritise(tx, settings, registration_id, body.priority, body.reason, staff.id)
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


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
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await commands.grant(tx, settings, registration_id, body.reason, staff.id)
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


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
    settings = service_of(request).settings
    known = await key.known(tx)
    if known is not None:
        return await _detail(tx, settings, UUID(known["id"]))
    moved = await commands.transfer(
        tx, settings, registration_id, body.session_id, body.reason, staff.id, may_wait=body.may_wait
    )
    await key.keep(tx, {"id": str(moved.id)})
    return await _detail(tx, settings, moved.id)


@router.post("/registrations/{registration_id}/no-answer")
async def no_answer(
    registration_id: UUID, staff: Staff, request: Request, key: IdempotencyKey, tx: Transaction
) -> RegistrationDetail:
    """Staff called once, on the last day, and nobody answered: the offer goes to the next person."""
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await commands.no_answer(tx, settings, registration_id, staff.id)
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


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
    settings = service_of(request).settings
    if await key.known(tx) is None:
        await attendance.attend(tx, settings, registration_id, body.outcome)
        await key.keep(tx, {"id": str(registration_id)})
    return await _detail(tx, settings, registration_id)


@router.put("/sessions/{session_id}/walk-ins")
async def count_walk_ins(
    session_id: UUID, staff: Staff, body: WalkIns, request: Request, tx: Transaction
) -> WalkIns:
    """From the session's start on: how many came without being registered. The last number counts."""
    await attendance.count_walk_ins(tx, service_of(request).settings, session_id, body.walk_ins)
    return body


@router.get("/sessions/{session_id}/seats")
async def seats(session_id: UUID, tx: Reading) -> SeatsState:
    """The seats of a session. Public."""
    session = await _session(tx, session_id)
    kinds = (await queries.seats_by_kind(tx, [session_id]))[session_id]
    return queries.seats_state(session_id, kinds, await decision_time(tx), session.draw_stage)


@router.get("/sessions/{session_id}/roster")
async def roster(session_id: UUID, staff: Staff, tx: Reading) -> Roster:
    """Who has a seat, by name."""
    await _session(tx, session_id)
    people = await queries.people(tx, session_id, SEATED)
    reach = await reach_of_all(tx, [person.id for person in people])
    return Roster(
        items=[
            RosterEntry(
                id=person.id,
                name=person.name,
                status=person.status,
                seat_kind=person.seat_kind,
                party_size=person.party_size,
                confirmation_number=person.confirmation_number,
                reach=reach[person.id].state if person.id in reach else None,
            )
            for person in sorted(people, key=lambda person: person.name_key)
        ]
    )


@router.get("/sessions/{session_id}/line")
async def line(session_id: UUID, staff: Staff, request: Request, tx: Reading) -> Line:
    """Who waits, in the order of the line, and why they stand where they stand."""
    facts = SessionState.model_validate((await _session(tx, session_id)).facts)
    language = language_of(request)
    entries = await queries.line(tx, session_id)
    reach = await reach_of_all(tx, [entry.person.id for entry in entries])
    return Line(items=[_in_line(entry, facts, language, reach.get(entry.person.id)) for entry in entries])


@router.get("/sessions/{session_id}/unreached")
async def unreached(session_id: UUID, staff: Staff, tx: Reading) -> Unreached:
    """Whom the newest news has not reached, in whatever state they are, and by which routes it was tried."""
    await _session(tx, session_id)
    return Unreached(
        items=[
            UnreachedEntry(
                id=person.id,
                name=person.name,
                status=person.status,
                state=reach.state,
                cause=reach.notice.cause,
                routes=list(reach.routes),
                tried=list(reach.notice.tried),
            )
            for person, reach in await people_unreached(tx, session_id)
        ]
    )


def _in_line(entry: queries.InLine, facts: SessionState, language: str, reach: Reach | None) -> LineEntry:
    person, decision = entry.person, entry.decision
    gather_until = person.gather_until and person.gather_until.astimezone(zone(facts.timezone))
    moved_at = None if decision is None else decision.at.astimezone(zone(facts.timezone))
    parts = why(entry.rank, language, moved_at, gather_until)
    return LineEntry(
        id=person.id,
        name=person.name,
        position=entry.rank.position,
        seat_kind=person.seat_kind,
        party_size=person.party_size,
        seats=person.seats,
        gather_until=person.gather_until,
        channel=person.channel,
        seq=person.seq,
        priority=person.priority,
        moved=person.place is not None,
        since=person.created_at,
        why=" ".join(translate(part, language, PACKAGE) for part in parts),
        reason=None if decision is None else decision.reason,
        reach=None if reach is None else reach.state,
    )


async def _check(request: Request, tx: AsyncSession, registration_id: UUID) -> None:
    generation = getattr(request.state, "generation", None)
    if generation is not None:
        await check_generation(tx, registration_id, generation)


def _by(request: Request, requester: str) -> str:
    """`person`, or who of the staff asks."""
    staff = staff_of(request) if requester == "staff" else None
    return requester if staff is None else staff.id


async def _session(tx: AsyncSession, session_id: UUID) -> SessionCopy:
    row = await tx.get(SessionCopy, session_id)
    if row is None or row.facts is None:
        raise SessionUnknown
    return row


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
