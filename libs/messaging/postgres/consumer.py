"""One `consume` call: fetches batches, hands them to the handler, and acknowledges what it has done."""

import asyncio
import itertools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import orjson

from libs.messaging.backoff import backoff_seconds, pause
from libs.messaging.bus import BusUnavailable, Handler, Message, Received
from libs.messaging.postgres import tables
from libs.messaging.postgres.line import Connection, Line
from libs.messaging.postgres.membership import Membership
from libs.messaging.postgres.sharing import Part
from libs.messaging.topics import Topic

log = logging.getLogger(__name__)

# The place is read with the records: whoever lost the lease gets nothing, and a rewind takes hold at once.
_READ = """
select p.topic, p.partition, p.epoch, r.position, r.key, r.partition_key, r.value, r.headers
from bus.place p cross join lateral (
    select * from {log} l where l.partition = p.partition and l.position >= p.position
    order by l.position limit $3
) r
where p.owner = current_user and p.group_name = $1 and p.holder = $2
    and p.topic = {name} and p.partition <> all({skip})
"""
_STOP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """The timing and bounds of consuming. Times in seconds.

    `poll` is the truth, notifications only make it faster. A member that hasn't been heard of for
    `lease` counts as dead. At stop a handler that is at work gets `grace` to finish.
    """

    poll: float = 0.5
    lease: float = 4.0
    batch: int = 200
    concurrency: int = 4
    grace: float = 0.3


@dataclass(frozen=True, slots=True)
class _Retry:
    failures: int
    not_before: float


class Consumer:
    """A member of `group` for the length of one `run`."""

    def __init__(
        self, url: str, member: str, group: str, topics: Sequence[Topic], handler: Handler, pace: Pace
    ) -> None:
        self._topics = {topic.name: topic for topic in topics}
        self._read = _read_statement(topics)
        self._handler = handler
        self._pace = pace
        self._membership = Membership(group, member, topics, timedelta(seconds=pace.lease))
        self._line = Line(url, f"tournee bus, group {group}", on_open=self._listen)
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(pace.concurrency)
        self._beat_at = 0.0
        self._failures = 0
        self._busy: dict[Part, asyncio.Task[None]] = {}
        self._retries: dict[Part, _Retry] = {}
        self._leaving: set[Part] = set()

    async def run(self, stop: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._keep_reading(stop, tasks))
                await stop.wait()
                self._wake.set()
                # A server that doesn't answer must not hold up the end.
                await asyncio.wait((reading,), timeout=_STOP_SECONDS)
                reading.cancel()
                await self._finish()
        finally:
            await self._leave()

    async def _keep_reading(self, stop: asyncio.Event, handlers: asyncio.TaskGroup) -> None:
        while not stop.is_set():
            try:
                await self._read_until(stop, handlers)
            except BusUnavailable as error:
                self._failures += 1
                delay = backoff_seconds(self._failures)
                log.warning("%s waits %.1f s: %s", self._membership.group, delay, error)
                await pause(stop, delay)

    async def _read_until(self, stop: asyncio.Event, handlers: asyncio.TaskGroup) -> None:
        while not stop.is_set():
            # Cleared before reading: a hint that comes meanwhile leads to another look.
            self._wake.clear()
            async with self._line.use() as connection:
                if time.monotonic() >= self._beat_at:
                    await self._beat(connection)
                rows = await self._fetch(connection)
            self._failures = 0
            self._start(rows, stop, handlers)
            await pause(self._wake, self._idle_seconds())

    async def _beat(self, connection: Connection) -> None:
        self._leaving, complete = await self._membership.beat(connection, self._busy)
        # Another member was quicker with a lease: look again soon, who holds what has changed.
        self._beat_at = time.monotonic() + (self._pace.lease / 3 if complete else 0.05)

    async def _fetch(self, connection: Connection) -> list[asyncpg.Record]:
        now = time.monotonic()
        waiting = {part for part, retry in self._retries.items() if retry.not_before > now}
        skipped = waiting | self._leaving | self._busy.keys()
        skip = [[partition for name, partition in skipped if name == topic] for topic in self._topics]
        membership = self._membership
        return await connection.fetch(
            self._read, membership.group, membership.member, self._pace.batch, *skip
        )

    def _start(
        self, rows: Sequence[asyncpg.Record], stop: asyncio.Event, handlers: asyncio.TaskGroup
    ) -> None:
        for (name, partition, epoch), records in itertools.groupby(rows, key=_lease_of):
            batch = [_received(self._topics[name], record) for record in records]
            part = (name, partition)
            self._busy[part] = handlers.create_task(self._handle(part, epoch, batch, stop))

    async def _handle(self, part: Part, epoch: int, batch: Sequence[Received], stop: asyncio.Event) -> None:
        try:
            async with self._slots:
                if not stop.is_set():
                    await self._handle_and_acknowledge(part, epoch, batch)
        finally:
            del self._busy[part]
            if part in self._leaving:
                self._beat_at = 0.0
            self._wake.set()

    async def _handle_and_acknowledge(self, part: Part, epoch: int, batch: Sequence[Received]) -> None:
        try:
            await self._handler(batch)
        except Exception as error:
            self._put_off(part, error)
            return
        self._retries.pop(part, None)
        try:
            async with self._line.use() as connection:
                position = batch[-1].offset + 1
                if not await self._membership.acknowledge(connection, part, epoch, position):
                    log.info("%s: the lease of %s %d has gone to another", self._membership.group, *part)
        except BusUnavailable as error:
            log.warning("%s %d will be delivered again: %s", *part, error)

    def _put_off(self, part: Part, error: Exception) -> None:
        failures = self._retries[part].failures + 1 if part in self._retries else 1
        delay = backoff_seconds(failures)
        self._retries[part] = _Retry(failures, time.monotonic() + delay)
        # Without the error's text, which may quote a person's data.
        log.warning("%s %d will be delivered again in %.1f s: %s", *part, delay, type(error).__name__)

    def _idle_seconds(self) -> float:
        now = time.monotonic()
        # A retry that is due and still here is being handled or has been given away.
        later = [retry.not_before for retry in self._retries.values() if retry.not_before > now]
        return max(0.0, min([now + self._pace.poll, self._beat_at, *later]) - now)

    async def _listen(self, connection: Connection) -> None:
        def appended(*_: object) -> None:
            self._wake.set()

        def group_changed(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            if payload == self._membership.group:
                self._beat_at = 0.0
                self._wake.set()

        await connection.add_listener(tables.GROUPS_CHANNEL, group_changed)
        for topic in self._topics.values():
            await connection.add_listener(tables.channel(topic), appended)
        connection.add_termination_listener(appended)

    async def _finish(self) -> None:
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=self._pace.grace)
        for task in self._busy.values():
            task.cancel()

    async def _leave(self) -> None:
        try:
            if self._line.is_open:
                async with asyncio.timeout(_STOP_SECONDS), self._line.use() as connection:
                    await self._membership.leave(connection)
        except (BusUnavailable, TimeoutError):
            log.info("%s: the leases run out by themselves", self._membership.group)
        finally:
            await self._line.close()


def _read_statement(topics: Sequence[Topic]) -> str:
    """One statement for all topics; the parameters from $4 on say which partitions to leave out."""
    reads = (
        tables.with_tables(_READ.replace("{skip}", f"${number}::integer[]"), topic)
        for number, topic in enumerate(topics, start=4)
    )
    return " union all ".join(reads) + " order by topic, partition, position"


def _lease_of(record: asyncpg.Record) -> tuple[str, int, int]:
    return record["topic"], record["partition"], record["epoch"]


def _received(topic: Topic, record: asyncpg.Record) -> Received:
    message = Message(
        topic=topic,
        key=record["key"],
        value=record["value"],
        partition_key=record["partition_key"],
        headers=orjson.loads(record["headers"]),
    )
    return Received(message=message, partition=record["partition"], offset=record["position"])
