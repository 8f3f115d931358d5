"""The calendar of the country, on the page and in calendar programs."""

import re
from datetime import UTC, datetime

import httpx
import icalendar
import pytest

from libs.settings import Settings
from libs.web.app import Service
from libs.web.assets import FOLDER
from services.national import main
from services.national.pages_calendar import A_PAGE
from tests.national.pages.conftest import Land

HOME = re.compile(r'<h3 class="session-title"><a href="([^"]+)"')


async def feed(land: Land, **query: str) -> tuple[httpx.Response, list[icalendar.Event]]:
    answer = await land.staff.get("/national/calendrier.ics", params=query)
    assert answer.status_code == 200
    calendar = icalendar.Calendar.from_ical(answer.content)
    assert calendar["METHOD"] == "PUBLISH"
    return answer, list(calendar.walk("VEVENT"))


async def test_each_session_leads_to_the_instance_that_owns_it(land: Land) -> None:
    page = await land.page("/national/calendrier", region="05")
    by_start = sorted(
        (
            row
            for row in land.country.sessions
            if row["region"] == "05" and row["starts_at_utc"] > datetime.now(UTC)
        ),
        key=lambda row: (row["starts_at"], row["id"]),
    )
    assert HOME.findall(page.html) == [row["url"] for row in by_start[:A_PAGE]]


async def test_a_day_stands_once_and_in_order(land: Land) -> None:
    page = await land.page("/national/calendrier")
    days = re.findall(r'<h2 class="day"><time datetime="([^"]+)"', page.html)
    assert days == sorted(set(days)) != []


async def test_another_clock_is_named(land: Land) -> None:
    page = await land.page("/national/calendrier", region="CA-BC")
    assert "heure de la Colombie-Britannique" in page.text or "heure du Pacifique" in page.text


async def test_the_page_is_light(land: Land) -> None:
    html = (await land.staff.get("/national/calendrier")).content
    assert len(html) + sum((FOLDER / n).stat().st_size for n in ("main.css", "national.css")) <= 50_000


async def test_the_feed_holds_what_the_page_shows_under_the_sessions_own_names(land: Land) -> None:
    _answer, events = await feed(land, region="05", theme="courriel")
    wanted = [
        row
        for row in land.country.sessions
        if row["region"] == "05" and row["theme"] == "courriel" and row["starts_at_utc"] > datetime.now(UTC)
    ]
    assert {str(event["UID"]) for event in events} == {
        f"{row['id']}@estrie.tournee.internal" for row in wanted
    }
    by_uid = {str(event["UID"]): event for event in events}
    for row in wanted:
        event = by_uid[f"{row['id']}@estrie.tournee.internal"]
        assert event["DTSTART"].dt.astimezone(UTC) == row["starts_at_utc"]
        assert str(event["URL"]) == row["url"]
        assert event["SEQUENCE"] == row["version"]
        assert str(event["STATUS"]) == ("CANCELLED" if row["status"] == "cancelled" else "CONFIRMED")
        assert "ATTENDEE" not in event


async def test_an_entry_is_the_one_that_the_instance_has_in_its_own_feed(land: Land) -> None:
    row = land.coming(region="05")[0]
    before, _events = await feed(land, region="05")
    await land.run("update pulse set calendar_domain = 'agenda.example.org' where instance = 'estrie'")
    await land.run("update session set sequence = 3 where id = :id", id=row["id"])
    after, events = await feed(land, region="05")
    assert after.headers["etag"] != before.headers["etag"]
    (event,) = [event for event in events if str(event["UID"]).startswith(str(row["id"]))]
    assert (str(event["UID"]), event["SEQUENCE"]) == (f"{row['id']}@agenda.example.org", 3)


async def test_a_reader_who_has_it_is_told_so(land: Land) -> None:
    answer, _events = await feed(land, region="05")
    again = await land.staff.get(
        "/national/calendrier.ics", params={"region": "05"}, headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    await land.run(
        "update session set version = version + 1 where id = :id", id=land.coming(region="05")[0]["id"]
    )
    changed, _events = await feed(land, region="05")
    assert changed.headers["etag"] != answer.headers["etag"]


async def test_the_same_country_makes_the_same_file(land: Land) -> None:
    assert (await feed(land))[0].content == (await feed(land))[0].content


async def test_after_a_restore_the_sequence_still_rises(land: Land) -> None:
    row = land.coming(region="05")[0]
    await land.run("update session set epoch = 2, version = 1 where id = :id", id=row["id"])
    _answer, events = await feed(land, region="05")
    (event,) = [event for event in events if str(event["UID"]).startswith(str(row["id"]))]
    assert event["SEQUENCE"] > row["version"]


@pytest.mark.parametrize("path", ["/national/calendrier", "/national/calendrier.ics"])
async def test_a_setting_makes_it_public_and_nothing_else(land: Land, settings: Settings, path: str) -> None:
    assert (await land.stranger.get(path, headers={"Accept": "text/html"})).status_code == 303
    opened = settings.model_copy(update={"national_calendar_public": True})
    app = main.create(Service("national", opened, land.database, None))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as public:
        answer = await public.get(path)
        assert answer.status_code == 200
        assert "/national/seances/" not in answer.text
        assert (await public.get("/national", headers={"Accept": "text/html"})).status_code == 303
