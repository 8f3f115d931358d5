"""VTIMEZONE: a zone's rules written out for calendars that can't look them up (RFC 5545, 3.6.5).

Computed from the pinned tzdata, because programs whose own rules are older (Manitoba's, Alberta's and
British Columbia's changed in 2026) are right only if they read these.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from icalendar import Timezone, TimezoneDaylight, TimezoneStandard, vDDDTypes, vRecur

from libs.clock import zone

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_YEARS_AHEAD = 8  # Enough occurrences to tell a yearly rule from a coincidence.


@dataclass(frozen=True, slots=True)
class _Observance:
    """What the clock does after a change."""

    before: timedelta
    after: timedelta
    name: str
    summer: bool


@lru_cache(maxsize=512)
def vtimezone(key: str, first_year: int, last_year: int) -> Timezone:
    """The zone `key` for events of `first_year` to `last_year`; shared, so never change what you get."""
    first, last = first_year - 1, max(last_year + 1, first_year + _YEARS_AHEAD)
    component = Timezone()
    component.add("TZID", key)
    for observance, onsets in _observances(key, first, last).items():
        component.add_component(_written(observance, onsets, last))
    return component


def _observances(key: str, first: int, last: int) -> dict[_Observance, list[datetime]]:
    """Each observance with the wall times, in the offset before, at which it begins."""
    found: dict[_Observance, list[datetime]] = defaultdict(list)
    start = datetime(first, 1, 1, tzinfo=zone(key)).astimezone(UTC)
    offset, name, summer = _state(key, start)
    found[_Observance(offset, offset, name, summer)].append((start + offset).replace(tzinfo=None))
    for moment in _changes(key, start, datetime(last + 1, 1, 1, tzinfo=UTC)):
        before, (offset, name, summer) = offset, _state(key, moment)
        found[_Observance(before, offset, name, summer)].append((moment + before).replace(tzinfo=None))
    return found


def _state(key: str, moment: datetime) -> tuple[timedelta, str, bool]:
    local = moment.astimezone(zone(key))
    offset = local.utcoffset()
    assert offset is not None
    return offset, local.tzname() or key, bool(local.dst())


def _changes(key: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants between `start` and `end` at which the zone's clock or its name changes."""
    day = start
    while day < end:
        following = day + timedelta(days=1)
        if _state(key, day) != _state(key, following):
            yield _change_within(key, day, following)
        day = following


def _change_within(key: str, low: datetime, high: datetime) -> datetime:
    before = _state(key, low)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        low, high = (middle, high) if _state(key, middle) == before else (low, middle)
    return high


def _written(
    observance: _Observance, onsets: Sequence[datetime], last: int
) -> TimezoneStandard | TimezoneDaylight:
    part = TimezoneDaylight() if observance.summer else TimezoneStandard()
    part.add("DTSTART", vDDDTypes(onsets[0]))
    part.add("TZOFFSETFROM", observance.before)
    part.add("TZOFFSETTO", observance.after)
    part.add("TZNAME", observance.name)
    rule = _yearly(onsets, last)
    if rule is not None:
        part.add("RRULE", rule)
    elif len(onsets) > 1:
        for onset in onsets[1:]:
            part.add("RDATE", vDDDTypes(onset))
    return part


def _yearly(onsets: Sequence[datetime], last: int) -> vRecur | None:
    """« The second Sunday of March », if that is what these are, every year up to `last`."""
    first = onsets[0]
    if len(onsets) < 3 or [onset.year for onset in onsets] != list(range(first.year, last + 1)):
        return None
    if len({(onset.month, onset.weekday(), onset.time()) for onset in onsets}) > 1:
        return None
    ranks = {(onset.day - 1) // 7 + 1 for onset in onsets}
    if len(ranks) == 1:
        rank = ranks.pop()
    elif all((onset + timedelta(days=7)).month != onset.month for onset in onsets):
        rank = -1
    else:
        return None
    return vRecur({"FREQ": "YEARLY", "BYMONTH": first.month, "BYDAY": f"{rank}{_DAYS[first.weekday()]}"})
