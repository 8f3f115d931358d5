"""The demonstration: what is planned, from any day, and that it loads once into a running instance."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from deploy import demo
from deploy.demo_plan import DemoPlan, Person, plan, synthetic_names
from libs import vocabularies
from libs.vocabularies import DATA
from services.events.reference import places, reference_id
from tests.flows.running import ADMIN_TOKEN, RunningInstance

TODAYS = [date(2026, 11, 22) + timedelta(days=number) for number in range(0, 400, 9)]


@pytest.fixture
def made() -> DemoPlan:
    return plan(date(2026, 11, 22), synthetic_names())


def everybody(made: DemoPlan) -> list[Person]:
    return [person for session in made.sessions for person in session.people]


def test_the_tour_stops_at_real_libraries_of_the_region_with_an_address(made: DemoPlan) -> None:
    libraries = {str(reference_id(place.source_id)): place for place in places()}
    stops = [libraries[stop.venue_id] for stop in made.stops]
    assert len({stop.source_id for stop in stops}) == len(stops) >= 8
    assert {stop.region for stop in stops} == {"03"}
    assert all(stop.street and stop.postal_code for stop in stops)
    assert all(stop.facts["accessibility"] for stop in made.stops)


def test_all_themes_streams_and_modalities_are_there(made: DemoPlan) -> None:
    activities = {
        str(reference_id(activity["id"])): activity
        for activity in json.loads((DATA / "activities.json").read_text(encoding="utf-8"))
    }
    used = [activities[session.fields["activity_id"]] for session in made.sessions]
    assert {activity["theme"] for activity in used} == vocabularies.ids("themes")
    assert sum(activity["stream"] == "pro" for activity in used) == 2
    assert {session.fields["modality"] for session in made.sessions} == {"on_site", "online", "hybrid"}
    assert 14 <= len(made.sessions) <= 18


@pytest.mark.parametrize("today", TODAYS)
def test_stops_stand_on_working_days_in_the_coming_weeks(today: date) -> None:
    made = plan(today, synthetic_names())
    days = [stop.on for stop in made.stops]
    assert days == sorted(set(days))
    assert today < days[0]
    assert days[-1] <= today + timedelta(weeks=6)
    assert all(day.weekday() < 5 and not (day.month == 12 and day.day > 23) for day in days)
    window = made.tour["windows"]["public"]
    for session in made.sessions:
        assert window["first"] <= session.fields["starts_at"][:10] <= window["last"]
        if session.stop is not None:
            assert session.fields["starts_at"][:10] == days[session.stop].isoformat()


def test_some_sessions_are_full_one_moves_and_one_is_cancelled(made: DemoPlan) -> None:
    waiting = {
        session.key: len(session.people) - session.fields["capacity"]
        for session in made.sessions
        if isinstance(session.fields.get("capacity"), int)
        and len(session.people) > session.fields["capacity"]
    }
    assert waiting == {"full": 2, "offer": 3, "video": 1}
    changes = {session.then: session.change for session in made.sessions if session.then}
    assert changes.keys() == {"someone_cancels", "moved", "cancelled"}
    assert changes["cancelled"] == {"reason": "Tempête de neige"}


def test_nobody_can_be_reached_who_exists(made: DemoPlan) -> None:
    people = everybody(made)
    assert len({person.body["name"] for person in people}) == len(people) > 40
    for person in people:
        for kind, value in person.body["contact"].items():
            if kind == "email":
                assert value.rpartition("@")[2] in {"example.org", "example.com"}
                assert value.isascii()
            else:
                assert value.startswith("418 555-01")
    assert {person.body["channel"] for person in people} == {"web", "phone", "desk"}
    professionals = [person.body for person in people if "organisation" in person.body]
    assert {body["role"] for body in professionals} == {"staff", "volunteer"}


def test_the_first_in_line_reads_e_mail(made: DemoPlan) -> None:
    session = next(session for session in made.sessions if session.key == "offer")
    assert "email" in session.people[session.fields["capacity"]].body["contact"]


def test_the_same_seed_gives_the_same_people() -> None:
    names, day = synthetic_names(), date(2026, 11, 22)
    assert plan(day, names) == plan(day, names)
    assert plan(day, names, seed=1) != plan(day, names)


async def test_it_loads_once_through_the_public_api(data_dir: Path) -> None:
    instance = RunningInstance(data_dir)
    try:
        await instance.start()
        told: list[str] = []
        summary = await demo.load(instance.base_url, ADMIN_TOKEN, told.append)
        assert summary is not None
        assert (summary.stops, summary.sessions) == (10, 18)
        assert len(told) == 2
        for _, address in summary.links:
            assert (await instance.client.get(address)).status_code == 200, address
        assert await demo.load(instance.base_url, ADMIN_TOKEN, told.append) is None
        assert len(told) == 2
        await instance.settled()
        sessions = await instance.client.get("/api/events/v1/sessions", params={"limit": 50})
        by_status = {item["title"]: item for item in sessions.json()["items"]}
        offered = by_status["La tablette bien en main"]["seats"]
        assert (offered["confirmed"], offered["offered"], offered["waitlisted"]) == (5, 1, 2)
        subjects = [str(mail["Subject"]) for mail in await instance.mails()]
        assert any("annul" in subject.casefold() for subject in subjects)
        assert len(subjects) > summary.registrations / 2
    finally:
        await instance.close()
