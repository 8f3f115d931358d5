"""The calendar part, read back by an independent reader."""

from datetime import UTC, datetime
from typing import Any

import icalendar
import pytest

from libs.clock import zone
from libs.messaging.contracts import Cause, ContactDetails
from services.notifications.itip import CalendarPart, calendar_part, method_of
from tests.notifications.facts import Person, at_time, cause_of, elsewhere, moved, session_facts


def part_of(cause: Cause, person: Person | None = None) -> CalendarPart | None:
    person = (person or Person()).after(cause)
    return calendar_part(
        person.state,
        person.causes[-1],
        organizer_name="Tournée Capitale-Nationale",
        mailbox="inscriptions@example.org",
        description="Vous avez une place.",
        place="En ligne, par vidéo",
    )


def event_of(cause: Cause, person: Person | None = None) -> Any:
    part = part_of(cause, person)
    assert part is not None
    calendar = icalendar.Calendar.from_ical(part.content)
    assert calendar["METHOD"] == part.method
    (event,) = calendar.walk("VEVENT")
    return event


@pytest.mark.parametrize(
    ("name", "changes", "method"),
    [
        ("confirmed", {}, "REQUEST"),
        ("session_changed", {"status": "confirmed"}, "REQUEST"),
        ("session_changed", {"status": "waitlisted"}, None),
        ("session_changed", {"status": "offered"}, None),
        ("waitlisted", {}, None),
        ("offered", {}, None),
        ("declined", {}, None),
        ("offer_expired", {}, None),
        ("reminder_7d", {}, None),
        ("cancelled_by_person", {"invited": True}, "CANCEL"),
        ("cancelled_by_staff", {"invited": True}, "CANCEL"),
        ("session_cancelled", {"invited": True}, "CANCEL"),
        ("cancelled_by_person", {"invited": False}, None),
        ("session_cancelled", {"invited": False}, None),
        ("transferred", {"status": "confirmed"}, "REQUEST"),
        ("transferred", {"status": "confirmed", "invited": True}, "REQUEST"),
        ("transferred", {"status": "waitlisted", "invited": True}, "CANCEL"),
        ("transferred", {"status": "waitlisted", "invited": False}, None),
        ("a_cause_of_next_year", {"invited": True}, None),
    ],
)
def test_who_gets_an_invitation_and_who_gets_it_taken_back(
    name: str, changes: dict[str, Any], method: str | None
) -> None:
    assert method_of(cause_of(name, **changes)) == method


def test_the_entry_is_the_registrations_own() -> None:
    person = Person()
    event = event_of(cause_of("confirmed", sequence=3), person)
    assert event["UID"] == f"{person.id}@test.tournee.internal"
    assert event["SEQUENCE"] == 3
    assert event["SUMMARY"] == "Le courriel, pas à pas"
    assert event["LOCATION"] == "Bibliothèque Monique-Corriveau, 1100, route de l’Église, Québec"
    assert event["ORGANIZER"] == f"mailto:inscriptions+{person.id}@example.org"
    assert event["ATTENDEE"] == "mailto:aline@example.org"
    assert event["ATTENDEE"].params["CN"] == "Aline Tremblay"


@pytest.mark.parametrize(
    ("timezone", "utc_hour"),
    [
        ("America/Toronto", "18:30"),
        ("America/St_Johns", "17:00"),
        ("America/Blanc-Sablon", "17:30"),
        ("America/Halifax", "17:30"),
        ("America/Winnipeg", "18:30"),
    ],
)
def test_times_are_right_to_the_minute_wherever_it_is(timezone: str, utc_hour: str) -> None:
    in_winter = datetime(2027, 1, 20, 13, 30, tzinfo=zone(timezone))
    facts = at_time(session_facts(timezone=timezone), in_winter)
    event = event_of(cause_of("confirmed", session=facts))
    start = event["DTSTART"]
    assert start.params["TZID"] == timezone
    assert f"{start.dt.astimezone(UTC):%H:%M}" == utc_hour


def test_a_move_keeps_the_uid_and_raises_the_sequence() -> None:
    person = Person()
    first = event_of(cause_of("confirmed"), person)
    facts = moved(session_facts(), days=2)
    second = event_of(cause_of("session_changed", version=2, sequence=1, session=facts), person)
    assert first["UID"] == second["UID"]
    assert first["SEQUENCE"] < second["SEQUENCE"]
    assert second["DTSTART"].dt.replace(tzinfo=None) == facts.starts_at


def test_a_transfer_moves_the_entry_to_the_other_session() -> None:
    person = Person().after(cause_of("confirmed", sequence=3))
    first = event_of(person.causes[-1], person)
    _old, new = person.transferred(elsewhere(), invited=True)
    second = event_of(new.causes[-1], new)
    assert new.id != person.id
    # Calendars take a change from the organizer of the first invitation alone.
    for name in ("UID", "ORGANIZER"):
        assert second[name] == first[name]
    assert second["SEQUENCE"] > first["SEQUENCE"]
    assert second["SUMMARY"] == "La tablette, pas à pas"
    assert second["DTSTART"].dt.replace(tzinfo=None) == elsewhere().starts_at
    assert second["LOCATION"].startswith("Bibliothèque Gabrielle-Roy")


@pytest.mark.parametrize(
    ("before", "location"),
    [
        ({}, "Bibliothèque Monique-Corriveau, 1100, route de l’Église, Québec"),
        ({"modality": "online", "venue": None}, "En ligne, par vidéo"),
        ({"modality": "hybrid", "online_url": "https://video.example.org/abc"}, "En ligne, par vidéo"),
    ],
)
def test_a_transfer_to_the_waiting_list_takes_the_old_entry_back(
    before: dict[str, Any], location: str
) -> None:
    person = Person().after(cause_of("confirmed", session=session_facts(**before)))
    _old, new = person.transferred(elsewhere(), invited=True, status="waitlisted", position=2)
    event = event_of(new.causes[-1], new)
    assert (event["STATUS"], event["UID"]) == ("CANCELLED", person.state.uid)
    assert event["SUMMARY"] == "Le courriel, pas à pas"
    assert event["DTSTART"].dt.replace(tzinfo=None) == session_facts().starts_at
    assert event["LOCATION"] == location


def test_a_cancellation_says_so_in_every_way() -> None:
    event = event_of(cause_of("session_cancelled", sequence=4, invited=True))
    assert event["STATUS"] == "CANCELLED"
    assert event["SEQUENCE"] == 4


def test_an_online_seat_carries_the_room_link_and_one_on_site_does_not() -> None:
    facts = session_facts(modality="hybrid", online_url="https://video.example.org/abc")
    online = event_of(cause_of("confirmed", seat_kind="online", session=facts))
    assert online["CONFERENCE"] == "https://video.example.org/abc"
    assert online["LOCATION"] == "En ligne, par vidéo"
    assert "CONFERENCE" not in event_of(cause_of("confirmed", session=facts))


def test_the_same_facts_give_the_same_bytes() -> None:
    person, cause = Person(), cause_of("confirmed", at=datetime(2026, 11, 22, 15, tzinfo=UTC))
    assert part_of(cause, person) == part_of(cause, person)


def test_who_has_no_address_gets_no_part() -> None:
    assert part_of(cause_of("confirmed"), Person(contact=ContactDetails(phone="+14185550102"))) is None
