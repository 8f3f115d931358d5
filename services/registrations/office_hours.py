"""Office hours: the clock of offers that somebody of the team makes by telephone or by post."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, cast

import holidays

from libs.clock import zone
from libs.messaging.contracts import SessionState
from libs.opening_hours import Week, week_of

HOME = "QC"
"""Whose public holidays count where a session has no place: the programme's own province."""
_LOOKED_AHEAD = timedelta(days=366)
"""An offer is made at most so long before its session, as far as holidays and clock changes matter."""


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """The network's opening hours up to a session, resolved: nothing of it depends on a library any more.

    `offsets`: from which instant (UTC) on the local clock is how many minutes ahead of UTC; the first holds
    before it too. `closed`: public holidays, as local dates.
    """

    week: Week
    offsets: tuple[tuple[datetime, int], ...]
    closed: tuple[date, ...] = ()

    def after(self, now: datetime, span: timedelta) -> datetime:
        """The instant at which the office has been open for `span` since `now`."""
        day, left = (now + self._offset(now)).date(), span
        while True:
            for opens, closes in self._openings(day):
                start = max(now, opens)
                if start < closes:
                    if left <= closes - start:
                        return start + left
                    left -= closes - start
            day += timedelta(days=1)

    def _openings(self, day: date) -> list[tuple[datetime, datetime]]:
        """When the office opens and closes on a local date, as instants."""
        if day in self.closed:
            return []
        return [
            (self._instant(day, start), self._instant(day, end)) for start, end in self.week[day.weekday()]
        ]

    def _instant(self, day: date, minute: int) -> datetime:
        """The instant of a wall time. In the hour that a clock change skips or repeats, one that is near."""
        wall = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minute)
        return wall - self._offset(wall - self._offset(wall))

    def _offset(self, instant: datetime) -> timedelta:
        place = bisect_right(self.offsets, instant, key=lambda change: change[0])
        return timedelta(minutes=self.offsets[max(0, place - 1)][1])


def office_hours(opening: str, facts: SessionState) -> OfficeHours | None:
    """The opening hours that offers of this session are counted in; None where somebody is always there.

    `opening` is what `libs.opening_hours` reads. The clock is the session's, the holidays its venue's.
    """
    week = week_of(opening)
    if week is None:
        return None
    province = facts.venue.province if facts.venue is not None else f"CA-{HOME}"
    return _resolved(week, facts.timezone, province, facts.starts_at_utc.astimezone(UTC).date())


@lru_cache(maxsize=4096)
def _resolved(week: Week, timezone: str, province: str, last: date) -> OfficeHours:
    until = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    start = until - _LOOKED_AHEAD
    closed = tuple(
        sorted(
            day
            for day in _holidays(province, start.year, until.year)
            if start.date() <= day <= until.date() and week[day.weekday()]
        )
    )
    return OfficeHours(week, _offsets(timezone, start, until), closed)


@lru_cache(maxsize=256)
def _holidays(province: str, first: int, last: int) -> frozenset[date]:
    """The public holidays of these years: of the province or territory (ISO 3166-2), else of the country."""
    country, _, part = province.partition("-")
    known = country == "CA" and part in holidays.country_holidays("CA").subdivisions
    found = holidays.country_holidays("CA", subdiv=part if known else None, years=range(first, last + 1))
    return frozenset(found)


def _offsets(timezone: str, start: datetime, until: datetime) -> tuple[tuple[datetime, int], ...]:
    """Day by day, and to the minute where the offset changes within one."""
    found = [(start, _minutes(timezone, start))]
    low = start
    while low < until:
        high = low + timedelta(days=1)
        if _minutes(timezone, high) != found[-1][1]:
            change = _change(timezone, low, high)
            found.append((change, _minutes(timezone, change)))
        low = high
    return tuple(found)


def _change(timezone: str, low: datetime, high: datetime) -> datetime:
    before = _minutes(timezone, low)
    while high - low > timedelta(minutes=1):
        middle = low + timedelta(minutes=((high - low) // timedelta(minutes=1)) // 2)
        low, high = (middle, high) if _minutes(timezone, middle) == before else (low, middle)
    return high


def _minutes(timezone: str, instant: datetime) -> int:
    offset = instant.astimezone(zone(timezone)).utcoffset()
    assert offset is not None, "an instant in a zone has an offset"
    return round(offset / timedelta(minutes=1))


def office_json(office: OfficeHours) -> dict[str, Any]:
    """As a session's row and its ledger keep it."""
    return {
        "week": [[list(hours) for hours in day] for day in office.week],
        "offsets": [[instant.isoformat(), minutes] for instant, minutes in office.offsets],
        "closed": [day.isoformat() for day in office.closed],
    }


def office_of_json(found: Mapping[str, Any]) -> OfficeHours:
    """The reverse of `office_json`."""
    week = tuple(tuple((start, end) for start, end in day) for day in found["week"])
    return OfficeHours(
        week=cast(Week, week),
        offsets=tuple((datetime.fromisoformat(instant), minutes) for instant, minutes in found["offsets"]),
        closed=tuple(date.fromisoformat(day) for day in found["closed"]),
    )
