"""What coordinators do: tours with their stops, templates, copies, storms, and what is announced of it."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from libs.clock import utc_now
from libs.database import Database
from libs.web.problems import Malformed, Problem
from services.events import commands, queries, touring
from services.events.catalogue import patch_thing
from services.events.models import Session, SessionTrainer, Stop, Tour, Venue
from services.events.problems import InUse, SessionHeld, Stale, TourCancelled
from tests.builders import a_trainer, a_venue, an_activity, session_fields
from tests.events.conftest import said

WINDOWS = {"public": {"first": "2027-02-01", "last": "2027-03-12"}}


async def a_tour(database: Database, venue_id: UUID, **changes: Any) -> tuple[UUID, UUID]:
    """A tour with one stop on 3 February 2027."""
    async with database.transaction() as db:
        fields = {"title": "Tournée d’hiver", "region": "03", "windows": WINDOWS} | changes
        tour = await touring.create_tour(db, fields)
        stop = await touring.add_stop(db, tour.id, {"venue_id": venue_id, "first_date": "2027-02-03"})
        return tour.id, stop.id


async def a_session_at(database: Database, stop_id: UUID, start: str = "2027-02-03T13:30") -> UUID:
    async with database.transaction() as db:
        activity = await an_activity(db)
        fields = {"activity_id": activity.id, "starts_at": start}
        return (await touring.add_session_to_stop(db, stop_id, fields)).id


async def test_a_template_fills_a_session(database: Database, venue_id: UUID) -> None:
    tour_id, stop_id = await a_tour(database, venue_id)
    async with database.transaction() as db:
        activity, trainer = await an_activity(db), await a_trainer(db)
        session = await touring.add_session_to_stop(
            db,
            stop_id,
            {"activity_id": activity.id, "starts_at": "2027-02-03T13:30", "trainer_ids": [trainer.id]},
        )
        assert (session.title, session.theme, session.capacity_on_site) == (
            "Le courriel, pas à pas", "courriel", 10,
        )  # fmt: skip
        assert session.ends_at - session.starts_at == timedelta(minutes=90)
        assert (session.tour_id, session.venue_id, session.region) == (tour_id, venue_id, "03")
        record = await queries.record(db, session.id)
        assert record is not None
        assert record.trainer_ids == [trainer.id]
        assert record.tour is not None
        assert record.tour.title == "Tournée d’hiver"


@pytest.mark.parametrize("start", ["2027-02-04T13:30", "2027-04-01T13:30", "2026-11-01T01:30"])
async def test_a_session_outside_its_stop_or_tour_is_refused(
    database: Database, venue_id: UUID, start: str
) -> None:
    _tour_id, stop_id = await a_tour(database, venue_id)
    with pytest.raises(Malformed) as caught:
        await a_session_at(database, stop_id, start)
    assert caught.value.errors[0].field == "starts_at"


async def test_stops_keep_their_order(database: Database, venue_id: UUID) -> None:
    tour_id, first = await a_tour(database, venue_id)

    async def order() -> list[UUID]:
        async with database.reading() as db:
            stops = await touring.stops_of(db, tour_id)
            assert [stop.position for stop in stops] == list(range(1, len(stops) + 1))
            return [stop.id for stop in stops]

    async with database.transaction() as db:
        fields = {"venue_id": venue_id, "first_date": "2027-02-05"}
        second = (await touring.add_stop(db, tour_id, fields)).id
        ahead = (await touring.add_stop(db, tour_id, fields | {"position": 1})).id
    assert await order() == [ahead, first, second]
    async with database.transaction() as db:
        await touring.patch_stop(db, ahead, {"position": 99})
    assert await order() == [first, second, ahead]
    async with database.transaction() as db:
        await touring.remove_stop(db, second)
    assert await order() == [first, ahead]


async def test_a_stop_keeps_its_sessions_in_its_dates(database: Database, venue_id: UUID) -> None:
    _tour_id, stop_id = await a_tour(database, venue_id)
    await a_session_at(database, stop_id)
    async with database.transaction() as db:
        other = await a_venue(db, name="Ailleurs")
    for change, refusal in (
        ({"first_date": "2027-02-04"}, Malformed),
        ({"first_date": "2027-06-01"}, Malformed),
        ({"venue_id": other.id}, InUse),
    ):
        with pytest.raises(refusal):
            async with database.transaction() as db:
                await touring.patch_stop(db, stop_id, change)
    async with database.transaction() as db:
        stop = await touring.patch_stop(db, stop_id, {"last_date": "2027-02-04"}, expected=1)
        assert (stop.first_date, stop.last_date) == (date(2027, 2, 3), date(2027, 2, 4))
    with pytest.raises(Stale):
        async with database.transaction() as db:
            await touring.patch_stop(db, stop_id, {"note": "Clé à la réception"}, expected=1)


async def test_a_tours_window_keeps_its_sessions(database: Database, venue_id: UUID) -> None:
    tour_id, stop_id = await a_tour(database, venue_id)
    await a_session_at(database, stop_id)
    narrower = {"windows": {"public": {"first": "2027-02-04", "last": "2027-03-12"}}}
    with pytest.raises(Malformed) as caught:
        async with database.transaction() as db:
            await touring.patch_tour(db, "demo", tour_id, narrower)
    assert caught.value.errors[0].field == "windows/public"


async def test_a_tour_is_copied_at_the_same_wall_times(database: Database, venue_id: UUID) -> None:
    tour_id, stop_id = await a_tour(database, venue_id)
    session_id = await a_session_at(database, stop_id)
    async with database.transaction() as db:
        trainer = await a_trainer(db)
        await commands.assign_trainer(db, session_id, trainer.id)
        await commands.patch_session(
            db,
            "demo",
            session_id,
            {
                "opens_at": "2027-01-20T09:00",
                "held_seats": {"phone": 2},
                "releases": [{"at": "2027-02-01T09:00", "channel": "phone", "seats": 2}],
            },
        )
        await touring.publish_tour(db, "demo", tour_id)
        copy = await touring.copy_tour(db, tour_id, {"weeks": 8, "title": "Tournée de printemps"})
        assert (copy.status, copy.title, copy.copied_from) == ("draft", "Tournée de printemps", tour_id)
        assert copy.windows == {"public": {"first": "2027-03-29", "last": "2027-05-07"}}
        (stop,) = await touring.stops_of(db, copy.id)
        assert (stop.first_date, stop.venue_id) == (date(2027, 3, 31), venue_id)
        (record,) = await queries.tour_records(db, copy.id)
        session = record.session
        assert (session.status, session.version, session.stop_id) == ("draft", 1, stop.id)
        assert session.starts_at.isoformat() == "2027-03-31T13:30:00"
        # Winter time before, summer time after: 18 h 30 UTC became 17 h 30.
        assert session.starts_at_utc.isoformat() == "2027-03-31T17:30:00+00:00"
        assert session.opens_at is not None
        assert session.opens_at.isoformat() == "2027-03-17T13:00:00+00:00"
        assert session.releases[0]["at"] == "2027-03-29T13:00:00+00:00"
        assert record.trainer_ids == [trainer.id]


async def test_a_copy_onto_a_time_that_does_not_exist_is_refused(database: Database, venue_id: UUID) -> None:
    tour_id, _stop_id = await a_tour(database, venue_id)
    async with database.transaction() as db:
        fields = session_fields(
            venue_id, tour_id=tour_id, starts_at="2027-03-07T02:30", ends_at="2027-03-07T04:00"
        )
        await commands.create_session(db, fields)
    with pytest.raises(Malformed) as caught:
        async with database.transaction() as db:
            await touring.copy_tour(db, tour_id, {"weeks": 1})
    assert caught.value.errors[0].field == "weeks"
    assert "fausses nouvelles" in str(caught.value.errors[0].message)


async def test_a_storm_cancels_everything_at_once(database: Database, venue_id: UUID) -> None:
    tour_id, stop_id = await a_tour(database, venue_id)
    ids = [await a_session_at(database, stop_id, f"2027-02-03T{hour}:00") for hour in (10, 14)]
    async with database.transaction() as db:
        published = await touring.publish_tour(db, "demo", tour_id)
        assert {session.id for session in published} == set(ids)
    async with database.transaction() as db:
        cancelled = await commands.cancel_sessions(db, "demo", [*ids, ids[0]], {"reason": "Tempête"})
        assert [session.status for session in cancelled] == ["cancelled"] * 2
    told = [m for m in await said(database, "sessions") if m.payload["status"] == "cancelled"]
    assert {m.key for m in told} == {str(session_id) for session_id in ids}
    assert {m.payload["cancel_reason"] for m in told} == {"Tempête"}


async def test_a_storm_cancels_all_or_nothing(database: Database, venue_id: UUID) -> None:
    tour_id, stop_id = await a_tour(database, venue_id)
    public = await a_session_at(database, stop_id)
    async with database.transaction() as db:
        await touring.publish_tour(db, "demo", tour_id)
    draft = await a_session_at(database, stop_id, "2027-02-03T18:00")
    with pytest.raises(Problem):
        async with database.transaction() as db:
            await commands.cancel_sessions(db, "demo", [public, draft], {"reason": "Tempête"})
    async with database.reading() as db:
        record = await queries.record(db, public)
        assert record is not None
        assert record.session.status == "published"


async def test_a_cancelled_tour_publishes_nothing(database: Database, venue_id: UUID) -> None:
    tour_id, stop_id = await a_tour(database, venue_id)
    first = await a_session_at(database, stop_id)
    async with database.transaction() as db:
        await touring.publish_tour(db, "demo", tour_id)
    draft = await a_session_at(database, stop_id, "2027-02-03T18:00")
    async with database.transaction() as db:
        cancelled = await touring.cancel_tour(db, "demo", tour_id, {"reason": "Budget"})
        assert [session.id for session in cancelled] == [first]
    for refused in (
        lambda db: commands.publish_session(db, "demo", draft),
        lambda db: touring.publish_tour(db, "demo", tour_id),
    ):
        with pytest.raises(TourCancelled):
            async with database.transaction() as db:
                await refused(db)


async def test_a_published_session_becomes_held_at_its_end(database: Database, venue_id: UUID) -> None:
    start = utc_now() + timedelta(days=1)
    async with database.transaction() as db:
        fields = session_fields(
            venue_id,
            starts_at=start.isoformat(timespec="seconds"),
            ends_at=(start + timedelta(hours=1)).isoformat(timespec="seconds"),
            timezone="Africa/Abidjan",
        )
        session_id = (await commands.create_session(db, fields)).id
        await commands.publish_session(db, "demo", session_id)
    async with database.transaction() as db:
        assert await commands.hold_ended(db, "demo") == 0
        # The end has come: the row is older than the clock.
        await db.execute(
            sa.text("update session set starts_at_utc = now() - interval '2 h', ends_at_utc = now()")
        )
    async with database.transaction() as db:
        assert await commands.hold_ended(db, "demo") == 1
        assert await commands.hold_ended(db, "demo") == 0
    assert [(m.version, m.payload["status"]) for m in await said(database, "sessions")] == [
        (2, "published"),
        (3, "held"),
    ]
    with pytest.raises(SessionHeld):
        async with database.transaction() as db:
            await commands.cancel_session(db, "demo", session_id, {})


async def test_a_venue_that_changes_is_told_to_its_sessions(database: Database, venue_id: UUID) -> None:
    async with database.transaction() as db:
        session = await commands.create_session(db, session_fields(venue_id))
        await commands.create_session(db, session_fields(venue_id, title="Brouillon"))
        await commands.publish_session(db, "demo", session.id)
    async with database.transaction() as db:
        await patch_thing(db, "demo", Venue, venue_id, {"email": "biblio@example.org"})
        await patch_thing(db, "demo", Venue, venue_id, {"street": "1, rue Neuve"})
    told = await said(database, "sessions")
    assert [(m.key, m.version) for m in told] == [(str(session.id), 2), (str(session.id), 3)]
    assert told[-1].payload["venue"]["street"] == "1, rue Neuve"


async def test_moving_a_session_remembers_where_it_was(database: Database, venue_id: UUID) -> None:
    async with database.transaction() as db:
        other = await a_venue(db, name="Centre Monique-Corriveau", timezone="America/Halifax", region="11")
        session = await commands.create_session(db, session_fields(venue_id))
        await commands.publish_session(db, "demo", session.id)
    async with database.transaction() as db:
        moved = await commands.patch_session(db, "demo", session.id, {"venue_id": other.id})
        assert (moved.timezone, moved.region, moved.sequence) == ("America/Halifax", "11", 1)
        assert moved.starts_at.isoformat() == "2027-02-03T13:30:00"
        assert moved.starts_at_utc.isoformat() == "2027-02-03T17:30:00+00:00"
        assert (moved.previous_place, moved.previous_timezone) == (
            "Bibliothèque Félix-Leclerc",
            "America/Toronto",
        )
    async with database.transaction() as db:
        renamed = await commands.patch_session(db, "demo", session.id, {"title": "Autre titre"})
        assert renamed.sequence == 1


async def test_a_new_room_link_travels_apart(database: Database) -> None:
    async with database.transaction() as db:
        fields = session_fields(None, modality="online", online_url="https://visio.example.org/1")
        session = await commands.create_session(db, fields)
        await commands.publish_session(db, "demo", session.id)
        await commands.patch_session(
            db, "demo", session.id, {"online_url": "https://visio.example.org/2", "staff_notes": "Sophie"}
        )
    access = await said(database, "session_access")
    assert [m.payload["online_url"][-1] for m in access] == ["1", "2"]
    assert "visio" not in str(await said(database, "sessions"))


async def test_trainers_needed_twice_are_named(database: Database, venue_id: UUID) -> None:
    _tour_id, stop_id = await a_tour(database, venue_id)
    first = await a_session_at(database, stop_id)
    second = await a_session_at(database, stop_id, "2027-02-03T14:00")
    async with database.transaction() as db:
        trainer = await a_trainer(db)
        for session_id in (first, second):
            await commands.assign_trainer(db, session_id, trainer.id)
            await commands.assign_trainer(db, session_id, trainer.id)
        (clash,) = await queries.trainer_clashes(db)
        assert {clash.first.session_id, clash.second.session_id} == {first, second}
        assert await queries.trainer_clashes(db, [UUID(int=1)]) == []
        await commands.unassign_trainer(db, second, trainer.id)
        assert await queries.trainer_clashes(db) == []


async def test_a_draft_tour_goes_with_all_that_is_its_own(database: Database, venue_id: UUID) -> None:
    tour_id, stop_id = await a_tour(database, venue_id)
    session_id = await a_session_at(database, stop_id)
    async with database.transaction() as db:
        trainer = await a_trainer(db)
        await commands.assign_trainer(db, session_id, trainer.id)
    async with database.transaction() as db:
        await touring.delete_tour(db, tour_id)
    async with database.reading() as db:
        for kind in (Tour, Stop, Session, SessionTrainer):
            assert (await db.execute(select(sa.func.count()).select_from(kind))).scalar_one() == 0
    assert await said(database) == []


async def test_a_tour_that_was_published_stays(database: Database, venue_id: UUID) -> None:
    tour_id, stop_id = await a_tour(database, venue_id)
    await a_session_at(database, stop_id)
    async with database.transaction() as db:
        await touring.publish_tour(db, "demo", tour_id)
    for refused in (lambda db: touring.delete_tour(db, tour_id), lambda db: touring.remove_stop(db, stop_id)):
        with pytest.raises(InUse):
            async with database.transaction() as db:
                await refused(db)


async def test_publishing_checks_the_window_again(database: Database, venue_id: UUID) -> None:
    tour_id, stop_id = await a_tour(database, venue_id)
    session_id = await a_session_at(database, stop_id)
    async with database.transaction() as db:
        await db.execute(
            sa.update(Tour)
            .where(col(Tour.id) == tour_id)
            .values(windows={"public": {"first": "2027-03-01", "last": "2027-03-02"}})
        )
    with pytest.raises(Malformed):
        async with database.transaction() as db:
            await commands.publish_session(db, "demo", session_id)
