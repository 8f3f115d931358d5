"""The pages of the indicators: what each one says today, what it means, and what some of them wait for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Final

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse

from libs import vocabularies
from libs.web import formats
from libs.web.app import Reading, service_of
from libs.web.auth import NationalStaff
from libs.web.i18n import LazyString, _, language_of, translate
from libs.web.problems import NotFound
from libs.web.templating import render
from services.national import asking, charts, exporting, labels, snapshot_pages
from services.national.filters import NO_REGION, Filters, link
from services.national.incomplete import PACKAGE, incomplete
from services.national.indicators.answering import Answer, Row, answer
from services.national.indicators.asking import Question
from services.national.indicators.definitions import FED, INDICATORS, WAITING, Indicator
from services.national.indicators.measures import Measure
from services.national.indicators.spelling import DIMENSIONS, NOTHING, SOURCES, STATES, Spelt, in_unit, spelt
from services.national.periods import EVERYTHING, Period, read_period
from services.national.rounding import national_key

router = APIRouter(include_in_schema=False)

PATTERNS: Final = "motif"
_OFFERED: Final = ("period", "stream", "theme", "modality", "region", "instance")
_LAST_YEAR: Final = "year"
"""What no period means here: the last twelve months."""


@dataclass(frozen=True, slots=True)
class Line:
    """One indicator in the list: its figures with their names, the first alone where it has but one."""

    indicator: Indicator
    figures: Sequence[tuple[LazyString | None, Spelt]]
    href: str


@dataclass(frozen=True, slots=True)
class Grid:
    """An indicator told apart by one dimension: (label, one figure per measure) rows."""

    dimension: str
    title: LazyString
    heads: Sequence[LazyString | None]
    rows: Sequence[tuple[LazyString | str, Sequence[Spelt | None]]]


@router.get("/national/indicateurs")
async def indicators(request: Request, reading: Reading, staff: NationalStaff) -> HTMLResponse:
    """All of them, with the figures of the filters in the address."""
    asked = await asking.ask(request, reading)
    found = await answer(reading, question_of(asked), _key(request))
    language, filters = language_of(request), asked.filters
    return render(
        request,
        "national/indicators.html",
        **common(request, asked),
        lines=[_line(indicator, found, filters, language) for indicator in FED],
        waiting=WAITING,
        sources=SOURCES,
        source_of=source_of,
        equity=link("/national/equite", filters),
    )


@router.get("/national/indicateurs/{id}")
async def indicator(request: Request, reading: Reading, staff: NationalStaff, id: str) -> HTMLResponse:
    """One of them: its definition, then its figures by month and by region."""
    one = INDICATORS.get(id)
    if one is None:
        raise NotFound(_("Nous ne connaissons pas cet indicateur."))
    asked = await asking.ask(request, reading)
    found = await _told_apart(request, reading, asked, one)
    language = language_of(request)
    grids = [_grid(part, name, one, language) for name, part in found.items() if name]
    return render(
        request,
        "national/indicator.html",
        **common(request, asked),
        one=one,
        line=_line(one, found[""], asked.filters, language) if "" in found else None,
        grids=[grid for grid in grids if grid.rows],
        chart=_chart(one, found["month"], language) if "month" in found else None,
        draw=partial(charts.svg, patterns=PATTERNS),
        patterns=charts.pattern_defs(PATTERNS),
        sources=[SOURCES[source] for source in dict.fromkeys(m.source for m in one.measures)],
        dimensions=[DIMENSIONS[name] for name in one.dimensions],
        api=_api_link(one, asked),
        back=link("/national/indicateurs", asked.filters),
    )


router.include_router(exporting.router)
router.include_router(snapshot_pages.router)


def source_of(one: Indicator) -> str:
    """Where its first figure comes from."""
    return one.measures[0].source


def _key(request: Request) -> bytes:
    return national_key(service_of(request).settings.secret)


def question_of(asked: asking.Question, by: tuple[str, ...] = (), ids: tuple[str, ...] = ()) -> Question:
    """What the filters of a page mean to the indicators."""
    filters, period = asked.filters, period_of(asked)
    chosen = {name: getattr(filters, name) for name in ("stream", "theme", "modality", "region", "instance")}
    given = {name: ("" if value == NO_REGION else value,) for name, value in chosen.items() if value}
    first = period.first.replace(day=1) if period.first and period.code != EVERYTHING else None
    last = period.last.replace(day=1) if period.last and period.code != EVERYTHING else None
    return Question(ids, by, given, first, last)


def period_of(asked: asking.Question) -> Period:
    """The period of a page: the last twelve months where the address names none."""
    if asked.filters.period:
        return asked.period
    return read_period(_LAST_YEAR, asked.today) or asked.period


async def _told_apart(
    request: Request, reading: AsyncSession, asked: asking.Question, one: Indicator
) -> Mapping[str, Answer]:
    """The answers in all, by month and by region (or by instance), where they can be given."""
    found: dict[str, Answer] = {}
    for name in ("", "month", "region", "instance"):
        by = (name,) if name else ()
        question = question_of(asked, by, (one.id,))
        if question.measures(one) and not (name == "instance" and "region" in one.dimensions):
            found[name] = await answer(reading, question, _key(request))
    return found


def _line(one: Indicator, found: Answer, filters: Filters, language: str) -> Line:
    rows = [row for row in found.rows if row.indicator is one]
    figures: list[tuple[LazyString | None, Spelt]] = []
    if one.id == "I24":
        rows = _oldest(rows)
    for row in rows:
        figures.append((row.measure.name, spelt(row, language)))
    if not figures:
        figures = [(None, Spelt(NOTHING, (_("ne se répartit pas par ces choix"),)))]
    return Line(one, figures, link(f"/national/indicateurs/{one.id}", filters))


def _oldest(rows: Sequence[Row]) -> list[Row]:
    """Of the figures of all instances, the least fresh and the least complete: the one to look at."""
    ages = [row for row in rows if row.measure.unit == "seconds" and row.figure.value is not None]
    shares = [row for row in rows if row.measure.unit == "percent" and row.figure.value is not None]
    worst = [max(ages, key=_value)] if ages else []
    return worst + ([min(shares, key=_value)] if shares else [])


def _value(row: Row) -> float:
    return row.figure.value or 0


def _grid(found: Answer, dimension: str, one: Indicator, language: str) -> Grid:
    measures = list(dict.fromkeys(row.measure for row in found.rows))
    cells: dict[str, dict[Measure, Spelt]] = {}
    for row in found.rows:
        cells.setdefault(row.cell[dimension] or "", {})[row.measure] = spelt(row, language)
    values = sorted(cells, reverse=dimension == "month")
    if dimension == "region":
        order = {region.code: number for number, region in enumerate(vocabularies.regions())}
        values = sorted(cells, key=lambda code: (order.get(code, len(order)), code))
    return Grid(
        dimension,
        _TITLES[dimension],
        [measure.name for measure in measures],
        [
            (label_of(dimension, value, language), [cells[value].get(measure) for measure in measures])
            for value in values
        ],
    )


_TITLES: Final = {"month": _("Par mois"), "region": _("Par région"), "instance": _("Par réseau")}


def label_of(dimension: str, value: str, language: str) -> LazyString | str:
    """The words for a value of a dimension; what nobody here knows stands for itself."""
    if dimension == "month":
        return formats.capital_first(formats.month(_month(value), language))
    if dimension == "region":
        return labels.region(value, language)
    if dimension == "theme":
        return labels.theme(value, language)
    if dimension == "channel":
        return vocabularies.label("channels", value, language) if value != "none" else _("Sans inscription")
    if dimension == "delivered_by":
        return vocabularies.label("delivered_by", value, language)
    words = {
        "stream": labels.STREAMS,
        "modality": labels.MODALITIES,
        "language": labels.LANGUAGES,
        "state": STATES,
    }
    return words[dimension].get(value, value) if dimension in words else value


def _month(value: str) -> date:
    return date.fromisoformat(f"{value}-01")


def _chart(one: Indicator, found: Answer, language: str) -> charts.Chart | None:
    """The bars of a count by month; percentages and medians stay in their table."""
    rows = [
        row for row in found.rows if row.measure is found.rows[0].measure and row.figure.value is not None
    ]
    if not rows or rows[0].measure.unit not in ("count", "hours") or rows[0].measure.shape != "total":
        return None
    bars = tuple(
        charts.Row(
            formats.short_month(_month(row.cell["month"] or ""), language),
            (round(row.figure.value or 0),),
            in_unit(row.figure.value or 0, row.measure.unit, language),
        )
        for row in rows[-18:]
    )
    say = partial(translate, language=language, package=PACKAGE)
    name = say(one.name)
    most = max(bars, key=lambda bar: bar.total)
    description = say(_("Le plus : %(value)s en %(month)s.", value=most.text, month=most.label))
    return charts.Chart(
        "par-mois", say(_("%(name)s, par mois", name=name)), description, say(_("Mois")), (name,), bars
    )


def common(request: Request, asked: asking.Question) -> dict[str, Any]:
    """What every page with the filters of the indicators shows."""
    language = language_of(request)
    options = dict(asking.choices(asked, language))
    offered = [
        pair for pair in options["period"] if pair[0] not in ("", _LAST_YEAR, "next_month", EVERYTHING)
    ]
    options["period"] = [
        ("", _("Les 12 derniers mois")),
        *offered,
        (EVERYTHING, _("Depuis le début")),
    ]
    return {
        "question": asked,
        "options": options,
        "names": _OFFERED,
        "incomplete": incomplete(asked.hearing, asked.filters, language),
        "elapsed": partial(formats.elapsed, language=language),
        "number": partial(formats.number, language=language),
    }


def _api_link(one: Indicator, asked: asking.Question) -> str:
    """The same figures for programs."""
    return f"/api/national/v1/indicators?indicator={one.id}&{query_of_api(question_of(asked))}".rstrip("&")


def query_of_api(question: Question) -> str:
    """A page's filters and period, as the API reads them."""
    pairs = [f"{name}={values[0]}" for name, values in question.filters.items()]
    pairs += [f"from={question.first:%Y-%m}"] if question.first else []
    pairs += [f"to={question.last:%Y-%m}"] if question.last else []
    return "&".join(pairs)
