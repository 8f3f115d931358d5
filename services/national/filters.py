"""What an address of the national pages asks for, what of it can't be understood, and the way back."""

import re
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from libs import vocabularies
from libs.web.forms import FormErrors, clean
from libs.web.i18n import LazyString, _
from services.national.periods import Period, read_period

LONGEST_TEXT: Final = 100
_ID = re.compile(r"[\w.-]{1,60}")
"""An id of a newer instance is kept and can be asked for, though nobody here knows its words."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What the reader chose, by the address's own names; empty: no choice. `place` is free text."""

    period: str = ""
    stream: str = ""
    theme: str = ""
    modality: str = ""
    region: str = ""
    language: str = ""
    instance: str = ""
    place: str = ""

    @property
    def is_empty(self) -> bool:
        return self == Filters()

    def period_on(self, today: date) -> Period:
        """The days that the period means on `today`."""
        return read_period(self.period, today) or Period("")


NAMES: Final = tuple(item.name for item in fields(Filters))
NO_REGION: Final = "aucune"
"""Asks for the sessions that belong to no region: those online that nobody gave one."""


def query_of(filters: Filters, **changes: object) -> str:
    """The address's query for `filters` with `changes`; what isn't chosen is left out.

    >>> query_of(Filters(theme="courriel"), region="13")
    'theme=courriel&region=13'
    """
    own = {name: str(value) for name, value in changes.items() if name in NAMES}
    extra = [(name, str(value)) for name, value in changes.items() if name not in NAMES and value]
    changed = replace(filters, **own)
    chosen = [(name, getattr(changed, name)) for name in NAMES]
    return urlencode([(name, value) for name, value in chosen if value] + extra)


def link(path: str, filters: Filters, **changes: object) -> str:
    """`path` with the query of `filters` and `changes`."""
    query = query_of(filters, **changes)
    return f"{path}?{query}" if query else path


def read_filters(query: QueryParams, today: date) -> tuple[Filters, FormErrors]:
    """The filters that can be understood, and a sentence for each that can't and so isn't applied."""
    mistakes = FormErrors()
    given = {name: clean(query.get(name) or "") for name in NAMES}
    for name, value in given.items():
        if fault := _fault(name, value, today):
            mistakes.add(name, fault)
            given[name] = value[:LONGEST_TEXT] if name == "place" and "\0" not in value else ""
    return Filters(**given), mistakes


def _fault(name: str, value: str, today: date) -> LazyString | None:
    if not value:
        return None
    if name == "place":
        if "\0" in value:
            return _("Ce texte contient un caractère qui ne peut pas être lu. Retapez-le.")
        return (
            _("Ce texte est trop long : nous en avons gardé le début.") if len(value) > LONGEST_TEXT else None
        )
    if name == "period":
        known = read_period(value, today) is not None
        return None if known else _("Nous ne connaissons pas cette période. Choisissez-la dans la liste.")
    if name == "stream" and value not in vocabularies.ids("streams"):
        return _("Nous ne connaissons pas ce volet. Choisissez-le dans la liste.")
    return None if _ID.fullmatch(value) else _("Nous ne connaissons pas ce choix. Prenez-le dans la liste.")
