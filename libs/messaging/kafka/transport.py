"""`KafkaBus`: the Bus on Apache Kafka, through aiokafka."""

import asyncio
import os
import socket
from collections.abc import Sequence
from datetime import timedelta

from libs.messaging.backoff import backoff_seconds, pause
from libs.messaging.bus import BusUnavailable, Handler, Message
from libs.messaging.kafka.address import read_address
from libs.messaging.kafka.consumer import Consumer, Pace
from libs.messaging.kafka.line import Line
from libs.messaging.kafka.names import Names
from libs.messaging.kafka.provision import MARKS_PER_LAG
from libs.messaging.kafka.publisher import Publisher
from libs.messaging.kafka.records import MARK, packed
from libs.messaging.kafka.troubles import Watch, hold_back
from libs.messaging.partitions import partition_of
from libs.messaging.topics import Topic

DELIVERY_SECONDS = 15.0
"""What couldn't be appended by then counts as failed: long enough for a new leader after a broker's death."""
ANSWER_SECONDS = 8.0


class KafkaBus:
    """The Bus of one service of one instance, on one process; `url` is read by `address.read_address`.

    `member` names the process in the broker's lists. Connecting is left to the first use.
    """

    def __init__(
        self,
        url: str,
        *,
        instance: str,
        service: str,
        member: str | None = None,
        pace: Pace | None = None,
        delivery_seconds: float = DELIVERY_SECONDS,
    ) -> None:
        self._address = read_address(url)
        self._names = Names(instance, service)
        self._pace = pace or Pace()
        self._client_id = f"{instance}.{service}.{member or f'{socket.gethostname()}-{os.getpid()}'}"
        self._publisher = Publisher(self._address, self._client_id, answer_seconds=delivery_seconds)
        answer_seconds = min(ANSWER_SECONDS, delivery_seconds)
        self._line = Line(self._address, self._client_id, answer_seconds=answer_seconds)
        self._watch = Watch(self._address, self._client_id, answer_seconds=answer_seconds)
        hold_back()

    async def publish(self, messages: Sequence[Message]) -> None:
        if messages:
            self._watch.start()
            topic = self._names.topic
            await self._publisher.append(
                [((topic(one.topic), partition_of(one)), packed(one)) for one in messages]
            )

    async def consume(
        self, group: str, topics: Sequence[Topic], handler: Handler, stop: asyncio.Event
    ) -> None:
        self._watch.start()
        by_name = {self._names.topic(topic): topic for topic in topics}
        consumer = Consumer(
            self._address,
            self._client_id,
            self._names.group(group),
            by_name,
            handler,
            self._pace,
            self._watch,
        )
        await consumer.run(stop)

    async def rewind(self, group: str, topics: Sequence[Topic]) -> None:
        async with self._line.use() as ask:
            starts = await ask.starts([self._names.topic(topic) for topic in topics])
            await ask.put_back(self._names.group(group), starts)

    async def lag(self, group: str, topics: Sequence[Topic]) -> int:
        names = [self._names.topic(topic) for topic in topics]
        async with self._line.use() as ask:
            ends = await ask.ends(names)
            done = await ask.acknowledged(self._names.group(group), ends)
            new = {part.topic for part in ends if part not in done}
            starts = await ask.starts(new) if new else {}
        return sum(max(0, end - done.get(part, starts.get(part, 0))) for part, end in ends.items())

    async def names(self) -> Sequence[str]:
        async with self._line.use() as ask:
            return self._names.streams(await ask.topics())

    async def run_compaction(self, topics: Sequence[Topic], stop: asyncio.Event) -> None:
        """See that what was overtaken goes in time on quiet partitions too.

        Kafka compacts by itself, but never the segment that is being written, and it begins a new one
        only when something is appended. So a mark, which readers never see, is appended to each partition
        several times within the lag that the topic promises.
        """
        if not topics:
            return
        pause_between = min(topic.compaction_lag for topic in topics) / MARKS_PER_LAG
        failures = 0
        while not stop.is_set():
            try:
                await self.mark(topics)
                failures = 0
            except BusUnavailable:
                failures += 1
            await pause(stop, backoff_seconds(failures) if failures else _seconds(pause_between))

    async def mark(self, topics: Sequence[Topic]) -> None:
        """Append a mark to every partition of `topics`."""
        await self._publisher.append(
            [
                ((self._names.topic(topic), number), MARK)
                for topic in topics
                for number in range(topic.partitions)
            ]
        )

    async def close(self) -> None:
        await self._watch.close()
        await self._publisher.close()
        await self._line.close()


def _seconds(duration: timedelta) -> float:
    return max(1.0, duration.total_seconds())
