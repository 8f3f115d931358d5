"""The outbox: messages written in the transaction of the change, and the relay that carries them out."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from libs.database import Database, is_unavailable
from libs.messaging import envelope, topics
from libs.messaging.bus import Bus, BusUnavailable, Message
from libs.messaging.contracts import Contract
from libs.messaging.topics import Topic

log = logging.getLogger(__name__)

_BATCH = 500
_POLL_SECONDS = 0.25
_RELAY_LOCK = 7_310_401  # any number that no other advisory lock of this database uses

_INSERT = sa.text(
    "insert into outbox (topic, key, partition_key, headers, value)"
    " values (:topic, :key, :partition_key, :headers, :value)"
).bindparams(sa.bindparam("headers", type_=JSONB))


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
    payload: Contract | None,
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
        database.on_commit.append(self._wake.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop`; a database or broker that is away makes it back off."""
        delay = _POLL_SECONDS
        while not stop.is_set():
            try:
                async with self._database.engine.connect() as connection:
                    connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
                    if await self._take_lock(connection):
                        delay = _POLL_SECONDS
                        await self._relay_while_locked(connection, stop)
            except Exception as error:
                if not (isinstance(error, BusUnavailable) or is_unavailable(error)):
                    raise
                delay = min(delay * 2, 5.0)
                log.warning("relay waits %.1f s: %s", delay, type(error).__name__)
            await _pause(stop, delay)

    async def _take_lock(self, connection: AsyncConnection) -> bool:
        got = await connection.execute(sa.text("select pg_try_advisory_lock(:key)"), {"key": _RELAY_LOCK})
        return bool(got.scalar_one())

    async def _relay_while_locked(self, connection: AsyncConnection, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                self._wake.clear()
                if await self._relay_batch(connection) < _BATCH:
                    await _wait_any(stop, self._wake, _POLL_SECONDS)
        finally:
            # The pool would hand the connection on, lock and all.
            await connection.invalidate()

    async def _relay_batch(self, connection: AsyncConnection) -> int:
        rows = (
            await connection.execute(
                sa.text(
                    "select id, topic, key, partition_key, headers, value from outbox order by id limit :n"
                ),
                {"n": _BATCH},
            )
        ).all()
        if rows:
            await self._bus.publish([_message(row) for row in rows])
            await connection.execute(
                sa.text("delete from outbox where id = any(:ids)"), {"ids": [row.id for row in rows]}
            )
        return len(rows)


_BY_NAME = {topic.name: topic for topic in topics.ALL}


def _message(row: sa.Row[tuple[object, ...]]) -> Message:
    return Message(
        topic=_BY_NAME[row.topic],
        key=row.key,
        value=None if row.value is None else bytes(row.value),
        partition_key=row.partition_key,
        headers=row.headers,
    )


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


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
