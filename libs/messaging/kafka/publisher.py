"""Appending to Kafka: idempotent, acknowledged by all replicas in sync, in order within a partition."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from libs.messaging.bus import BusUnavailable
from libs.messaging.kafka.address import KafkaAddress
from libs.messaging.kafka.failures import is_away
from libs.messaging.kafka.records import Record
from libs.messaging.kafka.starting import started

Part = tuple[str, int]
"""A topic as the broker calls it, and one of its partitions."""

_BATCH_BYTES = 500_000
"""Well below what a broker takes in one piece (`message.max.bytes`, 1 MB unless it was changed)."""
_SILENCE_SECONDS = 1.0


class Publisher:
    """One producer for the whole process; opened when first needed, and a new one after a failure."""

    def __init__(self, address: KafkaAddress, client_id: str, *, answer_seconds: float) -> None:
        self._address = address
        self._client_id = client_id
        self._answer_seconds = answer_seconds
        self._lock = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None

    async def append(self, records: Sequence[tuple[Part, Record]]) -> None:
        """All of them, or `BusUnavailable`; what was refused is raised as the client says it."""
        async with self._lock:
            try:
                # A little more than the producer's own patience: it knows better what is wrong.
                async with asyncio.timeout(self._answer_seconds + 1):
                    await self._deliver(await self._opened(), records)
            except Exception as error:
                await self._silence()
                if not is_away(error):
                    raise
                raise BusUnavailable(f"Kafka is away: {type(error).__name__}") from error

    async def _opened(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                client_id=self._client_id,
                enable_idempotence=True,
                acks="all",
                max_batch_size=_BATCH_BYTES,
                request_timeout_ms=round(self._answer_seconds * 1000),
                metadata_max_age_ms=30_000,
                **self._address.options(),
            )
            try:
                await started(producer.start())
            except BaseException:
                await _silence(producer)
                raise
            self._producer = producer
        return self._producer

    async def _deliver(self, producer: AIOKafkaProducer, records: Sequence[tuple[Part, Record]]) -> None:
        by_part: defaultdict[Part, list[Record]] = defaultdict(list)
        for part, record in records:
            by_part[part].append(record)
        sent: list[asyncio.Future[Any]] = []
        try:
            for (topic, partition), of_part in by_part.items():
                for batch in _batches(producer, of_part):
                    sent.append(await producer.send_batch(batch, topic, partition=partition))
        except BaseException:
            for one in sent:
                one.add_done_callback(_read)
            raise
        for outcome in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _silence(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _silence(producer)

    async def close(self) -> None:
        """What was handed over has been waited for by whoever published it."""
        async with self._lock:
            producer, self._producer = self._producer, None
        if producer is None:
            return
        closing = asyncio.create_task(producer.stop())
        await asyncio.wait((closing,), timeout=_SILENCE_SECONDS)
        if not closing.done():
            # Something that nobody waits for any more is still being tried.
            closing.cancel()
            await _silence(producer)
        await asyncio.gather(closing, return_exceptions=True)


async def _silence(producer: AIOKafkaProducer) -> None:
    """End a producer whose batches failed, before the next one speaks.

    It might still be trying an older state, and compaction keeps what was appended last.
    """
    sender = producer._sender
    if sender.sender_task is not None:
        sender.sender_task.cancel()
    with contextlib.suppress(Exception):
        await producer.client.close()
    if sender.sender_task is not None:
        await asyncio.wait((sender.sender_task,), timeout=_SILENCE_SECONDS)
    # `stop` would flush first, which is what must not happen.
    producer._closed = True


def _read(outcome: "asyncio.Future[Any]") -> None:
    """Somebody has to, or the event loop complains."""
    if not outcome.cancelled():
        outcome.exception()


def _batches(producer: AIOKafkaProducer, records: Sequence[Record]) -> Sequence[Any]:
    """The records in as few pieces as their size allows."""
    batches = [producer.create_batch()]
    for record in records:
        if not _added(batches[-1], record):
            batches.append(producer.create_batch())
            # One record alone always fits; the broker says if it is too big.
            _added(batches[-1], record)
    for batch in batches:
        batch.close()
    return batches


def _added(batch: Any, record: Record) -> bool:
    key, value, headers = record
    return batch.append(timestamp=None, key=key, value=value, headers=headers) is not None
