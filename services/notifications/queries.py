"""What is asked of the deliveries: lists for staff and operators, figures for `/health`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.clock import decision_time
from libs.messaging.contracts import Cause, RegistrationState, SessionFacts
from libs.messaging.inbox import count_parked
from services.notifications.cursors import Place
from services.notifications.mailing import BY_HAND
from services.notifications.models import Attempt, CallOutcome, Delivery, RegistrationCopy
from services.notifications.records import TOLD_BEFORE
from services.notifications.same_person import is_of_the_same, is_open_call
from services.notifications.wording import Facts

CALL_STATES = ("open", "taken", "later", "unreached", "done")
"""`open`: to do now; `taken`: in somebody's hands; `later`: to try again; `unreached`: no way is left."""

PRESSING = timedelta(hours=1)
"""An offer that ends within this time is called about before everything else."""
LAST_DAY = timedelta(hours=24)
"""From this long before the start on, one call without an answer is enough to ask the next person."""


@dataclass(frozen=True, slots=True)
class Call:
    """One line of the call list: the delivery and whom it is for."""

    delivery: Delivery
    facts: Facts
    now: datetime

    @property
    def taken_by(self) -> str | None:
        """The initials of who has the call in hand."""
        until = self.delivery.claimed_until
        return self.delivery.claim if until is not None and until > self.now else None

    @property
    def is_open(self) -> bool:
        return self.delivery.status in ("queued", "failed")

    @property
    def is_late(self) -> bool:
        """Whether the call comes too late to be of much use."""
        return self.is_open and self.delivery.call_before <= self.now

    @property
    def is_offer(self) -> bool:
        """Whether somebody waits for the person's yes or no, and may still wait for it."""
        return self.is_open and not self.is_late and self.facts.cause.status == "offered"

    @property
    def is_pressing(self) -> bool:
        return self.is_offer and self.delivery.call_before <= self.now + PRESSING

    @property
    def may_pass_on(self) -> bool:
        """Whether the seat may go to the next person without waiting for the end of the offer."""
        return self.is_offer and self.facts.cause.session.starts_at_utc <= self.now + LAST_DAY

    @property
    def state(self) -> str:
        """One of CALL_STATES, or `superseded`."""
        if self.delivery.status == "failed":
            return "unreached"
        if self.delivery.status != "queued":
            return self.delivery.status
        if self.taken_by:
            return "taken"
        return "later" if self.delivery.next_attempt_at > self.now else "open"

    @property
    def number(self) -> str | None:
        """The telephone number or postal address of its route."""
        value: str | None = getattr(self.facts.state.contact, self.delivery.route)
        return value


_NOW = sa.text("clock.decision_time()")
_IN_HAND = col(Delivery.claimed_until) > _NOW
_BY_HAND = col(Delivery.route).in_(BY_HAND)
_QUEUED = sa.and_(col(Delivery.status) == "queued", _BY_HAND)
_BY_STATE: Mapping[str, sa.ColumnElement[bool]] = {
    "open": sa.and_(
        _QUEUED,
        col(Delivery.next_attempt_at) <= _NOW,
        sa.or_(~_IN_HAND, col(Delivery.claimed_until).is_(None)),
    ),
    "taken": sa.and_(_QUEUED, _IN_HAND),
    "later": sa.and_(_QUEUED, col(Delivery.next_attempt_at) > _NOW),
    "unreached": col(Delivery.status) == "failed",
    "done": col(Delivery.status) == "done",
}
_URGENCY = sa.case(
    (col(Delivery.call_before) <= _NOW, 2),
    (
        sa.and_(
            col(Delivery.status).in_(("queued", "failed")),
            col(Delivery.facts)["status"].astext == "offered",
            col(Delivery.call_before) <= _NOW + sa.literal(PRESSING),
        ),
        0,
    ),
    else_=1,
)


async def calls(session: AsyncSession, state: str, *, limit: int, after: Place | None = None) -> list[Call]:
    """The call list in one of CALL_STATES: offers that end soon, then what loses its use first.

    What comes too late already stands last. `after` is the `place_of` the last call before this page.
    """
    place = sa.tuple_(_URGENCY, col(Delivery.call_before), col(Delivery.id))
    query = (
        sa.select(Delivery, col(RegistrationCopy.state))
        .join(RegistrationCopy, col(RegistrationCopy.id) == col(Delivery.registration_id))
        .where(_BY_STATE[state], col(Delivery.facts).is_not(None))
        .order_by(_URGENCY, col(Delivery.call_before), col(Delivery.id))
        .limit(limit)
    )
    if after is not None:
        moment, urgency, id_ = after
        query = query.where(place > sa.tuple_(sa.literal(urgency), sa.literal(moment), sa.literal(id_)))
    now = await decision_time(session)
    return [_call(delivery, state_, now) for delivery, state_ in await session.execute(query)]


def place_of(call: Call) -> Place:
    """Where a call stands in its list."""
    urgency = 2 if call.delivery.call_before <= call.now else 0 if call.is_pressing else 1
    return call.delivery.call_before, urgency, call.delivery.id


async def call(session: AsyncSession, id_: UUID) -> Call | None:
    """One call or letter with whom it is for; None if unknown or erased."""
    query = (
        sa.select(Delivery, col(RegistrationCopy.state))
        .join(RegistrationCopy, col(RegistrationCopy.id) == col(Delivery.registration_id))
        .where(col(Delivery.id) == id_, col(Delivery.facts).is_not(None))
        .where(sa.or_(_BY_HAND, col(Delivery.status) == "failed"))
    )
    row = (await session.execute(query)).first()
    return None if row is None else _call(row[0], row[1], await decision_time(session))


def _call(delivery: Delivery, state: Mapping[str, Any], now: datetime) -> Call:
    assert delivery.facts is not None
    cause = Cause.model_validate(delivery.facts)
    return Call(delivery, Facts(RegistrationState.model_validate(state), cause), now)


_TOLD = sa.text(
    f"""
select ({TOLD_BEFORE}) as told, (
    select u.facts -> 'previous' from delivery u
    where u.registration_id = d.registration_id and u.cause = 'transferred' and u.status = 'superseded'
        and (u.epoch, u.version) < (d.epoch, d.version)
    order by u.epoch desc, u.version desc limit 1) as untold_transfer
from delivery d where d.id = :id
"""  # noqa: S608 - our own constant
)


async def facts_of(session: AsyncSession, call: Call) -> Facts:
    """The facts of a call with what this person has heard so far, and what they haven't."""
    row = (await session.execute(_TOLD, {"id": call.delivery.id})).one()
    told, left = (
        SessionFacts.model_validate(found) if found else None for found in (row.told, row.untold_transfer)
    )
    return replace(call.facts, told=told, untold_transfer=left)


async def outcomes_of(session: AsyncSession, id_: UUID) -> Sequence[CallOutcome]:
    """What came of the tries so far, oldest first."""
    query = sa.select(CallOutcome).where(col(CallOutcome.delivery_id) == id_)
    return (await session.scalars(query.order_by(col(CallOutcome.number)))).all()


async def attempts_of(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[Attempt]]:
    """Every try of these deliveries, by machine and by hand, oldest first."""
    found: dict[UUID, list[Attempt]] = {id_: [] for id_ in ids}
    query = sa.select(Attempt).where(col(Attempt.delivery_id).in_(ids)).order_by(col(Attempt.number))
    for attempt in await session.scalars(query):
        found[attempt.delivery_id].append(attempt)
    return found


async def other_calls(session: AsyncSession, id_: UUID) -> list[Call]:
    """What else is to be told to the same person, or to somebody at the same telephone."""
    query = (
        sa.select(Delivery, col(RegistrationCopy.state))
        .join(RegistrationCopy, col(RegistrationCopy.id) == col(Delivery.registration_id))
        .where(is_open_call(), is_of_the_same(id_), col(Delivery.id) != id_)
        .where(col(Delivery.facts).is_not(None))
        .order_by(col(Delivery.call_before), col(Delivery.id))
    )
    now = await decision_time(session)
    return [_call(delivery, state, now) for delivery, state in await session.execute(query)]


async def counts(session: AsyncSession) -> dict[str, int]:
    """How many calls stand in each of CALL_STATES."""
    row = (
        await session.execute(
            sa.select(*(sa.func.count().filter(rule).label(name) for name, rule in _BY_STATE.items())).where(
                sa.or_(_BY_HAND, col(Delivery.status).in_(("failed", "done")))
            )
        )
    ).one()
    return dict(row._mapping)


async def deliveries(
    session: AsyncSession,
    *,
    registration_id: UUID | None,
    session_id: UUID | None,
    status: str | None,
    limit: int,
    after: Place | None,
) -> Sequence[Delivery]:
    """Deliveries by whom or what they concern, oldest first."""
    place = (col(Delivery.created_at), col(Delivery.version), col(Delivery.id))
    query = sa.select(Delivery).order_by(*place).limit(limit)
    given = {"registration_id": registration_id, "session_id": session_id, "status": status}
    for name, value in given.items():
        if value is not None:
            query = query.where(getattr(Delivery, name) == value)
    if after is not None:
        query = query.where(sa.tuple_(*place) > sa.tuple_(*(sa.literal(value) for value in after)))
    return (await session.scalars(query)).all()


_HEALTH = sa.text("""
select count(*) filter (where status = 'queued' and route in ('email', 'sms')) as queued,
    count(*) filter (where status = 'failed') as failed,
    count(*) filter (where status = 'queued' and route not in ('email', 'sms')) as calls,
    coalesce(extract(epoch from clock.decision_time()
        - min(due_at) filter (where status = 'queued' and route in ('email', 'sms'))), 0) as age,
    (select count(*) from reached where dirty) + (select count(*) from outbox) as untold
from delivery where status in ('queued', 'failed')
""")


async def health(session: AsyncSession) -> dict[str, object]:
    """Figures for operators: parked messages, messages queued, calls to make, people nobody can reach.

    `untold`: of how many registrations what became of their notices has yet to be said to the others.
    """
    row = (await session.execute(_HEALTH)).one()
    return {
        "parked": await count_parked(session),
        "queued": row.queued,
        "oldest_queued_seconds": max(0, round(float(row.age))),
        "calls": row.calls,
        "failed": row.failed,
        "untold": row.untold,
    }
