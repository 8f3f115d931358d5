"""What no statement can do, not even one that somebody types: the database has the last word on seats."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from libs.messaging.contracts import HeldSeats, SeatCounts, SessionState
from tests.registrations.conftest import Instance, session_state


@pytest.fixture
async def session(instance: Instance) -> SessionState:
    """Two seats for everybody, both taken, a third held for the phone; three people wait."""
    held = (HeldSeats(seat_kind="on_site", channel="phone", seats=1),)
    session = session_state(capacity=SeatCounts(on_site=3), held_seats=held)
    await instance.hear(session)
    for number in range(1, 6):
        await instance.register(session.id, number)
    return session


@pytest.fixture
async def sql(
    instance: Instance, session: SessionState
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The service's own role, which owns the tables."""
    connection = await asyncpg.connect(instance.database.url)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    ("statement", "refused_by"),
    [
        # S1: nobody gets a seat that isn't there, by whatever road.
        (
            "update registration set status = 'confirmed', pool_channel = '', granted = true where seq = 3",
            "no_oversell",
        ),
        (
            "update registration set status = 'offered', pool_channel = '', offer_expires_at = now()"
            " where seq = 3",
            "no_oversell",
        ),
        ("update registration set pool_channel = 'phone' where status = 'confirmed'", "no_oversell"),
        (
            "insert into registration select (jsonb_populate_record(r, jsonb_build_object('id',"
            " gen_random_uuid(), 'seq', 99, 'confirmation_number', 'X', 'ledger_ref', null))).*"
            " from registration r where seq = 1",
            "no_oversell",
        ),
        ("update seat_pool set effective = 1 where channel = ''", "no_oversell"),
        ("update seat_pool set confirmed = confirmed - 1 where channel = ''", "only_people_count"),
        ("update seat_pool set effective = effective + 1 where channel = ''", "as_planned"),
        ("update seat_pool set effective = effective + 100 where channel = 'phone'", "as_planned"),
        (
            "insert into seat_pool (session_id, seat_kind, channel, effective, confirmed, offered)"
            " select id, 'on_site', 'desk', 5, 0, 0 from session",
            "as_planned",
        ),
        ("update registration set pool_channel = 'nowhere' where seq = 1", "has no pool"),
        ("update registration set pool_channel = null where seq = 1", "seat_has_a_pool"),
        ("update registration set granted = true where seq = 4", "grant_is_a_seat"),
        # S2: a seat that is free belongs to those who wait.
        ("update registration set status = 'cancelled', pool_channel = null where seq = 1", "nobody_waits"),
        (
            "with moved as (update seat_pool set effective = 0 where channel = 'phone')"
            " update seat_pool set effective = 3 where channel = '' and seat_kind = 'on_site'",
            "nobody_waits",
        ),
        # S3: the seat machine goes one way, and an offer has an end.
        ("update registration set status = 'waitlisted', pool_channel = null where seq = 1", "one_way"),
        ("update registration set status = 'expired' where seq = 3", "one_way"),
        (
            "update registration set status = 'offered', offer_expires_at = null, pool_channel = 'phone'"
            " where seq = 3",
            "offer_has_an_end",
        ),
        # S4: the number of a request is given once and kept; what was decided stays written.
        ("update registration set seq = 100 where seq = 3", "keep_their_number"),
        ("update registration set seq = 4 where seq = 3", "keep_their_number"),
        ("update registration set priority = 10 where seq = 3", "priority"),
        ("delete from seat_ledger", "append_only"),
        ("update seat_ledger set touched = '[]'", "append_only"),
        ("truncate seat_ledger", "append_only"),
        (
            "insert into seat_ledger select * from seat_ledger where entry = 2",
            "pk_seat_ledger",
        ),
        # S5: one answer per key, one registration per id.
        ("insert into registration select * from registration where seq = 1", "registration"),
    ],
)
async def test_no_statement_breaks_a_rule(
    sql: "asyncpg.Connection[asyncpg.Record]", statement: str, refused_by: str
) -> None:
    before = await picture(sql)

    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        async with sql.transaction():
            await sql.execute(statement)

    assert refused_by in f"{refusal.value} {refusal.value.constraint_name}"
    assert await picture(sql) == before


async def test_what_staff_may_do_by_hand_is_counted(
    sql: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """A whole and lawful change goes through: who leaves, and who is asked instead."""
    async with sql.transaction():
        await sql.execute("update seat_pool set effective = effective + 1 where channel = ''")
        await sql.execute("update registration set status = 'cancelled', pool_channel = null where seq = 1")
        await sql.execute(
            "update registration set status = 'offered', pool_channel = '', offer_expires_at = now()"
            " where seq = 3"
        )
        await sql.execute("update seat_pool set effective = effective - 1 where channel = ''")

    row = await sql.fetchrow("select * from seat_pool where seat_kind = 'on_site' and channel = ''")
    assert row is not None
    assert (row["effective"], row["confirmed"], row["offered"], row["waiting"]) == (2, 1, 1, 2)


async def test_after_its_start_a_session_may_have_free_seats(
    instance: Instance, sql: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await sql.execute("update session set starts_at = now() - $1::interval", timedelta(minutes=1))

    await sql.execute("update registration set status = 'cancelled', pool_channel = null where seq = 1")

    assert (
        await sql.fetchval("select confirmed from seat_pool where seat_kind = 'on_site' and channel = ''")
        == 1
    )


async def picture(sql: "asyncpg.Connection[asyncpg.Record]") -> list[object]:
    return [
        await sql.fetch(f"select * from {table} order by 1, 2, 3")
        for table in ("registration", "seat_pool", "seat_ledger", "session")
    ]
