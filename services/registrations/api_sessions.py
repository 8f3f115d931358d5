"""The JSON API of a session's people: its seats, who has one, who waits, who was not reached."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.clock import decision_time, zone
from libs.messaging.contracts import Attempt, SeatsState, SessionState
from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff
from libs.web.i18n import language_of, translate
from services.registrations import attendance, queries
from services.registrations.explaining import why
from services.registrations.models import SessionCopy
from services.registrations.problems import SessionUnknown
from services.registrations.reached import reach_of_all
from services.registrations.reached import unreached as people_unreached
from services.registrations.reaching import Reach
from services.registrations.seatbook import SEATED

router = APIRouter(prefix="/api/registrations/v1/sessions", tags=["registrations"])

PACKAGE = "services.registrations"


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


class Roster(BaseModel):
    items: list[RosterEntry]
    next: str | None = None


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


class Line(BaseModel):
    items: list[LineEntry]
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


class WalkIns(BaseModel):
    """How many people came to the session without being registered, in all."""

    model_config = ConfigDict(extra="forbid")

    walk_ins: Annotated[int, Field(ge=0, le=attendance.MOST_WALK_INS)]


@router.put("/{session_id}/walk-ins")
async def count_walk_ins(
    session_id: UUID, staff: Staff, body: WalkIns, request: Request, tx: Transaction
) -> WalkIns:
    """From the session's start on: how many came without being registered. The last number counts."""
    await attendance.count_walk_ins(tx, service_of(request).settings, session_id, body.walk_ins)
    return body


@router.get("/{session_id}/seats")
async def seats(session_id: UUID, tx: Reading) -> SeatsState:
    """The seats of a session. Public."""
    session = await _session(tx, session_id)
    kinds = (await queries.seats_by_kind(tx, [session_id]))[session_id]
    return queries.seats_state(session_id, kinds, await decision_time(tx), session.draw_stage)


@router.get("/{session_id}/roster")
async def roster(session_id: UUID, staff: Staff, tx: Reading) -> Roster:
    """Who has a seat, by name."""
    await _session(tx, session_id)
    people = await queries.people(tx, session_id, ("offered", *SEATED))
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


@router.get("/{session_id}/line")
async def line(session_id: UUID, staff: Staff, request: Request, tx: Reading) -> Line:
    """Who waits, in the order of the line, and why they stand where they stand."""
    facts = SessionState.model_validate((await _session(tx, session_id)).facts)
    language = language_of(request)
    entries = await queries.line(tx, session_id)
    reach = await reach_of_all(tx, [entry.person.id for entry in entries])
    return Line(items=[_in_line(entry, facts, language, reach.get(entry.person.id)) for entry in entries])


@router.get("/{session_id}/unreached")
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


async def _session(tx: AsyncSession, session_id: UUID) -> SessionCopy:
    row = await tx.get(SessionCopy, session_id)
    if row is None or row.facts is None:
        raise SessionUnknown
    return row
