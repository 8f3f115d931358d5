"""What the database and the log say once everything is quiet, read as rows and nothing more."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import orjson

from libs.database import database_name, in_database
from libs.messaging.bus import Message

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record
SEATED = ("confirmed", "attended", "absent", "excused")
TRANSFERRED = "transferred to another session"
"""Not a cause of the service's: how this side of a transfer is called here."""


@dataclass(frozen=True, slots=True)
class Caused:
    """A line of somebody's history: since `at`, with `version`, they were `status`."""

    version: int
    epoch: int
    cause: str
    at: datetime
    status: str
    position: int | None
    offer_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Said:
    """The newest of so many `records` about a key; `last` is the version that stands last in the log."""

    version: int
    last: int
    records: int
    state: dict[str, Any]
    causes: frozenset[tuple[int, int, str]]


@dataclass(slots=True)
class Tables:
    """`registrations` and `sessions` by id, `pools` by session."""

    now: datetime
    sessions: dict[str, Row]
    pools: dict[str, list[Row]]
    registrations: dict[str, Row]
    of_session: dict[str, list[Row]]
    history: dict[str, list[Caused]]
    causes: int
    keys: Sequence[Row]
    actions: Mapping[str, Counter[str]]
    """What staff did to each registration, as it was logged."""
    ledger: Mapping[UUID, Mapping[str, Any]]
    """How each reference stands in the last ledger entry that touched it."""
    ledger_ends: Mapping[str, tuple[int, int]]
    """(entries, number of the last one) of each session."""
    waiting_to_be_said: int
    parked: int
    said: dict[str, Said] = field(default_factory=dict)
    seats_said: dict[str, Said] = field(default_factory=dict)
    two_contents: Sequence[str] = ()
    """`topic key version` of messages that say different things under one version."""
    compacted: bool = False
    """Whether the log was compacted before it was read."""
    touched: frozenset[str] = frozenset()
    """Registrations whose place in the line staff changed, or may have changed."""


async def state(server_url: str, instance: str, log: Mapping[str, Sequence[Message]]) -> Tables:
    """Everything as it is in an instance whose bus holds `log`, by the name of the stream."""
    service = await asyncpg.connect(in_database(server_url, database_name(instance, "registrations")))
    try:
        await service.execute("begin isolation level repeatable read")
        tables = await _read_tables(service)
    finally:
        await service.close()
    tables.said = _said_in(log["registrations"])
    tables.seats_said = _said_in(log["seats"])
    tables.two_contents = [
        f"{stream} {key} {version}"
        for stream in ("registrations", "seats", "reach")
        for (key, version), values in _by_version(log[stream]).items()
        if len(values) > 1
    ]
    return tables


async def snapshot(
    server_url: str, *, service_sql: str = "", bus_sql: str = "", compacted: bool = False
) -> Tables:
    """Everything as it is, or as it would be after some SQL, which is taken back."""
    service, bus = [
        await asyncpg.connect(in_database(server_url, database_name("demo", name)))
        for name in ("registrations", "bus")
    ]
    try:
        for connection, sql in ((service, service_sql), (bus, bus_sql)):
            await connection.execute("begin isolation level repeatable read")
            if sql:
                await connection.execute(sql)
        tables = await _read_tables(service)
        await _read_log(bus, tables)
        tables.compacted = compacted
        return tables
    finally:
        # A transaction that was not committed has never been.
        await service.close()
        await bus.close()


async def _read_tables(service: Connection) -> Tables:
    sessions = await service.fetch("select * from session where facts is not null")
    registrations = await service.fetch("select * from registration order by session_id, seq, id")
    pools: defaultdict[str, list[Row]] = defaultdict(list)
    for pool in await service.fetch("select * from seat_pool"):
        pools[str(pool["session_id"])].append(pool)
    of_session: defaultdict[str, list[Row]] = defaultdict(list)
    for row in registrations:
        of_session[str(row["session_id"])].append(row)
    history, causes = await _history(service)
    _end_the_transferred(registrations, history)
    return Tables(
        now=await service.fetchval("select clock.decision_time()"),
        sessions={str(row["id"]): row for row in sessions},
        pools=pools,
        registrations={str(row["id"]): row for row in registrations},
        of_session=of_session,
        history=history,
        causes=causes,
        keys=await service.fetch("select * from idempotency_key"),
        actions=await _actions(service),
        ledger={
            row["ref"]: orjson.loads(row["standing"]) async for row in service.cursor(_LEDGER, prefetch=1000)
        },
        ledger_ends={
            row["id"]: (row["entries"], row["last"])
            for row in await service.fetch(
                "select session_id::text as id, count(*) as entries, max(entry) as last"
                " from seat_ledger group by 1"
            )
        },
        waiting_to_be_said=await service.fetchval("select count(*) from outbox"),
        parked=await service.fetchval("select count(*) from parked"),
    )


async def _read_log(bus: Connection, tables: Tables) -> None:
    tables.said = {key: said async for key, said in _newest(bus, "registrations")}
    tables.seats_said = {key: said async for key, said in _newest(bus, "seats")}
    tables.two_contents = [
        f"{topic} {row['key']} {row['version']}"
        for topic in ("registrations", "seats", "reach")
        for row in await bus.fetch(_TWO_CONTENTS.format(topic=topic))
    ]


def _end_the_transferred(registrations: Sequence[Row], history: dict[str, list[Caused]]) -> None:
    """Somebody who went to another session left this one: the notice, and the cause, are the successor's."""
    rows = {row["id"]: row for row in registrations}
    for successor in registrations:
        left = rows.get(successor["transferred_from"])
        if left is not None and left["ended_at"] is not None:
            last = Caused(left["version"], 0, TRANSFERRED, left["ended_at"], "cancelled", None, None)
            history.setdefault(str(left["id"]), []).append(last)


async def _history(service: Connection) -> tuple[dict[str, list[Caused]], int]:
    found: defaultdict[str, list[Caused]] = defaultdict(list)
    count = 0
    async for row in service.cursor(
        "select registration_id::text as id, version, epoch, cause, at, body->>'status' as status,"
        " (body->>'position')::int as position, (body->>'offer_expires_at')::timestamptz as expires"
        " from registration_cause order by registration_id, epoch, version",
        prefetch=1000,
    ):
        count += 1
        found[row["id"]].append(
            Caused(
                version=row["version"],
                epoch=row["epoch"],
                cause=row["cause"],
                at=row["at"],
                status=row["status"],
                position=row["position"],
                offer_expires_at=row["expires"],
            )
        )
    return found, count


async def _actions(service: Connection) -> Mapping[str, Counter[str]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in await service.fetch("select registration_id::text as id, action from staff_action"):
        found[row["id"]][row["action"]] += 1
    return found


def _said_in(messages: Sequence[Message]) -> dict[str, Said]:
    by_key: defaultdict[str, list[Message]] = defaultdict(list)
    for message in messages:
        by_key[message.key].append(message)
    found = {}
    for key, said in by_key.items():
        newest = max(said, key=_newness)
        content = orjson.loads(newest.value) if newest.value is not None else {}
        causes = frozenset((one["epoch"], one["version"], one["cause"]) for one in content.pop("causes", ()))
        found[key] = Said(_newness(newest)[1], _newness(said[-1])[1], len(said), content, causes)
    return found


def _by_version(messages: Sequence[Message]) -> Mapping[tuple[str, int], set[bytes | None]]:
    found: defaultdict[tuple[str, int], set[bytes | None]] = defaultdict(set)
    for message in messages:
        found[message.key, _newness(message)[1]].add(message.value)
    return found


def _newness(message: Message) -> tuple[int, int]:
    return int(message.headers["ce_epoch"]), int(message.headers["ce_version"])


_LEDGER = """
select distinct on (standing->>'ref') (standing->>'ref')::uuid as ref, standing::text as standing
from seat_ledger, jsonb_array_elements(touched::jsonb) as standing order by standing->>'ref', entry desc
"""
_VERSION = "(headers::json->>'ce_version')::bigint"
_NEWEST = f"""
with numbered as (
    select key, value, {_VERSION} as version, position,
        row_number() over (partition by partition, key order by (headers::json->>'ce_epoch')::int desc,
            {_VERSION} desc, position) as nth,
        first_value({_VERSION}) over (partition by partition, key order by position desc) as last,
        count(*) over (partition by partition, key) as records
    from bus.log_{{topic}}
)
select key, value, version, last, records from numbered where nth = 1
"""
_TWO_CONTENTS = f"""
select key, {_VERSION} as version from bus.log_{{topic}} group by 1, 2
having count(distinct md5(value)) > 1 limit 20
"""


async def _newest(bus: Connection, topic: str) -> AsyncIterator[tuple[str, Said]]:
    async for row in bus.cursor(_NEWEST.format(topic=topic), prefetch=500):
        state = orjson.loads(row["value"]) if row["value"] is not None else {}
        causes = frozenset(
            (cause["epoch"], cause["version"], cause["cause"]) for cause in state.pop("causes", ())
        )
        yield row["key"], Said(row["version"], row["last"], row["records"], state, causes)
