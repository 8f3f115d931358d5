"""Rebuilding the read model: beside the one that serves, from the streams, and equal to the last digit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import pytest
import sqlalchemy as sa

from libs.messaging import topics
from libs.messaging.bus import Message
from libs.messaging.postgres import PostgresBus, bus_url, provision_bus
from libs.web.app import Service
from services.national import generations, registry, restoring
from services.national.generations import READ_MODEL, NotCaughtUp, Outcome, RebuildRuns
from services.national.main import create
from services.national.registry import BEFORE_ALL
from services.national.replaying import replay
from tests.conftest import SECRET
from tests.national.conftest import US, Nation
from tests.national.lives import REGIONS, Life, theirs
from tests.national.speaking import Speaker, new_ids
from tests.waiting import eventually


async def _registered(nation: Nation, life: Life) -> None:
    for speaker in life.speakers:
        await nation.register(speaker, theirs(speaker.slug))


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_order_the_read_model_is_the_same(nation: Nation, seed: int) -> None:
    """Duplicates, disorder, tombstones, epochs confirmed later, lies, owners; read again after compaction."""
    life = Life(seed)
    await _registered(nation, life)
    await nation.hear(*life.on_the_way())
    async with nation.database.transaction() as session:
        for slug in REGIONS:
            await registry.confirm_epoch(session, US, slug, 2)
    await replay(nation.database)
    await nation.hear(*life.on_the_way()[:50])
    again = await generations.begin(nation.database)
    await nation.hear(*life.said, generation=again)
    compacted = await _another(nation, again)
    await nation.hear(*life.compacted(), *life.on_the_way(), generation=compacted)
    expected = await nation.state()
    assert expected["session"]
    assert expected["session_cell"]
    assert await nation.state(again) == expected
    assert await nation.state(compacted) == expected
    async with nation.database.reading() as session:
        for table in READ_MODEL:
            digests = [await generations.digest(session, table, n) for n in (1, again, compacted)]
            assert digests[0] == digests[1] == digests[2], table
            assert digests[0].rows == len(expected[table])
    assert await _cells_counted(nation) == expected["session_cell"]


async def _another(nation: Nation, before: int) -> int:
    """A generation more, while one is being built already: nobody else may have two."""
    await generations.give_up(nation.database, before)
    number = await generations.begin(nation.database)
    async with nation.database.transaction() as session:
        await session.execute(
            sa.text("update generation set state = 'building'  where number = :n"), {"n": before}
        )
    return number


async def _cells_counted(nation: Nation) -> list[object]:
    """The cells as they follow from the sessions, counted anew."""
    rows = await nation.rows(
        """
        select to_jsonb(cell) as row from (
            select instance, month, coalesce(region, '') as region, stream, coalesce(theme, '') as theme,
                modality, language, status, count(*) as sessions, count(seats_updated_at) as with_seats,
                sum(minutes) as minutes, sum(planned) as planned, sum(capacity) as capacity,
                sum(confirmed) as confirmed, sum(offered) as offered, sum(held) as held,
                sum(available) as available, sum(waitlisted) as waitlisted
            from session where generation = 1 and title is not null group by 1, 2, 3, 4, 5, 6, 7, 8
        ) as cell order by 1
        """
    )
    return [row.row for row in rows]


@dataclass
class Country:
    """The national bus with the streams of some instances, and the service that reads it."""

    nation: Nation
    exporter: PostgresBus
    bus: PostgresBus

    async def say(self, *messages: Message) -> None:
        await self.exporter.publish(messages)

    @asynccontextmanager
    async def service(self) -> AsyncIterator[None]:
        """The service's loops at work for the length of the block."""
        app = create(Service("national", self.nation.settings, self.nation.database, self.bus))
        async with app.router.lifespan_context(app):
            yield

    async def caught_up(self, number: int = 1) -> None:
        async def done() -> bool:
            return await generations.lag(self.bus, number) == 0

        await eventually(done, "everything taken in")

    async def switched(self, number: int, *, accept: bool = False) -> Outcome:
        async def attempt() -> Outcome | None:
            try:
                return await generations.try_switch(self.nation.database, self.bus, number, accept=accept)
            except NotCaughtUp:
                return None

        outcome = await eventually(attempt, "both at one message")
        assert isinstance(outcome, Outcome)
        return outcome


@pytest.fixture
async def country(nation: Nation, postgres_url: str) -> AsyncIterator[Country]:
    name = f"n{uuid4().hex[:8]}"
    streams = [topic for slug in (*REGIONS, "nulle-part") for topic in topics.federated(slug).values()]
    await provision_bus(postgres_url, name, SECRET, streams)
    async with AsyncExitStack() as stack:
        buses = [PostgresBus(bus_url(postgres_url, name, role, SECRET)) for role in ("exporter", "national")]
        for bus in buses:
            stack.push_async_callback(bus.close)
        yield Country(nation, *buses)
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(f'drop database "tournee_{name}_bus" with (force)')
    finally:
        await admin.close()


async def test_a_rebuild_serves_once_it_says_the_same(country: Country) -> None:
    life, nation = Life(100, steps=300), country.nation
    await _registered(nation, life)
    for batch in range(0, 200, 40):
        await country.say(*life.said[batch : batch + 40])
    async with country.service():
        await country.caught_up()
        before = await nation.state()
        number = await generations.begin(nation.database)
        with pytest.raises(RebuildRuns):
            await generations.begin(nation.database)

        async def go_on() -> None:
            for message in life.said[200:]:
                await country.say(message)

        talking = asyncio.create_task(go_on())
        outcome = await country.switched(number)
        await talking
        assert outcome.switched
        assert all(table.equal for table in outcome.tables)
        await country.caught_up(number)
        assert await nation.state(number) != before
    async with nation.database.reading() as session:
        assert await generations.serving(session) == number
    # Everything of the life, in another order, changes nothing more.
    state = await nation.state(number)
    await nation.hear(*life.on_the_way(), generation=number)
    assert await nation.state(number) == state


async def test_what_a_revoked_key_said_is_left_out_by_a_rebuild_that_is_accepted(country: Country) -> None:
    nation, estrie = country.nation, Speaker("estrie")
    laval = await nation.register(Speaker("laval"))
    await nation.register(estrie)
    one, two, three = new_ids(3)
    await country.say(estrie.session(one), laval.session(two), laval.session(three, region="13"))
    async with country.service():
        await country.caught_up()
        async with nation.database.transaction() as session:
            await registry.revoke_key(session, US, "laval", laval.signer.key_id)
        number = await generations.begin(nation.database)
        refused = await country.switched(number)
        assert not refused.switched
        differing = {
            table.table: (table.instances, table.old.rows, table.new.rows) for table in refused.tables
        }
        assert differing["session"] == (["laval"], 3, 1)
        assert differing["tally"] == ((), 0, 0)
        accepted = await country.switched(number, accept=True)
        assert accepted.switched
        assert [row.id for row in await nation.rows("select id from session where generation = 2")] == [one]
        assert await nation.doubted() == ["key-not-valid"] * 2


async def test_a_suspended_instance_keeps_its_figures_through_a_rebuild(country: Country) -> None:
    nation = country.nation
    estrie = await nation.register(Speaker("estrie"))
    (id_,) = new_ids(1)
    await country.say(estrie.session(id_), estrie.seats(id_, confirmed=3), estrie.tally(), estrie.heartbeat())
    async with country.service():
        await country.caught_up()
        before = await nation.state()
        async with nation.database.transaction() as session:
            await registry.suspend(session, US, "estrie")
        number = await generations.begin(nation.database)
        outcome = await country.switched(number)
        assert outcome.switched
        assert await nation.state(number) == before
        # What it says meanwhile is believed when it is believed again.
        await country.say(estrie.seats(id_, version=2, confirmed=5))
        await country.caught_up(number)
        async with nation.database.transaction() as session:
            await registry.activate(session, US, "estrie")

        async def heard() -> bool:
            rows = await nation.rows("select confirmed from session where generation = :n", n=number)
            return [row.confirmed for row in rows] == [5]

        await eventually(heard, "the replay after a change of the registry")


async def test_what_was_taken_back_before_the_streams_forgot_it_stays_so(
    nation: Nation, estrie: Speaker
) -> None:
    (id_,) = new_ids(1)
    old = estrie.session(id_)
    await nation.hear(old, estrie.session(id_, version=2, gone=True))
    number = await generations.begin(nation.database)
    await nation.hear(old, generation=number)
    assert (await nation.state(number))["session"] == []


async def test_a_retired_generation_leaves_nothing(nation: Nation, estrie: Speaker) -> None:
    number = await generations.begin(nation.database)
    await nation.hear(estrie.session(uuid4()), estrie.seats(uuid4()), estrie.tally(), generation=number)
    await generations.give_up(nation.database, number)
    async with nation.database.transaction() as session:
        await session.execute(sa.text("update generation set served_at = served_at - interval '2 minutes'"))
    await generations.tidy(nation.database)
    for table in (*READ_MODEL, "erased", "progress"):
        assert await nation.rows(f"select * from {table}") == [], table
    assert [row.number for row in await nation.rows("select number from generation")] == [1]
    # Whoever still writes into it writes nothing.
    await nation.hear(estrie.session(uuid4()), generation=number)
    assert await nation.rows("select * from session") == []
    # Its group has read the streams: under the same number, the next one would find nothing more in them.
    assert await generations.begin(nation.database) > number


async def test_streams_and_instances_that_come_later_are_read_too(
    country: Country, postgres_url: str
) -> None:
    """Those that nobody registered go into quarantine; a registration brings them out by itself."""
    nation, stranger = country.nation, Speaker("nulle-part")
    async with country.service():
        await country.say(stranger.session(uuid4()))
        await eventually(nation.doubted, "the stranger in quarantine")
        async with nation.database.transaction() as session:
            await registry.register(session, US, "nulle-part", "Nulle part")
            await registry.add_key(session, US, "nulle-part", stranger.signer.public_key, BEFORE_ALL)

        async def known() -> bool:
            return bool(await nation.rows("select 1 from session")) and not await nation.doubted()

        await eventually(known, "the stranger is known")


async def test_after_an_absence_longer_than_tombstones_last_a_new_generation_begins(country: Country) -> None:
    nation = country.nation
    estrie = await nation.register(Speaker("estrie"))
    await country.say(estrie.session(uuid4()))
    async with country.service():
        await country.caught_up()
        await eventually(lambda: nation.rows("select 1 from generation where consumed_at is not null"))
    gone = uuid4()
    await nation.hear(estrie.session(gone, version=7))  # and nobody remembers that it was taken back
    async with nation.database.transaction() as session:
        await session.execute(
            sa.text("update generation set consumed_at = consumed_at - cast(:by as interval)"),
            {"by": generations.LONGEST_ABSENCE},
        )
    async with country.service():

        async def replaced() -> bool:
            rows = await nation.rows("select number from generation where state = 'serving'")
            return [row.number for row in rows] == [2]

        await eventually(replaced, "the second generation serves")
    rows = await nation.rows("select id from session where generation = 2")
    assert len(rows) == 1
    assert rows[0].id != gone


async def test_a_backup_that_was_put_back_is_brought_up_to_date_from_the_streams(country: Country) -> None:
    """The bus stands where it stood: the group has read what the database knows nothing of."""
    nation = country.nation
    estrie = await nation.register(Speaker("estrie"))
    kept, changed, lost, gone = new_ids(4)
    said = [estrie.session(id_) for id_ in (kept, changed, gone)]
    since = [
        estrie.session(changed, version=2, title="Sauvegarder ses photos"),
        estrie.session(lost),
        estrie.session(gone, version=2, gone=True),
    ]
    await country.say(*said)
    async with country.service():
        await country.caught_up()
        at_the_backup = await nation.state()
        await country.say(*since)
        await country.caught_up()
        before = await nation.state()
        number = await generations.begin(nation.database)
        await country.caught_up(number)
        await generations.give_up(nation.database, number)
    async with nation.database.transaction() as session:
        for table in (*READ_MODEL, "erased", "progress", "session_owner"):
            await session.execute(sa.text(f"delete from {table}"))
        await session.execute(sa.text("select setval('generation_number', 1)"))
    await nation.hear(*said)
    assert (await nation.state())["session"] == at_the_backup["session"]

    streams = len(topics.federated("any")) * (len(REGIONS) + 1)
    assert await restoring.read_again(nation.database, country.bus) == streams
    async with country.service():
        await country.caught_up()
        assert await nation.state() == before
    assert await generations.begin(nation.database) > number, "its group has read the streams"


async def test_a_rebuild_that_was_killed_makes_room_for_the_next(nation: Nation) -> None:
    """Nobody but the process that died knew of its generation; a rebuild under way is left alone."""
    orphan = await generations.begin(nation.database)
    async with generations.rebuilding(nation.database) as number:
        assert number > orphan
        with pytest.raises(generations.RebuildRuns):
            async with generations.rebuilding(nation.database):
                pass
        states = await nation.rows("select number, state from generation where number > 1 order by number")
        assert [(row.number, row.state) for row in states] == [(orphan, "retired"), (number, "building")]
    assert await nation.rows("select 1 from generation where state = 'building'") == []
