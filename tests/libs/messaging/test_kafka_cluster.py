"""Three brokers with `min.insync.replicas=2`: one dies in the middle, nothing is lost or overtaken."""

import asyncio
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kafka.broker import Cluster
from libs.messaging.bus import BusUnavailable
from libs.messaging.kafka.provision import provision_kafka
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.topics import Topic
from tests.libs.messaging.bus_contract import Collector, consuming, message, nothing_left
from tests.waiting import eventually

_TOPIC = Topic("stream", "both", ("both",), partitions=6)
_KEYS = [f"session {number}" for number in range(24)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    subprocess.run(["bash", "deploy/install.sh", "kafka"], check=True)
    folder = Path(tempfile.mkdtemp(prefix="tournee-kafka-"))
    cluster = Cluster(folder, nodes=3)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("victim", [0, 1], ids=["first", "second"])
async def test_a_broker_that_dies_loses_and_reorders_nothing(cluster: Cluster, victim: int) -> None:
    await provision_kafka(cluster.url(), "three", [_TOPIC])
    writer = KafkaBus(cluster.url(), instance="three", service="both")
    reader = KafkaBus(cluster.url(), instance="three", service="both")
    collector = Collector()
    said = 0

    async def say(until: asyncio.Event) -> None:
        nonlocal said
        while not until.is_set():
            batch = [message(_TOPIC, key, str(said)) for key in _KEYS]
            # As the relay does: the same again until it went through, and only then the next.
            while True:
                try:
                    await writer.publish(batch)
                    break
                except BusUnavailable:
                    continue
            said += 1

    enough = asyncio.Event()
    async with consuming(reader, "g", [_TOPIC], collector), asyncio.TaskGroup() as tasks:
        tasks.create_task(say(enough))
        await collector.have(20 * len(_KEYS))
        cluster.nodes[victim].kill()
        before = said
        await eventually(lambda: said > before + 50)
        await eventually(lambda: len(collector.received) > (before + 50) * len(_KEYS))
        # It comes back, catches up, and another one may go.
        cluster.start()
        before = said
        await eventually(lambda: said > before + 20)
        enough.set()
        await eventually(lambda: _heard(collector) == _all_of(said))
        # Nor does an older state lie behind a newer one: compaction would keep the wrong one.
        last = {one.message.key: int(one.message.value or b"") for one in collector.received}
        assert last == dict.fromkeys(_KEYS, said - 1)
    await nothing_left(reader, "g", _TOPIC)
    await writer.close()
    await reader.close()


def _all_of(said: int) -> dict[str, list[int]]:
    return {key: list(range(said)) for key in _KEYS}


def _heard(collector: Collector) -> dict[str, list[int]]:
    """What each key said, each number at its first time."""
    heard: dict[str, dict[int, None]] = defaultdict(dict)
    for one in collector.received:
        heard[one.message.key].setdefault(int(one.message.value or b""))
    return {key: list(numbers) for key, numbers in heard.items()}
