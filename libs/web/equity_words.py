"""The equity report as people read it: its columns, a row per channel, and what they say in a sentence."""

from dataclasses import dataclass
from typing import Final

from libs import vocabularies
from libs.equity import EVERYBODY, WITH_HELP, Line, Report
from libs.figures import FEWEST, Median, Ratio
from libs.web import formats
from libs.web.figure_words import TOO_FEW, interval_words, minutes_words
from libs.web.i18n import LazyString, _

NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """`indicator`: the one of the programme's whose definition it follows."""

    id: str
    indicator: str
    head: LazyString
    meaning: LazyString


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure, and what it rests on, in the order in which it helps."""

    text: LazyString | str
    details: tuple[LazyString | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """`sums`: it stands for several channels, which `details` name."""

    label: LazyString | str
    cells: tuple[Cell, ...]
    details: LazyString | str = ""
    sums: bool = False


COLUMNS: Final = (
    Column(
        "registrations",
        "I4",
        _("Inscriptions"),
        _("Toutes les personnes inscrites par ce canal, même si elles ont annulé ensuite."),
    ),
    Column(
        "share",
        "I19",
        _("Part des inscriptions"),
        _("Les inscriptions par ce canal, divisées par toutes les inscriptions."),
    ),
    Column(
        "opening",
        "I20",
        _("De l’ouverture à la demande"),
        _(
            "Le délai médian entre l’ouverture des inscriptions et la demande. Un groupe fait une seule "
            "demande. Les délais sont lus dans des tranches : la tranche est dite à côté."
        ),
    ),
    Column(
        "seated",
        "I9",
        _("Ont une place au début"),
        _(
            "Quand la séance commence, des personnes ont une place et d’autres l’attendent encore. Voici la "
            "part de celles qui ont une place."
        ),
    ),
    Column(
        "waiting",
        "I9",
        _("Attendent encore au début"),
        _("La part de celles qui attendent encore une place quand la séance commence."),
    ),
    Column(
        "offers",
        "I10",
        _("Offres acceptées"),
        _("Les places offertes à la liste d’attente : combien ont été acceptées, et combien offertes."),
    ),
    Column(
        "answer",
        "I10",
        _("Réponse à une offre"),
        _(
            "Le délai médian entre l’offre d’une place et le oui : la moitié des réponses viennent plus tôt, "
            "la moitié plus tard."
        ),
    ),
    Column(
        "attendance",
        "I7",
        _("Présence"),
        _(
            "Les présences, divisées par les présences et les absences. Les absences excusées ne comptent "
            "pas."
        ),
    ),
)


def rows(report: Report, language: str) -> list[Row]:
    """The table: each channel, those with help together, all."""
    return [_row(line, language) for line in report.lines]


def channel_label(id_: str, language: str) -> LazyString | str:
    """The words for a line; a channel that nobody here knows stands for itself."""
    if id_ == WITH_HELP:
        return _("Avec de l’aide")
    if id_ == EVERYBODY:
        return _("Tous les canaux")
    return _("Autre") if id_ == "other" else vocabularies.label("channels", id_, language)


def sentences(report: Report, language: str) -> list[LazyString]:
    """What the figures say of help and of the Web, as far as enough are counted of both."""
    assisted, web = report.assisted, report.web
    found = _time(assisted.opening, web.opening, language)
    for text, with_help, alone in (
        (_SEATED, assisted.seated.percent, web.seated.percent),
        (_CAME, assisted.attendance.percent, web.attendance.percent),
    ):
        if with_help is not None and alone is not None:
            shares = {
                "assisted": formats.percent(with_help, language),
                "web": formats.percent(alone, language),
            }
            found.append(LazyString(text.msgid, params=shares))
    return found or [_TOO_EARLY]


_SEATED = _(
    "%(assisted)s des personnes inscrites avec de l’aide ont une place quand la séance commence ; par le "
    "Web, %(web)s."
)
_CAME = _("%(assisted)s des personnes inscrites avec de l’aide viennent ; par le Web, %(web)s.")
_TOO_EARLY = _(
    "Il y a encore trop peu d’inscriptions pour comparer les canaux : il en faut %(fewest)s de chaque côté.",
    fewest=FEWEST,
)


def _time(assisted: Median, web: Median, language: str) -> list[LazyString]:
    """By the edges of the buckets, which are certain: the median itself is read between them."""
    with_help, alone = _within(assisted, language), _within(web, language)
    if with_help and alone:
        return [
            _(
                "Avec de l’aide, la moitié des demandes arrivent %(assisted)s après l’ouverture ; par le "
                "Web, %(web)s.",
                assisted=with_help,
                web=alone,
            )
        ]
    if with_help:
        return [
            _(
                "Avec de l’aide, la moitié des demandes arrivent %(time)s après l’ouverture ; par le Web, "
                "il y en a trop peu pour le dire.",
                time=with_help,
            )
        ]
    if alone:
        return [
            _(
                "Par le Web, la moitié des demandes arrivent %(time)s après l’ouverture ; avec de l’aide, "
                "il y en a trop peu pour le dire.",
                time=alone,
            )
        ]
    return []


def _within(median: Median, language: str) -> LazyString | None:
    if median.interval is None:
        return None
    low, high = median.interval
    if high is None:
        return _("plus de %(time)s", time=minutes_words(low, language))
    return _("en %(time)s ou moins", time=minutes_words(high, language))


def _row(line: Line, language: str) -> Row:
    cells = (
        Cell(formats.number(line.counts.registrations, language)),
        _ratio(line.share, language),
        _median(line.opening, language),
        _ratio(line.seated, language),
        _ratio(line.waiting, language),
        _ratio(line.offers, language),
        _median(line.answer, language),
        _ratio(line.attendance, language),
    )
    return Row(
        channel_label(line.id, language),
        cells,
        _("téléphone, comptoir, organisme, papier") if line.id == WITH_HELP else "",
        sums=line.id in (WITH_HELP, EVERYBODY),
    )


def _ratio(ratio: Ratio, language: str) -> Cell:
    """Of too few, the two numbers alone; a dash where there is nothing to divide by."""
    if not ratio.whole:
        return Cell(NOTHING)
    parts = _(
        "%(part)s sur %(whole)s",
        part=formats.number(ratio.part, language),
        whole=formats.number(ratio.whole, language),
    )
    if ratio.percent is None:
        return Cell(parts, (_("trop peu pour un pourcentage"),))
    return Cell(formats.percent(ratio.percent, language), (parts,))


def _median(median: Median, language: str) -> Cell:
    if median.interval is None:
        return Cell(NOTHING, (TOO_FEW,) if median.n else ())
    among = _("sur %(count)s", count=formats.number(median.n, language))
    interval = interval_words(*median.interval, language)
    if median.value is None:
        return Cell(interval, (among,))
    return Cell(minutes_words(median.value, language), (interval, among))
