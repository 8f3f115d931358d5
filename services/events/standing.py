"""Where a session stands for somebody who would like to come: one word, from its facts and the time."""

from datetime import datetime
from enum import StrEnum

from services.events.public_session import PublicSession
from services.events.schedule import BY_REGISTRATION


class Standing(StrEnum):
    """In the order in which they are asked: the first that is true wins."""

    DRAFT = "draft"
    CANCELLED = "cancelled"
    OVER = "over"
    RUNNING = "running"
    DROP_IN = "drop_in"  # nobody registers: one comes
    CONTACT = "contact"  # the venue registers people itself, so no seat is counted here
    DRAW_CANCELLED = "draw_cancelled"  # its seats were to be drawn, and will not be given
    CLOSED = "closed"
    NOT_OPEN = "not_open"
    UNCOUNTED = "uncounted"  # published a moment ago, or registrations haven't answered yet
    DRAW = "draw"  # everybody who asks before the draw has the same chance
    FREE = "free"
    ASSISTED = "assisted"  # what is left is kept for those who phone or come to the desk
    LINE_FULL = "line_full"
    FULL = "full"


OPEN = frozenset({Standing.DRAW, Standing.FREE, Standing.ASSISTED, Standing.FULL, Standing.UNCOUNTED})
"""Those that a person can still register for, if only to wait."""


def standing_of(session: PublicSession, now: datetime) -> Standing:
    """`now` is an instant (aware)."""
    return _by_life(session, now) or _by_window(session, now) or _by_seats(session)


def _by_life(session: PublicSession, now: datetime) -> Standing | None:
    if session.status == "draft":
        return Standing.DRAFT
    if session.status == "cancelled":
        return Standing.CANCELLED
    if session.status == "held" or session.ends_at_utc <= now:
        return Standing.OVER
    return None


def _by_window(session: PublicSession, now: datetime) -> Standing | None:
    if needs_no_registration(session):
        return Standing.DROP_IN
    modes = set(session.registration_modes)
    if modes and not modes & BY_REGISTRATION:
        return Standing.CONTACT if session.starts_at_utc > now else Standing.RUNNING
    if session.starts_at_utc <= now:
        return Standing.RUNNING
    if session.seats is not None and session.seats.draw == "cancelled":
        return Standing.DRAW_CANCELLED
    if session.closes_at is not None and session.closes_at <= now:
        return Standing.CLOSED
    if session.opens_at is not None and session.opens_at > now:
        return Standing.NOT_OPEN
    return None


def _by_seats(session: PublicSession) -> Standing:
    seats = session.seats
    if session.draw_closes_at is not None and (seats is None or seats.draw != "drawn"):
        return Standing.DRAW
    if seats is None:
        return Standing.UNCOUNTED
    if seats.available > 0:
        return Standing.FREE
    if seats.held > 0 and {"phone", "desk"} & set(session.registration_modes):
        return Standing.ASSISTED
    limit = session.waitlist_limit
    return Standing.LINE_FULL if limit is not None and seats.waitlisted >= limit else Standing.FULL


def needs_no_registration(session: PublicSession) -> bool:
    """One simply comes: the door is the only way in."""
    return set(session.registration_modes) == {"drop_in"}
