"""TLS, SCRAM and permissions on a real broker whose authorizer refuses whatever wasn't given."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from deploy.kafka import acls
from deploy.kafka.broker import Cluster, Guard
from libs.messaging.bus import BusUnavailable
from libs.messaging.kafka.provision import CannotServe, provision_kafka
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.topics import ALL, REACH, REGISTRATIONS, SEATS, SESSION_ACCESS, SESSIONS, federated
from tests.kafka_certificate import certify
from tests.libs.messaging.bus_contract import Collector, everything, message

_SERVICES = ("events", "registrations", "notifications", "exporter", "bridge", "national")
_INSTANCES = ("estrie", "laval")
_ACCOUNTS = [f"{instance}.{service}" for instance in _INSTANCES for service in _SERVICES]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """TLS for clients, SCRAM accounts, nothing allowed that isn't given."""
    subprocess.run(["bash", "deploy/install.sh", "kafka"], check=True)
    folder = Path(tempfile.mkdtemp(prefix="tournee-kafka-"))
    passwords = {name: f"secret@of/{name}" for name in (*_ACCOUNTS, *_INSTANCES, "national")}
    cluster = Cluster(folder / "kafka", guard=Guard(passwords, certificate=certify(folder)))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def made(cluster: Cluster) -> None:
    """Both instances' topics and permissions, as an operator makes them."""
    for instance in _INSTANCES:
        await provision_kafka(cluster.url(), instance, [*ALL, *federated(instance).values()])
        await acls.apply(cluster.url(), acls.of_instance(instance))


@pytest.fixture
async def bus_as(cluster: Cluster, made: None) -> AsyncIterator[Callable[..., KafkaBus]]:
    async with AsyncExitStack() as stack:

        def make(instance: str, service: str, *, pretends: str | None = None) -> KafkaBus:
            """The bus of an account; `pretends` is the instance whose names it uses."""
            bus = KafkaBus(
                cluster.url(f"{instance}.{service}"),
                instance=pretends or instance,
                service=service,
                delivery_seconds=5,
            )
            stack.push_async_callback(bus.close)
            return bus

        yield make


async def test_a_writer_writes_and_a_reader_reads(bus_as: Callable[..., KafkaBus]) -> None:
    await bus_as("estrie", "events").publish([message(SESSIONS, "a", "1")])
    registrations = bus_as("estrie", "registrations")
    assert [one.message.key for one in await everything(registrations, "g", SESSIONS)] == ["a"]
    assert await registrations.lag("g", [SESSIONS]) == 0
    await registrations.rewind("g", [SESSIONS])
    assert await registrations.lag("g", [SESSIONS]) == 1


@pytest.mark.parametrize("topic", [SEATS, REACH, REGISTRATIONS, federated("estrie")["seats"]], ids=str)
async def test_nobody_writes_anothers_stream(bus_as: Callable[..., KafkaBus], topic: object) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await bus_as("estrie", "events").publish([message(topic, "a", "forged")])  # type: ignore[arg-type]


async def test_no_instance_writes_in_anothers_name(bus_as: Callable[..., KafkaBus]) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await bus_as("laval", "events", pretends="estrie").publish([message(SESSIONS, "a", "forged")])
    with pytest.raises(TopicAuthorizationFailedError):
        await bus_as("laval", "exporter").publish([message(federated("estrie")["seats"], "a", "forged")])


async def test_nobody_reads_what_is_not_for_it(bus_as: Callable[..., KafkaBus]) -> None:
    """Contact data are for notifications, room links for registrations, and for nobody else."""
    for service, topic in (
        ("events", REGISTRATIONS),
        ("exporter", REGISTRATIONS),
        ("exporter", SESSION_ACCESS),
    ):
        with pytest.raises(TopicAuthorizationFailedError):
            await bus_as("estrie", service).consume("g", [topic], Collector(), asyncio.Event())


async def test_nobody_moves_anothers_group(bus_as: Callable[..., KafkaBus], cluster: Cluster) -> None:
    stranger = KafkaBus(cluster.url("estrie.exporter"), instance="estrie", service="registrations")
    try:
        with pytest.raises(GroupAuthorizationFailedError):
            await stranger.rewind("g", [SESSIONS])
    finally:
        await stranger.close()


async def test_only_the_own_instances_streams_are_listed(bus_as: Callable[..., KafkaBus]) -> None:
    names = await bus_as("estrie", "national").names()
    assert set(names) == {topic.name for topic in (*ALL, *federated("estrie").values())}


async def test_at_the_national_kafka_an_instance_speaks_for_itself(cluster: Cluster, made: None) -> None:
    for instance in _INSTANCES:
        await acls.apply(cluster.url(), acls.at_national(instance))
    estrie = KafkaBus(cluster.url("estrie"), instance="estrie", service="bridge", delivery_seconds=5)
    national = KafkaBus(cluster.url("national"), instance="national", service="national")
    try:
        await estrie.publish([message(federated("estrie")["seats"], "a", "1")])
        with pytest.raises(TopicAuthorizationFailedError):
            await estrie.publish([message(federated("laval")["seats"], "a", "forged")])
        wanted = {topic.name for instance in _INSTANCES for topic in federated(instance).values()}
        assert set(await national.names()) == wanted
        assert len(await everything(national, "g", federated("estrie")["seats"])) == 1
    finally:
        await estrie.close()
        await national.close()


async def test_a_services_own_start_finds_everything_as_declared(cluster: Cluster, made: None) -> None:
    await provision_kafka(cluster.url("estrie.notifications"), "estrie", ALL)


async def test_an_account_that_may_not_make_topics_is_told_who_can(cluster: Cluster, made: None) -> None:
    with pytest.raises(CannotServe, match=r"deploy\.kafka\.topics"):
        await provision_kafka(cluster.url("estrie.events"), "gaspesie", ALL)


async def test_a_wrong_password_is_named(cluster: Cluster) -> None:
    url = cluster.url("estrie.events").replace("secret", "wrong")
    with pytest.raises(CannotServe, match="refuse ce compte"):
        await provision_kafka(url, "estrie", ALL)


async def test_a_broker_that_nobody_vouches_for_is_not_spoken_to(cluster: Cluster) -> None:
    url, _, _ = cluster.url("estrie.events").partition("&ca=")
    bus = KafkaBus(url, instance="estrie", service="events", delivery_seconds=5)
    try:
        with pytest.raises(BusUnavailable):
            await bus.publish([message(SESSIONS, "a")])
    finally:
        await bus.close()


def test_the_permissions_can_be_given_with_kafkas_own_tool() -> None:
    (command,) = [
        line
        for line in acls.commands(acls.of_instance("estrie"))
        if "User:estrie.events " in line and "--operation Write" in line and "estrie.sessions " in line
    ]
    assert command.endswith("--topic estrie.sessions --resource-pattern-type literal")
