"""Outbox and inbox on a real database: nothing announced is lost, nothing takes effect twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.database import Database, service_metadata
from libs.messaging import topics
from libs.messaging.bus import BusUnavailable, Message, Received
from libs.messaging.contracts import Payload, SessionAccess
from libs.messaging.envelope import Envelope, pack
from libs.messaging.inbox import Inbox, NotYet, is_news, remember_erased
from libs.messaging.outbox import Relay, announce, announce_all
from libs.messaging.tables import messaging_tables
from tests.waiting import eventually


@pytest.fixture
async def database(provisioned: Database) -> Database:
    metadata = service_metadata()
    messaging_tables(metadata)
    sa.Table("effect", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("url", sa.Text))
    async with provisioned.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    return provisioned


def access(url: str = "https://a.example.org", key: str | None = None) -> Message:
    key = key or str(uuid4())
    return pack(
        topics.SESSION_ACCESS,
        instance="demo",
        key=key,
        partition_key=key,
        epoch=1,
        version=1,
        time=datetime.now(UTC),
        payload=SessionAccess(session_id=UUID(int=1), online_url=url),
    )


def received(*messages: Message) -> list[Received]:
    return [Received(message, 0, number) for number, message in enumerate(messages)]


async def write_effect(tx: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
    assert isinstance(payload, SessionAccess)
    if payload.online_url == "https://bad.example.org":
        raise ValueError(payload.online_url)
    if payload.online_url == "https://early.example.org":
        raise NotYet
    await tx.execute(
        sa.text("insert into effect select coalesce(max(id), 0) + 1, :url from effect"),
        {"url": payload.online_url},
    )


async def rows(database: Database, query: str) -> Sequence[Any]:
    async with database.reading() as tx:
        return (await tx.execute(sa.text(query))).all()


async def effects(database: Database) -> list[str]:
    return [row.url for row in await rows(database, "select url from effect order by id")]


def inbox_of(database: Database) -> Inbox:
    return Inbox(database, {topics.SESSION_ACCESS: write_effect})


async def test_a_message_delivered_twice_takes_effect_once(database: Database) -> None:
    inbox, one, two = inbox_of(database), access("https://1.example.org"), access("https://2.example.org")

    await inbox.handle(received(one, two, one))
    await inbox.handle(received(two))

    assert await effects(database) == ["https://1.example.org", "https://2.example.org"]


async def test_two_deliveries_at_the_same_time_take_effect_once(database: Database) -> None:
    inbox, message = inbox_of(database), access()

    await asyncio.gather(*(inbox.handle(received(message)) for _ in range(4)))

    assert len(await effects(database)) == 1


async def test_a_bad_message_is_parked_and_its_neighbours_take_effect(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable = Message(topics.SESSION_ACCESS, "k", b"{", "k", {"ce_specversion": "1.0"})
    inbox = inbox_of(database)

    await inbox.handle(received(access("https://1.example.org"), access("https://bad.example.org")))
    await inbox.handle(received(unreadable, access("https://2.example.org")))

    assert await effects(database) == ["https://1.example.org", "https://2.example.org"]
    parked = await rows(database, "select reason from parked order by id")
    assert [row.reason for row in parked] == ["ValueError", "header ce_time is missing"]
    assert "bad.example.org" not in caplog.text, "an error may quote personal data"


async def test_parked_messages_can_be_replayed_once_the_cause_is_mended(database: Database) -> None:
    await inbox_of(database).handle(received(access("https://bad.example.org")))

    async def mended(tx: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
        await tx.execute(sa.text("insert into effect values (1, 'mended')"))

    still_broken = await inbox_of(database).replay_parked()
    replayed = await Inbox(database, {topics.SESSION_ACCESS: mended}).replay_parked()

    assert (still_broken, replayed) == ((0, 1), (1, 0))
    assert await effects(database) == ["mended"]
    assert await rows(database, "select 1 from parked") == []


async def test_a_message_that_came_too_early_is_delivered_again_not_parked(database: Database) -> None:
    inbox = inbox_of(database)

    with pytest.raises(NotYet):
        await inbox.handle(received(access("https://1.example.org"), access("https://early.example.org")))

    assert await effects(database) == ["https://1.example.org"], "what could take effect did"
    assert await rows(database, "select 1 from parked") == []


async def test_what_was_erased_does_not_come_back_with_a_late_duplicate(database: Database) -> None:
    def heard(version: int) -> Envelope:
        return Envelope("id", "source", "type", "k", datetime.now(UTC), 1, version)

    async with database.transaction() as tx:
        assert await is_news(tx, topics.REGISTRATIONS, heard(3))
        await remember_erased(tx, topics.REGISTRATIONS, heard(4))
        await remember_erased(tx, topics.REGISTRATIONS, heard(2))
    async with database.reading() as tx:
        assert not await is_news(tx, topics.REGISTRATIONS, heard(4))
        assert await is_news(tx, topics.REGISTRATIONS, heard(5))


class Recorder:
    """A bus that keeps what it is given; away while `away` is set."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.away = False
        self.answers_lost = 0
        self.batches: list[int] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.away:
            raise BusUnavailable
        self.messages += messages
        self.batches.append(len(messages))
        if self.answers_lost:
            self.answers_lost -= 1
            raise BusUnavailable

    @property
    def keys(self) -> list[str]:
        return [message.key for message in self.messages]


async def say(database: Database, key: str, *, fail: bool = False) -> None:
    async with database.transaction() as tx:
        await announce(
            tx,
            topics.SESSION_ACCESS,
            instance="demo",
            key=key,
            partition_key=key,
            epoch=1,
            version=1,
            time=datetime.now(UTC),
            payload=SessionAccess(session_id=UUID(int=1)),
        )
        if fail:
            raise RuntimeError


async def test_what_rolled_back_is_never_announced(database: Database) -> None:
    await say(database, "kept")
    with pytest.raises(RuntimeError):
        await say(database, "lost", fail=True)

    assert [row.key for row in await rows(database, "select key from outbox")] == ["kept"]


async def test_the_relay_carries_everything_in_order_through_an_outage(database: Database) -> None:
    bus, stop = Recorder(), asyncio.Event()
    relays = [asyncio.create_task(Relay(database, bus).run(stop)) for _ in range(2)]  # type: ignore[arg-type]
    wanted = [str(number) for number in range(30)]

    for number, key in enumerate(wanted):
        bus.away = 10 <= number < 20
        await say(database, key)
    await eventually(lambda: len(bus.keys) >= len(wanted))
    stop.set()
    await asyncio.gather(*relays)

    assert bus.keys == wanted
    assert await rows(database, "select 1 from outbox") == []


@asynccontextmanager
async def relaying(database: Database, bus: Recorder) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Relay(database, bus).run(stop))  # type: ignore[arg-type]
        try:
            yield
        finally:
            stop.set()


async def emptied(database: Database) -> None:
    async def nothing_there() -> bool:
        return not await rows(database, "select 1 from outbox limit 1")

    await eventually(nothing_there)


async def test_a_long_outbox_is_carried_in_order_batch_by_batch(database: Database) -> None:
    bus, messages = Recorder(), [access(key=str(number)) for number in range(2_600)]
    async with database.transaction() as tx:
        await announce_all(tx, messages)

    async with relaying(database, bus):
        await emptied(database)

    assert bus.messages == messages
    assert len(bus.batches) > 2
    assert max(bus.batches) <= 1_000


async def test_big_messages_are_carried_a_few_at_a_time(database: Database) -> None:
    bus, big = Recorder(), "https://a.example.org/" + "x" * 50_000
    async with database.transaction() as tx:
        await announce_all(tx, [access(big, key=str(number)) for number in range(300)])

    async with relaying(database, bus):
        await emptied(database)

    assert bus.keys == [str(number) for number in range(300)]
    assert max(bus.batches[1:]) < 50


async def test_what_was_published_but_not_deleted_is_published_again(database: Database) -> None:
    bus, wanted = Recorder(), [str(number) for number in range(3)]
    bus.answers_lost = 1
    async with database.transaction() as tx:
        await announce_all(tx, [access(key=key) for key in wanted])

    async with relaying(database, bus):
        await emptied(database)

    assert bus.keys == wanted * 2


async def test_a_message_committed_late_is_not_deleted_with_those_around_it(database: Database) -> None:
    bus = Recorder()
    async with relaying(database, bus):
        async with database.transaction() as slow:
            await announce_all(slow, [access(key="late")])
            await say(database, "first")
            await eventually(lambda: bus.keys == ["first"])
            await say(database, "second")
            await eventually(lambda: bus.keys == ["first", "second"])
        await emptied(database)

    assert bus.keys == ["first", "second", "late"]


async def test_a_tombstone_is_carried_as_one(database: Database) -> None:
    bus, gone = Recorder(), Message(topics.SESSION_ACCESS, "gone", None, "gone", {"ce_subject": "gone"})
    async with database.transaction() as tx:
        await announce_all(tx, [gone])

    async with relaying(database, bus):
        await emptied(database)

    assert bus.messages == [gone]


async def test_another_relay_takes_over_when_the_first_loses_its_connection(database: Database) -> None:
    bus = Recorder()
    async with relaying(database, bus), relaying(database, bus):
        await say(database, "before")
        await eventually(lambda: bus.keys == ["before"])
        async with database.transaction() as tx:
            await tx.execute(
                sa.text(
                    "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
                    " and database = (select oid from pg_database where datname = current_database())"
                )
            )
        await say(database, "after")
        await emptied(database)

    assert list(dict.fromkeys(bus.keys)) == ["before", "after"]
