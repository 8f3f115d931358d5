"""`PostgresBus`: the Bus on a PostgreSQL log, where positions are given in the order of commits."""

import asyncio
import os
import socket
import uuid
import zlib
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from datetime import datetime
from itertools import accumulate

import orjson

from libs.messaging.backoff import backoff_seconds, pause
from libs.messaging.bus import BusUnavailable, Handler, JsonHeaders, Message
from libs.messaging.postgres import membership, tables
from libs.messaging.postgres.compaction import compact_topic
from libs.messaging.postgres.consumer import Consumer, Pace
from libs.messaging.postgres.line import Connection, Line
from libs.messaging.topics import Topic

# The rows of `head` are locked until the records are visible, in one order, so that publishers queue up
# instead of deadlocking. A plain sequence would let position 2 appear before position 1, and a reader
# that has seen 2 would never see 1. The notification is one per batch: it takes a lock on the server.
# Each column comes as one JSON array, and the values end to end, cut up here: the process that sends them
# also serves requests, and encoding arrays costs it more than everything else together.
_APPEND = """
with batch as materialized (
    select partition::integer, key, partition_key, headers, start::integer, length::integer, n
    from rows from (
        json_array_elements_text($1::json), json_array_elements_text($2::json),
        json_array_elements_text($3::json), json_array_elements_text($4::json),
        json_array_elements_text($5::json), json_array_elements_text($6::json)
    ) with ordinality as b(partition, key, partition_key, headers, start, length, n)
), wanted as (
    select partition, count(*) as records from batch group by partition
), locked as materialized (
    select partition, next from {head} where partition in (select partition from wanted)
    order by partition for update
), moved as (
    update {head} h set next = locked.next + wanted.records from locked join wanted using (partition)
    where h.partition = locked.partition
), appended as (
    insert into {log} (partition, position, key, partition_key, value, headers)
    select b.partition, locked.next + row_number() over (partition by b.partition order by b.n) - 1,
        b.key, b.partition_key, substring($7::bytea from b.start + 1 for b.length), b.headers
    from batch b join locked using (partition)
)
select pg_notify($8, '')
"""
_LAG = """
select count(*) from {log} l left join bus.place p on p.owner = current_user and p.group_name = $1
    and p.topic = {name} and p.partition = l.partition
where l.position >= coalesce(p.position, 0)
"""


_NAMES = """
select substr(c.relname, 5) from pg_class c
where c.relnamespace = 'bus'::regnamespace and c.relkind = 'r' and starts_with(c.relname, 'log_')
    and has_table_privilege(c.oid, 'select')
order by 1
"""


class PostgresBus:
    """The Bus of one service on one process; `url` is the service's own on the bus database.

    `member` names the process in the database's lists. Opening connections is left to the first use.
    """

    def __init__(
        self, url: str, *, member: str | None = None, poll: float = 0.5, lease: float = 4.0, batch: int = 200
    ) -> None:
        self._url = url
        self._member = member or f"{socket.gethostname()}-{os.getpid()}"
        self._pace = Pace(poll=poll, lease=lease, batch=batch)
        self._line = Line(url, f"tournee bus, {self._member}")

    async def open(self) -> None:
        """Connect now instead of at the first use; raises `BusUnavailable`."""
        async with self._line.use():
            pass

    async def publish(self, messages: Sequence[Message]) -> None:
        by_topic: defaultdict[str, list[Message]] = defaultdict(list)
        for message in messages:
            by_topic[message.topic.name].append(message)
        if not by_topic:
            return
        async with self._line.use() as connection:
            if len(by_topic) == 1:
                # A single statement is a transaction of its own: one round trip.
                await append(connection, messages[0].topic, messages)
                return
            async with connection.transaction():
                for _, of_topic in sorted(by_topic.items()):
                    await append(connection, of_topic[0].topic, of_topic)

    async def consume(
        self, group: str, topics: Sequence[Topic], handler: Handler, stop: asyncio.Event
    ) -> None:
        # Each run is a member of its own: a zombie with the same name could not be told apart.
        member = f"{self._member}-{uuid.uuid4().hex[:8]}"
        await Consumer(self._url, member, group, topics, handler, self._pace).run(stop)

    async def rewind(self, group: str, topics: Sequence[Topic]) -> None:
        async with self._line.use() as connection:
            await membership.rewind(connection, group, topics)

    async def lag(self, group: str, topics: Sequence[Topic]) -> int:
        async with self._line.use() as connection:
            counts = [await connection.fetchval(tables.with_tables(_LAG, topic), group) for topic in topics]
        return sum(counts)

    async def names(self) -> Sequence[str]:
        async with self._line.use() as connection:
            return [record[0] for record in await connection.fetch(_NAMES)]

    async def compact(self, topics: Sequence[Topic], *, now: datetime | None = None) -> int:
        """Compact `topics`, as their writer, as if it were `now`; returns how many records have gone."""
        # On a line of its own, without a limit: a long log must not hold up publishing.
        line = Line(self._url, f"tournee bus, {self._member}, compaction", answer_seconds=None)
        try:
            async with line.use() as connection:
                return sum([await compact_topic(connection, topic, now) for topic in topics])
        finally:
            await line.close()

    async def run_compaction(
        self, topics: Sequence[Topic], stop: asyncio.Event, *, every: float = 600.0
    ) -> None:
        """Compact `topics`, which this service writes, every so many seconds until `stop`."""
        failures = 0
        while not stop.is_set():
            try:
                await _until(stop, self.compact(topics))
                failures = 0
            except BusUnavailable:
                failures += 1
            await pause(stop, backoff_seconds(failures) if failures else every)

    async def close(self) -> None:
        await self._line.close()


async def append(connection: Connection, topic: Topic, messages: Sequence[Message]) -> None:
    """Append to one topic; others see it, and append in turn, once the transaction has ended."""
    values = [message.value for message in messages]
    lengths = [None if value is None else len(value) for value in values]
    await connection.execute(
        tables.with_tables(_APPEND, topic),
        _json([partition_of(message) for message in messages]),
        _json([message.key for message in messages]),
        _json([message.partition_key for message in messages]),
        "[" + ",".join([_headers(message) for message in messages]) + "]",
        _json(list(accumulate((length or 0 for length in lengths[:-1]), initial=0))),
        _json(lengths),
        b"".join([value for value in values if value is not None]),
        tables.channel(topic),
    )


def _json(column: list[int] | list[str] | list[int | None]) -> str:
    return orjson.dumps(column).decode()


def _headers(message: Message) -> str:
    headers = message.headers
    return headers.text if isinstance(headers, JsonHeaders) else orjson.dumps(dict(headers)).decode()


def partition_of(message: Message) -> int:
    """The same on every machine and in every release: records stay where their key's others are."""
    return zlib.crc32(message.partition_key.encode()) % message.topic.partitions


async def _until(stop: asyncio.Event, work: Coroutine[None, None, object]) -> None:
    """Run `work` to its end, or cancel it when `stop` is set."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        task.cancel()
        stopping.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)
