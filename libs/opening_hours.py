"""When a team is there: its week as an operator writes it, as in `mo-fr 09:00-12:00,13:00-16:00`."""

import re
from functools import lru_cache
from itertools import pairwise

DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
ALWAYS = "24/7"
"""Somebody is there at any hour."""
DAY_MINUTES = 24 * 60

Ranges = tuple[tuple[int, int], ...]
"""The open times of a day, in order and apart: minutes after midnight on the local clock."""
Week = tuple[Ranges, Ranges, Ranges, Ranges, Ranges, Ranges, Ranges]
"""From Monday to Sunday."""

_RANGE = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


@lru_cache(maxsize=16)
def week_of(text: str) -> Week | None:
    """The week that `text` says, in the words of OpenStreetMap's `opening_hours`; None for `24/7`.

    Days are `mo` to `su`, alone, as `mo-fr` or as `tu,th`; a day that isn't named is closed. Raises
    `ValueError`.
    """
    if text.strip() == ALWAYS:
        return None
    week: list[list[tuple[int, int]]] = [[] for _ in DAYS]
    for rule in filter(None, (part.strip().lower() for part in text.split(";"))):
        days, _, hours = rule.partition(" ")
        for number in _numbers(days):
            week[number] += _ranges(hours)
    for ranges in week:
        ranges.sort()
        if any(end > following for (_, end), (following, _) in pairwise(ranges)):
            raise ValueError("deux plages du même jour se chevauchent")
    if not any(week):
        raise ValueError("aucun jour n’est ouvert")
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (tuple(ranges) for ranges in week)
    return monday, tuesday, wednesday, thursday, friday, saturday, sunday


def _numbers(days: str) -> list[int]:
    found: list[int] = []
    for part in days.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError("donnez des jours comme mo-fr ou tu,th")
        start, end = DAYS.index(first), DAYS.index(last or first)
        if end < start:
            raise ValueError("la semaine va de mo à su")
        found += range(start, end + 1)
    return found


def _ranges(hours: str) -> list[tuple[int, int]]:
    found = []
    for part in hours.split(","):
        said = _RANGE.fullmatch(part.strip())
        if said is None:
            raise ValueError("donnez des heures comme 09:00-16:00")
        first_hour, first_minute, last_hour, last_minute = (int(number) for number in said.groups())
        start, end = first_hour * 60 + first_minute, last_hour * 60 + last_minute
        if max(first_minute, last_minute) > 59 or not start < end <= DAY_MINUTES:
            raise ValueError("une plage commence avant de finir, entre 00:00 et 24:00")
        found.append((start, end))
    return found
