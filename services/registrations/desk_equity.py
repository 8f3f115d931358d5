"""The equity report at the desk (`/guichet/equite`): seats, waits, answers and attendance by channel."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs import vocabularies
from libs.clock import decision_time, zone
from libs.web import equity_words, formats
from libs.web.app import Reading
from libs.web.auth import Staff
from libs.web.i18n import LazyString, _, language_of
from libs.web.templating import render
from services.registrations import equity_queries
from services.registrations.equity_queries import Asked

router = APIRouter(prefix="/guichet/equite", include_in_schema=False)

EVERYTHING: Final = "tout"
STREAMS: Final = {"public": _("Grand public"), "pro": _("Personnel et bénévoles")}
_HOME: Final = "America/Toronto"


@router.get("")
async def show(
    request: Request, staff: Staff, tx: Reading, mois: str = "", volet: str = "", sujet: str = ""
) -> Response:
    """One row per channel, for the months, the stream and the subject chosen."""
    language = language_of(request)
    now = (await decision_time(tx)).astimezone(zone(_HOME))
    counted = await equity_queries.counted_at(tx)
    known = await equity_queries.months(tx)
    # What isn't offered is no choice: the page then shows what it shows without it.
    mois = mois if mois in (*known, EVERYTHING) else ""
    volet = volet if volet in STREAMS else ""
    sujet = sujet if sujet in vocabularies.ids("themes") else ""
    first, last = span(mois, now)
    asked = Asked(first, last, stream=volet, theme=sujet)
    report = await equity_queries.equity(tx, asked)
    given = {"from": first, "to": last, "stream": volet, "theme": sujet}
    query = urlencode({name: value for name, value in given.items() if value})
    return render(
        request,
        "desk/equity.html",
        sentences=equity_words.sentences(report, language) if report else (),
        rows=equity_words.rows(report, language) if report else (),
        columns=equity_words.COLUMNS,
        months=_choices(known, language),
        themes=vocabularies.choices("themes", language),
        streams=list(STREAMS.items()),
        month=mois,
        stream=volet,
        theme=sujet,
        counted=counted and counted.astimezone(zone(_HOME)),
        now=now,
        api=f"/api/registrations/v1/equity?{query}".rstrip("?"),
    )


def span(month: str, now: datetime) -> tuple[str, str]:
    """First and last month of a choice: one month, everything, or the last twelve."""
    if month == EVERYTHING:
        return "", ""
    if month:
        return month, month
    year, before = divmod(now.year * 12 + now.month - 12, 12)
    return f"{year:04d}-{before + 1:02d}", f"{now:%Y-%m}"


def _choices(known: Sequence[str], language: str) -> list[tuple[str, LazyString | str]]:
    named = [
        (code, formats.capital_first(formats.month(date.fromisoformat(f"{code}-01"), language)))
        for code in known
    ]
    return [("", _("Les 12 derniers mois")), *named, (EVERYTHING, _("Depuis le début"))]
