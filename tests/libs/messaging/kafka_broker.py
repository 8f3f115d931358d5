"""The Kafka of a test, to be mistreated: see `bus_contract.Broker`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import ConsumerRecord, TopicPartition

from deploy.kafka.broker import Cluster
from libs.messaging.bus import Bus
from libs.messaging.kafka.address import read_address
from libs.messaging.kafka.names import Names
from libs.messaging.kafka.provision import config_of, provision_kafka
from libs.messaging.kafka.records import unpacked
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.topics import Topic
from tests.cuttable import CuttableLine
from tests.waiting import eventually

INSTANCE = "contract"
NAMES = Names(INSTANCE, "both")


def bus_of(url: str) -> KafkaBus:
    """What the tests call a bus: patient enough for a slow machine, quick to see that a broker is away."""
    return KafkaBus(url, instance=INSTANCE, service="both", delivery_seconds=5)


@dataclass
class KafkaBroker:
    """`cluster` and `line` are those of a broker of our own; a given one has none and isn't mistreated."""

    url: str
    cluster: Cluster | None = None
    line: CuttableLine | None = None
    factory: str = "tests.libs.messaging.kafka_broker:bus_of"
    running: bool = True

    async def create(self, topic: Topic) -> None:
        await provision_kafka(self.url, INSTANCE, [topic])

    def bus(self) -> KafkaBus:
        return bus_of(self.url)

    async def cut_connections(self) -> None:
        assert self.line is not None
        self.line.cut()

    def stop(self) -> None:
        assert self.cluster is not None
        self.running = False
        self.cluster.stop()

    def start(self) -> None:
        assert self.cluster is not None
        self.cluster.start()
        self.running = True

    async def compact(self, bus: Bus, topic: Topic, later: timedelta) -> None:
        """Shorten every wait by `later` and let the broker's own cleaner do what is due then."""
        assert isinstance(bus, KafkaBus)
        kept = config_of(topic, 1)
        for setting in ("segment.ms", "max.compaction.lag.ms", "delete.retention.ms"):
            least = 0 if setting.startswith("delete") else 1
            kept[setting] = str(max(least, int(kept[setting]) - round(later.total_seconds() * 1000)))
        await alter(self.url, topic, kept)
        if later <= topic.compaction_lag:
            return
        without_tombstones = later > topic.tombstone_retention

        async def compacted() -> bool:
            # A mark begins a new segment, so that the one before can be compacted.
            await bus.mark([topic])
            return _is_compact(await records(self.url, topic), topic, without_tombstones)

        await eventually(compacted, "compacted")


async def alter(url: str, topic: Topic, config: dict[str, str]) -> None:
    """Give the topic on the broker exactly these settings, and wait until it goes by them."""
    admin = AIOKafkaAdminClient(**read_address(url).options())
    await admin.start()
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, NAMES.topic(topic), config)
        for response in await admin.alter_configs([resource]):
            assert all(code == 0 for code, *_ in response.resources), response
        name = ConfigResource(ConfigResourceType.TOPIC, NAMES.topic(topic))

        async def in_force() -> bool:
            ((_, _, _, _, entries),) = (await admin.describe_configs([name]))[0].resources
            return config.items() <= {entry[0]: entry[1] for entry in entries}.items()

        await eventually(in_force)
    finally:
        await admin.close()


async def records(url: str, topic: Topic) -> "Sequence[ConsumerRecord[bytes, bytes]]":
    """Everything that lies on the broker, marks included, without joining a group."""
    parts = [TopicPartition(NAMES.topic(topic), number) for number in range(topic.partitions)]
    consumer = AIOKafkaConsumer(
        auto_offset_reset="earliest", fetch_max_wait_ms=50, **read_address(url).options()
    )
    await consumer.start()
    try:
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        await consumer.seek_to_beginning(*parts)
        found: list[ConsumerRecord[bytes, bytes]] = []
        deadline = time.monotonic() + 60
        while any([await consumer.position(part) < ends[part] for part in parts]):
            assert time.monotonic() < deadline, "the end was never reached"
            for of_part in (await consumer.getmany(timeout_ms=50)).values():
                found += of_part
        return found
    finally:
        await consumer.stop()


def _is_compact(
    found: "Sequence[ConsumerRecord[bytes, bytes]]", topic: Topic, without_tombstones: bool
) -> bool:
    messages = [one.message for record in found if (one := unpacked(topic, record)) is not None]
    keys = [message.key for message in messages]
    tombstones = [message for message in messages if message.value is None]
    return len(keys) == len(set(keys)) and not (without_tombstones and tombstones)
