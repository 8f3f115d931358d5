"""The demonstration: what is planned, from any day, and that it loads once into a running instance."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy import demo
from deploy.demo_plan import ZONE, DemoPlan, Person, plan, synthetic_names
from deploy.demo_run import KEYS_LAST, Run, read_run, write_run
from libs import vocabularies
from libs.clock import zone
from libs.vocabularies import DATA
from services.events.reference import places, reference_id
from tests.flows.running import ADMIN_TOKEN, RunningInstance
from tests.waiting import eventually

NOW = datetime(2026, 11, 22, 9, 30, 12, tzinfo=zone(ZONE))
DAYS = range(0, 400, 9)


@pytest.fixture
def made() -> DemoPlan:
    return plan(NOW, synthetic_names())


def everybody(made: DemoPlan) -> list[Person]:
    return [person for session in made.sessions for person in session.people] + list(made.waits)


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
    assert 20 <= len(made.sessions) <= 24


@pytest.mark.parametrize("later", DAYS)
def test_stops_stand_on_working_days_in_the_coming_weeks(later: int) -> None:
    made = plan(NOW + timedelta(days=later), synthetic_names())
    today = NOW.date() + timedelta(days=later)
    days = [stop.on for stop in made.stops]
    assert days == sorted(set(days))
    assert today < days[0]
    assert days[-1] <= today + timedelta(weeks=6)
    assert all(day.weekday() < 5 and not (day.month == 12 and day.day > 23) for day in days)
    window = made.tour["windows"]["public"]
    for session in made.sessions:
        if session.is_alone:
            continue
        assert window["first"] <= session.fields["starts_at"][:10] <= window["last"]
        if session.stop is not None:
            assert session.fields["starts_at"][:10] == days[session.stop].isoformat()


def test_some_sessions_are_full_one_moves_and_one_is_cancelled(made: DemoPlan) -> None:
    waiting = {
        session.key: len(session.people) - session.fields["capacity"]
        for session in made.sessions
        if isinstance(session.fields.get("capacity"), int)
        and "waitlist" not in session.fields
        and len(session.people) > session.fields["capacity"]
    }
    assert waiting == {"full": 2, "offer": 3, "video": 1}
    changes = {session.then: session.change for session in made.sessions if session.then}
    assert changes.keys() == {"someone_cancels", "moved", "cancelled", "held"}
    assert changes["cancelled"] == {"reason": "Tempête de neige"}


@pytest.mark.parametrize("later", DAYS)
def test_one_draw_is_days_away_and_another_can_be_watched(later: int) -> None:
    now = NOW + timedelta(days=later)
    made = plan(now, synthetic_names())
    closings = {
        session.key: datetime.fromisoformat(session.fields["waitlist"]["draw"]["closes_at"])
        for session in made.sessions
        if "waitlist" in session.fields
    }
    wall = now.replace(tzinfo=None)
    assert closings["draw"] > wall + timedelta(days=5)
    assert timedelta(minutes=5) <= closings["drawn"] - wall <= timedelta(minutes=6)
    assert made.drawn_at - now <= timedelta(minutes=16)
    asked = {
        one.key: len(one.people) - made.capacity(one.key) for one in made.sessions if one.key in closings
    }
    assert all(too_many > 0 for too_many in asked.values())


@pytest.mark.parametrize("later", DAYS)
def test_what_is_over_lies_in_the_past_with_an_outcome_for_everybody(later: int) -> None:
    made = plan(NOW + timedelta(days=later), synthetic_names())
    today = NOW.date() + timedelta(days=later)
    held = [session for session in made.sessions if session.then == "held"]
    assert len(held) == 3
    for session in held:
        assert session.change is not None
        day = date.fromisoformat(session.change["starts_at"][:10])
        assert timedelta(days=1) < today - day < timedelta(weeks=4)
        assert day.weekday() < 5
        assert len(session.outcomes) == len(session.people) <= session.fields["capacity"]
    came = Counter(outcome for session in held for outcome in session.outcomes)
    assert came.keys() == {"attended", "absent", "excused"}
    assert came["attended"] > 3 * came["absent"]
    assert sum(session.walk_ins for session in held) > 0


def test_a_party_comes_together_and_somebody_waits_for_many_sessions(made: DemoPlan) -> None:
    (party,) = [session for session in made.sessions if "party" in session.fields]
    assert sorted(person.body.get("party_size", 1) for person in party.people) == [1, 3]
    (waiting,) = made.waits
    full = {"offer", "video"}
    themes = {
        str(reference_id(activity["id"])): activity["theme"]
        for activity in json.loads((DATA / "activities.json").read_text(encoding="utf-8"))
    }
    wished = [one for one in made.sessions if themes[one.fields["activity_id"]] == waiting.body["theme"]]
    assert {session.key for session in wished} == full, "a wait for sessions that are full is one"


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
    names = synthetic_names()
    assert plan(NOW, names) == plan(NOW, names)
    assert plan(NOW, names, seed=1) != plan(NOW, names)


def test_a_loading_goes_on_only_while_its_keys_are_known(tmp_path: Path) -> None:
    assert read_run(tmp_path) is None
    run = Run.new(datetime.now(UTC))
    write_run(tmp_path, run)
    assert read_run(tmp_path) == run
    assert run.can_go_on(run.began)
    assert not run.can_go_on(run.began + KEYS_LAST)
    assert not Run(run.id, run.began, is_done=True).can_go_on(run.began)
    assert run.key("POST", "/a", {"b": 1}) == run.key("POST", "/a", {"b": 1})
    assert run.key("POST", "/a", {"b": 1}) != run.key("POST", "/a", {"b": 2})
    (tmp_path / "demonstration.json").write_text("{", "utf-8")
    assert read_run(tmp_path) is None


async def test_it_loads_once_through_the_public_api(data_dir: Path) -> None:
    instance = RunningInstance(data_dir)
    try:
        await instance.start()
        told: list[str] = []
        summary = await demo.load(instance.base_url, ADMIN_TOKEN, data_dir, told.append)
        assert summary is not None
        assert (summary.stops, summary.sessions) == (10, 24)
        assert len(told) == 2
        for _, address in summary.links:
            assert (await instance.client.get(address)).status_code == 200, address
        assert await demo.load(instance.base_url, ADMIN_TOKEN, data_dir, told.append) is None
        assert len(told) == 2
        await settled_after_the_quiet(instance)
        sessions = await instance.client.get("/api/events/v1/sessions", params={"limit": 50})
        by_status = {item["title"]: item for item in sessions.json()["items"]}
        offered = by_status["La tablette bien en main"]["seats"]
        assert (offered["confirmed"], offered["offered"], offered["waitlisted"]) == (5, 1, 3)
        subjects = [str(mail["Subject"]) for mail in await instance.mails()]
        assert any("annul" in subject.casefold() for subject in subjects)
        assert len(subjects) > summary.registrations / 3
        pages = [address for name, address in summary.links if "tirage" in name]
        assert len(pages) == 2
        for page in pages:
            assert "donne la même chance" in (await instance.client.get(page)).text.replace("\u00a0", " ")
    finally:
        await instance.close()


async def test_one_that_was_interrupted_goes_on_and_does_nothing_twice(data_dir: Path) -> None:
    """The runner is killed in the middle, PostgreSQL with it, and started again."""
    instance = RunningInstance(data_dir, DEMO="1")
    try:
        await instance.start()
        await eventually(lambda: "Les gens s’inscrivent" in instance.log())
        await eventually(lambda: some_registered(instance))
        instance.kill()
        interrupted = read_run(data_dir)
        assert interrupted is not None
        assert not interrupted.is_done
        await instance.start()
        await eventually(lambda: "Tournée est prête" in instance.log())

        run = read_run(data_dir)
        assert run is not None
        assert (run.id, run.is_done) == (interrupted.id, True)
        made = plan(run.began.astimezone(zone(ZONE)), synthetic_names())
        await settled_after_the_quiet(instance)
        sessions = await all_sessions(instance)
        assert len(sessions) == len(made.sessions)
        patient = {person.body["name"] for person in made.waits}
        people = [
            name for session in sessions for name in await names_in(instance, session) if name not in patient
        ]
        assert max(Counter(people).values()) == 1, "nobody was registered twice"
        wanted = {
            person.body["name"]
            for session in made.sessions
            if session.then not in ("cancelled", "someone_cancels") and session.key not in ("draw", "drawn")
            for person in session.people
        }
        assert wanted <= set(people)
        await eventually(lambda: tells_attendance(instance))
        assert await demo.load(instance.base_url, ADMIN_TOKEN, data_dir, lambda _text: None) is None
    finally:
        await instance.close()


async def test_an_instance_that_somebody_works_with_is_left_alone(data_dir: Path) -> None:
    """Even if a loading into another one was interrupted: its tour isn't known here."""
    instance = RunningInstance(data_dir)
    try:
        await instance.start()
        await instance.published()
        run = Run(UUID(int=1), datetime.now(UTC), tour=str(UUID(int=2)))
        write_run(data_dir, run)
        assert await demo.load(instance.base_url, ADMIN_TOKEN, data_dir, lambda _text: None) is None
        assert len(await all_sessions(instance)) == 1
    finally:
        await instance.close()


async def all_sessions(instance: RunningInstance) -> list[dict[str, Any]]:
    query: dict[str, Any] = {
        "from": "2000-01-01", "limit": 100, "status": ["draft", "published", "held", "cancelled"],
    }  # fmt: skip
    answer = await instance.client.get("/api/events/v1/sessions", params=query, headers=instance.staff)
    return list(answer.json()["items"])


async def settled_after_the_quiet(instance: RunningInstance) -> None:
    """Who is told of a change is told after a minute without another one: it passes at once."""
    await instance.settled("lag")
    await instance.shift_clock("notifications", 90)
    await instance.settled()


async def names_in(instance: RunningInstance, session: dict[str, Any]) -> list[str]:
    """Who has a seat in it or waits for one, by name."""
    path = f"/api/registrations/v1/sessions/{session['id']}"
    found = []
    for listed in ("roster", "line"):
        answer = await instance.client.get(f"{path}/{listed}", headers=instance.staff)
        found += [entry["name"] for entry in answer.json().get("items", ())]
    return found


async def some_registered(instance: RunningInstance) -> bool:
    return any([await names_in(instance, session) for session in await all_sessions(instance)])


async def tells_attendance(instance: RunningInstance) -> bool:
    """Whether the country's indicators know who came, as on the first day of a demonstration."""
    answer = await instance.client.get(
        "/api/national/v1/indicators", params={"indicator": "I6,I7"}, headers=instance.staff
    )
    figures = {item["indicator"]: item["value"] for item in answer.json()["items"]}
    return figures.keys() >= {"I6", "I7"} and all(figures.values())
