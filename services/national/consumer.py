"""Reading every federated stream on the bus into each generation, whoever registered its instance or not."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from libs.database import Database
from libs.messaging.backoff import pause
from libs.messaging.bus import Bus, BusUnavailable
from libs.messaging.topics import Topic
from services.national.generations import ensure, federated_topics, group
from services.national.ingest import Ingest

log = logging.getLogger(__name__)

LOOK_SECONDS = 3.0
_LIVE = sa.text("select number from generation where state in ('building', 'serving')")
_AT_WORK = sa.text(
    "update generation set consumed_at = clock.decision_time() where number = any(:numbers)"
    " and (consumed_at is null or consumed_at < clock.decision_time() - interval '1 minute')"
)


@dataclass(slots=True)
class _Consuming:
    """One generation's consumer, and what it reads."""

    topics: list[Topic]
    stop: asyncio.Event
    task: asyncio.Task[None]


class Consumers:
    """One consumer for each generation that serves or is being built.

    Which streams there are, and which generations, is looked at every few seconds; a consumer starts again
    when its streams aren't the same any more.
    """

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is at work then gets the moment that the bus gives it."""
        await ensure(self._database)
        async with asyncio.TaskGroup() as tasks:
            consuming: dict[int, _Consuming] = {}
            try:
                while not stop.is_set():
                    await self._look(consuming, tasks)
                    await pause(stop, LOOK_SECONDS)
            finally:
                for one in consuming.values():
                    one.stop.set()

    async def _look(self, consuming: dict[int, _Consuming], tasks: asyncio.TaskGroup) -> None:
        wanted = await self._wanted()
        if wanted is None:
            return
        for number, one in list(consuming.items()):
            if one.topics != wanted.get(number):
                del consuming[number]
                one.stop.set()
                await asyncio.wait((one.task,))
        for number, topics in wanted.items():
            if number not in consuming and topics:
                consuming[number] = self._started(number, topics, tasks)
        if consuming:
            async with self._database.transaction() as session:
                await session.execute(_AT_WORK, {"numbers": list(consuming)})

    async def _wanted(self) -> Mapping[int, list[Topic]] | None:
        """What each generation should read; None while the bus doesn't say."""
        async with self._database.reading() as session:
            numbers = (await session.execute(_LIVE)).scalars().all()
        try:
            topics = federated_topics(await self._bus.names())
        except BusUnavailable:
            return None
        return dict.fromkeys(numbers, topics)

    def _started(self, number: int, topics: list[Topic], tasks: asyncio.TaskGroup) -> _Consuming:
        log.info("generation %d reads %d streams", number, len(topics))
        stop = asyncio.Event()
        handler = Ingest(self._database, number).handle
        reading = self._bus.consume(group(number), topics, handler, stop)
        return _Consuming(topics, stop, tasks.create_task(reading, name=f"generation {number}"))
