"""The first national page: where things stand today, from the whole country to one region."""

from dataclasses import replace
from datetime import date
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse

from libs.clock import zone
from libs.web import formats
from libs.web.app import Reading
from libs.web.auth import NationalStaff
from libs.web.i18n import _, language_of, translate
from libs.web.templating import render
from services.national import charts, figures, labels, tiles, watching
from services.national.asking import HOME, Question, ask, choices
from services.national.figures import Outcomes
from services.national.filters import link
from services.national.incomplete import PACKAGE
from services.national.periods import month_after
from services.national.today import DEFAULT_SORT, FIRST_REGIONS, REGION_SORTS, Figure, Today

router = APIRouter(include_in_schema=False)

PATTERNS = "motif"
"""What the patterns of the page are called; the map carries them for all."""


@router.get("/national")
async def today(request: Request, reading: Reading, staff: NationalStaff) -> HTMLResponse:
    """Figures, map, charts: all of them for the filters of the address."""
    question = await ask(request, reading)
    language, filters = language_of(request), question.filters
    # Read before the figures: what changes meanwhile is news to the reader.
    version = await watching.version(reading)
    found = await figures.figures(reading, filters, question.period, question.now)
    span = _outcome_span(question)
    came = await figures.outcomes(reading, filters, *span)
    page = Today(found, came, question.hearing, filters, language)
    shown = page.figures(to_come=question.period.to_come)
    return render(
        request,
        "national/today.html",
        **_common(question, page),
        figures=shown,
        said=_aloud(page, shown),
        version=version,
        chosen=_chosen(question, language),
        rows=page.table(DEFAULT_SORT)[:FIRST_REGIONS],
        all_regions=link("/national/regions", replace(filters, region="")),
        sessions=link("/national/seances", filters),
        region_name=labels.region(filters.region, language),
        charts=page.charts(),
        outcome_charts=page.outcome_charts(),
        outcome_span=span,
        outcomes_as_of=came.as_of.astimezone(zone(HOME)) if came.as_of else None,
        now_here=question.now.astimezone(zone(HOME)),
        number=partial(formats.number, language=language),
        draw=partial(charts.svg, patterns=PATTERNS),
        swatch=partial(charts.swatch, patterns=PATTERNS),
    )


@router.get("/national/regions")
async def regions(
    request: Request, reading: Reading, staff: NationalStaff, sort: Annotated[str, Query()] = DEFAULT_SORT
) -> HTMLResponse:
    """The map with its whole table, in any order."""
    question = await ask(request, reading)
    if sort.removeprefix("-") not in {*REGION_SORTS, "name"}:
        sort = DEFAULT_SORT
    found = await figures.figures(reading, question.filters, question.period, question.now)
    page = Today(found, Outcomes(), question.hearing, question.filters, language_of(request))
    return render(
        request, "national/regions.html", **_common(question, page), rows=page.table(sort), sort=sort
    )


def _common(question: Question, page: Today) -> dict[str, Any]:
    return {
        "question": question,
        "options": choices(question, page.language),
        "page": page,
        "map": _map(page),
        "elapsed": partial(formats.elapsed, language=page.language),
    }


def _outcome_span(question: Question) -> tuple[date, date]:
    """The months whose outcomes are shown: the period's own, or the last six for what is to come."""
    period = question.period
    if period.first is None or period.last is None:
        return month_after(question.today.replace(day=1), -5), question.today
    return period.first, period.last


def _chosen(question: Question, language: str) -> str:
    """The filters in words: paper has no form."""
    offered = choices(question, language)
    texts = [dict(offered[name])[getattr(question.filters, name)] for name in offered]
    return formats.full_stop(" · ".join(translate(text, language, PACKAGE) for text in texts))


def _aloud(page: Today, shown: list[Figure]) -> str:
    """The figures in one sentence, for who can't see them change."""
    return formats.listing([f"{item.text} {page.say(item.label)}" for item in shown], page.language)


def _map(page: Today) -> object:
    most = page.most_wanted()
    description = (
        _(
            "Le plus de personnes attendent dans : %(names)s. Tous les chiffres sont dans le tableau.",
            names=most,
        )
        if most
        else _("Personne n’attend, là où les chiffres sont connus. Ils sont tous dans le tableau.")
    )
    return tiles.svg(
        page.map(),
        id_="pays",
        title=page.say(_("Demandes en attente d’une place, par région")),
        description=page.say(description),
        elsewhere=page.say(_("Ailleurs au Canada")),
        patterns=PATTERNS,
    )
