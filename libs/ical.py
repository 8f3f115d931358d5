"""Calendar files: public feeds and personal invitations, composed from plain facts without any IO.

RFC 5545 (format), 5546 (METHOD, SEQUENCE), 7986 (names, refresh, colour, conference). Whoever calls
decides UID and SEQUENCE; the same facts always give the same bytes, so that an ETag can be made of them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vCalAddress, vDDDTypes, vDuration, vGeo, vText, vUri
from icalendar.cal.component import Component

from libs.clock import zone as named_zone
from libs.vtimezone import vtimezone

PRODID: Final = "-//Tournee//Tournee//FR"
MEDIA_TYPE: Final = "text/calendar; charset=utf-8"
COLOUR: Final = "steelblue"  # RFC 7986 takes CSS names only; this one is nearest to the house's blue.
LIFT: Final = 1_000
"""By how much SEQUENCE rises when a backup is put back: more than one entry's ever did since the backup."""

Status = Literal["CONFIRMED", "TENTATIVE", "CANCELLED"]


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and the name to show; `ValueError` unless the address is of the form a@b."""

    address: str
    name: str = ""

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise ValueError("not an e-mail address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event as a calendar shows it.

    `start` and `end` are aware datetimes whose tzinfo is a `libs.clock.zone`; `last_modified` is any aware
    datetime. `geo` is (latitude, longitude) in degrees. `language` is that of the texts: "fr" or "en".
    `conference_url` is for people who have a seat: never give it for a public feed.
    """

    uid: str
    sequence: int
    summary: str
    start: datetime
    end: datetime
    last_modified: datetime
    description: str = ""
    location: str = ""
    geo: tuple[float, float] | None = None
    url: str = ""
    status: Status = "CONFIRMED"
    language: str = "fr"
    categories: tuple[str, ...] = ()
    conference_url: str | None = None
    dtstamp: datetime | None = None
    """When this text was made; without it `last_modified`, which keeps a feed's bytes stable."""

    def __post_init__(self) -> None:
        _zone_key(self.start)
        _zone_key(self.end)
        # In UTC: two times of one zone compare as their clocks show, whatever the hour that happens twice.
        if self.end.astimezone(UTC) <= self.start.astimezone(UTC):
            raise ValueError("an event ends after it starts")
        if self.sequence < 0:
            raise ValueError("SEQUENCE starts at 0")


def feed(
    entries: Iterable[Entry],
    *,
    name: str,
    description: str = "",
    source_url: str = "",
    refresh: timedelta = timedelta(hours=1),
    language: str = "fr",
    organizer: Mailbox | None = None,
    default_zone: str = "America/Toronto",
    method: str | None = "PUBLISH",
) -> bytes:
    """A calendar to subscribe to, or one event of it to download. Nobody is named in it but the organizer.

    RFC 5546, 3.2.1 wants an ORGANIZER in each published event: pass the instance's own mailbox.
    """
    events = list(entries)
    calendar = _calendar(method)
    tongue = {"LANGUAGE": _tag(language)}
    calendar.add("NAME", vText(_one_line(name)), parameters=tongue)
    calendar.add("X-WR-CALNAME", vText(_one_line(name)))
    if description:
        calendar.add("DESCRIPTION", vText(_text(description)), parameters=tongue)
        calendar.add("X-WR-CALDESC", vText(_text(description)))
    calendar.add("REFRESH-INTERVAL", vDuration(refresh), parameters={"VALUE": "DURATION"})
    calendar.add("X-PUBLISHED-TTL", vDuration(refresh))  # what Outlook reads
    if source_url:
        calendar.add("SOURCE", vUri(_uri(source_url)), parameters={"VALUE": "URI"})
    calendar.add("COLOR", vText(COLOUR))
    if events:
        latest = max(entry.last_modified for entry in events)
        calendar.add("LAST-MODIFIED", vDDDTypes(_utc(latest)))
    _add_zones(calendar, events, default_zone)
    for entry in events:
        calendar.add_component(_event(entry, organizer))
    return _written(calendar)


def invitation(
    entry: Entry,
    *,
    method: Literal["REQUEST", "CANCEL"],
    organizer: Mailbox,
    attendee: Mailbox,
    dtstamp: datetime,
) -> bytes:
    """The calendar part of one person's message. A CANCEL is always `STATUS:CANCELLED`.

    The person has signed up already, so they stand as ACCEPTED; RSVP lets their calendar answer « non »
    to the organizer's own mailbox (RFC 5546, 3.2.2 and 3.2.5).
    """
    calendar = _calendar(method)
    _add_zones(calendar, [entry], "")
    status: Status = "CANCELLED" if method == "CANCEL" else entry.status
    event = _event(replace(entry, dtstamp=dtstamp, status=status), organizer)
    parameters = {
        "CUTYPE": "INDIVIDUAL",
        "ROLE": "REQ-PARTICIPANT",
        "PARTSTAT": "DECLINED" if method == "CANCEL" else "ACCEPTED",
        "RSVP": "FALSE" if method == "CANCEL" else "TRUE",
        "LANGUAGE": _tag(entry.language),
    }
    event.add("ATTENDEE", _address(attendee), parameters=parameters)
    calendar.add_component(event)
    return _written(calendar)


def _written(calendar: Calendar) -> bytes:
    content: bytes = calendar.to_ical()
    return content


def _calendar(method: str | None) -> Calendar:
    calendar = Calendar()
    calendar.add("VERSION", vText("2.0"))
    calendar.add("PRODID", vText(PRODID))
    calendar.add("CALSCALE", vText("GREGORIAN"))
    if method:
        calendar.add("METHOD", vText(method))
    return calendar


def _event(entry: Entry, organizer: Mailbox | None) -> Event:
    event = Event()
    tongue = {"LANGUAGE": _tag(entry.language)}

    def say(name: str, value: str) -> None:
        if value:
            event.add(name, vText(value), parameters=tongue)

    event.add("UID", vText(_one_line(entry.uid)))
    event.add("SEQUENCE", entry.sequence)
    event.add("DTSTAMP", vDDDTypes(_utc(entry.dtstamp or entry.last_modified)))
    event.add("LAST-MODIFIED", vDDDTypes(_utc(entry.last_modified)))
    _add_moment(event, "DTSTART", entry.start)
    _add_moment(event, "DTEND", entry.end)
    say("SUMMARY", _one_line(entry.summary))
    say("DESCRIPTION", _text(entry.description))
    say("LOCATION", _one_line(entry.location))
    if entry.geo is not None:
        event.add("GEO", vGeo((round(entry.geo[0], 6), round(entry.geo[1], 6))))
    if entry.url:
        event.add("URL", vUri(_uri(entry.url)))
    event.add("STATUS", vText(entry.status))
    event.add("TRANSP", vText("TRANSPARENT" if entry.status == "CANCELLED" else "OPAQUE"))
    if entry.categories:
        event.add("CATEGORIES", [_one_line(category) for category in entry.categories], parameters=tongue)
    if entry.conference_url:
        label = "Video meeting" if entry.language == "en" else "Rencontre par vidéo"
        parameters = {"VALUE": "URI", "FEATURE": "VIDEO", "LABEL": label} | tongue
        event.add("CONFERENCE", vUri(_uri(entry.conference_url)), parameters=parameters)
    if organizer is not None:
        event.add("ORGANIZER", _address(organizer))
    return event


def _add_moment(event: Event, name: str, moment: datetime) -> None:
    """Local time with its zone; in UTC where local time can't say it.

    A TZID time that a clock change repeats always means its first passage (RFC 5545, 3.3.5).
    """
    repeated = moment.fold == 1 and moment.replace(fold=0).utcoffset() != moment.utcoffset()
    key = _zone_key(moment)
    if repeated or key == "UTC":
        event.add(name, vDDDTypes(_utc(moment)))
    else:
        event.add(name, vDDDTypes(moment), parameters={"TZID": key})


def _add_zones(calendar: Calendar, events: Sequence[Entry], default: str) -> None:
    """A VTIMEZONE for each zone named; RFC 5545, 3.6 wants at least one component, even without events."""
    moments = [moment for entry in events for moment in (entry.start, entry.end)]
    years = [moment.year for moment in moments]
    keys = sorted({_zone_key(moment) for moment in moments} - {"UTC"})
    for key in keys or ([default] if default else []):
        component: Component = vtimezone(key, min(years, default=2026), max(years, default=2026))
        calendar.add_component(component)


def _zone_key(moment: datetime) -> str:
    tz = moment.tzinfo
    if tz is UTC:
        return "UTC"
    if not isinstance(tz, ZoneInfo) or not tz.key:
        raise ValueError("a calendar time needs an IANA zone: use libs.clock.zone")
    named_zone(tz.key)
    return tz.key


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a stamp needs a zone")
    return moment.astimezone(UTC).replace(microsecond=0)


def _address(mailbox: Mailbox) -> vCalAddress:
    # RFC 6068: what a mailto: address can't hold is percent-encoded.
    address = vCalAddress("mailto:" + quote(mailbox.address, safe="@!$'*+/=^_{|}~"))
    # A quoted parameter can hold no quotation mark (RFC 5545, 3.1); the typographic one reads the same.
    name = _one_line(mailbox.name).replace('"', "”")
    if name:
        address.params["CN"] = name
    return address


def _tag(language: str) -> str:
    return "en-CA" if language == "en" else "fr-CA"


# What people type can hold anything; what ends a line or isn't text may not reach the file. The line ends
# of Unicode go too: many readers split on them.
_UNSAFE = r"\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\"(),:;<>@\[\\\]"
_ADDRESS = re.compile(f"[^{_UNSAFE}]+@[^{_UNSAFE}]+")
_LINE_ENDS = re.compile(r"\r\n|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def _text(value: str) -> str:
    return _UNPRINTABLE.sub("", _LINE_ENDS.sub("\n", value)).strip()


def _one_line(value: str) -> str:
    return " ".join(_text(value).replace("\t", " ").split("\n")).strip()


def _uri(value: str) -> str:
    if not re.match(r"https?://[^/?#]", value):
        raise ValueError("not a web address")
    return quote(_UNPRINTABLE.sub("", _LINE_ENDS.sub("", value)).strip(), safe="%:/?#[]@!$&'()*+,;=~")
