"""The calendar part of a notice: who gets an invitation, who gets it taken back (RFC 5546)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from libs.clock import zone
from libs.ical import Entry, Mailbox, invitation
from libs.messaging.contracts import Cause, RegistrationState
from services.notifications.identity import plus_addressed
from services.notifications.places import is_by_video, one_line

_INVITES = frozenset({"confirmed", "session_changed", "transferred"})
_TAKES_BACK = frozenset(
    {
        "cancelled_by_person",
        "cancelled_by_staff",
        "session_cancelled",
        "released_unanswered",
        "transferred",
    }
)

Method = Literal["REQUEST", "CANCEL"]


@dataclass(frozen=True, slots=True)
class CalendarPart:
    """One iCalendar object; `method` is the one that stands in it, as the MIME type must repeat it."""

    method: Method
    content: bytes


def method_of(cause: Cause) -> Method | None:
    """REQUEST for who has the seat, CANCEL for who holds an invitation, nothing for anybody else.

    The UID of somebody who was transferred is that of the session they left: a REQUEST moves the entry
    that stands in their calendar, a CANCEL takes it out while they wait for a seat in the other one.
    """
    if cause.cause in _INVITES and cause.status == "confirmed":
        return "REQUEST"
    return "CANCEL" if cause.cause in _TAKES_BACK and cause.invited else None


def calendar_part(
    state: RegistrationState,
    cause: Cause,
    *,
    organizer_name: str,
    mailbox: str,
    description: str,
    place: str,
) -> CalendarPart | None:
    """What the person's calendar needs to know of `cause`; None if it needs nothing.

    UID and SEQUENCE are the registration's own; `place` stands where there is no address. An address or
    link that no calendar could read gives None too: the notice says everything by itself.
    """
    method = method_of(cause)
    if method is None:
        return None
    try:
        content = invitation(
            _entry(state, cause, description, place),
            method=method,
            organizer=Mailbox(plus_addressed(mailbox, state.uid), organizer_name),
            attendee=Mailbox(state.contact.email or "", state.name),
            dtstamp=cause.at,
        )
    except ValueError:
        return None
    return CalendarPart(method, content)


def _entry(state: RegistrationState, cause: Cause, description: str, place: str) -> Entry:
    facts, online = cause.session, cause.seat_kind == "online"
    if method_of(cause) == "CANCEL" and cause.cause == "transferred" and cause.previous is not None:
        # What is taken back is the entry of the session that the person leaves.
        facts, online = cause.previous, is_by_video(cause.previous)
    venue = facts.venue if not online else None
    located = venue is not None and venue.latitude is not None and venue.longitude is not None
    return Entry(
        uid=state.uid,
        sequence=cause.sequence,
        summary=facts.title,
        start=_local(facts.starts_at_utc, facts.timezone),
        end=_local(facts.ends_at_utc, facts.timezone),
        last_modified=cause.at,
        description=description,
        location=one_line(venue) if venue is not None else place,
        geo=(venue.latitude, venue.longitude) if located else None,  # type: ignore[union-attr, arg-type]  # located
        url=facts.url,
        status="CANCELLED" if method_of(cause) == "CANCEL" else "CONFIRMED",
        language="en" if state.language == "en" else "fr",
        conference_url=facts.online_url if online else None,
    )


def _local(instant: datetime, timezone: str) -> datetime:
    return instant.astimezone(zone(timezone))
