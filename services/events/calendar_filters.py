"""The calendar's filters: what an address asks for, what of it can't be understood, and the way back."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from libs import vocabularies
from libs.web.forms import FormErrors, clean
from libs.web.i18n import LazyString, _

PERIODS: Final = ("week", "month", "next_month")
LONGEST_TEXT: Final = 100

_YES: Final = frozenset({"1", "true", "on", "yes", "oui"})
_NO: Final = frozenset({"", "0", "false", "off", "no", "non"})


@dataclass(frozen=True, slots=True)
class CalendarFilters:
    """What the reader chose; empty text and None mean no choice. Field names are the address's own,
    but for `first` and `last`, which it calls `from` and `to` (both days included).
    """

    near: str = ""
    theme: str = ""
    period: str = ""
    available: bool = False
    q: str = ""
    region: str = ""
    stream: str = ""
    modality: str = ""
    language: str = ""
    first: date | None = None
    last: date | None = None

    def days(self, today: date) -> tuple[date | None, date | None]:
        """The first and last day asked for; chosen dates win over a period. None: no bound."""
        if self.first or self.last:
            return self.first, self.last
        return period_days(self.period, today)

    @property
    def has_more(self) -> bool:
        """Whether one of the less common filters is in use, so that they must be seen."""
        return bool(
            self.q or self.region or self.stream or self.modality or self.language or self.first or self.last
        )

    @property
    def is_empty(self) -> bool:
        return self == CalendarFilters()


def period_days(period: str, today: date) -> tuple[date | None, date | None]:
    """`week` ends on Sunday, `month` with the month, `next_month` is the whole of it."""
    month_end = today.replace(day=calendar.monthrange(today.year, today.month)[1])
    if period == "week":
        return today, today + timedelta(days=6 - today.weekday())
    if period == "month":
        return today, month_end
    if period == "next_month":
        first = month_end + timedelta(days=1)
        return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])
    return None, None


def query_of(filters: CalendarFilters, **changes: object) -> str:
    """The address's query for `filters` with `changes`; what isn't chosen is left out.

    >>> query_of(CalendarFilters(theme="courriel"), available=True)
    'theme=courriel&available=1'
    """
    extra = {name: value for name, value in changes.items() if name not in _NAMES}
    own = {name: value for name, value in changes.items() if name in _NAMES}
    changed = replace(filters, **own)  # type: ignore[arg-type]  # the names are checked above
    pairs = [(_PARAMETERS.get(name, name), _shown(getattr(changed, name))) for name in _NAMES]
    pairs += [(name, _shown(value)) for name, value in extra.items()]
    return urlencode([(name, value) for name, value in pairs if value])


def read_filters(query: QueryParams) -> tuple[CalendarFilters, FormErrors]:
    """The filters that can be understood, and a sentence for each that can't and so isn't applied."""
    mistakes = FormErrors()
    given = {name: _one(query, name, mistakes) for name in ADDRESS_NAMES}
    first = _day(given, "from", mistakes)
    last = _day(given, "to", mistakes)
    if first and last and last < first:
        mistakes.add("to", _("La date de fin vient avant la date de début. Nous l’avons laissée de côté."))
        last = None
    filters = CalendarFilters(
        near=_text(given, "near", mistakes),
        theme=_known(given, "theme", vocabularies.ids("themes"), mistakes),
        period=_known(given, "period", frozenset(PERIODS), mistakes),
        available=_yes(given, mistakes),
        q=_text(given, "q", mistakes),
        region=_known(given, "region", frozenset(r.code for r in vocabularies.regions()), mistakes),
        stream=_known(given, "stream", vocabularies.ids("streams"), mistakes),
        modality=_known(given, "modality", vocabularies.ids("modalities"), mistakes),
        language=_known(given, "language", vocabularies.ids("languages"), mistakes),
        first=first,
        last=last,
    )
    in_order = FormErrors((name, mistakes[name]) for name in ADDRESS_NAMES if name in mistakes)
    return filters, in_order


_NAMES: Final = tuple(item.name for item in fields(CalendarFilters))
_PARAMETERS: Final = {"first": "from", "last": "to"}
ADDRESS_NAMES: Final = tuple(_PARAMETERS.get(name, name) for name in _NAMES)
"""The names in an address's query that mean a filter."""

_NOT_KNOWN: Final[Mapping[str, LazyString]] = {
    "theme": _("Nous ne connaissons pas ce sujet. Choisissez-le dans la liste."),
    "period": _("Nous ne connaissons pas cette période. Choisissez-la dans la liste."),
    "region": _("Nous ne connaissons pas cette région. Choisissez-la dans la liste."),
    "stream": _("Nous ne connaissons pas ce public. Choisissez-le dans la liste."),
    "modality": _("Nous ne connaissons pas cette façon de participer. Choisissez-la dans la liste."),
    "language": _("Nous ne connaissons pas cette langue. Choisissez-la dans la liste."),
}


def _one(query: QueryParams, name: str, mistakes: FormErrors) -> str:
    values = [clean(value) for value in query.getlist(name)]
    chosen = list(dict.fromkeys(value for value in values if value))
    if len(chosen) > 1:
        mistakes.add(name, _("Un seul choix à la fois : nous avons gardé le premier."))
    return chosen[0] if chosen else ""


def _text(given: Mapping[str, str], name: str, mistakes: FormErrors) -> str:
    text = given[name]
    if "\0" in text:
        mistakes.add(name, _("Ce texte contient un caractère qui ne peut pas être lu. Retapez-le."))
        return ""
    if len(text) > LONGEST_TEXT:
        mistakes.add(name, _("Ce texte est trop long : nous en avons gardé le début."))
        return text[:LONGEST_TEXT]
    return text


def _known(given: Mapping[str, str], name: str, ids: frozenset[str], mistakes: FormErrors) -> str:
    value = given[name]
    if value and value not in ids:
        mistakes.add(name, _NOT_KNOWN[name])
        return ""
    return value


def _day(given: Mapping[str, str], name: str, mistakes: FormErrors) -> date | None:
    value = given[name]
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        mistakes.add(name, _("Cette date n’est pas claire. Écrivez-la comme 2027-02-03."))
        return None


def _yes(given: Mapping[str, str], mistakes: FormErrors) -> bool:
    value = given["available"].casefold()
    if value not in _YES | _NO:
        mistakes.add("available", _("Pour ne voir que les ateliers avec des places, cochez la case."))
    return value in _YES


def _shown(value: object) -> str:
    if value is True:
        return "1"
    if value is None or value is False:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)
