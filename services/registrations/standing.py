"""Where a session stands for somebody who would like to register: one word, from its facts and the time."""

from datetime import datetime
from enum import StrEnum

from libs.messaging.contracts import SeatsOfKind, SessionState
from services.registrations import pools
from services.registrations.draw import Stage


class Standing(StrEnum):
    """In the order in which they are asked: the first that is true wins, as `commands.check_open` does."""

    CANCELLED = "cancelled"
    OVER = "over"
    RUNNING = "running"
    DRAW_CANCELLED = "draw_cancelled"  # its seats were to be drawn, and will not be given
    CLOSED = "closed"
    DROP_IN = "drop_in"  # nobody registers: one comes
    NO_WEB = "no_web"  # by telephone, at the desk or through the venue
    NOT_OPEN = "not_open"
    LINK_AWAITED = "link_awaited"  # an online session opens once its room link is known
    DRAW = "draw"  # everybody who asks before the draw has the same chance
    FREE = "free"
    ASSISTED = "assisted"  # what is left is kept for those who phone or come to the desk
    LINE_FULL = "line_full"
    FULL = "full"


OPEN = frozenset({Standing.DRAW, Standing.FREE, Standing.ASSISTED, Standing.FULL})
"""Those in which a request is taken, if only to wait."""


def standing_of(
    facts: SessionState,
    seats: SeatsOfKind,
    now: datetime,
    *,
    has_link: bool,
    channel: str = "web",
    draw: str | None = None,
) -> Standing:
    """`seats` are the session's, over all kinds; `has_link` says whether the room link is known.

    `draw`: how far its draw has come (`draw.Stage`), if its seats are drawn.
    """
    by_life = _by_life(facts, now)
    if by_life is None and draw == Stage.CANCELLED:
        return Standing.DRAW_CANCELLED
    by_time = by_life or _by_window(facts, now, has_link, channel)
    if by_time is None and draw == Stage.TO_COME:
        return Standing.DRAW
    return by_time or _by_seats(facts, seats)


def _by_life(facts: SessionState, now: datetime) -> Standing | None:
    if facts.status == "cancelled":
        return Standing.CANCELLED
    if facts.status == "held" or facts.ends_at_utc <= now:
        return Standing.OVER
    return Standing.RUNNING if facts.starts_at_utc <= now else None


def _by_window(facts: SessionState, now: datetime, has_link: bool, channel: str) -> Standing | None:
    if facts.closes_at is not None and facts.closes_at <= now:
        return Standing.CLOSED
    if set(facts.registration_modes) <= {"drop_in"}:
        return Standing.DROP_IN
    if channel == "web" and "web" not in facts.registration_modes:
        return Standing.NO_WEB
    if facts.opens_at is not None and facts.opens_at > now:
        return Standing.NOT_OPEN
    if "online" in pools.seat_kinds(facts.modality) and not has_link:
        return Standing.LINK_AWAITED
    return None


def _by_seats(facts: SessionState, seats: SeatsOfKind) -> Standing:
    if seats.available > 0:
        return Standing.FREE
    if seats.held > 0 and {"phone", "desk"} & set(facts.registration_modes):
        return Standing.ASSISTED
    limit = facts.waitlist.limit
    return Standing.LINE_FULL if limit is not None and seats.waitlisted >= limit else Standing.FULL
