"""First times: who has had no seat in a programme year, known by keyed pseudonyms and by nothing else."""

import hmac
from collections.abc import Mapping
from datetime import date

PURPOSE = "first_time_draw"
"""The consent without which nobody's pseudonym is made, looked for or kept."""
_FIRST_MONTH = 4
"""A programme year is the government's: from 1 April to 31 March, named by the year that it begins in."""


def programme_year(day: date) -> int:
    """The programme year of a day."""
    return day.year if day.month >= _FIRST_MONTH else day.year - 1


def pseudonyms(key: bytes, year: int, name_key: str, ways: Mapping[str, str]) -> list[bytes]:
    """One for each way to reach the person (32 bytes): any of them recognises them, in that year alone."""
    return [
        hmac.digest(key, "\x1f".join((str(year), name_key, way, value)).encode(), "sha256")
        for way, value in sorted(ways.items())
    ]
