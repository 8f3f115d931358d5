"""The bridge: what it carries arrives as it left, in order, whoever was away or killed meanwhile."""

import asyncio
import base64
import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from deploy import postgres
from libs.messaging import topics
from libs.messaging.bridge import GROUP, Bridge
from libs.messaging.bus import BusUnavailable, Message
from libs.messaging.envelope import headers_of
from libs.messaging.postgres import PostgresBus, bus_url, provision_bus, provision_guest
from libs.messaging.signing import Signer, verify
from tests.conftest import SECRET, open_folder
from tests.libs.messaging.bus_contract import ROOT, Collector, consuming, everything
from tests.waiting import eventually

SIGNER = Signer.from_secret(base64.b64encode(bytes(range(32))).decode())
STREAMS = topics.federated("estrie")
SEATS = STREAMS["seats"]


def state(key: str, version: int, value: str | None = "") -> Message:
    """A signed message as an exporter makes it."""
    headers = headers_of(
        SEATS,
        instance="estrie",
        key=key,
        epoch=1,
        version=version,
        time="2027-01-05T14:00:00+00:00",
        erased=value is None,
    )
    return SIGNER.sign(Message(SEATS, key, None if value is None else value.encode(), key, headers))


def states(count: int, start: int = 1) -> list[Message]:
    return [state(str(number % 7), number, f"é{number}") for number in range(start, start + count)]


@dataclass
class Country:
    """A region's bus and the national one, each on a server of its own."""

    region: postgres.EmbeddedServer
    national: postgres.EmbeddedServer
    name: str
    """Of the national instance, another for each test."""
    guest_url: str = ""

    def bus(self, role: str) -> PostgresBus:
        """The region's bus, as one of its services."""
        return PostgresBus(bus_url(self.region.url, "estrie", role, SECRET))

    def guest(self) -> PostgresBus:
        """The national bus, as the region knows it."""
        return PostgresBus(self.guest_url)

    def reader(self) -> PostgresBus:
        """The national bus, as the national service reads it."""
        return PostgresBus(bus_url(self.national.url, self.name, "national", SECRET))


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[postgres.EmbeddedServer, postgres.EmbeddedServer]]:
    folders = [open_folder(), open_folder()]
    major = int(os.environ.get("TEST_POSTGRES", "18"))
    region, national = (postgres.start(folder, major=major, durable=False) for folder in folders)
    yield region, national
    for server, folder in zip((region, national), folders, strict=True):
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
async def country(
    servers: tuple[postgres.EmbeddedServer, postgres.EmbeddedServer],
) -> AsyncIterator[Country]:
    country = Country(*servers, name=f"n{secrets.token_hex(4)}")
    await provision_bus(country.region.url, "estrie", SECRET, topics.streams("estrie"))
    country.guest_url = await provision_guest(country.national.url, country.name, SECRET, "estrie")
    yield country
    admin = await asyncpg.connect(country.region.url)
    try:
        await admin.execute('drop database "tournee_estrie_bus" with (force)')
    finally:
        await admin.close()


@pytest.fixture
async def opened(country: Country) -> AsyncIterator[tuple[PostgresBus, PostgresBus, Bridge]]:
    """The exporter's bus, the national reader's, and a bridge that doesn't run yet."""
    async with AsyncExitStack() as stack:
        exporter, reader = country.bus("exporter"), country.reader()
        bridge = Bridge(country.bus("bridge"), country.guest(), tuple(STREAMS.values()))
        for one in (exporter, reader, bridge):
            stack.push_async_callback(one.close)
        yield exporter, reader, bridge


async def carried(bridge: Bridge) -> None:
    """Run until nothing is left to carry."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bridge.run(stop))
        await eventually(lambda: _nothing_left(bridge))
        stop.set()


async def _nothing_left(bridge: Bridge) -> bool:
    try:
        return await bridge.lag() == 0
    except BusUnavailable:
        return False


def what_was_said(messages: Sequence[Message]) -> list[tuple[object, ...]]:
    return [(one.topic.name, one.key, one.value, dict(one.headers)) for one in messages]


async def test_everything_arrives_as_it_left(opened: tuple[PostgresBus, PostgresBus, Bridge]) -> None:
    exporter, reader, bridge = opened
    sent = [*states(900), state("3", 1000, None)]
    await exporter.publish(sent)
    assert await bridge.lag() == 901

    await carried(bridge)

    arrived = [one.message for one in await everything(reader, "national", SEATS)]
    assert what_was_said(arrived) == what_was_said(sent)
    assert all(verify(one, SIGNER.public_key) for one in arrived)


async def test_a_national_bus_that_was_away_gets_what_piled_up_in_order(
    country: Country, opened: tuple[PostgresBus, PostgresBus, Bridge]
) -> None:
    exporter, reader, bridge = opened
    await exporter.publish(states(10))
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bridge.run(stop))
        await eventually(lambda: _nothing_left(bridge))
        country.national.stop()
        try:
            for start in range(11, 1011, 100):
                await exporter.publish(states(100, start))
            with pytest.raises(BusUnavailable):
                await reader.lag("national", [SEATS])
            assert await bridge.lag() == 1000
        finally:
            country.national.start()
        await eventually(lambda: _nothing_left(bridge))
        stop.set()
    arrived = [one.message.headers["ce_version"] for one in await everything(reader, "national", SEATS)]
    # A batch whose answer was lost comes again as a whole: duplicates at most, never another order.
    assert list(dict.fromkeys(arrived)) == [str(version) for version in range(1, 1011)]


class DiesAfterPublishing(PostgresBus):
    """The process ends for good once the first batch is on the other side, before it is acknowledged."""

    async def publish(self, messages: Sequence[Message]) -> None:
        await super().publish(messages)
        os._exit(9)


_PROCESS = """
import asyncio
from libs.messaging.bridge import Bridge
from libs.messaging.postgres import PostgresBus
from tests.libs.messaging.test_bridge import STREAMS, DiesAfterPublishing

bridge = Bridge(PostgresBus({source!r}), DiesAfterPublishing({target!r}), tuple(STREAMS.values()))
asyncio.run(bridge.run(asyncio.Event()))
"""


async def test_a_bridge_that_is_killed_before_it_acknowledges_repeats_and_loses_nothing(
    country: Country, opened: tuple[PostgresBus, PostgresBus, Bridge]
) -> None:
    exporter, reader, bridge = opened
    await exporter.publish(states(450))
    program = _PROCESS.format(
        source=bus_url(country.region.url, "estrie", "bridge", SECRET), target=country.guest_url
    )
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT)
    assert await killed.wait() == 9
    assert await bridge.lag() == 450, "nothing was acknowledged"

    await carried(bridge)

    arrived = [int(one.message.headers["ce_version"]) for one in await everything(reader, "national", SEATS)]
    again = len(arrived) - 450
    assert again > 0
    assert arrived == [*range(1, again + 1), *range(1, 451)]


async def test_what_was_compacted_while_the_bridge_was_away_leaves_the_same_state(
    opened: tuple[PostgresBus, PostgresBus, Bridge],
) -> None:
    exporter, reader, bridge = opened
    await exporter.publish([state("gone", 1), state("kept", 2, "alt"), *states(50, 3)])
    await carried(bridge)
    await exporter.publish([state("gone", 60, None), state("kept", 61, "neu"), *states(50, 62)])
    assert await exporter.compact([SEATS], now=datetime.now(UTC) + timedelta(days=30)) > 50

    await carried(bridge)

    newest: dict[str, bytes | None] = {}
    for one in await everything(reader, "national", SEATS):
        newest[one.message.key] = one.message.value
    assert newest["gone"] is None, "a region that was cut off for a month still takes back what it did"
    assert newest["kept"] == b"neu"
    assert {newest[str(number)] for number in range(7)} == {f"é{n}".encode() for n in range(105, 112)}


class Counting(PostgresBus):
    largest = 0

    async def publish(self, messages: Sequence[Message]) -> None:
        self.largest = max(self.largest, len(messages))
        await super().publish(messages)


async def test_whatever_has_piled_up_it_holds_a_batch_at_a_time(
    country: Country, opened: tuple[PostgresBus, PostgresBus, Bridge]
) -> None:
    exporter, reader, _ = opened
    await exporter.publish(states(3000))
    target = Counting(country.guest_url)
    bridge = Bridge(country.bus("bridge"), target, tuple(STREAMS.values()))
    await carried(bridge)
    await bridge.close()
    assert 0 < target.largest <= 200
    assert len(await everything(reader, "national", SEATS)) == 3000


async def test_it_goes_on_while_it_runs(opened: tuple[PostgresBus, PostgresBus, Bridge]) -> None:
    exporter, reader, bridge = opened
    collector, stop = Collector(), asyncio.Event()
    async with consuming(reader, "national", [SEATS], collector), asyncio.TaskGroup() as tasks:
        tasks.create_task(bridge.run(stop))
        for version in range(1, 6):
            await exporter.publish(states(1, version))
            await collector.have(version)
        stop.set()


class TestGuests:
    """What the national bus allows a region."""

    async def test_a_region_appends_to_its_own_streams_and_no_others(self, country: Country) -> None:
        await provision_guest(country.national.url, country.name, SECRET, "laval")
        guest = country.guest()
        await guest.publish(states(1))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await guest.publish([Message(topics.federated("laval")["seats"], "1", b"", "1", {})])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await guest.lag(GROUP, [topics.federated("laval")["seats"]])
        await guest.close()

    async def test_a_guest_twice_is_a_guest_once(self, country: Country) -> None:
        again = await provision_guest(country.national.url, country.name, SECRET, "estrie")
        assert again == country.guest_url

    async def test_the_longest_names_of_two_instances_fit(self, country: Country) -> None:
        url = await provision_guest(country.national.url, country.name, SECRET, "e" + "-" * 30)
        other = await provision_guest(country.national.url, country.name, SECRET, "e" + "-" * 29)
        assert url != other

    async def test_an_instance_is_no_guest_of_its_own(self, country: Country) -> None:
        with pytest.raises(ValueError, match="own bus"):
            await provision_guest(country.national.url, country.name, SECRET, country.name)
