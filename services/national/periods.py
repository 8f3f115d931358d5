"""The periods that one can look at: what is to come, a month, a season of the programme, a year."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from libs.web.i18n import LazyString, _

TO_COME: Final = ""
SEASONS: Final = {"hiver": (1, 4), "ete": (5, 8), "automne": (9, 12)}
"""First and last month of each: the programme plans its tours by these."""
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_SEASON = re.compile(rf"(\d{{4}})-({'|'.join(SEASONS)})")
_YEAR = re.compile(r"\d{4}")


@dataclass(frozen=True, slots=True)
class Period:
    """Local days from `first` to `last`, both included. `to_come`: what starts after this moment, no end."""

    code: str
    first: date | None = None
    last: date | None = None

    @property
    def to_come(self) -> bool:
        return self.first is None


def read_period(code: str, today: date) -> Period | None:
    """The period that `code` means: `2026-11`, `2026-automne`, `2026`, `month`, `next_month`, `year` (the
    last twelve months) or nothing (what is to come). None when nobody knows it.
    """
    this_month = today.replace(day=1)
    if code == TO_COME:
        return Period(code)
    if code == "month":
        return _months(code, this_month, 1)
    if code == "next_month":
        return _months(code, month_after(this_month), 1)
    if code == "year":
        return _months(code, month_after(this_month, -11), 12)
    if found := _MONTH.fullmatch(code):
        return _months(code, date(max(1, int(found[1])), int(found[2]), 1), 1)
    if found := _SEASON.fullmatch(code):
        first, last = SEASONS[found[2]]
        return _months(code, date(max(1, int(found[1])), first, 1), last - first + 1)
    if _YEAR.fullmatch(code):
        return _months(code, date(max(1, int(code)), 1, 1), 12)
    return None


def month_after(month: date, months: int = 1) -> date:
    """The first day of the month that lies `months` after that of `month`, within what a date can say."""
    number = min(max(month.year * 12 + month.month - 1 + months, 12), 9999 * 12 + 11)
    return date(number // 12, number % 12 + 1, 1)


def offered(today: date) -> list[tuple[str, LazyString]]:
    """The periods that the page offers, with their words: the nearest first."""
    named: list[tuple[str, LazyString]] = [
        (TO_COME, _("À venir")),
        ("month", _("Ce mois-ci")),
        ("next_month", _("Le mois prochain")),
    ]
    season = _season_of(today)
    for code in (season, _next(season), _previous(season)):
        named.append((code, words(code)))
    named.append(("year", _("Les 12 derniers mois")))
    named += [(str(year), words(str(year))) for year in range(today.year, today.year - 3, -1)]
    return named


def words(code: str) -> LazyString:
    """« Automne 2026 » for `2026-automne`, the number alone for a year."""
    year, _sep, season = code.partition("-")
    text = {
        "hiver": _("Hiver %(year)s", year=year),
        "ete": _("Été %(year)s", year=year),
        "automne": _("Automne %(year)s", year=year),
    }
    return text.get(season) or _("Année %(year)s", year=year)


def _months(code: str, first: date, count: int) -> Period:
    return Period(code, first, month_after(first, count) - timedelta(days=1))


def _season_of(day: date) -> str:
    name = next(name for name, (first, last) in SEASONS.items() if first <= day.month <= last)
    return f"{day.year}-{name}"


def _next(season: str) -> str:
    return _season_of(month_after(_first_month(season), 4))


def _previous(season: str) -> str:
    return _season_of(month_after(_first_month(season), -4))


def _first_month(season: str) -> date:
    year, _sep, name = season.partition("-")
    return date(int(year), SEASONS[name][0], 1)
