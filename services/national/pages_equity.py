"""The equity report of the country (« Rapport d’équité »): seats, waits, answers, attendance by channel."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from libs.equity import EVERYBODY, Line, Report
from libs.web import equity_words, formats
from libs.web.app import Reading
from libs.web.auth import NationalStaff
from libs.web.i18n import _, language_of, translate
from libs.web.templating import render
from services.national import asking, charts
from services.national.incomplete import PACKAGE, incomplete
from services.national.indicator_pages import PATTERNS, common, query_of_api, question_of
from services.national.indicators.by_channel import equity

router = APIRouter(include_in_schema=False)

PATH: Final = "/national/equite"


@router.get(PATH)
async def show(request: Request, reading: Reading, staff: NationalStaff) -> HTMLResponse:
    """One row per channel, for the filters in the address."""
    asked = await asking.ask(request, reading)
    language, question = language_of(request), question_of(asked)
    found = await equity(reading, question)
    report = found.report
    return render(
        request,
        "national/equity.html",
        **common(request, asked)
        | {"incomplete": incomplete(asked.hearing, asked.filters, language, level="counts")},
        sentences=equity_words.sentences(report, language) if report else (),
        rows=equity_words.rows(report, language) if report else (),
        columns=equity_words.COLUMNS,
        chart=chart(report, language) if report else None,
        draw=partial(charts.svg, patterns=PATTERNS),
        minutes=partial(_minutes, language=language),
        action=PATH,
        api=f"/api/national/v1/equity?{query_of_api(question)}",
    )


def chart(report: Report, language: str) -> charts.Chart:
    """The median from opening to request, by channel: of those of which enough are counted."""
    bars = [_bar(line, language) for line in _measured(report)]
    say = partial(translate, language=language, package=PACKAGE)
    description = ""
    if bars:
        longest = max(bars, key=lambda bar: bar.total)
        description = say(
            _("Le délai le plus long : %(value)s (%(channel)s).", value=longest.text, channel=longest.label)
        )
    return charts.Chart(
        "equite-du-temps",
        say(_("De l’ouverture à la demande, par canal")),
        description,
        say(_("Canal")),
        (say(_("Délai médian")),),
        tuple(bars),
    )


def _measured(report: Report) -> Sequence[Line]:
    return [line for line in report.lines if line.id != EVERYBODY and line.opening.interval is not None]


def _bar(line: Line, language: str) -> charts.Row:
    """In seconds, so that half a minute has its bar too; beyond the last bucket's edge, as far as that."""
    median = line.opening
    assert median.interval is not None, "only of lines with a median"
    minutes = median.interval[0] if median.value is None else median.value
    text = _minutes(round(minutes * 60), language)
    label = translate(equity_words.channel_label(line.id, language), language, PACKAGE)
    return charts.Row(label, (round(minutes * 60),), f"> {text}" if median.value is None else text)


def _minutes(seconds: int, language: str) -> str:
    return formats.elapsed(timedelta(seconds=seconds), language)
