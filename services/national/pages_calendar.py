"""`/national/calendrier`: the sessions of the whole country by day, each at the instance that owns it."""

from functools import partial
from itertools import groupby
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse

from libs.clock import zone
from libs.web import formats
from libs.web.app import Reading, service_of
from libs.web.auth import national_of
from libs.web.i18n import SOURCE, _, language_of
from libs.web.templating import render
from services.national import labels, listing
from services.national.access import CalendarReader
from services.national.asking import HOME, ask, choices
from services.national.calendar_feed import MOST, PATH
from services.national.filters import link
from services.national.incomplete import incomplete
from services.national.listing import BadCursor, SessionRow
from services.national.pages_sessions import place_of

router = APIRouter(include_in_schema=False)

A_PAGE = 24
"""Sessions on a page: what 50 kB hold."""


@router.get("/national/calendrier")
async def calendar(
    request: Request,
    reading: Reading,
    reader: CalendarReader,
    cursor: Annotated[str | None, Query()] = None,
) -> HTMLResponse:
    """A page of the days to come, or of the period asked for."""
    question = await ask(request, reading)
    language, filters = language_of(request), question.filters
    try:
        found = await listing.page(
            reading, filters, question.period, question.now, cursor=cursor, limit=A_PAGE
        )
    except BadCursor:
        question.mistakes.add("", _("La suite demandée n’existe plus. Voici le début de la liste."))
        cursor = None
        found = await listing.page(reading, filters, question.period, question.now, limit=A_PAGE)
    settings = service_of(request).settings
    feed = link(PATH, filters, lang="" if language == SOURCE else language)
    base = urlsplit(settings.base_url)
    return render(
        request,
        "national/calendar.html",
        question=question,
        options=choices(question, language),
        found=found,
        days=[(day, list(rows)) for day, rows in groupby(found.rows, lambda row: row.starts_at.date())],
        incomplete=incomplete(question.hearing, filters, language),
        streams=labels.STREAMS,
        languages=labels.LANGUAGES,
        region=partial(labels.region, language=language),
        number=partial(formats.number, language=language),
        place=place_of,
        zone_note=partial(_zone_note, language=language),
        most=MOST,
        staff_link=national_of(request) is not None,
        public=settings.national_calendar_public,
        feed_url=feed,
        subscribe_url=f"webcal://{base.netloc}{base.path}{feed}",
        next_url=link("/national/calendrier", filters, cursor=found.following) if found.following else "",
        first_url=link("/national/calendrier", filters) if cursor else "",
    )


def _zone_note(row: SessionRow, language: str) -> str | None:
    """« heure de l’Atlantique », where the clock isn't the one of most of the country's staff."""
    start = row.starts_at_utc
    if start.astimezone(zone(row.timezone)).utcoffset() == start.astimezone(zone(HOME)).utcoffset():
        return None
    return formats.zone_label(row.timezone, start, language)
