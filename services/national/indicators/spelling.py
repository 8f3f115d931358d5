"""The figures of indicators as people read them: a number with its unit, and what it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.web import formats
from libs.web.figure_words import TOO_FEW, interval_words
from libs.web.formats import NBSP
from libs.web.i18n import LazyString, _
from services.national import labels
from services.national.indicators.answering import Row
from services.national.indicators.measures import Source

NOTHING: Final = "–"

SOURCES: Final[Mapping[Source, LazyString]] = {
    "sessions": _("Les faits publics des séances et de leurs places, en direct. Toujours exact."),
    "counts": _("Les décomptes quotidiens des instances. Exact ici, arrondi à 5 dans ce qui est publié."),
    "profile": _("Les profils mensuels, arrondis à 5 dans chaque région."),
    "instances": _("Les nouvelles que chaque instance donne d’elle-même, toutes les 30 secondes."),
}
WHY: Final[Mapping[str, LazyString]] = {
    "not-shared": _("non partagé"),
    "never-heard": _("jamais reçu"),
    "offline": _("hors ligne"),
    "suspended": _("suspendu"),
}
PARTS: Final[Mapping[str, LazyString]] = {
    "attended": _("inscrites"),
    "walk_ins": _("sans inscription"),
    "attended_hours": _("inscrites"),
    "walk_in_hours": _("sans inscription"),
}
DIMENSIONS: Final[Mapping[str, LazyString]] = {
    "region": _("Région"),
    "month": _("Mois"),
    "stream": _("Volet"),
    "theme": _("Sujet"),
    "channel": _("Canal"),
    "modality": _("Modalité"),
    "state": _("État final"),
    "delivered_by": _("Animée par"),
    "language": _("Langue"),
    "instance": _("Réseau"),
}
STATES: Final[Mapping[str, LazyString]] = {
    **labels.OUTCOMES,
    "pending": _("À confirmer"),
    "waitlisted": _("En attente"),
    "offered": _("Places offertes"),
    "confirmed": _("Places prises"),
}


@dataclass(frozen=True, slots=True)
class Spelt:
    """`text` is the figure, `details` what it rests on, in the order in which it helps."""

    text: str
    details: tuple[LazyString | str, ...] = ()


def spelt(row: Row, language: str) -> Spelt:
    """The figure of a row; a dash where nobody can say it, with the reason."""
    figure, unit = row.figure, row.measure.unit
    details: list[LazyString | str] = []
    if row.missing:
        return Spelt(NOTHING, (WHY.get(row.missing, row.missing),))
    if figure.denominator is not None and figure.numerator is not None:
        details.append(
            _(
                "%(part)s sur %(whole)s",
                part=formats.number(figure.numerator, language),
                whole=formats.number(figure.denominator, language),
            )
        )
    if figure.interval:
        details.append(interval_words(*figure.interval, language))
    if figure.n is not None:
        details.append(_("sur %(count)s", count=formats.number(figure.n, language)))
    for name, value in figure.parts.items():
        if name in PARTS:
            details.append(_("%(count)s %(what)s", count=in_unit(value, unit, language), what=PARTS[name]))
    if figure.value is None:
        # In the last bucket, which has no end, enough are counted and still there is no middle.
        if row.measure.shape in ("ratio", "gap", "histogram", "median") and not figure.interval:
            details.append(TOO_FEW)
        return Spelt(NOTHING, tuple(details))
    if figure.margin:
        low, high = (in_unit(value, unit, language) for value in figure.margin)
        details.append(_("entre %(low)s et %(high)s", low=low, high=high))
    return Spelt(in_unit(figure.value, unit, language), tuple(details))


def in_unit(value: float, unit: str, language: str) -> str:
    """« 78,4 % », « 1 234,5 h », « 2 h 10 », « +3,2 »."""
    if unit == "percent":
        return formats.percent(value, language)
    if unit == "hours":
        return f"{formats.number(value, language)}{NBSP}h"
    if unit == "minutes":
        return formats.elapsed(timedelta(minutes=value), language)
    if unit == "seconds":
        return formats.elapsed(timedelta(seconds=value), language)
    if unit == "points":
        sign = "+" if value > 0 else "−" if value < 0 else ""
        return f"{sign}{formats.number(abs(value), language)}{NBSP}pt"
    return formats.number(value, language)
