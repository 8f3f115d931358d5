"""The outbox: messages written in the transaction of the change, and the relay that carries them out."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from libs.database import Database, is_unavailable
from libs.messaging import envelope, topics
from libs.messaging.backoff import pause
from libs.messaging.bus import Bus, BusUnavailable, JsonHeaders, Message
from libs.messaging.contracts import Payload
from libs.messaging.topics import Topic

log = logging.getLogger(__name__)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# The process that relays also serves requests. A full batch costs it about 13 ms of CPU, then it rests
# twice as long: relaying takes at most a third of it, however long the outbox is. And it gains on a rush:
# a worker that does nothing else registers 1,000 people in 160 ms at best, while the turn in which 1,000
# are relayed takes 13 ms here, some 40 ms in the two databases, 25 ms of rest, and a few waits for the
# event loop. So what stands behind them, like the public seats, waits for a turn or two, not for the rush.
_BATCH = 1000
_BATCH_BYTES = 2_000_000
_REST_SECONDS = 0.025
_GROWTH = 4
_POLL_SECONDS = 0.25
_RELAY_LOCK = 7_310_401  # any number that no other advisory lock of this database uses

_INSERT = sa.text(
    "insert into outbox (topic, key, partition_key, headers, value)"
    " values (:topic, :key, :partition_key, :headers, :value)"
).bindparams(sa.bindparam("headers", type_=JSONB))

_TAKE_LOCK = "select pg_try_advisory_lock($1)"
# `order by id`: of two changes of one thing the later has the higher id and commits later, so whoever sees
# it sees both. Ids of other things commit in any order: hence the ids that were read are deleted, no range.
_READ = "select id, topic, key, partition_key, headers, value from outbox order by id limit $1"
_DELETE = "delete from outbox where id = any($1::text::bigint[])"


async def current_epoch(session: AsyncSession) -> int:
    """The instance's epoch: it rises when a backup is restored, so that what was lost is overwritten."""
    epoch: int = (await session.execute(sa.text("select epoch from epoch"))).scalar_one()
    return epoch


async def announce(
    session: AsyncSession,
    topic: Topic,
    *,
    instance: str,
    key: str,
    partition_key: str,
    epoch: int,
    version: int,
    time: datetime,
    payload: Payload | None,
) -> None:
    """Say the new state of `key` with the commit of this transaction.

    Call it after the row of the thing was locked or changed: then the outbox's order is the order of
    the changes.
    """
    await announce_all(
        session,
        [
            envelope.pack(
                topic,
                instance=instance,
                key=key,
                partition_key=partition_key,
                epoch=epoch,
                version=version,
                time=time,
                payload=payload,
            )
        ],
    )


async def announce_all(session: AsyncSession, messages: Sequence[Message]) -> None:
    """`announce` for many at once, in their order; see there for when to call it."""
    if messages:
        await session.execute(_INSERT, [_row(message) for message in messages])


def _row(message: Message) -> dict[str, object]:
    return {
        "topic": message.topic.name,
        "key": message.key,
        "partition_key": message.partition_key,
        "headers": dict(message.headers),
        "value": message.value,
    }


class Relay:
    """Carries the outbox to the bus, in order, one relay per service at a time.

    Two relays that skip each other's rows would reorder, so an advisory lock lets one work and the
    others wait. A crash between publishing and deleting repeats a message, never loses one.
    """

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._wake = asyncio.Event()
        self._waits = False
        database.on_commit.append(self._wake.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`; a database or broker that is away makes it back off."""
        delay = _POLL_SECONDS
        while not stop.is_set():
            try:
                async with self._database.plain_connection() as connection:
                    delay = _POLL_SECONDS
                    # Whoever waits keeps its connection: opening one costs more than asking again.
                    while not stop.is_set() and not await connection.fetchval(_TAKE_LOCK, _RELAY_LOCK):
                        await pause(stop, _POLL_SECONDS)
                    await self._relay_while_locked(connection, stop)
            except Exception as error:
                if not (isinstance(error, BusUnavailable) or is_unavailable(error)):
                    raise
                delay = min(delay * 2, 5.0)
                if not self._waits:
                    log.warning("relay waits: %s", type(error).__name__)
                self._waits = True
            await pause(stop, delay)

    async def _relay_while_locked(self, connection: Connection, stop: asyncio.Event) -> None:
        limit = _BATCH // _GROWTH
        while not stop.is_set():
            self._wake.clear()
            rows = await connection.fetch(_READ, limit)
            if rows:
                await self._carry(connection, rows)
                await pause(stop, _REST_SECONDS)
            if len(rows) < limit:
                await _wait_any(stop, self._wake, _POLL_SECONDS)
            else:
                limit = _next_limit(rows)

    async def _carry(self, connection: Connection, rows: Sequence[asyncpg.Record]) -> None:
        await self._bus.publish([_message(row) for row in rows])
        if self._waits:
            log.warning("relay goes on")
            self._waits = False
        # As text: encoding an array costs more.
        await connection.execute(_DELETE, "{" + ",".join([str(row["id"]) for row in rows]) + "}")


def _next_limit(rows: Sequence[asyncpg.Record]) -> int:
    """How many rows of the size of these make a batch; growing step by step, since the next may be bigger."""
    size = sum(len(row["value"] or b"") for row in rows)
    return max(1, min(_BATCH, _GROWTH * len(rows), _BATCH_BYTES * len(rows) // max(1, size)))


def _message(row: asyncpg.Record) -> Message:
    _, topic, key, partition_key, headers, value = row
    return Message(topics.named(topic), key, value, partition_key, JsonHeaders(headers))


async def _wait_any(stop: asyncio.Event, wake: asyncio.Event, seconds: float) -> None:
    waiters: Sequence[asyncio.Task[bool]] = [
        asyncio.create_task(stop.wait()),
        asyncio.create_task(wake.wait()),
    ]
    try:
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
