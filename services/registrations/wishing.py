"""Wishing: which sessions somebody waits for who takes a seat at any of them (one wait, many stops)."""

from dataclasses import dataclass
from datetime import date

from libs.geography import Point, distance_km
from libs.messaging.contracts import SessionState
from services.registrations import pools

FARTHEST_KM = 500
"""A wait reaches no farther than this: nobody takes a day's journey for a workshop unasked."""


@dataclass(frozen=True, slots=True)
class Around:
    """Within `km` kilometres of a point, along a great circle."""

    point: Point
    km: float


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody waits for: a subject, somewhere, from the first to the last day, both included.

    `regions` and `around` say where, and either is enough; with neither, anywhere. `online`: a seat on a
    video call will do as well, wherever it is from. `language` None: whatever is spoken there.
    """

    theme: str
    first_day: date
    last_day: date
    stream: str = "public"
    regions: frozenset[str] = frozenset()
    around: Around | None = None
    online: bool = False
    language: str | None = None


def kind_wished(wish: Wish, facts: SessionState) -> str | None:
    """The kind of seat at this session that fulfils the wish, in the room first; None if it does not.

    Whether the session takes requests now is another question (`opening.check_open`).
    """
    if (facts.theme, facts.stream) != (wish.theme, wish.stream):
        return None
    if wish.language not in (None, facts.language):
        return None
    if not wish.first_day <= facts.starts_at.date() <= wish.last_day:
        return None
    kinds = pools.seat_kinds(facts.modality)
    if "on_site" in kinds and _is_there(wish, facts):
        return "on_site"
    return "online" if wish.online and "online" in kinds else None


def is_over(wish: Wish, today: date) -> bool:
    """Whether no day is left on which the wish could come true."""
    return today > wish.last_day


def _is_there(wish: Wish, facts: SessionState) -> bool:
    if not wish.regions and wish.around is None:
        return True
    return facts.region in wish.regions or _is_near(wish.around, facts)


def _is_near(around: Around | None, facts: SessionState) -> bool:
    """A place that nobody has put on the map is near nothing."""
    venue = facts.venue
    if around is None or venue is None or venue.latitude is None or venue.longitude is None:
        return False
    return distance_km(around.point, Point(venue.latitude, venue.longitude)) <= around.km
