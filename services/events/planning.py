"""Planning a tour: distances, trainers needed twice, shifting by weeks, the weeks at a glance."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from libs.clock import zone
from libs.geography import Point, distance_km
from services.events.schedule import BadTime, Moment, Times, moment

ROAD_DETOUR = 1.3
"""A road is about this much longer than the straight line."""
KM_PER_HOUR = 75
SETTING_UP = timedelta(minutes=15)
"""Between two places: parking, unpacking. Nothing within one place."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A session that a trainer delivers. `place` tells venues apart (None: online); `point`: where it is."""

    session_id: UUID
    trainer_id: UUID
    starts_at_utc: datetime
    ends_at_utc: datetime
    place: UUID | None = None
    point: Point | None = None


@dataclass(frozen=True, slots=True)
class Clash:
    """A trainer is needed twice: at the same time, or with too little time for the road.

    `missing` is by how much the second would begin too early; `distance_km` None when a place has no point.
    """

    trainer_id: UUID
    first: Booking
    second: Booking
    overlapping: bool
    missing: timedelta
    distance_km: float | None


def travel_time(km: float) -> timedelta:
    """By road between two places `km` apart in a straight line, rounded up to 5 minutes."""
    minutes = km * ROAD_DETOUR / KM_PER_HOUR * 60
    return SETTING_UP + timedelta(minutes=-(-minutes // 5) * 5)


def clashes(bookings: Iterable[Booking]) -> list[Clash]:
    """Every pair of a trainer's sessions that one person can't deliver, by time of the second."""
    by_trainer: dict[UUID, list[Booking]] = defaultdict(list)
    for booking in bookings:
        by_trainer[booking.trainer_id].append(booking)
    found = []
    for own in by_trainer.values():
        own.sort(key=lambda b: (b.starts_at_utc, b.session_id))
        for index, first in enumerate(own):
            for second in own[index + 1 :]:
                clash = _clash(first, second)
                if clash is not None:
                    found.append(clash)
                elif second.starts_at_utc - first.ends_at_utc > timedelta(days=1):
                    break  # No road in this country of ours takes longer, and they are in order.
    return sorted(found, key=lambda c: (c.second.starts_at_utc, c.first.starts_at_utc, c.trainer_id))


def _clash(first: Booking, second: Booking) -> Clash | None:
    if first.session_id == second.session_id:
        return None
    km = _km(first, second)
    same_place = first.place == second.place or first.place is None or second.place is None
    road = timedelta() if same_place else travel_time(km or 0)
    missing = first.ends_at_utc + road - second.starts_at_utc
    if missing <= timedelta():
        return None
    overlapping = second.starts_at_utc < first.ends_at_utc
    return Clash(first.trainer_id, first, second, overlapping, missing, None if same_place else km)


def _km(first: Booking, second: Booking) -> float | None:
    if first.point is None or second.point is None:
        return None
    return distance_km(first.point, second.point)


def stop_distances(points: Sequence[Point | None]) -> list[float | None]:
    """Kilometres in a straight line from each stop to the next; None where a place has no point."""
    return [distance_km(a, b) if a is not None and b is not None else None for a, b in pairwise(points)]


def shifted_times(when: Times, weeks: int) -> Times:
    """The same wall times `weeks` later, whatever the clocks did in between. Raises `BadTime`."""
    shift = timedelta(weeks=weeks)
    return Times(
        _shifted(when.starts, shift, when.timezone), _shifted(when.ends, shift, when.timezone), when.timezone
    )


def _shifted(old: Moment, shift: timedelta, timezone: str) -> Moment:
    return moment(old.wall + shift, timezone)


def shifted_instant(at: datetime, timezone: str, weeks: int) -> datetime:
    """An instant moved by weeks at the same wall time; where a clock change forbids it, by plain hours."""
    shift = timedelta(weeks=weeks)
    try:
        return moment(at.astimezone(zone(timezone)).replace(tzinfo=None) + shift, timezone).utc
    except BadTime:
        return at.astimezone(UTC) + shift


@dataclass(frozen=True, slots=True)
class PlannedStop:
    id: UUID
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """`day` is the local date of its start."""

    id: UUID
    stop_id: UUID | None
    day: date
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class Day:
    """`stops` that stand on this day, `sessions` in their order; `is_gap`: a working day without any."""

    date: date
    stops: tuple[UUID, ...]
    sessions: tuple[UUID, ...]
    is_gap: bool


@dataclass(frozen=True, slots=True)
class Week:
    monday: date
    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class TourView:
    """A tour week by week. `empty_stops` have no session yet."""

    weeks: tuple[Week, ...]
    empty_stops: tuple[UUID, ...]


def tour_view(stops: Sequence[PlannedStop], sessions: Sequence[PlannedSession]) -> TourView:
    """The weeks from the first to the last day of a tour; sessions without a stop count too."""
    days = [day for stop in stops for day in (stop.first, stop.last)] + [s.day for s in sessions]
    used = {session.stop_id for session in sessions}
    empty = tuple(stop.id for stop in stops if stop.id not in used)
    if not days:
        return TourView((), empty)
    first, last = min(days), max(days)
    monday = first - timedelta(days=first.weekday())
    weeks = []
    while monday <= last:
        dates = [monday + timedelta(days=number) for number in range(7)]
        weeks.append(Week(monday, tuple(_day(d, stops, sessions, first <= d <= last) for d in dates)))
        monday += timedelta(weeks=1)
    return TourView(tuple(weeks), empty)


def _day(day: date, stops: Sequence[PlannedStop], sessions: Sequence[PlannedSession], within: bool) -> Day:
    standing = tuple(stop.id for stop in stops if stop.first <= day <= stop.last)
    here = sorted((s for s in sessions if s.day == day), key=lambda s: (s.starts_at, s.id))
    is_gap = within and not standing and not here and day.weekday() < 5
    return Day(day, standing, tuple(session.id for session in here), is_gap)
