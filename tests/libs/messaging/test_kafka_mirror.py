"""MirrorMaker 2 for real: an instance's Kafka, the national one, and what may go from one to the other."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kafka.broker import Cluster
from deploy.kafka.mirror import MirrorMaker, properties
from libs.messaging.bus import Message
from libs.messaging.kafka.provision import provision_kafka
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.topics import REGISTRATIONS, federated
from tests.libs.messaging.bus_contract import Collector, consuming, message
from tests.waiting import eventually

_STREAMS = federated("laval")


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tournee-kafka-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def clusters(folder: Path) -> Iterator[tuple[Cluster, Cluster]]:
    """The instance's and the national one."""
    subprocess.run(["bash", "deploy/install.sh", "kafka"], check=True)
    both = Cluster(folder / "regional"), Cluster(folder / "national")
    try:
        for cluster in both:
            cluster.start()
        yield both
    finally:
        for cluster in both:
            cluster.stop()


async def test_federated_streams_arrive_unchanged_and_nothing_else_does(
    folder: Path, clusters: tuple[Cluster, Cluster]
) -> None:
    """Also what was said while the mirror was away: it goes on where it stood when it died."""
    regional, national = clusters
    await provision_kafka(regional.url(), "laval", [*_STREAMS.values(), REGISTRATIONS])
    await provision_kafka(national.url(), "laval", [*_STREAMS.values()])
    there = KafkaBus(regional.url(), instance="laval", service="exporter")
    here = KafkaBus(national.url(), instance="national", service="national")
    mirror = MirrorMaker(
        folder / "mirror", properties("laval", regional.url(), national.url(), replication=1)
    )
    seats = _STREAMS["seats"]
    headers = {"ce_id": "federated.seats:é:1:1", "signature": "c2lnbmVk", "ce_keyid": "k1"}
    sent = [Message(seats, "é", b'{"n":1}', "session", headers), Message(seats, "gone", None, "session", {})]
    collector = Collector()
    try:
        mirror.start()
        await there.publish([message(REGISTRATIONS, "a person", "a name"), *sent])
        async with consuming(here, "g", list(_STREAMS.values()), collector):
            await collector.have(2)
            mirror.kill()
            await there.publish([message(seats, "later", str(n)) for n in range(50)])
            mirror.start()
            await eventually(lambda: collector.values[-1] == "49")
        arrived = [one.message for one in collector.received]
        assert arrived[:2] == sent
        # A mirror that died may say some of it again, and never skips any.
        later = [int(one.value or b"") for one in arrived if one.key == "later"]
        assert list(dict.fromkeys(later)) == list(range(50))
        assert set(await here.names()) == {topic.name for topic in _STREAMS.values()}
    finally:
        mirror.stop()
        await there.close()
        await here.close()
