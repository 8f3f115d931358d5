"""The calendar files, read back by an independent reader."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from httpx import AsyncClient, Response
from icalendar import Calendar, Event

from libs.database import Database
from services.events.models import Session
from tests.events.public_calendar import save, seats, session, venue


def parsed(answer: Response) -> Calendar:
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/calendar")
    calendar: Any = Calendar.from_ical(answer.content)
    assert isinstance(calendar, Calendar)
    return calendar


async def events(public: AsyncClient, query: str = "") -> dict[str, Event]:
    """Title → event of the feed."""
    calendar = parsed(await public.get(f"/calendrier.ics{query}"))
    return {str(event["SUMMARY"]): event for event in calendar.walk("VEVENT")}


async def test_a_session_becomes_an_event(public: AsyncClient, database: Database) -> None:
    library = venue()
    one = session(library, bring="Votre tablette, si possible ; sinon, rien", sequence=3)
    await save(database, library, one, seats(one, 4))

    answer = await public.get("/calendrier.ics")

    calendar = parsed(answer)
    assert calendar["METHOD"] == "PUBLISH"
    assert calendar["NAME"] == "Ateliers gratuits – Capitale-Nationale"
    assert calendar["SOURCE"] == "http://testserver/calendrier.ics"
    assert [str(tz["TZID"]) for tz in calendar.walk("VTIMEZONE")] == ["America/Toronto"]
    (event,) = calendar.walk("VEVENT")
    assert event["UID"] == f"{one.id}@test.tournee.internal"
    assert event["SEQUENCE"] == 3
    assert event["DTSTART"].dt.astimezone(UTC) == one.starts_at_utc
    assert event["DTSTART"].params["TZID"] == "America/Toronto"
    assert event["DTEND"].dt.astimezone(UTC) == one.ends_at_utc
    assert event["STATUS"] == "CONFIRMED"
    assert event["LOCATION"] == (
        "Bibliothèque Monique-Corriveau, 1100, route de l’Église, Québec (QC) G1V 3V9"
    )
    assert (event["GEO"].latitude, event["GEO"].longitude) == (46.7712, -71.3)
    assert event["URL"] == f"http://testserver/seances/{one.id}"
    assert "Votre tablette, si possible ; sinon, rien" in event["DESCRIPTION"]
    assert event["LAST-MODIFIED"].dt == one.updated_at.replace(microsecond=0)
    assert "ATTENDEE" not in event
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))


async def test_the_feed_follows_the_filters(public: AsyncClient, database: Database) -> None:
    library = venue()
    tablet = session(library, title="Tablette", theme="tablette")
    await save(database, library, session(library, title="Courriel"), tablet)

    assert set(await events(public)) == {"Courriel", "Tablette"}
    assert set(await events(public, "?theme=tablette")) == {"Tablette"}
    assert set(await events(public, "?theme=jardinage&q=courr&near=Québec")) == {"Courriel"}


async def test_a_cancelled_session_stays_thirty_days(public: AsyncClient, database: Database) -> None:
    library = venue()
    now = datetime.now(UTC)

    def cancelled(title: str, days_ago: int) -> Session:
        at = now - timedelta(days=days_ago)
        return session(library, title=title, status="cancelled", cancelled_at=at, sequence=2)

    draft = session(library, title="Brouillon", status="draft", published_at=None)
    await save(database, library, cancelled("Hier", 1), cancelled("Jadis", 31), draft)

    found = await events(public)

    assert set(found) == {"Annulé\u00a0: Hier"}
    (event,) = found.values()
    assert event["STATUS"] == "CANCELLED"
    assert event["SEQUENCE"] == 2
    assert event["TRANSP"] == "TRANSPARENT"


async def test_what_is_over_stays_a_while(public: AsyncClient, database: Database) -> None:
    library = venue()
    recent = session(library, title="Récent", in_days=-5, status="held")
    old = session(library, title="Ancien", in_days=-40, status="held")
    await save(database, library, recent, old)

    assert set(await events(public)) == {"Récent"}


async def test_zones_are_written_out(public: AsyncClient, database: Database) -> None:
    start = datetime.fromisoformat("2027-01-12T13:30")
    zones = {
        "America/Winnipeg": 18,
        "America/St_Johns": 17,
        "America/Blanc-Sablon": 17,
        "America/Halifax": 17,
    }
    sessions = [
        session(None, title=zone, modality="online", timezone=zone, starts_at=start) for zone in zones
    ]
    await save(database, *sessions)

    calendar = parsed(await public.get("/calendrier.ics"))

    assert {str(tz["TZID"]) for tz in calendar.walk("VTIMEZONE")} == set(zones)
    for event in calendar.walk("VEVENT"):
        assert event["DTSTART"].dt.astimezone(UTC).hour == zones[str(event["SUMMARY"])]


async def test_an_unchanged_feed_isnt_sent_again(public: AsyncClient, database: Database) -> None:
    library = venue()
    one = session(library)
    await save(database, library, one)

    first = await public.get("/calendrier.ics")
    again = await public.get("/calendrier.ics", headers={"If-None-Match": first.headers["etag"]})
    weakened = await public.get(
        "/calendrier.ics", headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'}
    )
    by_date = await public.get(
        "/calendrier.ics", headers={"If-Modified-Since": first.headers["last-modified"]}
    )

    assert first.headers["etag"].startswith('"'), "a strong tag"
    assert [answer.status_code for answer in (again, weakened, by_date)] == [304, 304, 304]
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]

    async with database.transaction() as db:
        kept = await db.get(Session, one.id)
        assert kept is not None
        kept.title, kept.updated_at = "Un autre titre", datetime.now(UTC) + timedelta(seconds=2)
    changed = await public.get("/calendrier.ics", headers={"If-None-Match": first.headers["etag"]})

    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": '"another"'},
        {"If-Modified-Since": "pas une date"},
        {"If-Modified-Since": format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)},
        # The tag decides when both are sent (RFC 9110, 13.2.2).
        {
            "If-None-Match": '"x"',
            "If-Modified-Since": format_datetime(datetime(2099, 1, 1, tzinfo=UTC), usegmt=True),
        },
    ],
)
async def test_a_reader_with_something_else_gets_the_whole(
    public: AsyncClient, database: Database, headers: dict[str, str]
) -> None:
    library = venue()
    await save(database, library, session(library))

    assert (await public.get("/calendrier.ics", headers=headers)).status_code == 200


async def test_seats_dont_change_the_feed(public: AsyncClient, database: Database) -> None:
    library = venue()
    one = session(library)
    await save(database, library, one)
    before = await public.get("/calendrier.ics")

    await save(database, seats(one, 2))

    assert (await public.get("/calendrier.ics")).headers["etag"] == before.headers["etag"]


async def test_an_empty_feed_is_a_calendar(public: AsyncClient) -> None:
    calendar = parsed(await public.get("/calendrier.ics?near=nulle-part&from=x"))

    assert calendar.walk("VEVENT") == []
    assert calendar.walk("VTIMEZONE") != []


async def test_one_session_can_be_downloaded(public: AsyncClient, database: Database) -> None:
    library = venue()
    one, other = session(library, title="Le mien"), session(library, title="Un autre")
    await save(database, library, one, other)

    answer = await public.get(f"/seances/{one.id}.ics")

    (event,) = parsed(answer).walk("VEVENT")
    assert str(event["SUMMARY"]) == "Le mien"
    assert f"atelier-{one.id}.ics" in answer.headers["content-disposition"]
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await public.get(f"/seances/{one.id}.ics", headers=known)).status_code == 304


async def test_the_feed_speaks_english_too(public: AsyncClient, database: Database) -> None:
    library = venue()
    gone = session(library, status="cancelled", cancel_reason="Neige")
    await save(database, library, gone, session(None, modality="online", title="Vidéo"))

    found = await events(public, "?lang=en")

    assert found["Cancelled: Le courriel, pas à pas"]["DESCRIPTION"].startswith("This workshop is cancelled.")
    assert found["Vidéo"]["LOCATION"] == "Online, by video"
    assert found["Vidéo"]["SUMMARY"].params["LANGUAGE"] == "en-CA"


@pytest.mark.parametrize(
    "title",
    [
        "Ligne 1\r\nATTENDEE:mailto:x@example.org",
        "Virgule, point-virgule; barre \\ deux-points: \"guillemets\"",
        "é" * 200,
        "👩‍💻" * 40,
        "\u2028BEGIN:VEVENT",
    ],
)  # fmt: skip
async def test_titles_cant_break_the_file(public: AsyncClient, database: Database, title: str) -> None:
    library = venue()
    await save(database, library, session(library, title=title))

    answer = await public.get("/calendrier.ics")

    (event,) = parsed(answer).walk("VEVENT")
    assert "ATTENDEE" not in event
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    answer.content.decode()


async def test_a_moved_session_keeps_its_uid(public: AsyncClient, database: Database) -> None:
    library = venue()
    one = session(library, sequence=0)
    await save(database, library, one)
    (before,) = (await events(public)).values()

    async with database.transaction() as db:
        kept = await db.get(Session, one.id)
        assert kept is not None
        kept.previous_starts_at, kept.previous_place = kept.starts_at, library.name
        kept.starts_at += timedelta(days=1)
        kept.ends_at += timedelta(days=1)
        kept.starts_at_utc += timedelta(days=1)
        kept.ends_at_utc += timedelta(days=1)
        kept.sequence = 1
    (after,) = (await events(public)).values()

    assert after["UID"] == before["UID"]
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert after["DTSTART"].dt > before["DTSTART"].dt
    assert "Déplacé. Avant\u00a0:" in after["DESCRIPTION"]
