"""How the sending loop claims notices and records what came of them: SQL, and nothing else."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from libs.messaging.contracts import Cause, RegistrationState, SessionFacts
from libs.settings import Settings
from services.notifications import outcomes
from services.notifications.mailing import BY_HAND, BY_MACHINE
from services.notifications.outcomes import After
from services.notifications.suppressions import suppress, takes_text_messages


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that this process alone works on. `told`: the session as the person last heard of it."""

    id: UUID
    registration_id: UUID
    epoch: int
    version: int
    route: str
    claim: str
    message_id: str
    attempts: int
    tried_routes: tuple[str, ...]
    created_at: datetime
    now: datetime
    state: RegistrationState
    cause: Cause
    told: SessionFacts | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A server has taken it; `reference` is what an SMS gateway calls it."""

    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Superseded:
    """It says nothing any more that the person doesn't know."""


@dataclass(frozen=True, slots=True)
class Again:
    """It is tried again `at`; `error` is a code without personal data."""

    at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """It will never go by this route: another one is taken."""

    error: str
    no_such_address: bool = False


Result = Sent | Superseded | Again | Refusal

TOLD_BEFORE = """
select t.facts -> 'session' from delivery t
where t.uid = d.uid and t.status in ('sent', 'done') and t.facts is not null
    and (t.registration_id = d.registration_id and (t.epoch, t.version) < (d.epoch, d.version)
        or t.registration_id <> d.registration_id and t.sequence < d.sequence)
order by t.registration_id = d.registration_id desc, t.sent_at desc, t.epoch desc, t.version desc limit 1
"""
"""The session as somebody last heard of it before the delivery `d`; a UID follows who is transferred."""


def _one_of(routes: Collection[str]) -> str:
    return "({})".format(", ".join(f"'{route}'" for route in routes))


_MACHINE, _HAND = _one_of(BY_MACHINE), _one_of(BY_HAND)


# The order in which one person hears of things is kept: what is older and still to be sent, or under way in
# any process, holds back what is newer. A skipped row is one that another process claims at this moment.
# A seat that went over to another session keeps its UID there: its old registration has nothing to say any
# more, even while the message of its end is still on its way.
def _claim(route: str) -> sa.TextClause:
    # The route is written out, so that every plan can use the index of what is to be sent.
    return sa.text(
        f"""
with candidate as (
    select d.id from delivery d
    where d.status = 'queued' and d.route = '{route}' and d.next_attempt_at <= clock.decision_time()
        and (d.claimed_until is null or d.claimed_until < clock_timestamp())
        and d.id <> all(:under_way)
        and not exists (
            select from delivery e
            where e.registration_id = d.registration_id and e.id <> d.id and e.route in {_MACHINE}
                and (e.claimed_until > clock_timestamp()
                    or (e.status = 'queued'
                        and (e.epoch, e.version, e.cause) < (d.epoch, d.version, d.cause)))
        )
        and not exists (
            select from delivery m
            where m.uid = d.uid and m.registration_id <> d.registration_id
                and m.cause = 'transferred' and m.sequence > d.sequence
        )
    order by d.next_attempt_at, d.epoch, d.version
    limit :free for update of d skip locked
)
update delivery d
set claim = :me, claimed_until = clock_timestamp() + :lease, attempts = d.attempts + 1
from candidate where d.id = candidate.id
returning d.id, d.registration_id, d.epoch, d.version, d.route, d.claim, d.message_id, d.attempts,
    d.tried_routes, d.created_at, d.facts, clock.decision_time() as now,
    (select r.state from registration r where r.id = d.registration_id) as state,
    ({TOLD_BEFORE}) as told
"""  # noqa: S608 - our own constants
    ).bindparams(sa.bindparam("under_way", type_=ARRAY(sa.Uuid)), sa.bindparam("lease", type_=sa.Interval))


_CLAIM = {route: _claim(route) for route in BY_MACHINE}


async def claim(
    session: AsyncSession, route: str, me: str, under_way: Collection[UUID], free: int, lease: timedelta
) -> list[Claimed]:
    """Up to `free` notices that are due by `route`, leased to `me`; at most one per registration."""
    rows = await session.execute(
        _CLAIM[route], {"me": me, "under_way": list(under_way), "free": free, "lease": lease}
    )
    return [
        Claimed(
            id=row.id,
            registration_id=row.registration_id,
            epoch=row.epoch,
            version=row.version,
            route=row.route,
            claim=row.claim,
            message_id=row.message_id,
            attempts=row.attempts,
            tried_routes=tuple(row.tried_routes),
            created_at=row.created_at,
            now=row.now,
            state=RegistrationState.model_validate(row.state),
            cause=Cause.model_validate(row.facts),
            told=SessionFacts.model_validate(row.told) if row.told else None,
        )
        for row in rows
        if row.state is not None
    ]


_RENEW = sa.text(
    "update delivery set claimed_until = clock_timestamp() + :lease"
    " where claim = :me and id = any(:under_way)"
).bindparams(sa.bindparam("under_way", type_=ARRAY(sa.Uuid)), sa.bindparam("lease", type_=sa.Interval))


async def renew(session: AsyncSession, me: str, under_way: Collection[UUID], lease: timedelta) -> None:
    await session.execute(_RENEW, {"me": me, "under_way": list(under_way), "lease": lease})


async def record(session: AsyncSession, settings: Settings, item: Claimed, result: Result) -> None:
    """Write down what came of `item` and let go of it.

    A gateway's receipt may have come before the answer that this records: then the receipt is what counts.
    """
    await session.execute(_LOCK, {"id": item.id})
    await session.execute(_LET_GO, {"id": item.id, "claim": item.claim})
    if item.route == "sms" and (await session.execute(_IS_SETTLED, {"id": item.id})).first() is not None:
        return
    match result:
        case Sent(reference):
            await session.execute(_SENT, {"id": item.id, "route": item.route})
            await note(session, item.id, item.route, "sent", reference=reference)
        case Superseded():
            await session.execute(_SUPERSEDED, {"id": item.id})
        case Again(at, error):
            await session.execute(_AGAIN, {"id": item.id, "at": at, "error": error})
            await note(session, item.id, item.route, "delayed", code=error)
        case Refusal(error, no_such_address):
            await note(session, item.id, item.route, "refused", code=error)
            await _go_another_way(session, settings, item, error, gone=no_such_address)


async def _go_another_way(
    session: AsyncSession, settings: Settings, item: Claimed, error: str, *, gone: bool
) -> None:
    contact = item.state.contact
    address = contact.email if item.route == "email" else contact.mobile
    if gone and address:
        await suppress(session, settings, address, error)
    after = outcomes.without(
        item.route,
        tried=item.tried_routes,
        contact=contact,
        sms=await takes_text_messages(session, settings, contact),
    )
    await move(session, item.id, after, at=item.now, error=error)
    if after.route in BY_HAND or after.status == "failed":
        await supersede_untold(session, item.registration_id, item.epoch, item.version)


_LOCK = sa.text("select 1 from delivery where id = :id for update")
_LET_GO = sa.text("update delivery set claim = null, claimed_until = null where id = :id and claim = :claim")
_IS_SETTLED = sa.text(
    "select 1 from attempt where delivery_id = :id and route = 'sms' and settled_at is not null"
)
# What left has left, even if it was overtaken in the meantime.
_SENT = sa.text(
    "update delivery set status = 'sent', sent_at = clock.decision_time(), last_error = null"
    " where id = :id and route = :route and status in ('queued', 'superseded')"
)
_SUPERSEDED = sa.text(
    "update delivery set status = 'superseded' where id = :id and status in ('queued', 'superseded')"
)
_AGAIN = sa.text("update delivery set next_attempt_at = :at, last_error = :error where id = :id")

# A server that is away for two days would fill the table: the same delay again is the same row.
_NOTE = sa.text("""
with repeated as (
    update attempt set times = times + 1, at = clock.decision_time()
    where delivery_id = :id and route = cast(:route as text)
        and result = 'delayed' and cast(:result as text) = 'delayed'
        and code is not distinct from cast(:code as text)
        and number = (select max(number) from attempt where delivery_id = :id)
    returning number
)
insert into attempt (delivery_id, number, at, route, result, code, times, reference, settled_at)
select :id, coalesce(max(number), 0) + 1, clock.decision_time(), cast(:route as text),
    cast(:result as text), cast(:code as text), 1,
    cast(:reference as text), case when :settled then clock.decision_time() end
from attempt where delivery_id = :id having not exists (select from repeated)
""")


async def note(
    session: AsyncSession,
    id_: UUID,
    route: str,
    result: str,
    *,
    code: str | None = None,
    reference: str | None = None,
    settled: bool = False,
) -> None:
    """Write down one try of a delivery that this transaction has locked (`attempts.RESULTS`)."""
    await session.execute(
        _NOTE,
        {
            "id": id_,
            "route": route,
            "result": result,
            "code": code,
            "reference": reference,
            "settled": settled,
        },
    )


# A new machine is tried from the start: its pauses don't begin where the last one's ended.
_MOVE = sa.text(
    "update delivery set status = :status, route = cast(:route as text), tried_routes = :tried,"
    " next_attempt_at = :at, last_error = :error, sent_at = case when :done then clock.decision_time() end,"
    " claim = null, claimed_until = null,"
    " attempts = case when cast(:route as text) = 'sms' then 0 else attempts end"
    " where id = :id and status in ('queued', 'failed')"
).bindparams(sa.bindparam("tried", type_=JSONB))
_RELEASE = sa.text("update delivery set claim = null, claimed_until = null where id = :id")


async def move(session: AsyncSession, id_: UUID, after: After, *, at: datetime, error: str | None) -> None:
    """Put a notice where an outcome leads it, and let go of it; one that was overtaken stays so."""
    await session.execute(_RELEASE, {"id": id_})
    await session.execute(
        _MOVE,
        {
            "id": id_,
            "status": after.status,
            "done": after.status == "done",
            "route": after.route,
            "tried": list(after.tried),
            "at": at + after.wait,
            "error": error,
        },
    )


_SUPERSEDE_UNTOLD = sa.text(
    "update delivery set status = 'superseded' where registration_id = :registration_id"  # noqa: S608
    f" and (status = 'failed' or (status = 'queued' and route in {_HAND}))"
    " and (epoch, version) < (:epoch, :version)"
)


async def supersede_untold(session: AsyncSession, registration_id: UUID, epoch: int, version: int) -> None:
    """Nobody is called twice in a row: of what waits for a call, only the latest news counts."""
    await session.execute(
        _SUPERSEDE_UNTOLD, {"registration_id": registration_id, "epoch": epoch, "version": version}
    )


_CALL_INSTEAD = sa.text(
    "update delivery set route = 'mobile' where status = 'queued' and route = 'sms'"
    " and (claimed_until is null or claimed_until < clock_timestamp())"
)


async def call_instead(session: AsyncSession) -> None:
    """Where no gateway takes them any more, what was to go as text messages is told by telephone."""
    await session.execute(_CALL_INSTEAD)


_TIDY_CANDIDATES = sa.text(
    "select id, facts, clock.decision_time() as now from delivery"  # noqa: S608 - our own constant
    " where call_before <= clock.decision_time()"
    f" and (status = 'failed' or (status = 'queued' and route in {_HAND})) and facts is not null"
)


async def supersede_stale(
    session: AsyncSession, is_stale: Callable[[Cause, datetime], bool]
) -> Sequence[UUID]:
    """Take from the call list what is of no use any more; returns the ids."""
    rows = (await session.execute(_TIDY_CANDIDATES)).all()
    stale = [row.id for row in rows if is_stale(Cause.model_validate(row.facts), row.now)]
    if stale:
        await session.execute(
            sa.text("update delivery set status = 'superseded' where id = any(:ids)"), {"ids": stale}
        )
    return stale
