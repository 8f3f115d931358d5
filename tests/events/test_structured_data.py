"""The JSON-LD of a session: parsed back, true, and impossible to break out of."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient

from libs.clock import zone
from libs.database import Database
from services.events.public_session import PublicSeats, PublicSession, PublicVenue
from services.events.structured_data import embedded, event_data
from tests.events.public_calendar import save, seats, session, venue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIBRARY = PublicVenue(
    id=uuid4(),
    name="Bibliothèque Monique-Corriveau",
    street="1100, route de l’Église",
    municipality="Québec",
    postal_code="G1V 3V9",
    latitude=46.77,
    longitude=-71.3,
)


def a_session(**changes: Any) -> PublicSession:
    start = datetime.fromisoformat("2027-01-12T13:30")
    timezone = changes.get("timezone", "America/Toronto")
    utc = start.replace(tzinfo=zone(timezone)).astimezone(UTC)
    fields: dict[str, Any] = {
        "id": uuid4(),
        "title": "Le courriel, pas à pas",
        "status": "published",
        "stream": "public",
        "kind": "workshop",
        "language": "fr",
        "modality": "on_site",
        "starts_at": start,
        "ends_at": start + timedelta(hours=2),
        "timezone": timezone,
        "starts_at_utc": utc,
        "ends_at_utc": utc + timedelta(hours=2),
        "changed_at": NOW,
        "published_at": NOW,
        "capacity_on_site": 12,
        "venue": LIBRARY,
        "seats": counted(4),
        "registration_modes": ("web", "phone"),
    }
    return PublicSession(**(fields | changes))


def counted(available: int, waitlisted: int = 0) -> PublicSeats:
    return PublicSeats(12, available, 0, waitlisted, NOW)


def data(one: PublicSession) -> dict[str, Any]:
    found = event_data(one, base_url="https://ateliers.example", organizer="Tournée", now=NOW)
    parsed: dict[str, Any] = json.loads(json.dumps(found))
    return parsed


def test_an_event_on_site() -> None:
    one = a_session()

    event = data(one)

    assert event["@type"] == "Event"
    assert event["startDate"] == "2027-01-12T13:30:00-05:00"
    assert event["endDate"] == "2027-01-12T15:30:00-05:00"
    assert event["eventStatus"] == "https://schema.org/EventScheduled"
    assert event["eventAttendanceMode"] == "https://schema.org/OfflineEventAttendanceMode"
    assert event["isAccessibleForFree"] is True
    assert (event["maximumAttendeeCapacity"], event["remainingAttendeeCapacity"]) == (12, 4)
    assert event["inLanguage"] == "fr"
    assert event["offers"]["price"] == 0
    assert event["offers"]["availability"] == "https://schema.org/InStock"
    assert event["offers"]["url"] == f"https://ateliers.example/inscription/{one.id}"
    assert event["location"]["@type"] == "Place"
    assert event["location"]["address"]["addressLocality"] == "Québec"
    assert event["location"]["address"]["addressCountry"] == "CA"
    assert event["location"]["geo"]["latitude"] == 46.77


@pytest.mark.parametrize(
    ("timezone", "offset"),
    [
        ("America/Toronto", "-05:00"),
        ("America/Winnipeg", "-05:00"),  # Manitoba stays on summer time from November 2026
        ("America/St_Johns", "-03:30"),
        ("America/Blanc-Sablon", "-04:00"),
        ("America/Halifax", "-04:00"),
    ],
)
def test_times_carry_the_offset_of_their_place(timezone: str, offset: str) -> None:
    assert data(a_session(timezone=timezone))["startDate"] == f"2027-01-12T13:30:00{offset}"


def test_a_cancelled_event() -> None:
    event = data(a_session(status="cancelled", cancelled_at=NOW))

    assert event["eventStatus"] == "https://schema.org/EventCancelled"
    assert event["startDate"] == "2027-01-12T13:30:00-05:00", "the date stays, as schema.org asks"


def test_a_rescheduled_event_names_its_former_start() -> None:
    before = datetime.fromisoformat("2026-07-02T09:00")

    event = data(
        a_session(previous_starts_at=before, previous_timezone="America/Toronto", previous_place="X")
    )

    assert event["eventStatus"] == "https://schema.org/EventRescheduled"
    assert event["previousStartDate"] == "2026-07-02T09:00:00-04:00"


def test_another_room_at_the_same_hour_is_no_rescheduling() -> None:
    one = a_session()
    moved = replace(one, previous_starts_at=one.starts_at, previous_place="Bibliothèque X")

    event = data(moved)

    assert event["eventStatus"] == "https://schema.org/EventScheduled"
    assert "previousStartDate" not in event


def test_an_online_event_links_to_its_public_page() -> None:
    one = a_session(modality="online", venue=None, capacity_on_site=0, capacity_online=12)

    event = data(one)

    assert event["location"] == {
        "@type": "VirtualLocation",
        "url": f"https://ateliers.example/seances/{one.id}",
    }
    assert event["eventAttendanceMode"] == "https://schema.org/OnlineEventAttendanceMode"


def test_a_hybrid_event_has_both_places() -> None:
    event = data(a_session(modality="hybrid", capacity_online=8))

    assert [place["@type"] for place in event["location"]] == ["Place", "VirtualLocation"]
    assert event["maximumVirtualAttendeeCapacity"] == 8
    assert event["eventAttendanceMode"] == "https://schema.org/MixedEventAttendanceMode"


@pytest.mark.parametrize(
    ("changes", "availability"),
    [
        ({"seats": counted(0, 3)}, "SoldOut"),
        ({"opens_at": NOW + timedelta(days=1)}, "PreOrder"),
        ({"closes_at": NOW - timedelta(days=1)}, "Discontinued"),
    ],
)
def test_the_offer_says_whether_there_is_room(changes: dict[str, Any], availability: str) -> None:
    assert data(a_session(**changes))["offers"]["availability"] == f"https://schema.org/{availability}"


def test_seats_that_were_never_counted_are_not_invented() -> None:
    event = data(a_session(seats=None))

    assert event["maximumAttendeeCapacity"] == 12
    assert "remainingAttendeeCapacity" not in event
    assert "availability" not in event["offers"]


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>\u2028\u2029 & \\ \" ' \0",
    "مرحبا 👩‍💻 " * 50,
]


@pytest.mark.parametrize("title", HOSTILE)
def test_no_title_breaks_out(title: str) -> None:
    element = str(embedded(data(a_session(title=title))))

    content = element.removeprefix('<script type="application/ld+json">').removesuffix("</script>")
    assert "<" not in content
    assert ">" not in content
    assert json.loads(content)["name"] == title


async def test_the_page_carries_it_and_nothing_else_runs(public: AsyncClient, database: Database) -> None:
    library = venue()
    one = session(library, title=HOSTILE[0], description="</script><img src=x>")
    await save(database, library, one, seats(one, 4))

    page = await public.get(f"/seances/{one.id}")

    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page.text, re.S)
    assert len(scripts) == 1
    event = json.loads(scripts[0])
    assert event["name"] == HOSTILE[0]
    assert event["remainingAttendeeCapacity"] == 4
    assert "unsafe-inline" not in page.headers["content-security-policy"]
