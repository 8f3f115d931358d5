"""Announcing seats: which sessions changed, and what the public and the staff of `events` may know of them.

Many sessions share a transaction, and many changes of one session an announcement.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

import orjson

from libs.database import Database, Plain
from libs.messaging import topics
from libs.messaging.contracts import SeatsOfKind
from libs.messaging.envelope import headers_of
from libs.messaging.topics import Topic
from libs.settings import Settings

_AT_ONCE = 50
"""Sessions announced in one transaction: few, because they stay locked meanwhile."""

Payloads = dict[UUID, dict[str, Any]]
"""What is said of each session, in the form of the stream's contract: no model is built for each."""
Read = Callable[[Plain, Sequence[UUID], str], Awaitable[Payloads]]


async def announce_seats(database: Database, settings: Settings) -> int:
    """Announce the seats of every session that changed; of how many that was."""
    return await _announce_all(database, settings, topics.SEATS, _CHANGED_SEATS, _seats)


async def announce_reach(database: Database, settings: Settings) -> None:
    """Announce how many people a change of these sessions would reach."""
    await _announce_all(database, settings, topics.REACH, _CHANGED_REACH, _reach)


async def _announce_all(
    database: Database, settings: Settings, topic: Topic, changed: str, read: Read
) -> int:
    """Once through all sessions, in the order of their ids: one that changes again waits its turn."""
    count, last = 0, UUID(int=0)
    while True:
        ids = await _announce_next(database, settings, topic, changed, read, last)
        count += len(ids)
        if len(ids) < _AT_ONCE:
            return count
        last = max(ids)


async def _announce_next(
    database: Database, settings: Settings, topic: Topic, changed: str, read: Read, after: UUID
) -> Collection[UUID]:
    """The ids of the next sessions, which were announced: fewer than `_AT_ONCE` if there are no more."""
    async with database.plain_transaction() as connection:
        # Locked in the order of their ids, as everybody does; read after the lock.
        rows = await connection.fetch(changed, _AT_ONCE, after)
        if not rows:
            return ()
        versions = {row["id"]: row["version"] for row in rows}
        now = rows[0]["now"].astimezone(UTC).isoformat()
        payloads = await read(connection, list(versions), now)
        await _write(connection, settings, topic, payloads, versions, rows[0]["epoch"], now)
    database.announced()
    return versions


async def _seats(connection: Plain, ids: Sequence[UUID], now: str) -> Payloads:
    """A `SeatsState` of each session; a kind without seats or people is left out."""
    said: Payloads = {
        id_: dict.fromkeys(_COUNTS, 0) | {"session_id": id_, "by_kind": {}, "updated_at": now, "draw": None}
        for id_ in ids
    }
    for row in await connection.fetch(_SEATS, ids):
        counts = {name: row[name] for name in _COUNTS}
        if any(counts.values()):
            state = said[row["session_id"]]
            state["draw"] = row["draw_stage"]
            state["by_kind"][row["seat_kind"]] = counts
            for name, count in counts.items():
                state[name] += count
    return said


async def _reach(connection: Plain, ids: Sequence[UUID], now: str) -> Payloads:
    """A `ReachState` of each session."""
    said: Payloads = {id_: {"session_id": id_, "by_route": {}, "updated_at": now} for id_ in ids}
    for row in await connection.fetch(_REACH, ids):
        said[row["session_id"]]["by_route"][row["route"]] = row["count"]
    return said


async def _write(
    connection: Plain,
    settings: Settings,
    topic: Topic,
    payloads: Payloads,
    versions: Mapping[UUID, int],
    epoch: int,
    now: str,
) -> None:
    rows = []
    for id_, payload in payloads.items():
        key = str(id_)
        headers = headers_of(
            topic, instance=settings.instance, key=key, epoch=epoch, version=versions[id_], time=now
        )
        value = orjson.dumps(payload, default=str).decode()
        rows.append({"key": key, "headers": headers, "value": value})
    await connection.execute(_WRITE, topic.name, orjson.dumps(rows).decode())


_COUNTS = tuple(SeatsOfKind.model_fields)

_CHANGED_SEATS = """
with changed as (
    select id from session where seats_dirty and facts is not null and id > $2
    order by id limit $1 for no key update
)
update session set seats_dirty = false, seats_version = seats_version + 1 from changed
where session.id = changed.id returning session.id, seats_version as version,
    (select epoch from epoch) as epoch, clock.decision_time() as now
"""
_CHANGED_REACH = """
with changed as (
    select id from session where reach_dirty and facts is not null and id > $2
    order by id limit $1 for no key update
)
update session set reach_dirty = false, reach_version = reach_version + 1 from changed
where session.id = changed.id returning session.id, reach_version as version,
    (select epoch from epoch) as epoch, clock.decision_time() as now
"""
_SEATS = """
select session_id, seat_kind, sum(effective)::int as capacity, sum(confirmed)::int as confirmed,
    sum(offered)::int as offered,
    coalesce(sum(effective - confirmed - offered)
        filter (where channel <> '' and open and gathering = 0), 0)::int as held,
    coalesce(sum(effective - confirmed - offered)
        filter (where channel = '' and open and gathering = 0), 0)::int as available,
    coalesce(sum(waiting) filter (where channel = ''), 0)::int as waitlisted, min(draw_stage) as draw_stage
from seat_pool join (
    select id as session_id, draw_stage, coalesce(draw_stage, 'drawn') = 'drawn' as open from session
) as draw using (session_id)
where session_id = any($1::uuid[]) group by session_id, seat_kind
order by session_id, seat_kind desc
"""
_REACH = """
select session_id, case when email is not null then 'email' when mobile is not null then 'mobile'
    when phone is not null then 'phone' else 'postal' end as route, count(*)::int as count
from registration where session_id = any($1::uuid[])
    and (status in ('pending', 'offered', 'confirmed') or status = 'waitlisted' and wait_id is null)
group by 1, 2
"""
_WRITE = """
insert into outbox (topic, key, partition_key, headers, value)
select $1, key, key, headers, convert_to(value, 'UTF8')
from json_to_recordset($2::json) as message (key text, headers jsonb, value text)
"""
