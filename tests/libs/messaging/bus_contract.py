"""What every transport of the bus must do: a test class that each transport inherits unchanged."""

import asyncio
import json
import secrets
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from libs.messaging.bus import Bus, BusUnavailable, Handler, JsonHeaders, Message, Received
from libs.messaging.topics import Topic
from tests.waiting import eventually

ROOT = Path(__file__).parents[3]


class Broker(Protocol):
    """A broker that a test may mistreat; each transport brings its own, running, for each test."""

    factory: str
    """`module:callable` that makes a Bus from `url`, for a process of its own."""
    url: str

    async def create(self, topic: Topic) -> None:
        """Make the stream of `topic`."""

    def bus(self) -> Bus:
        """A new client, as another process would have."""

    async def cut_connections(self) -> None:
        """End every client's connections; the broker stays up."""

    def stop(self) -> None: ...

    def start(self) -> None: ...

    async def compact(self, bus: Bus, topic: Topic, later: timedelta) -> None:
        """Compact as if it were `later` than now."""


class Collector:
    """A handler that keeps what it gets and checks what every batch promises."""

    def __init__(self) -> None:
        self.received: list[Received] = []

    async def __call__(self, batch: Sequence[Received]) -> None:
        assert len({(one.message.topic, one.partition) for one in batch}) == 1
        self.received += batch

    async def have(self, count: int) -> list[Received]:
        await eventually(lambda: len(self.received) >= count, f"{count} messages")
        return self.received

    @property
    def keys(self) -> list[str]:
        return [one.message.key for one in self.received]

    @property
    def values(self) -> list[str | None]:
        return [value.decode() if value is not None else None for value in self._raw]

    @property
    def _raw(self) -> list[bytes | None]:
        return [one.message.value for one in self.received]


class TopicMaker(Protocol):
    async def __call__(self, partitions: int = 8) -> Topic: ...


@asynccontextmanager
async def consuming(bus: Bus, group: str, topics: Sequence[Topic], handler: Handler) -> AsyncIterator[None]:
    """A consumer at work for the length of the block; if it fails, the block fails."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bus.consume(group, topics, handler, stop))
        try:
            yield
        finally:
            stop.set()


async def everything(bus: Bus, group: str, topic: Topic) -> list[Received]:
    """What `group` has yet to read of `topic`, read and acknowledged."""
    collector = Collector()
    async with consuming(bus, group, [topic], collector):
        await nothing_left(bus, group, topic)
    return collector.received


async def nothing_left(bus: Bus, group: str, topic: Topic) -> None:
    async def done() -> bool:
        return await bus.lag(group, [topic]) == 0

    await eventually(done, "everything acknowledged")


def message(topic: Topic, key: str, value: str | None = "", partition_key: str | None = None) -> Message:
    return Message(topic, key, None if value is None else value.encode(), partition_key or key)


def numbered(topic: Topic, key: str, count: int, start: int = 0) -> list[Message]:
    return [message(topic, key, str(number)) for number in range(start, start + count)]


class BusContract:
    """Inherit it as `Test…` and give a `broker` fixture."""

    @pytest.fixture
    def new_topic(self, broker: Broker) -> TopicMaker:
        async def make(partitions: int = 8) -> Topic:
            name = f"t_{secrets.token_hex(6)}"
            topic = Topic(name, writer="both", readers=("both",), partitions=partitions)
            await broker.create(topic)
            return topic

        return make

    @pytest.fixture
    async def topic(self, new_topic: TopicMaker) -> Topic:
        return await new_topic()

    @pytest.fixture
    async def new_bus(self, broker: Broker) -> AsyncIterator[Callable[[], Bus]]:
        async with AsyncExitStack() as stack:

            def make() -> Bus:
                bus = broker.bus()
                stack.push_async_callback(bus.close)
                return bus

            yield make

    @pytest.fixture
    def bus(self, new_bus: Callable[[], Bus]) -> Bus:
        return new_bus()

    # Order

    async def test_messages_of_one_key_arrive_in_order(self, bus: Bus, topic: Topic) -> None:
        for start in range(0, 60, 20):
            await bus.publish(numbered(topic, "a", 20, start) + numbered(topic, "b", 20, start))
        collector = Collector()
        async with consuming(bus, "g", [topic], collector):
            await collector.have(120)
        of_a = [one.message.value for one in collector.received if one.message.key == "a"]
        assert of_a == [str(number).encode() for number in range(60)]

    async def test_messages_that_share_a_partition_key_share_a_partition(
        self, bus: Bus, topic: Topic
    ) -> None:
        await bus.publish([message(topic, f"person {n}", str(n), f"session {n % 3}") for n in range(30)])
        received = await everything(bus, "g", topic)
        by_session = defaultdict(list)
        for one in received:
            by_session[one.message.partition_key].append(one)
        assert {len({one.partition for one in of_one}) for of_one in by_session.values()} == {1}
        for of_one in by_session.values():
            numbers = [int(one.message.value or b"") for one in of_one]
            assert numbers == sorted(numbers)

    async def test_racing_publishers_leave_no_gap_and_keep_their_own_order(
        self, new_bus: Callable[[], Bus], topic: Topic
    ) -> None:
        """The late commit: a reader that is past a position never misses what appears there later."""
        collector = Collector()

        async def publish(publisher: int) -> None:
            bus = new_bus()
            for start in range(0, 200, 4):
                # Several partitions at once, in an order of its own: publishers must not deadlock.
                keys = [f"{publisher}-{(start + publisher) % 5}", f"{publisher}-x", "shared"]
                await bus.publish([message(topic, key, f"{publisher} {start}") for key in keys])

        async with consuming(new_bus(), "g", [topic], collector):
            async with asyncio.TaskGroup() as publishers:
                for publisher in range(6):
                    publishers.create_task(publish(publisher))
            received = await collector.have(6 * 50 * 3)
        assert len({(one.partition, one.offset) for one in received}) == len(received) == 900
        by_partition = defaultdict(list)
        for one in received:
            by_partition[one.partition].append(one)
        for of_one in by_partition.values():
            offsets = [one.offset for one in of_one]
            assert offsets == sorted(offsets)
            for publisher in range(6):
                words = [(one.message.value or b"").decode().split() for one in of_one]
                starts = [int(start) for who, start in words if who == str(publisher)]
                assert starts == sorted(starts)

    async def test_one_batch_may_hold_several_topics(self, bus: Bus, new_topic: TopicMaker) -> None:
        one, two = await new_topic(), await new_topic()
        await bus.publish([message(one, "a"), message(two, "b"), message(one, "c")])
        collector = Collector()
        async with consuming(bus, "g", [one, two], collector):
            await collector.have(3)
        assert sorted((r.message.topic.name, r.message.key) for r in collector.received) == sorted(
            [(one.name, "a"), (one.name, "c"), (two.name, "b")]
        )

    async def test_publishing_nothing_is_nothing(self, bus: Bus) -> None:
        await bus.publish([])

    # What a message carries

    async def test_a_message_arrives_as_it_was_sent(self, bus: Bus, topic: Topic) -> None:
        headers = {"ce_subject": "Île-d’Orléans — « été »", "smile": "😀", "empty": "", "quote": '"\\'}
        sent = Message(topic, "clé 🔑", b"\x00\xff\n", "séance", headers)
        await bus.publish([sent])
        (received,) = await everything(bus, "g", topic)
        assert received.message == sent

    async def test_the_partition_key_is_not_mixed_up_with_the_headers(self, bus: Bus, topic: Topic) -> None:
        """Whoever signs or copies a message needs its headers as they were, and its partition key too."""
        headers = {"ce_id": "sessions:a:1:1", "ce_subject": "a", "partition_key": "somebody’s own header"}
        sent = [Message(topic, "a", b"{}", "a session", headers), Message(topic, "b", None, "", {})]
        await bus.publish(sent)
        received = await everything(bus, "g", topic)
        assert sorted((one.message for one in received), key=lambda one: one.key) == sent

    async def test_a_message_that_was_received_can_be_sent_on(self, bus: Bus, new_topic: TopicMaker) -> None:
        """What a bridge does: another stream gets key, value, headers and partition key unchanged."""
        here, there = await new_topic(), await new_topic()
        await bus.publish([Message(here, "a", b"\xff", "s", {"ce_id": "é"}), message(here, "b", None, "s")])
        for one in await everything(bus, "bridge", here):
            await bus.publish([replace(one.message, topic=there)])
        first, second = await everything(bus, "g", there)
        assert first.message == Message(there, "a", b"\xff", "s", {"ce_id": "é"})
        assert second.message == Message(there, "b", None, "s")

    async def test_big_values_arrive_whole(self, bus: Bus, topic: Topic) -> None:
        big = secrets.token_bytes(700_000)
        await bus.publish([Message(topic, "big", big, "big"), Message(topic, "empty", b"", "big")])
        received = await everything(bus, "g", topic)
        assert [one.message.value for one in received] == [big, b""]

    async def test_tombstones_are_delivered(self, bus: Bus, topic: Topic) -> None:
        await bus.publish([message(topic, "a", "alive"), message(topic, "a", None)])
        received = await everything(bus, "g", topic)
        assert [one.message.value for one in received] == [b"alive", None]

    async def test_each_message_of_a_batch_keeps_its_own_value(self, bus: Bus, topic: Topic) -> None:
        values = ["first", None, "", "été", None, None, "", "last"]
        await bus.publish([message(topic, f"k{n}", value, "one") for n, value in enumerate(values)])
        await bus.publish([message(topic, "k8", None, "one")])
        received = await everything(bus, "g", topic)
        sent = [None if value is None else value.encode() for value in values]
        assert [one.message.value for one in received] == [*sent, None]

    async def test_headers_carried_on_as_json_arrive_as_they_were(self, bus: Bus, topic: Topic) -> None:
        headers = {"ce_subject": "Île « d’été »", "smile": "😀", "quote": '"\\', "comma": "],["}
        carried = [
            Message(topic, "a", b"1", "a", JsonHeaders(json.dumps(headers, indent=1))),
            Message(topic, "a", b"2", "a", headers),
            Message(topic, "a", b"3", "a", JsonHeaders("{}")),
        ]
        await bus.publish(carried)
        received = await everything(bus, "g", topic)
        assert [dict(one.message.headers) for one in received] == [headers, headers, {}]

    # Delivery

    async def test_a_message_reaches_a_consumer_that_waits(self, bus: Bus, topic: Topic) -> None:
        collector = Collector()
        async with consuming(bus, "g", [topic], collector):
            for number in range(5):
                await bus.publish([message(topic, "a", str(number))])
                await collector.have(number + 1)

    async def test_a_batch_is_delivered_again_after_the_handler_raises(self, bus: Bus, topic: Topic) -> None:
        await bus.publish(numbered(topic, "a", 3))
        seen: list[list[bytes | None]] = []

        async def fails_twice(batch: Sequence[Received]) -> None:
            seen.append([one.message.value for one in batch])
            if len(seen) <= 2:
                raise RuntimeError

        async with consuming(bus, "g", [topic], fails_twice):
            await nothing_left(bus, "g", topic)
        assert seen == [[b"0", b"1", b"2"]] * 3

    async def test_other_partitions_go_on_while_one_fails(self, bus: Bus, topic: Topic) -> None:
        keys = [f"k{number}" for number in range(40)]
        await bus.publish([message(topic, key) for key in keys])
        collector = Collector()

        async def fails_for_one(batch: Sequence[Received]) -> None:
            if any(one.message.key == "k0" for one in batch):
                raise RuntimeError
            await collector(batch)

        async with consuming(bus, "g", [topic], fails_for_one):
            await eventually(lambda: len(collector.received) > 20)
            await bus.publish([message(topic, key, "later") for key in keys])
            await eventually(lambda: collector.values.count("later") > 20)
        assert "k0" not in collector.keys
        assert 0 < await bus.lag("g", [topic]) < 80

    async def test_partitions_are_handled_at_the_same_time(self, bus: Bus, topic: Topic) -> None:
        await bus.publish([message(topic, f"k{number}") for number in range(40)])
        at_work: set[int] = set()
        together = asyncio.Event()

        async def waits_for_a_second(batch: Sequence[Received]) -> None:
            assert batch[0].partition not in at_work, "one batch of a partition at a time"
            at_work.add(batch[0].partition)
            if len(at_work) > 1:
                together.set()
            await together.wait()
            at_work.remove(batch[0].partition)

        async with consuming(bus, "g", [topic], waits_for_a_second):
            await nothing_left(bus, "g", topic)

    async def test_a_new_group_reads_from_the_start(self, bus: Bus, topic: Topic) -> None:
        await bus.publish(numbered(topic, "a", 5))
        assert len(await everything(bus, "first", topic)) == 5
        assert len(await everything(bus, "second", topic)) == 5

    async def test_groups_read_independently(self, bus: Bus, topic: Topic) -> None:
        await bus.publish(numbered(topic, "a", 5))
        quick = Collector()

        async def stuck(batch: Sequence[Received]) -> None:
            raise RuntimeError

        async with consuming(bus, "stuck", [topic], stuck), consuming(bus, "quick", [topic], quick):
            await quick.have(5)
            await nothing_left(bus, "quick", topic)
        assert await bus.lag("stuck", [topic]) == 5

    async def test_lag_counts_what_is_not_acknowledged(self, bus: Bus, topic: Topic) -> None:
        assert await bus.lag("g", [topic]) == 0
        await bus.publish([message(topic, f"k{number}") for number in range(7)])
        assert await bus.lag("g", [topic]) == 7
        await everything(bus, "g", topic)
        await bus.publish([message(topic, "k1"), message(topic, "k2")])
        assert await bus.lag("g", [topic]) == 2

    async def test_reading_resumes_after_a_restart_without_loss(
        self, new_bus: Callable[[], Bus], topic: Topic
    ) -> None:
        collector = Collector()
        for start in range(0, 60, 20):
            await new_bus().publish(numbered(topic, "a", 20, start))
            async with consuming(new_bus(), "g", [topic], collector):
                await collector.have(start + 20)
            # Outside the block: a batch that was handled when the stop came is acknowledged.
        assert collector.values == [str(number) for number in range(60)]

    # What there is

    async def test_the_streams_of_the_bus_are_listed_by_name(self, bus: Bus, new_topic: TopicMaker) -> None:
        made = {(await new_topic()).name for _ in range(2)}
        names = await bus.names()
        assert made <= set(names)
        assert list(names) == sorted(set(names))
        assert all(name == name.strip("_") and "__consumer_offsets" not in name for name in names)

    # Groups of several members

    async def test_members_share_the_partitions(self, new_bus: Callable[[], Bus], topic: Topic) -> None:
        one, two = Collector(), Collector()
        publisher = new_bus()

        async def shared_evenly() -> bool:
            one.received.clear()
            two.received.clear()
            await publisher.publish([message(topic, f"k{number}") for number in range(40)])
            await nothing_left(publisher, "g", topic)
            return len(_partitions(one)) == len(_partitions(two)) == 4

        async with consuming(new_bus(), "g", [topic], one), consuming(new_bus(), "g", [topic], two):
            # Until both have settled, a lease may change hands between two batches.
            await eventually(shared_evenly)
            assert _partitions(one).isdisjoint(_partitions(two))
            assert sorted(one.keys + two.keys) == sorted(f"k{number}" for number in range(40))

    async def test_a_member_that_leaves_hands_over_everything(
        self, new_bus: Callable[[], Bus], topic: Topic
    ) -> None:
        stays, leaves = Collector(), Collector()
        bus = new_bus()
        async with consuming(new_bus(), "g", [topic], stays):
            async with consuming(new_bus(), "g", [topic], leaves):

                async def leaver_has_some() -> bool:
                    await bus.publish([message(topic, f"k{number}") for number in range(40)])
                    return bool(leaves.received)

                await eventually(leaver_has_some)
            await nothing_left(bus, "g", topic)
            stays.received.clear()
            await bus.publish([message(topic, f"k{number}") for number in range(40)])
            await stays.have(40)

    async def test_the_partitions_of_a_dead_member_are_taken_over(
        self, broker: Broker, bus: Bus, topic: Topic
    ) -> None:
        await bus.publish([message(topic, f"k{number}") for number in range(40)])
        member = await _start_member(broker, "g", topic)
        try:
            assert member.stdout is not None
            # It takes everything, acknowledges nothing and then dies without a word.
            assert await member.stdout.readline() == b"reading\n"
        finally:
            member.kill()
            await member.communicate()
        survivor = Collector()
        async with consuming(bus, "g", [topic], survivor):
            await survivor.have(40)
        assert sorted(survivor.keys) == sorted(f"k{number}" for number in range(40))

    # Replay and compaction

    async def test_rewind_replays_the_current_state(self, broker: Broker, bus: Bus, topic: Topic) -> None:
        await bus.publish(numbered(topic, "a", 3) + numbered(topic, "b", 3) + [message(topic, "b", None)])
        assert len(await everything(bus, "g", topic)) == 7
        await broker.compact(bus, topic, timedelta(days=2))
        await bus.rewind("g", [topic])
        replayed = await everything(bus, "g", topic)
        assert sorted((one.message.key, one.message.value) for one in replayed) == [("a", b"2"), ("b", None)]

    async def test_rewind_reaches_a_group_that_is_reading(self, bus: Bus, topic: Topic) -> None:
        await bus.publish(numbered(topic, "a", 3))
        collector = Collector()
        async with consuming(bus, "g", [topic], collector):
            await nothing_left(bus, "g", topic)
            await bus.rewind("g", [topic])
            await collector.have(6)
        assert collector.values == ["0", "1", "2"] * 2

    async def test_rewind_leaves_other_groups_alone(self, bus: Bus, topic: Topic) -> None:
        await bus.publish(numbered(topic, "a", 3))
        await everything(bus, "g", topic)
        await everything(bus, "other", topic)
        await bus.rewind("g", [topic])
        assert await bus.lag("g", [topic]) == 3
        assert await bus.lag("other", [topic]) == 0

    async def test_compaction_keeps_the_newest_of_each_key(
        self, broker: Broker, bus: Bus, topic: Topic
    ) -> None:
        await bus.publish([message(topic, "gone", "x"), message(topic, "gone", None)])
        await bus.publish(numbered(topic, "a", 3) + numbered(topic, "b", 1))
        await broker.compact(bus, topic, timedelta(hours=1))
        assert await bus.lag("before the lag", [topic]) == 6
        await broker.compact(bus, topic, topic.compaction_lag + timedelta(minutes=1))
        overtaken_gone = await everything(bus, "overtaken gone", topic)
        assert sorted((one.message.key, one.message.value) for one in overtaken_gone) == [
            ("a", b"2"),
            ("b", b"0"),
            ("gone", None),
        ]

    async def test_compaction_takes_tombstones_once_they_have_lain_long_enough(
        self, broker: Broker, bus: Bus, topic: Topic
    ) -> None:
        await bus.publish([message(topic, "gone", "x"), message(topic, "gone", None), message(topic, "a")])
        await broker.compact(bus, topic, topic.tombstone_retention + timedelta(minutes=1))
        assert [one.message.key for one in await everything(bus, "g", topic)] == ["a"]

    async def test_a_group_that_is_behind_gets_over_what_compaction_removed(
        self, broker: Broker, bus: Bus, topic: Topic
    ) -> None:
        await bus.publish(numbered(topic, "a", 5))
        await everything(bus, "g", topic)
        await bus.publish(numbered(topic, "a", 5, 5))
        await broker.compact(bus, topic, timedelta(days=2))
        received = await everything(bus, "g", topic)
        assert [one.message.value for one in received] == [b"9"]

    # A broker in trouble

    async def test_consuming_and_publishing_go_on_after_connections_are_cut(
        self, broker: Broker, bus: Bus, topic: Topic
    ) -> None:
        collector = Collector()
        async with consuming(bus, "g", [topic], collector):
            await bus.publish([message(topic, "a", "before")])
            await collector.have(1)
            await broker.cut_connections()
            await published(bus, [message(topic, "a", "after")])
            await eventually(lambda: "after" in collector.values)

    async def test_consuming_and_publishing_go_on_after_the_broker_restarts(
        self, broker: Broker, bus: Bus, topic: Topic
    ) -> None:
        collector = Collector()
        async with consuming(bus, "g", [topic], collector):
            await bus.publish([message(topic, "a", "before")])
            await collector.have(1)
            broker.stop()
            with pytest.raises(BusUnavailable):
                await bus.publish([message(topic, "a", "while it is away")])
            broker.start()
            await published(bus, [message(topic, "a", "after")])
            await eventually(lambda: "after" in collector.values)
        assert "before" in collector.values

    async def test_a_consumer_may_start_before_the_broker(
        self, broker: Broker, bus: Bus, topic: Topic
    ) -> None:
        collector = Collector()
        broker.stop()
        async with consuming(bus, "g", [topic], collector):
            with pytest.raises(BusUnavailable):
                await bus.lag("g", [topic])
            broker.start()
            await published(bus, [message(topic, "a")])
            await collector.have(1)

    async def test_consuming_stops_while_the_broker_is_away(
        self, broker: Broker, bus: Bus, topic: Topic
    ) -> None:
        async with consuming(bus, "g", [topic], Collector()):
            await bus.publish([message(topic, "a")])
            await nothing_left(bus, "g", topic)
            broker.stop()

    async def test_consuming_stops_though_a_handler_hangs(self, bus: Bus, topic: Topic) -> None:
        await bus.publish([message(topic, "a")])
        entered, cancelled = asyncio.Event(), asyncio.Event()

        async def hangs(batch: Sequence[Received]) -> None:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async with consuming(bus, "g", [topic], hangs):
            await entered.wait()
        assert cancelled.is_set()
        assert len(await everything(bus, "g", topic)) == 1

    async def test_consuming_stops_though_a_handler_keeps_failing(self, bus: Bus, topic: Topic) -> None:
        await bus.publish([message(topic, "a")])
        failures = 0

        async def fails(batch: Sequence[Received]) -> None:
            nonlocal failures
            failures += 1
            raise RuntimeError

        async with consuming(bus, "g", [topic], fails):
            await eventually(lambda: failures > 2)

    async def test_a_batch_at_work_when_the_stop_comes_is_acknowledged(self, bus: Bus, topic: Topic) -> None:
        await bus.publish(numbered(topic, "a", 3))
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def works(batch: Sequence[Received]) -> None:
            entered.set()
            await go_on.wait()

        async with consuming(bus, "g", [topic], works):
            await entered.wait()
            asyncio.get_running_loop().call_soon(go_on.set)
        assert await bus.lag("g", [topic]) == 0

    async def test_a_cancelled_consumer_lets_go(self, bus: Bus, topic: Topic) -> None:
        await bus.publish([message(topic, "a")])
        collector = Collector()
        task = asyncio.create_task(bus.consume("g", [topic], collector, asyncio.Event()))
        await collector.have(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await bus.publish([message(topic, "b")])
        assert "b" in [one.message.key for one in await everything(bus, "g", topic)]


def _partitions(collector: Collector) -> set[int]:
    return {one.partition for one in collector.received}


async def published(bus: Bus, messages: Sequence[Message]) -> None:
    """Publish as the relay does: again and again, until it went through."""

    async def done() -> bool:
        try:
            await bus.publish(messages)
        except BusUnavailable:
            return False
        return True

    await eventually(done, "published")


_MEMBER = """
import asyncio, importlib, json, sys
from libs.messaging.topics import Topic

async def main(factory, url, group, topic):
    module, _, name = factory.partition(":")
    bus = getattr(importlib.import_module(module), name)(url)

    async def never_ends(batch):
        print("reading", flush=True)
        await asyncio.Event().wait()

    await bus.consume(group, [Topic(*topic[:2], tuple(topic[2]), topic[3])], never_ends, asyncio.Event())

asyncio.run(main(*json.loads(sys.argv[1])))
"""


async def _start_member(broker: Broker, group: str, topic: Topic) -> asyncio.subprocess.Process:
    """A member in a process of its own, which can die like one."""
    fields = [topic.name, topic.writer, topic.readers, topic.partitions]
    arguments = json.dumps([broker.factory, broker.url, group, fields])
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _MEMBER, arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
