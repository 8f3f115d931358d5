"""One `consume` call: a member of a Kafka group that handles its partitions side by side."""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, errors
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.structs import TopicPartition

from libs.messaging.backoff import backoff_seconds, pause
from libs.messaging.bus import BusUnavailable, Handler, Received
from libs.messaging.kafka.address import KafkaAddress
from libs.messaging.kafka.failures import is_away
from libs.messaging.kafka.records import unpacked
from libs.messaging.kafka.starting import started
from libs.messaging.kafka.troubles import Watch
from libs.messaging.topics import Topic

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 1.0
_COMMIT_TRIES = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """The timing and bounds of consuming. Times in seconds.

    A member that hasn't been heard of for `session` counts as dead. When the group shares its partitions
    out anew, a handler at work gets `handover` to finish before it is cancelled; at a stop it gets `grace`.
    What is fetched ahead is at most `part_bytes` for each partition, or one message that is bigger.
    """

    poll: float = 0.5
    session: float = 6.0
    heartbeat: float = 1.0
    batch: int = 500
    part_bytes: int = 512 * 1024
    concurrency: int = 4
    handover: float = 5.0
    grace: float = 0.3


@dataclass(frozen=True, slots=True)
class _Membership:
    """What an acknowledgement is signed with: the broker refuses it once others may have the partition."""

    generation: int
    member: str


class Consumer:
    """Reads `topics` (by their names on the broker) in `group`, coming back after every failure."""

    def __init__(
        self,
        address: KafkaAddress,
        client_id: str,
        group: str,
        topics: Mapping[str, Topic],
        handler: Handler,
        pace: Pace,
        watch: Watch,
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._group = group
        self._topics = topics
        self._handler = handler
        self._pace = pace
        self._watch = watch

    async def run(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            member = Member(self._open(), self._group, self._topics, self._handler, self._pace)
            try:
                await member.live(stop)
            except Exception as error:
                if not is_away(error):
                    raise
                failures = 1 if member.worked else failures + 1
                self._watch.hear(f"{self._group} waits: {type(error).__name__}")
                await pause(stop, backoff_seconds(failures))

    def _open(self) -> AIOKafkaConsumer:
        pace = self._pace
        return AIOKafkaConsumer(
            client_id=self._client_id,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # aiokafka hands everything back before it shares out anew, so a sticky assignor saves nothing.
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            session_timeout_ms=round(pace.session * 1000),
            heartbeat_interval_ms=round(pace.heartbeat * 1000),
            rebalance_timeout_ms=round((pace.handover + pace.session) * 1000),
            fetch_max_wait_ms=250,
            fetch_max_bytes=16 * pace.part_bytes,
            max_partition_fetch_bytes=pace.part_bytes,
            metadata_max_age_ms=30_000,
            **self._address.options(),
        )


class Member(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One membership of a group, from joining to leaving: a task for each partition that it holds."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        group: str,
        topics: Mapping[str, Topic],
        handler: Handler,
        pace: Pace,
    ) -> None:
        self._consumer = consumer
        self._group = group
        self._topics = topics
        self._handler = handler
        self._pace = pace
        self._slots = asyncio.Semaphore(pace.concurrency)
        self._tasks: dict[TopicPartition, asyncio.Task[None]] = {}
        self._busy: set[TopicPartition] = set()
        self._leaving = asyncio.Event()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.worked = False
        """Whether it came as far as holding partitions."""

    async def live(self, stop: asyncio.Event) -> None:
        """Until `stop`; raises what ended it otherwise."""
        consumer = self._consumer
        consumer.subscribe(topics=list(self._topics), listener=self)
        starting = asyncio.create_task(started(consumer.start()))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await asyncio.wait((self._broken, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            starting.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
            await self._end_tasks(self._pace.grace)
            await self._leave()
        if self._broken.done():
            self._broken.result()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        coordinator = self._consumer._coordinator
        membership = _Membership(coordinator.generation, coordinator.member_id)
        self._leaving = asyncio.Event()
        self.worked = True
        for part in assigned:
            self._tasks[part] = asyncio.create_task(self._work(part, membership, self._leaving))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Everything is given back before the group shares it out anew: here nothing is at work after."""
        await self._end_tasks(self._pace.handover)

    async def _end_tasks(self, patience: float) -> None:
        """Let handlers at work finish and acknowledge, for so long, and cancel the rest."""
        self._leaving.set()
        tasks, self._tasks = self._tasks, {}
        at_work = [task for part, task in tasks.items() if part in self._busy]
        for part, task in tasks.items():
            if part not in self._busy:
                task.cancel()
        try:
            if at_work:
                await asyncio.wait(at_work, timeout=patience)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _work(self, part: TopicPartition, membership: _Membership, leaving: asyncio.Event) -> None:
        try:
            # What was acknowledged is known to the broker; from here on only what is beyond it.
            acknowledged = await self._consumer.position(part)
            while not leaving.is_set():
                got = await self._consumer.getmany(
                    part, timeout_ms=round(self._pace.poll * 1000), max_records=self._pace.batch
                )
                batch = [unpacked(self._topics[part.topic], record) for record in got.get(part, ())]
                messages = [one for one in batch if one is not None]
                if messages and not await self._handled(part, messages, leaving):
                    return
                # Marks and what compaction has emptied move the position too.
                position = await self._consumer.position(part)
                if position > acknowledged and await self._acknowledge(part, position, membership):
                    acknowledged = position
                self._busy.discard(part)
        except Exception as error:
            if not self._broken.done():
                self._broken.set_exception(error)
        finally:
            self._busy.discard(part)

    async def _handled(
        self, part: TopicPartition, messages: Sequence[Received], leaving: asyncio.Event
    ) -> bool:
        """Whether the handler took the batch, be it after several tries, before the partition has to go."""
        failures = 0
        while not leaving.is_set():
            async with self._slots:
                if leaving.is_set():
                    return False
                self._busy.add(part)
                try:
                    await self._handler(messages)
                    return True
                except Exception as error:
                    self._busy.discard(part)
                    failures += 1
                    delay = backoff_seconds(failures)
                    # Another bus that is away says so itself, once.
                    if failures == 1 or not isinstance(error, BusUnavailable):
                        # Without the error's text, which may quote a person's data.
                        log.warning(
                            "%s %d will be delivered again in %.1f s: %s", *part, delay, type(error).__name__
                        )
            await pause(leaving, delay)
        return False

    async def _acknowledge(self, part: TopicPartition, position: int, membership: _Membership) -> bool:
        """Whether the broker took it: not when the partition may be another's by now, or it is away.

        The client's own commit would be signed with whatever membership it has at that moment.
        """
        request = OffsetCommitRequest(
            self._group,
            membership.generation,
            membership.member,
            -1,
            [(part.topic, [(part.partition, position, "")])],
        )
        for _ in range(_COMMIT_TRIES):
            coordinator = self._consumer._coordinator
            try:
                await coordinator.ensure_coordinator_known()
                response = await coordinator._send_req(request)
            except errors.KafkaError as error:
                outcome: type[errors.KafkaError] = type(error)
            else:
                ((_topic, ((_partition, code),)),) = response.topics
                outcome = errors.for_code(code)
            if outcome is errors.NoError:
                return True
            if outcome in _LOST:
                log.info("%s: %s %d may be another's by now", self._group, *part)
                return False
            if outcome in _MOVED:
                coordinator.coordinator_dead()
            if not is_away(outcome()):
                raise outcome()
            await asyncio.sleep(self._pace.heartbeat / 10)
        log.warning("%s %d will be delivered again: %s", *part, outcome.__name__)
        return False

    async def _leave(self) -> None:
        """Tell the group, if it can be reached; whoever is silent is missed after a while."""
        closing = asyncio.create_task(self._consumer.stop())
        await asyncio.wait((closing,), timeout=_CLOSE_SECONDS)
        if not closing.done():
            log.info("%s: the membership runs out by itself", self._group)
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            await _drop(self._consumer)
        else:
            with contextlib.suppress(errors.KafkaError):
                closing.result()


async def _drop(consumer: AIOKafkaConsumer) -> None:
    """End what a client that couldn't say goodbye has left at work."""
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    tasks = [getattr(coordinator, name, None) for name in _COORDINATOR_TASKS]
    for task in tasks:
        if task is not None:
            task.cancel()
    await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)
    with contextlib.suppress(Exception):
        if fetcher is not None:
            await fetcher.close()
    with contextlib.suppress(Exception):
        await consumer._client.close()


_COORDINATOR_TASKS = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")
_LOST = (errors.UnknownMemberIdError, errors.IllegalGenerationError, errors.RebalanceInProgressError)
_MOVED = (errors.GroupCoordinatorNotAvailableError, errors.NotCoordinatorForGroupError)
