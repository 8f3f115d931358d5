"""Trying quarantined messages again once the registry has changed; what is newer than they stays."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import asyncpg
import orjson

from libs.database import Database
from libs.messaging.backoff import pause
from libs.messaging.bus import Message, Received
from libs.messaging.topics import federated_named
from services.national.ingest import Ingest
from services.national.quarantine import digest_of

_PAGE = 500
_LOOK_SECONDS = 2.0
_NEXT = """
select id, topic, position, key, headers, value, digest from quarantined
where id > $1 and ($2::text[] is null or instance = any($2::text[])) order by id limit $3
"""
_GONE = "delete from quarantined where id = any($1::bigint[])"
_LIVE = "select number from generation where state in ('building', 'serving')"
_CHANGED = (
    "select max(id) as version, array_agg(distinct instance) as instances from registry_entry where id > $1"
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many messages are believed now, and how many are still doubted."""

    applied: int = 0
    left: int = 0


async def replay(database: Database, instances: Sequence[str] | None = None) -> Replayed:
    """Judge the quarantined messages of some instances again, or of all, and apply those that are believed.

    They may be older than what has come since: what is newer stays, as for any late message.
    """
    async with database.plain_statements() as connection:
        ingests = [Ingest(database, row["number"]) for row in await connection.fetch(_LIVE)]
    applied = left = after = 0
    while ingests:
        async with database.plain_statements() as connection:
            page = await connection.fetch(_NEXT, after, instances, _PAGE)
        if not page:
            break
        after = page[-1]["id"]
        for _, of_topic in groupby(sorted(page, key=lambda row: row["topic"]), lambda row: row["topic"]):
            records = list(of_topic)
            believed = await _try(ingests, records)
            async with database.plain_transaction(patient=True) as connection:
                await connection.execute(_GONE, believed)
            applied += len(believed)
            left += len(records) - len(believed)
    return Replayed(applied, left)


async def _try(ingests: Sequence[Ingest], records: Sequence[asyncpg.Record]) -> list[int]:
    """The ids of those that are believed now and stand in every living generation."""
    received = [_received(record) for record in records]
    doubted: set[bytes] = set()
    for ingest in ingests:
        doubted |= {one.digest for one in await ingest.take_in(received, again=True)}
    return [
        record["id"]
        for record, one in zip(records, received, strict=True)
        if digest_of(one.message) not in doubted
    ]


def _received(record: asyncpg.Record) -> Received:
    topic = federated_named(record["topic"])
    assert topic is not None
    key, value = record["key"], record["value"]
    message = Message(topic, key, value, key, orjson.loads(record["headers"]))
    return Received(message, 0, record["position"])


class Replay:
    """Looks for changes of the registry, whoever made them, and replays the quarantine of those concerned."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; at the start, whatever was changed while this didn't run."""
        while not stop.is_set():
            async with self._database.plain_statements() as connection:
                changed = await connection.fetchrow(_CHANGED, self._seen)
            if changed is not None and changed["version"] is not None:
                await replay(self._database, changed["instances"])
                self._seen = changed["version"]
            await pause(stop, _LOOK_SECONDS)
