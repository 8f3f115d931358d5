"""A session as schema.org/Event in JSON-LD, for search engines; public facts alone."""

import json
from collections.abc import Mapping
from datetime import datetime

from markupsafe import Markup

from libs.clock import zone
from services.events.public_session import PublicSession, PublicVenue
from services.events.standing import OPEN, Standing, standing_of

SCHEMA = "https://schema.org"

_MODES = {
    "on_site": "OfflineEventAttendanceMode",
    "online": "OnlineEventAttendanceMode",
    "hybrid": "MixedEventAttendanceMode",
}
_AVAILABILITY = {
    Standing.FREE: "InStock",
    Standing.ASSISTED: "InStoreOnly",
    Standing.NOT_OPEN: "PreOrder",
    Standing.FULL: "SoldOut",
    Standing.LINE_FULL: "SoldOut",
    Standing.CLOSED: "Discontinued",
    Standing.DRAW_CANCELLED: "Discontinued",
    Standing.OVER: "Discontinued",
    Standing.CANCELLED: "Discontinued",
}


def event_data(session: PublicSession, *, base_url: str, organizer: str, now: datetime) -> dict[str, object]:
    """The Event as plain JSON values. `base_url` has no final slash; the room link is never known here.

    Times carry the offset of the session's own place (schema.org DateTime, ISO 8601).
    """
    url = f"{base_url}/seances/{session.id}"
    data: dict[str, object | None] = {
        "@context": SCHEMA,
        "@type": "Event",
        "@id": url,
        "url": url,
        "identifier": str(session.id),
        "name": session.title,
        "description": session.description or None,
        "inLanguage": session.language,
        "startDate": local_iso(session.starts_at_utc, session.timezone),
        "endDate": local_iso(session.ends_at_utc, session.timezone),
        "eventStatus": f"{SCHEMA}/{_status(session)}",
        "previousStartDate": _previous_start(session),
        "eventAttendanceMode": f"{SCHEMA}/{_MODES[session.modality]}" if session.modality in _MODES else None,
        "isAccessibleForFree": True,
        "location": _location(session, url),
        "organizer": {"@type": "Organization", "name": organizer, "url": base_url},
        "offers": _offer(session, base_url, standing_of(session, now)),
        **_capacity(session),
    }
    return {name: value for name, value in data.items() if value is not None}


def embedded(data: Mapping[str, object]) -> Markup:
    """`data` as a `<script type="application/ld+json">` element that no title can break out of.

    HTML ends a script at `</script` whatever JSON means by it, so `<`, `>` and `&` are written as JSON
    escapes (HTML Living Standard, 4.12.1.3); U+2028 and U+2029 trip old JavaScript parsers.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup('<script type="application/ld+json">{}</script>').format(Markup(text))  # noqa: S704 - escaped above


def local_iso(instant: datetime, timezone: str) -> str:
    """`2026-12-08T13:30:00-05:00`: the instant on the wall clock of `timezone`."""
    return instant.astimezone(zone(timezone)).isoformat(timespec="seconds")


def _status(session: PublicSession) -> str:
    if session.status == "cancelled":
        return "EventCancelled"
    return "EventRescheduled" if _previous_start(session) else "EventScheduled"


def _previous_start(session: PublicSession) -> str | None:
    """The start that people may have noted; a move to another room is no rescheduling."""
    before = session.previous_starts_at
    if before is None or before == session.starts_at:
        return None
    moment = before.replace(tzinfo=zone(session.previous_timezone or session.timezone))
    return moment.isoformat(timespec="seconds")


def _location(session: PublicSession, url: str) -> object:
    # Google asks for a link in a VirtualLocation: the public page, since the room link is for those who
    # have a seat.
    virtual = {"@type": "VirtualLocation", "url": url}
    if session.modality == "online" or session.venue is None:
        return virtual if session.modality != "on_site" else None
    place = _place(session.venue)
    return [place, virtual] if session.modality == "hybrid" else place


def _place(venue: PublicVenue) -> dict[str, object]:
    address = {
        "@type": "PostalAddress",
        "streetAddress": venue.street,
        "addressLocality": venue.municipality,
        "addressRegion": venue.province.rpartition("-")[2],
        "postalCode": venue.postal_code,
        "addressCountry": venue.province.partition("-")[0],
    }
    place: dict[str, object] = {
        "@type": "Place",
        "name": venue.name,
        "address": {name: value for name, value in address.items() if value},
    }
    if venue.latitude is not None and venue.longitude is not None:
        place["geo"] = {
            "@type": "GeoCoordinates",
            "latitude": venue.latitude,
            "longitude": venue.longitude,
        }
    if venue.phone:
        place["telephone"] = venue.phone
    return place


def _offer(session: PublicSession, base_url: str, standing: Standing) -> dict[str, object]:
    by_web = standing in OPEN and "web" in session.registration_modes
    offer: dict[str, object] = {
        "@type": "Offer",
        "price": 0,
        "priceCurrency": "CAD",
        "url": f"{base_url}/{'inscription' if by_web else 'seances'}/{session.id}",
    }
    availability = _AVAILABILITY.get(standing)
    if availability:
        offer["availability"] = f"{SCHEMA}/{availability}"
    if session.opens_at is not None:
        offer["validFrom"] = local_iso(session.opens_at, session.timezone)
    return offer


def _capacity(session: PublicSession) -> dict[str, object]:
    """In all, and by kind where a session is on site and online at once."""
    if not session.capacity:
        return {}
    counts: dict[str, object] = {"maximumAttendeeCapacity": session.capacity}
    if session.seats is not None:
        counts["remainingAttendeeCapacity"] = max(session.seats.available, 0)
    if session.modality == "hybrid":
        counts["maximumPhysicalAttendeeCapacity"] = session.capacity_on_site
        counts["maximumVirtualAttendeeCapacity"] = session.capacity_online
    return counts
