"""Calendar files, read back by icalendar, by dateutil (which knows only the VTIMEZONE) and by hand."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import icalendar
import pytest
from dateutil.tz import tzical
from hypothesis import given
from hypothesis import strategies as st

from libs.clock import zone
from libs.ical import Entry, Mailbox, feed, invitation
from libs.vtimezone import vtimezone

TORONTO = zone("America/Toronto")
utc = partial(datetime, tzinfo=UTC)
ENTRY = Entry(
    uid="0198-session@tournee.example",
    sequence=2,
    summary="Le courriel, pas à pas",
    start=datetime(2027, 1, 12, 13, 30, tzinfo=TORONTO),
    end=datetime(2027, 1, 12, 15, 30, tzinfo=TORONTO),
    last_modified=utc(2026, 11, 22, 14),
    description="Apportez vos lunettes ;\nle reste est fourni.",
    location="Bibliothèque Monique-Corriveau, 1100, route de l’Église, Québec",
    geo=(46.7686, -71.2955),
    url="https://tournee.example/seances/0198",
    categories=("Le courriel", "Débutant, en français"),
)
ORGANIZER = Mailbox("ateliers+0198@tournee.example", "Tournée Capitale-Nationale")
PERSON = Mailbox("aline@example.org", "Aline Tremblay")


def lines_of(content: bytes) -> list[str]:
    """Unfolded as RFC 5545, 3.1 says, checking the folding on the way."""
    assert content.endswith(b"\r\n")
    physical = content[:-2].split(b"\r\n")
    unfolded: list[str] = []
    for line in physical:
        assert len(line) <= 75
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line)
        text = line.decode("utf-8")  # fails when a character is cut in two
        if text.startswith(" "):
            unfolded[-1] += text[1:]
        else:
            unfolded.append(text)
    return unfolded


def properties(content: bytes, component: str = "VEVENT") -> dict[str, str]:
    """Name with parameters → value, of the first component of that name (without its parts)."""
    lines = lines_of(content)
    start = lines.index(f"BEGIN:{component}") + 1
    found: dict[str, str] = {}
    for line in lines[start:]:
        if line.startswith(("BEGIN:", "END:")):
            break
        name, _colon, value = line.partition(":")
        found[name] = value
    return found


def instants(content: bytes) -> Iterator[tuple[datetime, datetime]]:
    """Start and end of every event in UTC, by the file's own VTIMEZONE alone."""
    text = "\r\n".join(lines_of(content)) + "\r\n"
    zones = tzical(io.StringIO(text.replace("\r\n", "\n")))
    for event in re.findall(r"BEGIN:VEVENT.*?END:VEVENT", text, re.S):
        pair = []
        for name in ("DTSTART", "DTEND"):
            found = re.search(rf"{name};TZID=(.+?):(\d{{8}}T\d{{6}})\r", event)
            assert found
            wall = datetime.strptime(found[2], "%Y%m%dT%H%M%S").replace(tzinfo=zones.get(found[1]))
            pair.append(wall.astimezone(UTC))
        yield pair[0], pair[1]


def invited(entry: Entry = ENTRY, method: str = "REQUEST", **changes: Mailbox) -> bytes:
    people = {"organizer": ORGANIZER, "attendee": PERSON} | changes
    return invitation(entry, method=method, dtstamp=utc(2026, 11, 22, 15), **people)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "offset"),
    [
        ("America/Winnipeg", timedelta(hours=-5)),  # permanent since November 2026
        ("America/St_Johns", timedelta(hours=-3, minutes=-30)),
        ("America/Blanc-Sablon", timedelta(hours=-4)),
        ("America/Halifax", timedelta(hours=-4)),  # Îles-de-la-Madeleine
        ("America/Toronto", timedelta(hours=-5)),
        ("America/Edmonton", timedelta(hours=-6)),
    ],
)
def test_january_2027_is_right_to_the_minute_for_a_reader_that_knows_no_zone(
    place: str, offset: timedelta
) -> None:
    start = datetime(2027, 1, 12, 13, 30, tzinfo=zone(place))
    entry = replace(ENTRY, start=start, end=start + timedelta(minutes=90))
    for content in (feed([entry], name="Essai"), invited(entry)):
        assert list(instants(content)) == [
            (utc(2027, 1, 12, 13, 30) - offset, utc(2027, 1, 12, 15, 0) - offset),
        ]
        assert properties(content)[f"DTSTART;TZID={place}"] == "20270112T133000"


@given(
    st.sampled_from(
        [
            "America/Winnipeg",
            "America/St_Johns",
            "America/Blanc-Sablon",
            "America/Halifax",
            "America/Vancouver",
            "America/Iqaluit",
            "Europe/Paris",
            "Africa/Casablanca",
        ]
    ),
    st.datetimes(
        utc(2024, 1, 1).replace(tzinfo=None), utc(2037, 1, 1).replace(tzinfo=None), timezones=st.just(UTC)
    ),
)
def test_a_zone_written_out_agrees_with_tzdata(place: str, moment: datetime) -> None:
    local = moment.replace(microsecond=0).astimezone(zone(place))
    if local.fold or local.replace(fold=1).utcoffset() != local.utcoffset():
        return  # the hour that happens twice is written in UTC
    written = vtimezone(place, local.year, local.year).to_ical().decode()
    reader = tzical(io.StringIO(written.replace("\r\n", "\n"))).get(place)
    assert local.replace(tzinfo=reader).utcoffset() == local.utcoffset()


def test_rules_that_go_on_are_short() -> None:
    written = vtimezone("America/Halifax", 2026, 2027).to_ical()
    assert b"RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3" in written
    assert written.count(b"BEGIN:STANDARD") + written.count(b"BEGIN:DAYLIGHT") == 3
    assert vtimezone("America/Blanc-Sablon", 2026, 2027).to_ical().count(b"DTSTART") == 1


def test_an_hour_that_happens_twice_is_said_in_utc() -> None:
    second = datetime(2027, 11, 7, 1, 30, tzinfo=TORONTO, fold=1)
    event = properties(feed([replace(ENTRY, start=second, end=utc(2027, 11, 7, 8))], name="Essai"))
    assert event["DTSTART"] == "20271107T063000Z"
    assert event["DTEND"] == "20271107T080000Z"
    first = replace(ENTRY, start=second.replace(fold=0), end=second)
    assert properties(feed([first], name="Essai"))["DTSTART;TZID=America/Toronto"] == "20271107T013000"


def test_a_feed_says_what_it_is_and_names_nobody() -> None:
    content = feed(
        [ENTRY],
        name="Ateliers, Capitale-Nationale",
        description="Ateliers gratuits",
        source_url="https://tournee.example/calendrier.ics?region=03",
        refresh=timedelta(hours=2),
        organizer=Mailbox("ateliers@tournee.example", "Tournée"),
    )
    head = properties(content, "VCALENDAR")
    assert head["METHOD"] == "PUBLISH"
    assert head["VERSION"] == "2.0"
    assert head["NAME;LANGUAGE=fr-CA"] == head["X-WR-CALNAME"] == r"Ateliers\, Capitale-Nationale"
    assert head["REFRESH-INTERVAL;VALUE=DURATION"] == head["X-PUBLISHED-TTL"] == "PT2H"
    assert head["SOURCE;VALUE=URI"] == "https://tournee.example/calendrier.ics?region=03"
    assert head["COLOR"] == "steelblue"
    event = properties(content)
    assert event["UID"] == ENTRY.uid
    assert event["SEQUENCE"] == "2"
    assert event["DTSTAMP"] == event["LAST-MODIFIED"] == "20261122T140000Z"
    assert event["SUMMARY;LANGUAGE=fr-CA"] == r"Le courriel\, pas à pas"
    assert event["DESCRIPTION;LANGUAGE=fr-CA"] == r"Apportez vos lunettes \;\nle reste est fourni."
    assert event["GEO"] == "46.7686;-71.2955"
    assert event["STATUS"] == "CONFIRMED"
    assert event["URL"] == ENTRY.url
    assert event["CATEGORIES;LANGUAGE=fr-CA"] == r"Le courriel,Débutant\, en français"
    assert event["ORGANIZER;CN=Tournée"] == "mailto:ateliers@tournee.example"
    assert b"ATTENDEE" not in content
    assert b"CONFERENCE" not in content


def test_the_same_facts_give_the_same_bytes() -> None:
    assert feed([ENTRY, replace(ENTRY, uid="b")], name="a") == feed(
        [ENTRY, replace(ENTRY, uid="b")], name="a"
    )


def test_a_feed_without_events_is_still_a_calendar() -> None:
    content = feed([], name="Essai")
    assert icalendar.Calendar.from_ical(content).name == "VCALENDAR"
    assert properties(content, "VTIMEZONE")["TZID"] == "America/Toronto"


def test_a_cancelled_session_frees_the_time() -> None:
    event = properties(feed([replace(ENTRY, status="CANCELLED")], name="Essai"))
    assert (event["STATUS"], event["TRANSP"]) == ("CANCELLED", "TRANSPARENT")


def test_an_invitation_goes_from_the_instance_to_one_person() -> None:
    entry = replace(ENTRY, conference_url="https://video.example/salle?a=b", language="en")
    content = invited(entry)
    calendar = icalendar.Calendar.from_ical(content)
    event = calendar.walk("VEVENT")[0]
    assert calendar["METHOD"] == "REQUEST"
    assert event["ORGANIZER"] == "mailto:ateliers+0198@tournee.example"
    assert event["ATTENDEE"] == "mailto:aline@example.org"
    assert event["ATTENDEE"].params["CN"] == "Aline Tremblay"
    assert event["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"
    assert event["CONFERENCE"] == "https://video.example/salle?a=b"
    assert event["CONFERENCE"].params["FEATURE"] == "VIDEO"
    assert event["SUMMARY"].params["LANGUAGE"] == "en-CA"
    assert event.decoded("DTSTAMP") == utc(2026, 11, 22, 15)
    assert event.decoded("DTSTART") == entry.start


def test_a_cancel_keeps_the_identity_and_says_cancelled() -> None:
    content = invited(replace(ENTRY, sequence=3), "CANCEL")
    event = properties(content)
    assert properties(content, "VCALENDAR")["METHOD"] == "CANCEL"
    assert (event["UID"], event["SEQUENCE"], event["STATUS"]) == (ENTRY.uid, "3", "CANCELLED")
    assert event["TRANSP"] == "TRANSPARENT"


HOSTILE = [
    "x\r\nATTENDEE:mailto:eve@example.org",
    "x\nBEGIN:VEVENT\nUID:2",
    "x\rX-EVIL:1",
    "x\u2028X-EVIL:1\u2029X-EVIL:2\x85X-EVIL:3\x0bX-EVIL:4\x0cX-EVIL:5\x1cX-EVIL:6",
    "x\\nX-EVIL:1",
    'x";X-EVIL=1:',
    "x\x00\x07\x1b\ud800",
    "é" * 200,
    "👵🏽" * 60,
    " \r\n ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_type_never_becomes_a_line(text: str) -> None:
    check_nothing_injected(text)


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_comes_back_as_text(text: str) -> None:
    check_nothing_injected(text)


def check_nothing_injected(text: str) -> None:
    entry = replace(ENTRY, summary=text, description=text, location=text, categories=(text,))
    content = invited(entry, attendee=Mailbox("aline@example.org", text))
    lines = lines_of(content)
    names = [re.split("[;:]", line)[0] for line in lines]
    assert names.count("ATTENDEE") == names.count("UID") == names.count("CATEGORIES") == 1
    assert lines.count("BEGIN:VEVENT") == 1
    assert "X-EVIL" not in names
    # Readers that split on every line end of Unicode see the same lines.
    assert "".join(lines).splitlines() == ["".join(lines)]
    event = icalendar.Calendar.from_ical(content).walk("VEVENT")[0]
    assert not event.errors
    assert event["ATTENDEE"] == "mailto:aline@example.org"
    printable = "".join(c for c in text if c.isprintable() and c not in '"\\^')
    if printable == text and text == text.strip():
        assert str(event.get("SUMMARY", "")) == text
        assert str(event.get("DESCRIPTION", "")) == text
        assert str(event["ATTENDEE"].params.get("CN", "")) == text


@pytest.mark.parametrize(
    "address", ["", "aline", "a b@example.org", "a@b\r\nX:1", "a@b,c@d", "<a@b>", "a@b@c"]
)
def test_an_address_is_one_address(address: str) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        Mailbox(address)


def test_an_address_in_another_script_travels_as_a_uri() -> None:
    content = invited(attendee=Mailbox("aïda%1@exemple.québec"))
    assert "mailto:a%C3%AFda%251@exemple.qu%C3%A9bec" in "".join(lines_of(content))


def test_a_web_address_is_one_too() -> None:
    for address in ("javascript:alert(1)", "//tournee.example", "https://"):
        with pytest.raises(ValueError, match="web address"):
            feed([replace(ENTRY, url=address)], name="Essai")
    event = properties(feed([replace(ENTRY, url="https://exemple.ca/é\r\nX-EVIL:1 ?a=1")], name="Essai"))
    assert event["URL"] == "https://exemple.ca/%C3%A9X-EVIL:1%20?a=1"


def test_floating_times_are_refused() -> None:
    naive = datetime.combine(date(2027, 1, 12), ENTRY.start.time())
    with pytest.raises(ValueError, match="zone"):
        replace(ENTRY, start=naive)
    with pytest.raises(ValueError, match="ends after"):
        replace(ENTRY, end=ENTRY.start)
    with pytest.raises(ValueError, match="zone"):
        feed([replace(ENTRY, last_modified=naive)], name="Essai")
