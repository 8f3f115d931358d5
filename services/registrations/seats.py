"""Seats and the people who want them: what the book of one session holds, and the terms that it keeps to."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from libs.messaging.contracts import SessionState
from services.registrations import gathering, pools
from services.registrations.draw import DrawTerms
from services.registrations.office_hours import OfficeHours
from services.registrations.pools import Plan

LIVE = ("pending", "waitlisted", "offered", "confirmed")
"""The states of somebody who has a seat or may still get one."""
OUTCOMES = ("attended", "absent", "excused")
"""What became of a confirmed seat, once the session has begun."""
SEATED = ("confirmed", *OUTCOMES)
"""The states of somebody who has, or had, a seat of their own."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What `events` says of a session, as far as seats depend on it. Instants are UTC.

    `office`: when the team is there, for the offers that it makes by hand; None: at any hour.
    """

    plan: Plan
    kinds: tuple[str, ...]
    starts_at: datetime
    status: str = "published"
    offer_hours: float = 24
    limit: int | None = None
    draw: DrawTerms | None = None
    office: OfficeHours | None = None
    party_limit: int = 1
    gather_hours: float = gathering.USUAL_HOURS


def terms_of(facts: SessionState, office: OfficeHours | None = None) -> Terms:
    """The part of a session's facts that its seats depend on, with the opening hours found for it."""
    drawn = facts.waitlist.drawn
    return Terms(
        plan=pools.plan_of(facts),
        kinds=pools.seat_kinds(facts.modality),
        starts_at=facts.starts_at_utc,
        status=facts.status,
        offer_hours=facts.waitlist.offer_hours,
        limit=facts.waitlist.limit,
        draw=None if drawn is None else DrawTerms(drawn.closes_at),
        office=office,
        party_limit=facts.party.limit,
        gather_hours=facts.party.gather_hours,
    )


@dataclass(slots=True)
class Person:
    """Where somebody stands. `ref` is random; `place` is set once staff have moved them in the line.

    `rank` is what the draw gave them, None for whoever asked too late for it.
    `pool` is the channel of the pool whose seat they use ("" for everybody's), None without a seat.
    `by_hand`: the team calls or writes to them, so their offers last hours in which it is there.
    `size`: how many seats they take, all in one pool: more than one is a party. `gather`: until when the
    seats that are free are kept for the party; `gathered`: it had its time, and no more are kept for it.
    """

    ref: UUID
    seq: int
    kind: str
    channel: str
    status: str = "pending"
    pool: str | None = None
    priority: int = 0
    place: Decimal | None = None
    rank: int | None = None
    granted: bool = False
    offer_until: datetime | None = None
    on_offer: bool = False
    """They wait for one of many sessions: no seat is theirs before they have said yes to it."""
    by_hand: bool = False
    size: int = 1
    gather: datetime | None = None
    gathered: bool = False


@dataclass(slots=True)
class Pool:
    """The seats of one pool. `granted` ones are over capacity.

    `waiting`: how many requests wait that may use it, a party being one; `gathering`: how many of those
    have its free seats kept for them.
    """

    effective: int = 0
    confirmed: int = 0
    offered: int = 0
    waiting: int = 0
    granted: int = 0
    gathering: int = 0

    @property
    def used(self) -> int:
        return self.confirmed + self.offered

    @property
    def free(self) -> int:
        return self.effective - self.used
