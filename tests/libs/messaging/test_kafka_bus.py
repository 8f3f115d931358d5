"""The Kafka transport on a real Apache Kafka: the contract, and what is its own."""

import asyncio
import inspect
import logging
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from aiokafka import errors
from aiokafka.client import AIOKafkaClient

from deploy.kafka.broker import Cluster
from libs.messaging.bus import BusUnavailable, Received
from libs.messaging.kafka.consumer import Pace
from libs.messaging.kafka.provision import CannotServe, config_of, provision_kafka
from libs.messaging.kafka.records import unpacked
from libs.messaging.kafka.starting import started
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.kafka.troubles import hold_back
from libs.messaging.partitions import partition_of
from libs.messaging.topics import Topic, federated
from tests.cuttable import cuttable_line
from tests.libs.messaging.bus_contract import (
    BusContract,
    Collector,
    TopicMaker,
    consuming,
    everything,
    message,
    nothing_left,
    numbered,
    published,
)
from tests.libs.messaging.kafka_broker import INSTANCE, KafkaBroker, alter, bus_of, records
from tests.waiting import eventually


@pytest.fixture(scope="module")
def own_broker() -> Iterator[KafkaBroker]:
    """A broker of this module's own, since the contract stops it and cuts its connections."""
    subprocess.run(["bash", "deploy/install.sh", "kafka"], check=True)
    folder = Path(tempfile.mkdtemp(prefix="tournee-kafka-"))
    with cuttable_line() as line:
        cluster = Cluster(folder, advertised=line.port)
        line.to(cluster.nodes[0].port)
        try:
            cluster.start()
            yield KafkaBroker(cluster.url(), cluster, line)
        finally:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[KafkaBroker]:
    """KAFKA_BOOTSTRAP's broker when there is one, except for tests that do something to it."""
    given = os.environ.get("KAFKA_BOOTSTRAP")
    if given and "broker" not in inspect.signature(request.function).parameters:
        yield KafkaBroker(f"kafka://{given}")
        return
    broker: KafkaBroker = request.getfixturevalue("own_broker")
    yield broker
    if not broker.running:
        broker.start()


class TestKafkaBus(BusContract):
    """The contract on Kafka."""


class TestPlaces:
    """Where messages lie."""

    @pytest.fixture
    def new_topic(self, broker: KafkaBroker) -> TopicMaker:
        return BusContract.new_topic.__wrapped__(None, broker)  # type: ignore[attr-defined]

    async def test_partitions_are_those_of_every_transport(self, broker: KafkaBroker) -> None:
        topic = Topic("same_partitions", "both", ("both",))
        await broker.create(topic)
        bus = broker.bus()
        sent = [message(topic, f"k{number}", str(number), f"session {number % 5}") for number in range(20)]
        await bus.publish(sent)
        await bus.close()
        for one in await records(broker.url, topic):
            received = unpacked(topic, one)
            assert received is not None
            assert one.partition == partition_of(received.message)

    async def test_a_record_is_a_cloud_event_in_binary_mode(self, broker: KafkaBroker) -> None:
        topic = Topic("cloud_events", "both", ("both",))
        await broker.create(topic)
        bus = broker.bus()
        await bus.publish([message(topic, "a", "1", "the session")])
        await bus.close()
        (record,) = await records(broker.url, topic)
        assert (record.key, record.value) == (b"a", b"1")
        assert dict(record.headers) == {"ce_partitionkey": b"the session"}

    async def test_federated_streams_have_the_same_name_everywhere(self, broker: KafkaBroker) -> None:
        theirs = federated("estrie")["seats"]
        await broker.create(theirs)
        bus = KafkaBus(broker.url, instance="laval", service="national")
        names = await bus.names()
        await bus.close()
        assert "estrie.federated.seats" in names
        assert not any(name.startswith(INSTANCE) for name in names)


class TestOutages:
    """What an operator reads while a broker is away."""

    @pytest.fixture
    async def topic(self, broker: KafkaBroker, request: pytest.FixtureRequest) -> Topic:
        topic = Topic(f"o_{request.function.__name__[:60]}", "both", ("both",))
        await broker.create(topic)
        return topic

    async def test_an_outage_is_said_once_and_its_end_too(
        self, broker: KafkaBroker, topic: Topic, caplog: pytest.LogCaptureFixture
    ) -> None:
        bus, collector = broker.bus(), Collector()

        def said(text: str) -> int:
            return sum(text in record.getMessage() for record in caplog.records)

        try:
            async with consuming(bus, "g", [topic], collector):
                await bus.publish([message(topic, "a", "before")])
                await collector.have(1)
                broker.stop()
                await eventually(lambda: said("Kafka doesn't answer"))
                for _ in range(2):
                    with pytest.raises(BusUnavailable):
                        await bus.publish([message(topic, "a", "while it is away")])
                assert said("answers again") == 0
                broker.start()
                await eventually(lambda: said("Kafka answers again"))
                await published(bus, [message(topic, "a", "after")])
                await eventually(lambda: "after" in collector.values)
        finally:
            await bus.close()
        assert (said("Kafka doesn't answer"), said("Kafka answers again")) == (1, 1)
        others = [record.getMessage() for record in caplog.records if record.name.startswith("aiokafka")]
        assert others == []

    async def test_what_the_client_says_of_anything_else_is_not_held_back(
        self, broker: KafkaBroker, topic: Topic, caplog: pytest.LogCaptureFixture
    ) -> None:
        bus = broker.bus()
        try:
            await bus.publish([message(topic, "a", "1")])
            client = logging.getLogger("aiokafka")
            client.error("Topic %s is not authorized for this client", "seats")
            client.error("Unable connect to node with id %s: %s", 1, errors.NodeNotReadyError())
        finally:
            await bus.close()
        assert [record.getMessage() for record in caplog.records if record.name == "aiokafka"] == [
            "Topic seats is not authorized for this client"
        ]

    async def test_nothing_is_held_back_where_nobody_looks_into_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        hold_back()
        logging.getLogger("aiokafka").error("Unable connect to node with id %s: %s", 1, OSError("refused"))
        assert [record.getMessage() for record in caplog.records] == [
            "Unable connect to node with id 1: refused"
        ]


class TestMembership:
    """Groups whose members come, go and are shown the door while handlers are at work."""

    async def test_nothing_is_acknowledged_for_a_partition_that_was_lost(
        self, broker: KafkaBroker, topic: Topic
    ) -> None:
        """A handler that finishes after its member lost the partition changes nothing about the group."""
        bus = bus_of(broker.url)
        await bus.publish(numbered(topic, "a", 3))
        entered, go_on, seen = asyncio.Event(), asyncio.Event(), []

        async def slow(batch: Sequence[Received]) -> None:
            seen.append(len(batch))
            entered.set()
            await go_on.wait()

        async with consuming(bus, "lost", [topic], slow):
            await entered.wait()
            await bus.rewind("lost", [topic])
            go_on.set()
            # Finished without effect, delivered again to the member that came in anew.
            await eventually(lambda: len(seen) > 1)
            await nothing_left(bus, "lost", topic)
        assert seen[:2] == [3, 3]
        await bus.close()

    async def test_a_rebalance_waits_for_the_handlers_at_work(
        self, broker: KafkaBroker, topic: Topic
    ) -> None:
        """Members come and go all the time; no partition is in two hands, nothing is lost or overtaken."""
        publisher = bus_of(broker.url)
        at_work: dict[int, str] = {}
        in_two_hands: list[int] = []
        handled: dict[str, list[int]] = defaultdict(list)

        def member(name: str) -> Callable[[Sequence[Received]], object]:
            async def handle(batch: Sequence[Received]) -> None:
                partition = batch[0].partition
                if at_work.get(partition) is not None:
                    in_two_hands.append(partition)
                at_work[partition] = name
                try:
                    for one in batch:
                        # Long enough that a rebalance meets handlers at work.
                        await asyncio.sleep(0.002)
                        handled[one.message.key].append(int(one.message.value or b""))
                finally:
                    at_work.pop(partition, None)

            return handle

        async def publish() -> None:
            for start in range(0, 200, 10):
                await publisher.publish(
                    [one for key in range(12) for one in numbered(topic, f"k{key}", 10, start)]
                )

        async def come_and_go(name: str) -> None:
            for _ in range(3):
                bus = bus_of(broker.url)
                before = sum(map(len, handled.values()))
                async with consuming(bus, "busy", [topic], member(name)):  # type: ignore[arg-type]
                    await eventually(lambda: sum(map(len, handled.values())) > before)  # noqa: B023
                await bus.close()

        stays = bus_of(broker.url)
        async with consuming(stays, "busy", [topic], member("stays")):  # type: ignore[arg-type]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(publish())
                tasks.create_task(come_and_go("one"))
                tasks.create_task(come_and_go("two"))
            await nothing_left(publisher, "busy", topic)
        assert in_two_hands == []
        for numbers in handled.values():
            # A batch that was cut short comes again from its start; what is new comes in order.
            assert _first_times(numbers) == list(range(200))
        await stays.close()
        await publisher.close()

    async def test_a_handler_that_takes_too_long_is_cancelled_at_a_handover(
        self, broker: KafkaBroker, topic: Topic
    ) -> None:
        bus = KafkaBus(broker.url, instance=INSTANCE, service="both", pace=Pace(handover=0.2))
        await bus.publish(numbered(topic, "a", 2))
        entered, cancelled = asyncio.Event(), asyncio.Event()

        async def hangs_once(batch: Sequence[Received]) -> None:
            if cancelled.is_set():
                return
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        other = bus_of(broker.url)
        async with consuming(bus, "handover", [topic], hangs_once):
            await entered.wait()
            async with consuming(other, "handover", [topic], hangs_once):
                await cancelled.wait()
                await nothing_left(other, "handover", topic)
        await other.close()
        await bus.close()

    @pytest.fixture
    async def topic(self, broker: KafkaBroker, request: pytest.FixtureRequest) -> Topic:
        topic = Topic(f"m_{request.function.__name__[:60]}", "both", ("both",))
        await broker.create(topic)
        return topic


def _first_times(numbers: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


class TestStarting:
    """The first words with a broker, on a line that holds what it answers to the second of them."""

    async def test_a_client_called_off_in_its_first_words_leaves_no_connection(
        self, broker: KafkaBroker
    ) -> None:
        held, go_on, open_lines = asyncio.Event(), asyncio.Event(), set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection(
                *broker.url.removeprefix("kafka://").split(":")
            )

            async def back() -> None:
                for number in range(1_000):
                    size = await far_reader.readexactly(4)
                    answer = await far_reader.readexactly(int.from_bytes(size))
                    if number == 1:
                        held.set()
                        await go_on.wait()
                    writer.write(size + answer)

            open_lines.add(writer)
            answering = asyncio.create_task(back())
            while data := await reader.read(65536):
                far_writer.write(data)
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            for one in (writer, far_writer):
                one.close()
            open_lines.discard(writer)

        async with await asyncio.start_server(connected, "127.0.0.1") as line:
            port = line.sockets[0].getsockname()[1]
            client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{port}")
            starting = asyncio.create_task(started(client.bootstrap()))
            await held.wait()
            starting.cancel()
            # The client sees that it is called off before it gets its answer.
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(starting, return_exceptions=True)
            assert starting.cancelled()
            await client.close()
            await eventually(lambda: not open_lines)


class TestCompaction:
    """Kafka's own, and what we do so that it comes round on a partition where nothing happens."""

    async def test_marks_let_a_quiet_partition_be_compacted(self, broker: KafkaBroker) -> None:
        topic = Topic(
            "quiet",
            "both",
            ("both",),
            partitions=2,
            compaction_lag=timedelta(seconds=2),
            tombstone_retention=timedelta(seconds=1),
        )
        await broker.create(topic)
        bus = bus_of(broker.url)
        await bus.publish(
            [message(topic, "a", "a name"), message(topic, "a", None), message(topic, "b", "1")]
        )
        stop = asyncio.Event()

        async def erased() -> bool:
            left = await records(broker.url, topic)
            return all(one.value != b"a name" and one.key != b"a" for one in left)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.run_compaction([topic], stop))
            await eventually(erased, "the name and its tombstone are gone")
            stop.set()
        assert [one.message.key for one in await everything(bus, "g", topic)] == ["b"]
        await bus.close()

    async def test_marks_are_nobodys_business(self, broker: KafkaBroker) -> None:
        topic = Topic("marked", "both", ("both",), partitions=3)
        await broker.create(topic)
        bus = bus_of(broker.url)
        await bus.mark([topic])
        await bus.publish([message(topic, "a", "1")])
        await bus.mark([topic])
        received = await everything(bus, "g", topic)
        assert [one.message.key for one in received] == ["a"]
        assert await bus.lag("g", [topic]) == 0
        await bus.close()


class TestProvision:
    """Topics are made as declared, or the start says what is wrong with them."""

    async def test_topics_are_made_as_declared(self, broker: KafkaBroker) -> None:
        topic = Topic("declared", "both", ("both",), partitions=3)
        assert config_of(topic, 3) == {
            "cleanup.policy": "compact",
            "segment.ms": "43200000",
            "max.compaction.lag.ms": "43200000",
            "delete.retention.ms": "432000000",
            "min.insync.replicas": "2",
        }
        await broker.create(topic)
        # A second start finds them so, and changes nothing.
        await broker.create(topic)

    @pytest.mark.parametrize(
        ("there", "wanted", "says"),
        [
            (
                Topic("parts", "both", ()),
                Topic("parts", "both", (), partitions=4),
                "8 partitions au lieu de 4",
            ),
            (
                Topic("kept", "both", ()),
                Topic("kept", "both", (), tombstone_retention=timedelta(days=1)),
                "delete.retention.ms=432000000 au lieu de 86400000",
            ),
            (
                Topic("lag", "both", ()),
                Topic("lag", "both", (), compaction_lag=timedelta(days=2)),
                "max.compaction.lag.ms=43200000 au lieu de 86400000",
            ),
        ],
        ids=["partitions", "tombstones", "lag"],
    )
    async def test_a_topic_that_is_other_than_declared_is_named(
        self, broker: KafkaBroker, there: Topic, wanted: Topic, says: str
    ) -> None:
        await broker.create(there)
        with pytest.raises(CannotServe) as refused:
            await broker.create(wanted)
        assert f"le sujet {INSTANCE}.{there.name} a " in str(refused.value)
        assert says in str(refused.value)

    async def test_a_topic_that_throws_old_messages_away_is_refused(self, broker: KafkaBroker) -> None:
        topic = Topic("policy", "both", ())
        await broker.create(topic)
        await alter(broker.url, topic, config_of(topic, 1) | {"cleanup.policy": "delete"})
        with pytest.raises(CannotServe, match=r"cleanup\.policy=delete au lieu de compact"):
            await broker.create(topic)

    async def test_more_copies_than_brokers_are_refused(self, broker: KafkaBroker) -> None:
        topic = Topic("copies", "both", ())
        with pytest.raises(CannotServe, match="KAFKA_REPLICATION"):
            await provision_kafka(broker.url, INSTANCE, [topic], replication=3)

    async def test_a_kafka_that_is_not_there_is_named(self) -> None:
        with pytest.raises(CannotServe, match="ne répond pas"):
            await provision_kafka("kafka://127.0.0.1:9", INSTANCE, [])
