"""What the tallies are counted from, as SQL: months of sessions, with their people as numbers."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from libs.messaging.contracts import SessionState
from services.registrations.profiles import Figure, Group, Visit
from services.registrations.seat_history import History, Moment, history
from services.registrations.tallies import CountedSession, Participation, kind_of
from services.registrations.wait_counting import counted_stops

_ENTRIES_AT_ONCE = 500
"""Of the ledger, read and counted in one go: some 20 ms of a process that also serves requests."""
_SESSIONS_AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class Head:
    """What tells whether a session's counts can have changed. `month` is that of its local start.

    `stops`: a digest of which stops of waits count here, because other sessions have a say in that.
    """

    id: UUID
    month: str
    epoch: int
    version: int
    last_entry: int
    walk_ins: int
    begun: bool
    stops: str


async def heads(tx: AsyncSession, now: datetime, month: str | None = None) -> list[Head]:
    """Every session that `events` has told of, or those of one month, in the order of their ids."""
    first, after = (None, None) if month is None else _around(month)
    rows = await tx.execute(_HEADS, {"now": now, "month": month, "first": first, "after": after})
    return [Head(*row) for row in rows]


async def counted_sessions(
    tx: AsyncSession, sessions: Sequence[Head], now: datetime
) -> AsyncIterator[tuple[SessionState, CountedSession]]:
    """Each session with all that is counted of it; a few are read at a time."""
    batch: list[Head] = []
    for head in [*sessions, None]:
        if head is not None:
            batch.append(head)
        if head is None or sum(one.last_entry for one in batch) >= _ENTRIES_AT_ONCE:
            for found in await _counted(tx, batch, now):
                yield found
            batch.clear()
            await asyncio.sleep(0)  # Requests first.


async def visits(
    tx: AsyncSession, groups: Mapping[UUID, tuple[Group, datetime]], key: bytes
) -> dict[UUID, list[Visit]]:
    """Who came to these sessions and is not erased, by session; `groups` says each one's group and end.

    A person is the keyed hash of their name and the way they are reached first: whoever registers twice
    in the same way is one person. It is made for this counting and stored nowhere.
    """
    found: dict[UUID, list[Visit]] = {}
    ids = list(groups)
    for start in range(0, len(ids), _SESSIONS_AT_ONCE):
        batch = ids[start : start + _SESSIONS_AT_ONCE]
        for row in await tx.execute(_VISITS, {"ids": batch}):
            group, end = groups[row.session_id]
            answers = frozenset(orjson.loads(row.target_groups)) if row.consents else None
            person = hmac.digest(key, orjson.dumps([row.name_key, row.way]), "sha256")
            found.setdefault(row.session_id, []).append(
                Visit(group, person, (end, str(row.session_id)), answers)
            )
        await asyncio.sleep(0)  # Requests first.
    return found


async def facts_of(tx: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, SessionState]:
    """What `events` says of these sessions."""
    rows = await tx.execute(_FACTS, {"ids": list(ids)})
    return {row.id: SessionState.model_validate(row.facts) for row in rows}


async def kept_figures(tx: AsyncSession, month: str) -> dict[Figure, int]:
    """What erased people add to a month's figures."""
    rows = await tx.execute(_KEPT, {"month": month})
    return {
        Figure(Group(month, row.region, row.stream), row.dimension, row.value): row.number for row in rows
    }


async def _counted(
    tx: AsyncSession, batch: Sequence[Head], now: datetime
) -> list[tuple[SessionState, CountedSession]]:
    ids = [head.id for head in batch]
    facts = await facts_of(tx, ids)
    people = _by_session(await tx.execute(_PEOPLE, {"ids": ids}))
    ledger = _by_session(await tx.execute(_LEDGER, {"ids": ids}))
    found = []
    for head in batch:
        state = facts[head.id]
        kind = kind_of(state)
        if kind is None:
            continue
        moments = (Moment(row.at, orjson.loads(row.touched)) for row in ledger.get(head.id, ()))
        past = history(moments, state.starts_at_utc, now)
        at_start = past.at_start if state.status != "cancelled" else {}
        found.append(
            (
                state,
                CountedSession(
                    kind=kind,
                    lasts=state.ends_at_utc - state.starts_at_utc,
                    opened_at=_opened_at(state, past),
                    participations=[
                        Participation(
                            row.channel,
                            row.status,
                            row.created_at,
                            at_start.get(row.seq),
                            row.party_size,
                            by_wait=row.by_wait,
                        )
                        for row in people.get(head.id, ())
                    ],
                    offers=past.offers,
                    walk_ins=head.walk_ins,
                ),
            )
        )
    return found


def _opened_at(facts: SessionState, past: History) -> datetime:
    """When people could first register: the hour that was said, or publication, as this service heard it."""
    published = past.known_since or facts.updated_at
    return max(published, facts.opens_at or published)


def _by_session(rows: sa.Result[Any]) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row.session_id, []).append(row)
    return found


def _around(month: str) -> tuple[datetime, datetime]:
    """Instants between which everything of a local month lies, wherever it is."""
    first = date.fromisoformat(f"{month}-01")
    return _utc(first - timedelta(days=1)), _utc(first + timedelta(days=33))


def _utc(day: date) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00+00:00")


# A session's local month is in its facts: no zone is ever named in SQL.
_STOPS_OF_MONTH = counted_stops(
    "select wait_id from registration join session on session.id = session_id where wait_id is not null"
    " and (cast(:month as text) is null or starts_at between :first and :after)"
)
_HEADS = sa.text(
    f"""
    with stop as ({_STOPS_OF_MONTH}), digest as (
        select session_id, md5(string_agg(seq::text, ' ' order by seq)) as stops
        from stop where counts group by session_id
    )
    select session.id, substr(facts ->> 'starts_at', 1, 7) as month, epoch, version, last_entry,
        coalesce(walk_ins, 0) as walk_ins, starts_at <= :now as begun, coalesce(stops, '') as stops
    from session left join session_outcome on session_outcome.session_id = session.id
        left join digest on digest.session_id = session.id
    where facts is not null and (
        cast(:month as text) is null
        or (starts_at between :first and :after and substr(facts ->> 'starts_at', 1, 7) = :month)
    )
    order by session.id
    """  # noqa: S608 - constants
).bindparams(
    sa.bindparam("first", type_=sa.DateTime(timezone=True)),
    sa.bindparam("after", type_=sa.DateTime(timezone=True)),
    sa.bindparam("month", type_=sa.String()),
)
_FACTS = sa.text("select id, facts from session where id = any(:ids)").columns(
    sa.column("id", sa.Uuid()), sa.column("facts", JSONB())
)
_STOPS_OF_SESSIONS = counted_stops(
    "select wait_id from registration where wait_id is not null and session_id = any(:ids)"
)
_PEOPLE = sa.text(
    f"""
    with stop as ({_STOPS_OF_SESSIONS})
    select session_id, seq, channel, status, created_at, party_size, wait_id is not null as by_wait
    from registration
    where session_id = any(:ids) and (wait_id is null or id in (select id from stop where counts))
    order by session_id, seq
    """  # noqa: S608 - constants
)
_LEDGER = sa.text(
    "select session_id, at, touched::text as touched from seat_ledger where session_id = any(:ids)"
    " order by session_id, entry"
)
_VISITS = sa.text(
    """
    select session_id, name_key, target_groups::text as target_groups,
        coalesce('email ' || lower(email), 'mobile ' || mobile, 'phone ' || phone, 'postal ' || postal)
            as way,
        exists (
            select from consent where registration_id = registration.id
                and purpose = 'statistics_profile' and withdrawn_at is null
        ) as consents
    from registration where session_id = any(:ids) and status = 'attended' and name <> ''
    order by session_id, seq
    """
)
_KEPT = sa.text(
    "select region, stream, dimension, value, count as number from profile_kept where month = :month"
)
