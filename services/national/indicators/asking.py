"""A question to the indicators, as an address asks it: which ones, told apart by what, among what, when."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from starlette.datastructures import QueryParams

from libs import vocabularies
from libs.web.i18n import LazyString, _
from libs.web.problems import Malformed
from libs.web.validation import FieldError
from services.national.indicators.definitions import INDICATORS, Indicator
from services.national.indicators.measures import Measure
from services.national.periods import month_after

DIMENSIONS: Final = (
    "region", "month", "stream", "theme", "channel", "modality", "state", "delivered_by", "language",
    "instance",
)  # fmt: skip
"""In the order in which they are shown."""
FILTERS: Final = tuple(name for name in DIMENSIONS if name != "month")
OTHERS: Final = (
    "indicator",
    "by",
    "from",
    "to",
    "format",
    "rounded",
    "snapshot",
    "version",
    "limit",
    "cursor",
    "lang",
)
PUBLISHED_DIMENSIONS: Final = 2
"""By how many dimensions beside the period a publication, or a snapshot, may tell figures apart at once."""
MOST: Final = 10_000
_VALUE = re.compile(r"[\w.-]{0,60}")
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?")
_YES: Final = ("1", "true", "yes", "oui")
_NO: Final = ("", "0", "false", "no", "non")


@dataclass(frozen=True, slots=True)
class Question:
    """`first` and `last` are first days of months, None where the period is open. Empty filter value: none.

    `indicators` is empty for all; `snapshot` is a month, whose newest version answers unless one is named.
    """

    indicators: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    first: date | None = None
    last: date | None = None
    rounded: bool = False
    snapshot: date | None = None
    version: int | None = None

    @property
    def asked(self) -> tuple[Indicator, ...]:
        """The indicators that today's data feed, among those named."""
        wanted = self.indicators or tuple(INDICATORS)
        return tuple(INDICATORS[id_] for id_ in wanted if INDICATORS[id_].measures)

    @property
    def names(self) -> frozenset[str]:
        """Every dimension that the question makes use of."""
        return frozenset(self.by) | frozenset(self.filters)

    def measures(self, indicator: Indicator) -> tuple[Measure, ...]:
        """The measures that can be told apart so."""
        fitting = tuple(one for one in indicator.measures if self._fits(one))
        return fitting[:1] if indicator.one_of else fitting

    def _fits(self, measure: Measure) -> bool:
        names = self.names
        if measure.source == "instances":
            # It is about now, whatever the period, and always said of each instance.
            return names <= {"instance"}
        return names <= frozenset(measure.dimensions)

    def columns(self, measure: Measure) -> tuple[str, ...]:
        """What the rows of a measure are told apart by."""
        return ("instance",) if measure.source == "instances" else self.by


def read_question(query: QueryParams, *, published: bool = False) -> Question:
    """The question of an address, or `Malformed` with a sentence for each part that can't be understood.

    `published`: its figures are rounded, whatever the address says.
    """
    wrong: list[FieldError] = []
    for name in dict.fromkeys(query.keys()):
        if name not in FILTERS and name not in OTHERS:
            wrong.append(FieldError(name, _("Ce paramètre n’existe pas ici.")))
    question = Question(
        indicators=_indicators(query, wrong),
        by=_by(query, wrong),
        filters=_filters(query, wrong),
        first=_month(query, "from", wrong),
        last=_month(query, "to", wrong),
        rounded=_yes(query, "rounded", wrong) or published,
        snapshot=_month(query, "snapshot", wrong),
        version=_version(query, wrong),
    )
    if question.first and question.last and question.last < question.first:
        wrong.append(FieldError("to", _("La fin de la période vient avant son début.")))
    if question.snapshot and (question.first or question.last):
        wrong.append(
            FieldError("snapshot", _("Un instantané est d’un seul mois : n’ajoutez ni début ni fin."))
        )
    if question.version and not question.snapshot:
        wrong.append(FieldError("version", _("Dites aussi de quel instantané est cette version.")))
    if not wrong:
        wrong += _misfits(question)
    if wrong:
        raise Malformed(errors=wrong)
    return question


def _misfits(question: Question) -> list[FieldError]:
    """What can't be asked at once."""
    if not question.indicators and not any(question.measures(one) for one in question.asked):
        return [FieldError("by", _NOTHING_FITS)]
    found = []
    for id_ in question.indicators:
        indicator = INDICATORS[id_]
        if indicator.waits_for is not None:
            text = _(
                "L’indicateur %(id)s n’est pas encore alimenté. Il attend : %(what)s",
                id=id_,
                what=indicator.waits_for,
            )
            found.append(FieldError("indicator", text))
        elif not question.measures(indicator):
            text = _(
                "L’indicateur %(id)s ne se répartit pas ainsi. Dimensions possibles : %(names)s.",
                id=id_,
                names=", ".join(indicator.dimensions),
            )
            found.append(FieldError("by", text))
    return found or _unpublishable(question)


_NOTHING_FITS = _("Aucun indicateur ne se répartit ainsi.")


def _unpublishable(question: Question) -> list[FieldError]:
    return [FieldError(name, text) for name, text in unpublishable(question)]


def unpublishable(question: Question) -> list[tuple[str, LazyString]]:
    """Why a question can't be answered in a publication, or from a snapshot: (parameter, sentence) pairs.

    The family of published figures is kept small: many overlapping sums could be solved for what they hide.
    """
    if not question.rounded and question.snapshot is None:
        return []
    found = []
    if len(question.names - {"month"}) > PUBLISHED_DIMENSIONS:
        found.append(
            (
                "by",
                _(
                    "Une publication ou un instantané croise au plus %(count)s dimensions, filtres compris.",
                    count=PUBLISHED_DIMENSIONS,
                ),
            )
        )
    if question.rounded:
        for name, values in question.filters.items():
            if len(values) > 1:
                found.append((name, _("Une publication prend une seule valeur par filtre.")))
        if not _is_publishable(question.first, question.last):
            found.append(
                ("from", _("Une publication porte sur un mois, une année civile entière ou tout le temps."))
            )
    return found


def _is_publishable(first: date | None, last: date | None) -> bool:
    if first is None or last is None:
        return first is last
    return first == last or (first.month == 1 and last == month_after(first, 11))


def _indicators(query: QueryParams, wrong: list[FieldError]) -> tuple[str, ...]:
    found = _several(query, "indicator")
    for id_ in found:
        if id_ not in INDICATORS:
            text = _("Nous ne connaissons pas cet indicateur. Il y a : %(ids)s.", ids=", ".join(INDICATORS))
            wrong.append(FieldError("indicator", text))
            return ()
    return tuple(found)


def _by(query: QueryParams, wrong: list[FieldError]) -> tuple[str, ...]:
    found = _several(query, "by")
    for name in found:
        if name not in DIMENSIONS:
            text = _(
                "Nous ne connaissons pas cette dimension. Il y a : %(names)s.", names=", ".join(DIMENSIONS)
            )
            wrong.append(FieldError("by", text))
            return ()
    return tuple(name for name in DIMENSIONS if name in found)


def _filters(query: QueryParams, wrong: list[FieldError]) -> dict[str, tuple[str, ...]]:
    found = {}
    for name in FILTERS:
        if name not in query or query.getlist(name) == [""]:
            continue
        values = tuple(sorted(set(_several(query, name, keep_empty=True))))
        if not all(_VALUE.fullmatch(value) for value in values):
            wrong.append(FieldError(name, _("Cette valeur ne peut pas être un identifiant.")))
        elif name in _CLOSED and not set(values) <= _CLOSED[name]:
            text = _(
                "Choisissez une des réponses proposées : %(expected)s.",
                expected=", ".join(sorted(_CLOSED[name])),
            )
            wrong.append(FieldError(name, text))
        else:
            found[name] = values
    return found


_CLOSED: Final[Mapping[str, frozenset[str]]] = {
    "stream": vocabularies.ids("streams"),
    "modality": vocabularies.ids("modalities"),
}
"""Dimensions whose values a newer instance can't add to; those of the others are kept and found."""


def _several(query: QueryParams, name: str, *, keep_empty: bool = False) -> list[str]:
    """Values given with commas, by repeating the name, or both."""
    parts = [part.strip() for value in query.getlist(name) for part in value.split(",")]
    return list(dict.fromkeys(part for part in parts if part or keep_empty))


def _month(query: QueryParams, name: str, wrong: list[FieldError]) -> date | None:
    """The first day of the month that a month or a day lies in."""
    value = query.get(name, "").strip()
    if not value:
        return None
    found = _MONTH.fullmatch(value)
    if not found or found[1] == "0000":
        wrong.append(FieldError(name, _("Écrivez un mois comme 2026-10, ou une date comme 2026-10-01.")))
        return None
    return date(int(found[1]), int(found[2]), 1)


def _version(query: QueryParams, wrong: list[FieldError]) -> int | None:
    value = query.get("version", "").strip()
    if not value:
        return None
    if not value.isascii() or not value.isdecimal() or len(value) > 9 or int(value) == 0:
        wrong.append(FieldError("version", _("Donnez le numéro d’une version : 1, 2, …")))
        return None
    return int(value)


def _yes(query: QueryParams, name: str, wrong: list[FieldError]) -> bool:
    value = query.get(name, "").strip().lower()
    if value not in _YES and value not in _NO:
        wrong.append(FieldError(name, _("Répondez par true ou false.")))
    return value in _YES
