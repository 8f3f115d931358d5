"""Several coordinators at once: nothing is overwritten silently, nothing is done twice."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from httpx import AsyncClient

from libs.database import Database
from services.events import commands, touring
from tests.builders import session_fields
from tests.conftest import DatabaseFactory
from tests.events.conftest import said

SESSIONS = "/api/events/v1/sessions"


@pytest.fixture
async def database(database_factory: DatabaseFactory) -> Database:
    return await database_factory("events", pool_size=10)


async def a_published_session(database: Database, venue_id: UUID) -> UUID:
    async with database.transaction() as db:
        session = await commands.create_session(db, session_fields(venue_id))
        await commands.publish_session(db, "demo", session.id)
        return session.id


async def test_one_of_many_edits_of_one_version_wins(
    staff: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_published_session(database, venue_id)
    answers = await asyncio.gather(
        *(
            staff.patch(f"{SESSIONS}/{session_id}", json={"title": f"Titre {n}"}, headers={"If-Match": '"2"'})
            for n in range(12)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 11
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert {a.json()["current"]["title"] for a in answers if a.status_code == 412} == {winner["title"]}
    assert [m.version for m in await said(database, "sessions")] == [2, 3]


async def test_unconditional_changes_are_announced_in_their_order(
    staff: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_published_session(database, venue_id)
    await asyncio.gather(
        *(
            staff.patch(f"{SESSIONS}/{session_id}", json={"title": f"Titre {n}"}, headers={"If-Match": "*"})
            for n in range(10)
        )
    )
    told = await said(database, "sessions")
    assert [m.version for m in told] == list(range(2, 13))
    shown = (await staff.get(f"{SESSIONS}/{session_id}")).json()
    assert (shown["title"], shown["version"]) == (told[-1].payload["title"], told[-1].version)


async def test_one_key_sent_many_times_makes_one_session(
    staff: AsyncClient, database: Database, venue_id: UUID
) -> None:
    answers = await asyncio.gather(
        *(
            staff.post(SESSIONS, json=session_fields(venue_id), headers={"Idempotency-Key": "same"})
            for _n in range(10)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    async with database.reading() as db:
        assert (await db.execute(sa.text("select count(*) from session"))).scalar_one() == 1


async def test_publishing_at_the_same_time_announces_once(
    staff: AsyncClient, database: Database, venue_id: UUID
) -> None:
    async with database.transaction() as db:
        session_id = (await commands.create_session(db, session_fields(venue_id))).id
    answers = await asyncio.gather(
        *(staff.post(f"{SESSIONS}/{session_id}/publish", json={}) for _n in range(8))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert [m.version for m in await said(database, "sessions")] == [2]


async def test_ended_sessions_are_held_once_by_many_loops(database: Database, venue_id: UUID) -> None:
    ids = [await a_published_session(database, venue_id) for _n in range(30)]
    async with database.transaction() as db:
        await db.execute(
            sa.text("update session set starts_at_utc = now() - interval '2 h', ends_at_utc = now()")
        )

    async def hold() -> int:
        total = 0
        while True:
            async with database.transaction() as db:
                held = await commands.hold_ended(db, "demo", most=7)
            total += held
            if not held:
                return total

    assert sum(await asyncio.gather(*(hold() for _n in range(4)))) == 30
    held = [m.key for m in await said(database, "sessions") if m.payload["status"] == "held"]
    assert sorted(held) == sorted(str(session_id) for session_id in ids)


async def test_storms_that_cross_each_other_do_not_deadlock(database: Database, venue_id: UUID) -> None:
    ids = [await a_published_session(database, venue_id) for _n in range(8)]

    async def storm(order: list[UUID]) -> None:
        async with database.transaction() as db:
            await commands.cancel_sessions(db, "demo", order, {"reason": "Tempête"})

    await asyncio.gather(storm(ids), storm(ids[::-1]), storm(ids[3:] + ids[:3]))
    cancelled = [m.key for m in await said(database, "sessions") if m.payload["status"] == "cancelled"]
    assert sorted(cancelled) == sorted(str(session_id) for session_id in ids)


async def test_stops_added_at_the_same_time_have_places_of_their_own(
    database: Database, venue_id: UUID
) -> None:
    async with database.transaction() as db:
        tour_id = (await touring.create_tour(db, {"title": "Tournée"})).id

    async def add(day: int) -> None:
        fields: dict[str, Any] = {"venue_id": venue_id, "first_date": f"2027-02-{day:02}", "position": 1}
        async with database.transaction() as db:
            await touring.add_stop(db, tour_id, fields)

    await asyncio.gather(*(add(day) for day in range(1, 9)))
    async with database.reading() as db:
        stops = await touring.stops_of(db, tour_id)
        assert [stop.position for stop in stops] == list(range(1, 9))
        assert len({stop.first_date for stop in stops}) == 8
        assert max(s.first_date for s in stops) - min(s.first_date for s in stops) == timedelta(days=7)
