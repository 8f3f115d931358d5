"""Figures for publication: always rounded, as a file for a spreadsheet or for a program."""

from dataclasses import replace
from typing import Any, Final

import orjson
from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from libs.clock import utc_now, zone
from libs.web import formats
from libs.web.app import Reading
from libs.web.auth import NationalStaff
from libs.web.i18n import LazyString, _, language_of, translate
from libs.web.templating import render
from services.national import snapshots
from services.national.api_indicators import FORMATS, find
from services.national.asking import HOME
from services.national.indicators import wording
from services.national.indicators.answering import Answer
from services.national.indicators.asking import PUBLISHED_DIMENSIONS, Question, read_question
from services.national.indicators.definitions import FED
from services.national.indicators.spelling import DIMENSIONS
from services.national.periods import month_after

router = APIRouter(include_in_schema=False)

LICENCE: Final = "https://creativecommons.org/licenses/by/4.0/"
NOT_PUBLISHED: Final = ("I24",)
"""How fresh the instances are at this second: of use to who runs them, and never the same twice."""
READY: Final = (
    ("region", _("Par région")),
    ("month", _("Par mois")),
    ("stream", _("Par volet")),
    ("theme", _("Par sujet")),
    ("region,stream", _("Par région et volet")),
    ("region,theme", _("Par région et sujet")),
    ("channel,region", _("Par région et canal")),
)
_OFFERED_MONTHS: Final = 24


@router.get("/national/exports")
async def exports(request: Request, reading: Reading, staff: NationalStaff) -> HTMLResponse:
    """What can be published, ready or made to order."""
    language = language_of(request)
    today = utc_now().astimezone(zone(HOME)).date()
    months = [month_after(today, -back) for back in range(_OFFERED_MONTHS)]
    return render(
        request,
        "national/exports.html",
        ready=READY,
        months=[(f"{m:%Y-%m}", formats.capital_first(formats.month(m, language))) for m in months],
        years=[str(year) for year in range(today.year, today.year - 6, -1)],
        dimensions=[(name, words) for name, words in DIMENSIONS.items()],
        most=PUBLISHED_DIMENSIONS,
        kept=[f"{one.month:%Y-%m}" for one in await snapshots.every(reading) if one.version == 1],
    )


@router.get("/national/exports/indicateurs.csv")
async def spreadsheet(request: Request, reading: Reading, staff: NationalStaff) -> Response:
    """The figures as a table; see `wording.as_csv` for why it isn't plain CSV."""
    found = await _published(request, reading)
    body = wording.as_csv(*wording.table(found), spreadsheet=True)
    return _file(body, FORMATS["csv"], f"{_name(found.question)}.csv")


@router.get("/national/exports/indicateurs.json")
async def data(request: Request, reading: Reading, staff: NationalStaff) -> Response:
    """The figures as JSON, with what they are and what may be done with them."""
    found = await _published(request, reading)

    def say(text: LazyString) -> str:
        return translate(text, language_of(request), request.app.state.package)

    content: dict[str, Any] = {
        "title": say(_("Indicateurs du programme, arrondis pour la publication")),
        "licence": LICENCE,
        "rounding": say(
            _(
                "Les décomptes de personnes sont arrondis à un multiple de 5, tantôt vers le haut, tantôt "
                "vers le bas. La somme des parties peut différer du total. Les faits publics sont exacts."
            )
        ),
        "question": wording.described(found.question),
        "items": [wording.item(row) for row in found.rows],
        "missing": [
            {"instance": one.instance, "why": one.why, "streams": list(one.streams)} for one in found.missing
        ],
    }
    body = orjson.dumps(content, option=orjson.OPT_INDENT_2)
    return _file(body, FORMATS["json"], f"{_name(found.question)}.json")


async def _published(request: Request, session: AsyncSession) -> Answer:
    question = read_question(request.query_params, published=True)
    if not question.indicators:
        fed = tuple(one.id for one in FED if one.id not in NOT_PUBLISHED and question.measures(one))
        question = replace(question, indicators=fed)
    return await find(request, session, question)


def _name(question: Question) -> str:
    """A file name that says what is in it."""
    when = "tout"
    if question.snapshot:
        when = f"{question.snapshot:%Y-%m}"
    elif question.first and question.last:
        one = question.first == question.last
        when = f"{question.first:%Y-%m}" if one else f"{question.first:%Y}"
    return "-".join(["indicateurs", when, *question.by])


def _file(body: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(body, headers=headers, media_type=media_type)
