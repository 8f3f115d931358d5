"""The generations of the read model: one serves, another is filled beside it and, if alike, takes over."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.database import Database
from libs.messaging.bus import Bus
from libs.messaging.topics import Topic, federated, federated_named
from services.national.models import GENERATION_NUMBER, Generation, metadata

LONGEST_ABSENCE = min(topic.tombstone_retention for topic in federated("any").values()) - timedelta(days=1)
"""Who reads on after longer may have missed a tombstone, which the streams don't keep for ever."""
READ_MODEL = ("session", "session_cell", "tally", "profile", "pulse")
"""The tables that a rebuild must fill alike."""
_OWN_TABLES = (*READ_MODEL, "erased", "progress")
_NOT_COMPARED = frozenset({"generation", "received_at"})
"""`received_at` may differ where a clock runs fast; it is no figure."""
_AT_ONCE = 20_000


class RebuildRuns(Exception):
    """A generation is being built already."""


class NotCaughtUp(Exception):
    """The new generation, or the old one, has yet to read what the other has."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A table of one generation: how many rows, and the SHA-256 of all that they say."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table of two generations; `instances`: whose rows differ."""

    table: str
    old: Digest
    new: Digest
    instances: Sequence[str] = ()

    @property
    def equal(self) -> bool:
        return self.old == self.new


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt to switch."""

    switched: bool
    tables: Sequence[Comparison]


_REBUILDING = 7_310_403  # any number that no other advisory lock of this database uses


def group(generation: int) -> str:
    """The consumer group that fills a generation."""
    return f"national-{generation}"


def federated_topics(names: Collection[str]) -> list[Topic]:
    """The federated streams among the topics of a bus, in order."""
    return [topic for name in sorted(names) if (topic := federated_named(name)) is not None]


async def serving(session: AsyncSession) -> int:
    """The generation that pages read; 0, which is empty, before there is one."""
    found = await session.execute(sa.text("select number from generation where state = 'serving'"))
    number: int | None = found.scalar()
    return number or 0


async def ensure(database: Database) -> None:
    """Make the first generation; begin another after an absence in which a tombstone may have gone."""
    async with database.transaction() as session:
        await _alone(session)
        found = await session.execute(sa.text("select state, number from generation"))
        states: dict[str, int] = {row.state: row.number for row in found}
        if "serving" not in states:
            await _begin(session, "serving")
            return
        away = await session.execute(
            sa.text(
                "select consumed_at < clock.decision_time() - cast(:longest as interval) from generation"
                " where number = :number"
            ),
            {"number": states["serving"], "longest": LONGEST_ABSENCE},
        )
        if away.scalar() and "building" not in states:
            await _begin(session, "building", automatic=True)


async def begin(database: Database) -> int:
    """A new generation, which the running service fills from now on; `RebuildRuns` if one is at it."""
    async with database.transaction() as session:
        await _alone(session)
        if (await session.execute(sa.text("select 1 from generation where state = 'building'"))).first():
            raise RebuildRuns
        return await _begin(session, "building")


@asynccontextmanager
async def rebuilding(database: Database) -> AsyncIterator[int]:
    """A new generation for the block, given up after it unless it serves by then.

    `RebuildRuns` if somebody else is at it. One whose process was killed no longer holds the lock, and
    what it began makes room.
    """
    async with database.plain_connection() as connection:
        if not await connection.fetchval("select pg_try_advisory_lock($1)", _REBUILDING):
            raise RebuildRuns
        await connection.execute(
            "update generation set state = 'retired' where state = 'building' and not automatic"
        )
        number = await begin(database)
        try:
            yield number
        finally:
            await give_up(database, number)


async def give_up(database: Database, number: int) -> None:
    """Let go of a generation that was being built."""
    async with database.transaction() as session:
        await session.execute(
            sa.text("update generation set state = 'retired' where number = :number and state = 'building'"),
            {"number": number},
        )


async def try_switch(database: Database, bus: Bus, number: int, *, accept: bool = False) -> Outcome:
    """Let the generation `number` serve if it says the same as the one that does, or whatever it says.

    Nothing is taken in meanwhile, so that both stand at the same message; `NotCaughtUp` if they don't.
    """
    topics = federated_topics(await bus.names())
    async with database.transaction() as session:
        found = await session.execute(
            sa.text(
                "select state, number from generation where state in ('building', 'serving')"
                " order by number for update"
            )
        )
        states: dict[str, int] = {row.state: row.number for row in found}
        if states.get("building") != number:
            raise NotCaughtUp
        old = states["serving"]
        if not await _at_one_message(session, bus, old, number, topics):
            raise NotCaughtUp
        await _keep_suspended(session, old, number)
        tables = [await _compared(session, table, old, number) for table in READ_MODEL]
        if not accept and not all(table.equal for table in tables):
            return Outcome(False, tables)
        await session.execute(
            sa.text("update generation set state = 'retired' where number = :old"), {"old": old}
        )
        await session.execute(
            sa.text(
                "update generation set state = 'serving', served_at = clock.decision_time()"
                " where number = :number"
            ),
            {"number": number},
        )
        return Outcome(True, tables)


async def tidy(database: Database) -> None:
    """Delete what retired generations left, some rows at a time, once nobody reads them any more."""
    async with database.reading() as session:
        found = await session.execute(
            sa.text(
                "select number from generation where state = 'retired' and not exists (select from generation"
                " where state = 'serving' and served_at > clock.decision_time() - interval '1 minute')"
            )
        )
        numbers = found.scalars().all()
    for number in numbers:
        for table in _OWN_TABLES:
            while await _delete_some(database, table, number):
                pass
        async with database.transaction() as session:
            await session.execute(
                sa.text("delete from generation where number = :number"), {"number": number}
            )


async def attended(database: Database, number: int) -> bool:
    """Whether a consumer has been at work on a generation."""
    async with database.reading() as session:
        found = await session.execute(
            sa.text("select consumed_at is not null from generation where number = :number"),
            {"number": number},
        )
        return bool(found.scalar())


async def lag(bus: Bus, number: int) -> int:
    """How many messages a generation has yet to take in."""
    topics = federated_topics(await bus.names())
    return await bus.lag(group(number), topics) if topics else 0


async def _alone(session: AsyncSession) -> None:
    await session.execute(sa.text("lock table generation in share row exclusive mode"))


async def _begin(session: AsyncSession, state: str, *, automatic: bool = False) -> int:
    number: int = (await session.execute(sa.select(GENERATION_NUMBER.next_value()))).scalar_one()
    now = (await session.execute(sa.text("select clock.decision_time()"))).scalar_one()
    session.add(
        Generation(
            number=number,
            state=state,
            started_at=now,
            served_at=now if state == "serving" else None,
            automatic=automatic,
        )
    )
    await session.flush()
    # What was taken back stays so, though the streams have forgotten it; but not on a revoked key's word.
    await session.execute(
        sa.text(
            "insert into erased (generation, instance, stream, key, epoch, version, key_id)"
            " select :number, instance, stream, key, epoch, version, key_id from erased"
            " where generation = (select number from generation where state = 'serving')"
            " and generation <> :number and not exists (select from instance_key as signer"
            "   where signer.instance = erased.instance and signer.key_id = erased.key_id"
            "   and signer.revoked_at is not null)"
        ),
        {"number": number},
    )
    return number


async def _at_one_message(
    session: AsyncSession, bus: Bus, old: int, new: int, topics: Sequence[Topic]
) -> bool:
    """Whether both have taken in the same: up to the same positions, or all there is.

    (Compaction may have taken the last message that the old one read, which the new one never sees.)
    """
    found = await session.execute(
        sa.text(
            "select topic, partition, position from progress"
            " where generation in (:old, :new) and topic = any(:topics)"
            " group by topic, partition, position having count(*) < 2 limit 1"
        ),
        {"old": old, "new": new, "topics": [topic.name for topic in topics]},
    )
    if found.first() is None:
        return True
    return not topics or (await bus.lag(group(old), topics) == 0 and await bus.lag(group(new), topics) == 0)


async def _keep_suspended(session: AsyncSession, old: int, new: int) -> None:
    """Nothing of a suspended instance is believed today; what it said before stays as it was."""
    for table in _OWN_TABLES[:-1]:
        # What PostgreSQL computes of the others, it computes again.
        kept = [column.name for column in metadata.tables[table].columns if column.computed is None]
        listed = ", ".join(name for name in kept if name != "generation")
        suspended = "instance in (select slug from instance where status = 'suspended')"
        await session.execute(
            sa.text(f"delete from {table} where generation = :new and {suspended}"),  # noqa: S608
            {"new": new},
        )
        await session.execute(
            sa.text(
                f"insert into {table} (generation, {listed})"  # noqa: S608  # names from the models
                f" select :new, {listed} from {table} where generation = :old and {suspended}"
            ),
            {"old": old, "new": new},
        )


async def _compared(session: AsyncSession, table: str, old: int, new: int) -> Comparison:
    digests = await digest(session, table, old), await digest(session, table, new)
    if digests[0] == digests[1]:
        return Comparison(table, *digests)
    by_instance = await _by_instance(session, table, old), await _by_instance(session, table, new)
    names = sorted({*by_instance[0], *by_instance[1]})
    return Comparison(
        table, *digests, [name for name in names if by_instance[0].get(name) != by_instance[1].get(name)]
    )


async def digest(session: AsyncSession, table: str, number: int) -> Digest:
    """What a table of one generation says, whatever the order in which it was written."""
    found = await session.execute(sa.text(f"select {_DIGEST} from {_rows(table)}"), {"number": number})  # noqa: S608
    row = found.one()
    return Digest(row.rows, row.sha256)


async def _by_instance(session: AsyncSession, table: str, number: int) -> Mapping[str, str]:
    found = await session.execute(
        sa.text(f"select instance, {_DIGEST} from {_rows(table)} group by instance"),  # noqa: S608
        {"number": number},
    )
    return {row.instance: row.sha256 for row in found}


_DIGEST = (
    "count(*) as rows, encode(sha256(convert_to(coalesce("
    "string_agg(md5(one::text), '' order by md5(one::text)), ''), 'UTF8')), 'hex') as sha256"
)


def _rows(table: str) -> str:
    columns = metadata.tables[table].columns
    listed = ", ".join(column.name for column in columns if column.name not in _NOT_COMPARED)
    counted = " and sessions <> 0" if table == "session_cell" else ""
    return f"(select {listed} from {table} where generation = :number{counted}) as one"  # noqa: S608


async def _delete_some(database: Database, table: str, number: int) -> bool:
    async with database.transaction() as session:
        gone = await session.execute(
            sa.text(
                f"delete from {table} where ctid = any(array(select ctid from {table}"  # noqa: S608
                " where generation = :number limit :limit)) returning 1"
            ),
            {"number": number, "limit": _AT_ONCE},
        )
        return gone.first() is not None
