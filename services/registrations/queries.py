"""Reads: seats, people and lines, as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.messaging.contracts import Alternative, SeatsOfKind, SeatsState, SessionState, SessionTimes
from libs.settings import Settings
from services.registrations.alternatives import Candidate, nearest
from services.registrations.explaining import Rank, ranks
from services.registrations.models import Registration, SessionCopy, StaffAction
from services.registrations.pools import PoolKey
from services.registrations.seatbook import Person
from services.registrations.seating import person_of, place_in_line, ref_of

_SEATS = sa.text(
    """
    with pool as (
        select session_id, seat_kind, sum(effective) as capacity, sum(confirmed) as confirmed,
            sum(offered) as offered,
            coalesce(
                sum(effective - confirmed - offered)
                    filter (where channel <> '' and open and gathering = 0), 0
            ) as held,
            coalesce(
                sum(effective - confirmed - offered)
                    filter (where channel = '' and open and gathering = 0), 0
            ) as available
        from seat_pool join (
            select id as session_id, coalesce(draw_stage, 'drawn') = 'drawn' as open from session
        ) as draw using (session_id)
        where session_id = any(:ids) group by session_id, seat_kind
    ), line as (
        select session_id, seat_kind, count(*) as waitlisted
        from registration where session_id = any(:ids) and status = 'waitlisted'
        group by session_id, seat_kind
    )
    select session_id, seat_kind, capacity, confirmed, offered, held, available,
        coalesce(waitlisted, 0) as waitlisted
    from pool left join line using (session_id, seat_kind)
    order by session_id, seat_kind desc
    """
)


async def seats_by_kind(tx: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, dict[str, SeatsOfKind]]:
    """The seats of each session, by seat kind."""
    found: dict[UUID, dict[str, SeatsOfKind]] = {id_: {} for id_ in ids}
    for row in await tx.execute(_SEATS, {"ids": list(ids)}):
        found[row.session_id][row.seat_kind] = SeatsOfKind(
            capacity=row.capacity,
            confirmed=row.confirmed,
            offered=row.offered,
            held=row.held,
            available=row.available,
            waitlisted=row.waitlisted,
        )
    return found


def total(kinds: dict[str, SeatsOfKind]) -> SeatsOfKind:
    """The seats of a session over its kinds."""
    return SeatsOfKind(
        **{name: sum(getattr(kind, name) for kind in kinds.values()) for name in SeatsOfKind.model_fields}
    )


def seats_state(
    session_id: UUID, kinds: dict[str, SeatsOfKind], at: datetime, draw: str | None = None
) -> SeatsState:
    """The public message about a session's seats; a kind without seats or people is left out."""
    shown = {kind: seats for kind, seats in kinds.items() if any(seats.model_dump().values())}
    counts = total(kinds).model_dump()
    return SeatsState(session_id=session_id, by_kind=shown, updated_at=at, draw=draw, **counts)


async def alternatives(
    tx: AsyncSession, settings: Settings, wanted: SessionState, now: datetime
) -> list[Alternative]:
    """Up to three other sessions with room, the most alike first."""
    rows = await tx.execute(
        sa.select(col(SessionCopy.id), col(SessionCopy.facts))
        .where(col(SessionCopy.status) == "published", col(SessionCopy.starts_at) > now)
        .order_by(col(SessionCopy.starts_at))
        .limit(500)
    )
    sessions = {row.id: SessionState.model_validate(row.facts) for row in rows}
    seats = await seats_by_kind(tx, list(sessions))
    found = nearest(
        wanted,
        [
            Candidate(facts, total(seats[id_]).available)
            for id_, facts in sessions.items()
            if _takes_registrations(facts, now)
        ],
    )
    return [
        Alternative(
            **item.facts.model_dump(include=set(SessionTimes.model_fields)),
            id=item.facts.id,
            title=item.facts.title,
            url=f"{settings.base_url}/seances/{item.facts.id}",
            venue_name=item.facts.venue.name if item.facts.venue else None,
            municipality=item.facts.venue.municipality if item.facts.venue else None,
            available=item.available,
        )
        for item in found
    ]


def _takes_registrations(facts: SessionState, now: datetime) -> bool:
    opened = facts.opens_at is None or facts.opens_at <= now
    closed = facts.closes_at is not None and facts.closes_at <= now
    return opened and not closed and not set(facts.registration_modes) <= {"drop_in"}


async def position(tx: AsyncSession, registration: Registration) -> int | None:
    """The place in the line for a seat of this person's kind, 1 being next; None for who doesn't wait."""
    return await place_in_line(tx, registration) if registration.status == "waitlisted" else None


async def people(tx: AsyncSession, session_id: UUID, statuses: Sequence[str]) -> Sequence[Registration]:
    """The registrations of a session in these states, in the order of their numbers."""
    rows = await tx.scalars(
        sa.select(Registration)
        .where(col(Registration.session_id) == session_id, col(Registration.status).in_(statuses))
        .order_by(col(Registration.seq))
    )
    return rows.all()


@dataclass(frozen=True, slots=True)
class InLine:
    """Somebody who waits, and why there; `decision` is what staff did to put them there, if they did."""

    person: Registration
    rank: Rank[Person]
    decision: StaffAction | None


async def line(tx: AsyncSession, session_id: UUID) -> list[InLine]:
    """Everybody who waits for a seat of a session, in the order of the line."""
    waiting = {ref_of(row): row for row in await people(tx, session_id, ("waitlisted",))}
    parts = {row.seq for row in waiting.values() if row.split_from is not None}
    found = ranks([person_of(row) for row in waiting.values()], await _held_pools(tx, session_id), parts)
    moved = [row.id for row in waiting.values() if row.priority or row.place is not None]
    actions = await staff_actions(tx, moved)
    return [
        InLine(row, rank, _decision(row, actions.get(row.id, [])))
        for rank in found
        for row in (waiting[rank.waiter.ref],)
    ]


async def staff_actions(tx: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[StaffAction]]:
    """What staff did to these registrations out of the usual order, oldest first."""
    found: dict[UUID, list[StaffAction]] = {}
    if ids:
        rows = await tx.scalars(
            sa.select(StaffAction)
            .where(col(StaffAction.registration_id).in_(ids))
            .order_by(col(StaffAction.at), col(StaffAction.id))
        )
        for row in rows:
            found.setdefault(row.registration_id, []).append(row)
    return found


async def free_pools(tx: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, dict[PoolKey, int]]:
    """The free seats of each pool of these sessions that don’t gather for a party: a newcomer’s.

    None where a draw is to come, or was given up.
    """
    found: dict[UUID, dict[PoolKey, int]] = {id_: {} for id_ in ids}
    rows = await tx.execute(_FREE, {"ids": list(ids)})
    for row in rows:
        found[row.session_id][PoolKey(row.seat_kind, row.channel)] = row.free
    return found


async def _held_pools(tx: AsyncSession, session_id: UUID) -> frozenset[PoolKey]:
    rows = await tx.execute(_HELD, {"id": session_id})
    return frozenset(PoolKey(row.seat_kind, row.channel) for row in rows)


def _decision(person: Registration, actions: Sequence[StaffAction]) -> StaffAction | None:
    """A class given after a move undoes it, and a move gives a class: one of the two decides."""
    action = "moved" if person.place is not None else "prioritised" if person.priority else None
    return next((item for item in reversed(actions) if item.action == action), None)


_FREE = sa.text(
    "select session_id, seat_kind, channel, effective - confirmed - offered as free"
    " from seat_pool join session on session.id = session_id"
    " where session_id = any(:ids) and gathering = 0 and effective > confirmed + offered"
    " and coalesce(draw_stage, 'drawn') = 'drawn'"
)
_HELD = sa.text(
    "select seat_kind, channel from seat_pool where session_id = :id and channel <> '' and effective > 0"
)
