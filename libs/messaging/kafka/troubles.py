"""A Kafka that can't be reached, said once, and once more when it is back.

aiokafka says it at each try of each connection, which are hundreds of lines for one outage. Those are held
back; whoever uses the Kafka asks it instead, and says what came of that.
"""

import asyncio
import logging
import math
import time
from typing import Final
from weakref import WeakSet

from aiokafka.errors import KafkaError

from libs.messaging.bus import BusUnavailable
from libs.messaging.kafka.address import KafkaAddress
from libs.messaging.kafka.failures import REFUSED, is_away
from libs.messaging.kafka.line import Line

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
REMIND_SECONDS: Final = 60.0
"""How long nothing more is said of troubles with a Kafka that answers, as when one of its brokers is away."""
_SPEAKERS = (
    "aiokafka",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender",
)
_WITHOUT_A_REASON = (
    "Unable to update metadata from",
    "Heartbeat session expired",
    "Marking the coordinator dead",
    "Heartbeat failed for group %s: coordinator (node %s)",
)


class Troubles(logging.Filter):
    """Holds back what aiokafka says of brokers that it can't reach, and tells the watches of it."""

    def __init__(self) -> None:
        super().__init__()
        self.watches: WeakSet[Watch] = WeakSet()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written: all but those that the watches look into."""
        if not self.watches or not _is_of_reach(record):
            return True
        for watch in list(self.watches):
            watch.hear(record.getMessage())
        return False


class Watch:
    """Looks into the troubles of one client with its Kafka, and says what they are.

    `away`: whether the Kafka doesn't answer; that was said, and nobody else needs to.
    """

    def __init__(self, address: KafkaAddress, client_id: str, *, answer_seconds: float) -> None:
        self.away = False
        self._has_looked = asyncio.Event()
        self._has_looked.set()
        self._name = client_id
        self._line = Line(address, f"{client_id}-watch", answer_seconds=answer_seconds)
        self._heard = asyncio.Event()
        self._last = ""
        self._reminded_at = -math.inf
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it has begun; inside the event loop that the client lives in."""
        if self._task is None:
            TROUBLES.watches.add(self)
            self._task = asyncio.create_task(self._run())

    def hear(self, text: str) -> None:
        """Something went wrong that may mean that the Kafka is away; `text` holds nobody's data."""
        self._last = text
        self._heard.set()

    async def close(self) -> None:
        TROUBLES.watches.discard(self)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._line.close()

    async def _run(self) -> None:
        try:
            while True:
                await self._heard.wait()
                text = self._last
                self._has_looked.clear()
                reason = await self._reason()
                self.away = reason is not None
                self._has_looked.set()
                if reason is not None:
                    await self._see_through(reason)
                elif not await self._is_anothers():
                    self._remind(text)
                # The client's connections find out one after the other, that it is away and that it is back.
                await asyncio.sleep(LOOK_SECONDS)
                self._heard.clear()
        finally:
            # Whatever ended this: nothing is held back that nobody looks into.
            TROUBLES.watches.discard(self)
            self._has_looked.set()

    async def _see_through(self, reason: str) -> None:
        log.error("%s: Kafka doesn't answer (%s); messages wait", self._name, reason)
        since = time.monotonic()
        still: str | None = reason
        while still is not None:
            await asyncio.sleep(LOOK_SECONDS)
            still = await self._reason()
        self.away = False
        log.warning("%s: Kafka answers again, after %.0f s", self._name, time.monotonic() - since)

    def _remind(self, text: str) -> None:
        if time.monotonic() - self._reminded_at >= REMIND_SECONDS:
            self._reminded_at = time.monotonic()
            log.warning("%s: Kafka answers, and yet: %s", self._name, text)

    async def _reason(self) -> str | None:
        """Why the Kafka gives no answer; None if it gives one, be it that it doesn't want this client."""
        try:
            async with self._line.use() as ask:
                await ask.topics()
        except BusUnavailable as error:
            return type(error.__cause__).__name__
        except REFUSED:
            return None
        return None

    async def _is_anothers(self) -> bool:
        """Whether it is another Kafka that is away: a record doesn't tell which one it is about."""
        others = [watch for watch in TROUBLES.watches if watch is not self]
        for other in others:
            await other._has_looked.wait()
        return any(other.away for other in others)


TROUBLES: Final = Troubles()


def hold_back() -> None:
    """Let `TROUBLES` read all that aiokafka writes, from now on; again does nothing more."""
    for name in _SPEAKERS:
        logging.getLogger(name).addFilter(TROUBLES)


def _is_of_reach(record: logging.LogRecord) -> bool:
    if record.levelno < logging.WARNING:
        return False
    if str(record.msg).startswith(_WITHOUT_A_REASON):
        return True
    reasons = record.args if isinstance(record.args, tuple) else ()
    return any(_means_away(reason) for reason in reasons)


def _means_away(reason: object) -> bool:
    """aiokafka names an error, or its class alone."""
    if isinstance(reason, type) and issubclass(reason, KafkaError):
        reason = reason()
    return isinstance(reason, BaseException) and is_away(reason)
