"""The PostgreSQL transport: the contract, and what is its own: grants, positions, leases, compaction."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from deploy import postgres
from libs.database import in_database, provision
from libs.messaging.bus import Bus, BusUnavailable, Message, Received
from libs.messaging.postgres import PostgresBus, bus_url, provision_bus
from libs.messaging.postgres.line import Connection
from libs.messaging.postgres.transport import append, partition_of
from libs.messaging.topics import ALL, REGISTRATIONS, SEATS, SESSIONS, Topic, federated
from tests.conftest import SECRET, open_folder
from tests.libs.messaging.bus_contract import (
    BusContract,
    Collector,
    consuming,
    everything,
    message,
    nothing_left,
)
from tests.waiting import eventually


@dataclass
class PostgresBroker:
    server: postgres.EmbeddedServer
    instance: str
    factory: str = "libs.messaging.postgres:PostgresBus"
    running: bool = True

    @property
    def url(self) -> str:
        return self.url_of("both")

    def url_of(self, service: str) -> str:
        return bus_url(self.server.url, self.instance, service, SECRET)

    @property
    def database(self) -> str:
        return f"tournee_{self.instance}_bus"

    async def admin(self) -> Connection:
        return await asyncpg.connect(in_database(self.server.url, self.database))

    async def create(self, topic: Topic) -> None:
        await provision_bus(self.server.url, self.instance, SECRET, [topic])

    def bus(self) -> PostgresBus:
        return PostgresBus(self.url)

    async def cut_connections(self) -> None:
        admin = await asyncpg.connect(self.server.url)
        try:
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", self.database
            )
        finally:
            await admin.close()

    def stop(self) -> None:
        self.server.stop()
        self.running = False

    def start(self) -> None:
        self.server.start()
        self.running = True

    async def compact(self, bus: Bus, topic: Topic, later: timedelta) -> None:
        assert isinstance(bus, PostgresBus)
        await bus.compact([topic], now=datetime.now(UTC) + later)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.EmbeddedServer]:
    """A server of this module's own, since the contract stops it and cuts its connections."""
    folder = open_folder()
    started = postgres.start(folder, major=int(os.environ.get("TEST_POSTGRES", "18")), durable=False)
    yield started
    started.stop()
    shutil.rmtree(folder)


@pytest.fixture
def broker(server: postgres.EmbeddedServer) -> Iterator[PostgresBroker]:
    broker = PostgresBroker(server, "contract")
    yield broker
    if not broker.running:
        broker.start()


class TestPostgresBus(BusContract):
    """The contract on PostgreSQL."""


@pytest.fixture
async def instance(server: postgres.EmbeddedServer) -> AsyncIterator[PostgresBroker]:
    """A bus with the real topics, in an instance of its own."""
    broker = PostgresBroker(server, f"i{secrets.token_hex(4)}")
    await provision_bus(server.url, broker.instance, SECRET, ALL)
    yield broker
    admin = await asyncpg.connect(server.url)
    try:
        await admin.execute(f'drop database "{broker.database}" with (force)')
    finally:
        await admin.close()


@pytest.fixture
async def events(instance: PostgresBroker) -> AsyncIterator[PostgresBus]:
    bus = PostgresBus(instance.url_of("events"))
    yield bus
    await bus.close()


@pytest.fixture
async def registrations(instance: PostgresBroker) -> AsyncIterator[PostgresBus]:
    bus = PostgresBus(instance.url_of("registrations"))
    yield bus
    await bus.close()


@pytest.fixture
async def notifications(instance: PostgresBroker) -> AsyncIterator[PostgresBus]:
    bus = PostgresBus(instance.url_of("notifications"))
    yield bus
    await bus.close()


class TestGrants:
    """Every service does its part and no more."""

    async def test_the_writer_appends_and_a_reader_reads(
        self, events: PostgresBus, registrations: PostgresBus
    ) -> None:
        await events.publish([message(SESSIONS, "s")])
        received = await everything(registrations, "registrations", SESSIONS)
        assert [one.message.key for one in received] == ["s"]

    async def test_a_reader_cannot_append(self, registrations: PostgresBus) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await registrations.publish([message(SESSIONS, "s")])

    async def test_a_stranger_cannot_append(self, notifications: PostgresBus) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await notifications.publish([message(SEATS, "s")])

    async def test_a_stranger_cannot_read(self, events: PostgresBus, notifications: PostgresBus) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await events.lag("events", [REGISTRATIONS])
        with pytest.RaisesGroup(asyncpg.InsufficientPrivilegeError):
            await notifications.consume("g", [SESSIONS], Collector(), asyncio.Event())

    async def test_only_streams_that_one_may_read_are_listed(
        self, instance: PostgresBroker, registrations: PostgresBus, notifications: PostgresBus
    ) -> None:
        theirs = federated("estrie")["seats"]
        await provision_bus(instance.server.url, instance.instance, SECRET, [theirs])
        assert await notifications.names() == ["reached", "registrations"]
        assert "sessions" in await registrations.names()
        assert theirs.name not in await registrations.names()
        national = PostgresBus(instance.url_of("national"))
        assert await national.names() == ["estrie.federated.seats"]
        await national.close()

    async def test_a_reader_cannot_compact(self, registrations: PostgresBus) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await registrations.compact([SESSIONS])

    async def test_groups_of_one_name_in_two_services_are_two_groups(
        self, registrations: PostgresBus, notifications: PostgresBus, instance: PostgresBroker
    ) -> None:
        await registrations.publish([message(REGISTRATIONS, "r")])
        assert len(await everything(notifications, "g", REGISTRATIONS)) == 1
        assert await registrations.lag("g", [REGISTRATIONS]) == 1
        other = await asyncpg.connect(instance.url_of("registrations"))
        try:
            assert await other.fetch("select * from bus.place") == []
            assert await other.execute("update bus.place set position = 0") == "UPDATE 0"
        finally:
            await other.close()

    async def test_nobody_changes_a_record(self, instance: PostgresBroker) -> None:
        for service in ("events", "registrations", "notifications"):
            connection = await asyncpg.connect(instance.url_of(service))
            try:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute("update bus.log_sessions set value = null")
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute("create table bus.mine ()")
            finally:
                await connection.close()

    async def test_a_service_without_topics_cannot_connect(self, instance: PostgresBroker) -> None:
        await provision(instance.server.url, instance.instance, "stranger", SECRET)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(instance.url_of("stranger"))


class TestProvisioning:
    """A log is made once and brought up to date as often as one likes."""

    async def test_twice_is_once(self, instance: PostgresBroker, events: PostgresBus) -> None:
        await events.publish([message(SESSIONS, "s")])
        await provision_bus(instance.server.url, instance.instance, SECRET, ALL)
        await events.publish([message(SESSIONS, "t")])

    async def test_a_service_that_no_longer_reads_loses_its_grant(
        self, instance: PostgresBroker, notifications: PostgresBus
    ) -> None:
        assert await notifications.lag("g", [REGISTRATIONS]) == 0
        changed = Topic("registrations", writer="registrations", readers=("national",))
        await provision_bus(instance.server.url, instance.instance, SECRET, [changed])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await notifications.lag("g", [REGISTRATIONS])
        national = PostgresBus(instance.url_of("national"))
        assert await national.lag("g", [changed]) == 0
        await national.close()

    async def test_a_topic_and_a_service_can_be_added(self, instance: PostgresBroker) -> None:
        tallies = Topic("federated.tallies", writer="exporter", readers=("national",), partitions=1)
        await provision_bus(instance.server.url, instance.instance, SECRET, [*ALL, tallies])
        exporter, national = (
            PostgresBus(instance.url_of("exporter")),
            PostgresBus(instance.url_of("national")),
        )
        await exporter.publish([message(tallies, "t")])
        assert len(await everything(national, "national", tallies)) == 1
        await exporter.close()
        await national.close()

    async def test_another_number_of_partitions_is_refused(self, instance: PostgresBroker) -> None:
        for partitions in (4, 16):
            changed = Topic("seats", writer="registrations", readers=(), partitions=partitions)
            with pytest.raises(ValueError, match="8 partitions"):
                await provision_bus(instance.server.url, instance.instance, SECRET, [changed])

    def test_a_partition_is_the_same_in_every_release(self) -> None:
        keys = ["", "a", "séance", "018f3c2e-0000-7000-8000-000000000001"]
        bus_messages = [Message(SESSIONS, "k", b"", key) for key in keys]
        assert [partition_of(one) for one in bus_messages] == [0, 3, 2, 3]


class TestPositions:
    """A position that is visible has nothing yet to come before it."""

    async def test_a_second_publisher_waits_for_the_commit_of_the_first(
        self, instance: PostgresBroker, events: PostgresBus, registrations: PostgresBus
    ) -> None:
        slow = await asyncpg.connect(instance.url_of("events"))
        collector = Collector()
        async with (
            consuming(registrations, "registrations", [SESSIONS], collector),
            asyncio.TaskGroup() as tasks,
        ):
            async with slow.transaction():
                await append(slow, SESSIONS, [message(SESSIONS, "a", "first")])
                overtaking = tasks.create_task(events.publish([message(SESSIONS, "a", "second")]))
                await eventually(lambda: _waits_for_a_lock(instance))
                assert not overtaking.done()
                assert collector.received == []
            await collector.have(2)
        assert collector.values == ["first", "second"]
        assert [one.offset for one in collector.received] == [0, 1]
        await slow.close()

    async def test_a_publisher_that_fails_leaves_no_gap(
        self, events: PostgresBus, registrations: PostgresBus
    ) -> None:
        with pytest.raises(asyncpg.PostgresError):
            await events.publish(
                [message(SESSIONS, "good"), message(SESSIONS, "bad \0", partition_key="good")]
            )
        await events.publish([message(SESSIONS, "good")])
        received = await everything(registrations, "registrations", SESSIONS)
        assert [one.offset for one in received] == [0]


class TestLeases:
    """Whoever lost a lease changes nothing any more."""

    async def test_a_member_that_lost_its_lease_acknowledges_nothing(
        self, events: PostgresBus, registrations: PostgresBus
    ) -> None:
        await events.publish([message(SESSIONS, "a", "1")])
        entered, go_on = asyncio.Event(), asyncio.Event()
        seen: list[bytes | None] = []

        async def slow_at_first(batch: Sequence[Received]) -> None:
            seen.append(batch[0].message.value)
            if len(seen) == 1:
                entered.set()
                await go_on.wait()

        async with consuming(registrations, "registrations", [SESSIONS], slow_at_first):
            await entered.wait()
            await registrations.rewind("registrations", [SESSIONS])
            go_on.set()
            await eventually(lambda: len(seen) == 2)
            await nothing_left(registrations, "registrations", SESSIONS)
        assert seen == [b"1", b"1"]

    async def test_a_member_that_stops_leaves_no_trace(
        self, instance: PostgresBroker, events: PostgresBus, registrations: PostgresBus
    ) -> None:
        await events.publish([message(SESSIONS, "a")])
        await everything(registrations, "registrations", SESSIONS)
        admin = await instance.admin()
        try:
            assert await admin.fetchval("select count(*) from bus.member") == 0
            assert await admin.fetchval("select count(*) from bus.place where holder is not null") == 0
        finally:
            await admin.close()


class TestCompactionLoop:
    """The job that every writer runs for its own topics."""

    async def test_it_compacts_until_it_is_stopped(self, events: PostgresBus) -> None:
        topic = Topic("sessions", "events", ("registrations",), compaction_lag=timedelta(0))
        await events.publish([message(topic, "a", "1"), message(topic, "a", "2")])
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(events.run_compaction([topic], stop))
            await eventually(lambda: _compacted(events, topic))
            stop.set()

    async def test_an_older_state_that_comes_late_does_not_outlive_the_newer_one(
        self, events: PostgresBus, registrations: PostgresBus
    ) -> None:
        topic = Topic("sessions", "events", ("registrations",), compaction_lag=timedelta(0))
        for key, value in (("kept", "newer"), ("erased", None)):
            await events.publish([_stated(topic, key, value, version=10)])
            await events.publish([_stated(topic, key, "older", version=9)])
        await events.compact([topic])
        left = await everything(registrations, "registrations", topic)
        assert {one.message.key: one.message.value for one in left} == {"kept": b"newer", "erased": None}

    async def test_it_outlives_a_broker_that_is_away(
        self, instance: PostgresBroker, events: PostgresBus
    ) -> None:
        topic = Topic("sessions", "events", ("registrations",), compaction_lag=timedelta(0))
        await events.publish([message(topic, "a", "1"), message(topic, "a", "2")])
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            instance.stop()
            try:
                tasks.create_task(events.run_compaction([topic], stop))
                with pytest.raises(BusUnavailable):
                    await events.lag("g", [topic])
            finally:
                instance.start()
            await eventually(lambda: _compacted(events, topic))
            stop.set()


def _stated(topic: Topic, key: str, value: str | None, *, version: int) -> Message:
    headers = {"ce_epoch": "1", "ce_version": str(version)}
    return Message(topic, key, None if value is None else value.encode(), key, headers)


async def _compacted(bus: PostgresBus, topic: Topic) -> bool:
    """Only the newest of two records is left."""
    try:
        return await bus.lag("g", [topic]) == 1
    except BusUnavailable:
        return False


async def _waits_for_a_lock(instance: PostgresBroker) -> bool:
    admin = await instance.admin()
    try:
        return bool(
            await admin.fetchval(
                "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'",
                instance.database,
            )
        )
    finally:
        await admin.close()
