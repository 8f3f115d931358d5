"""From a figure to the sessions behind it, and to one of them with its seats; never to a person."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse

from libs.clock import utc_now, zone
from libs.web import formats
from libs.web.app import Reading
from libs.web.auth import NationalStaff
from libs.web.i18n import LazyString, _, language_of
from libs.web.problems import NotFound
from libs.web.templating import render
from services.national import labels, listing
from services.national.asking import HOME, ask, choices
from services.national.figures import hearing
from services.national.filters import link
from services.national.freshness import Hearing, Standing
from services.national.incomplete import incomplete
from services.national.listing import SORTS, BadCursor, SessionRow

router = APIRouter(include_in_schema=False)

SEATS = (
    ("capacity", _("Places")),
    ("confirmed", _("Inscriptions")),
    ("offered", _("Offertes")),
    ("held", _("Gardées")),
    ("available", _("Libres")),
    ("waitlisted", _("En attente")),
)


@router.get("/national/seances")
async def sessions(
    request: Request,
    reading: Reading,
    staff: NationalStaff,
    sort: Annotated[str, Query()] = "date",
    cursor: Annotated[str | None, Query()] = None,
) -> HTMLResponse:
    """The sessions that a figure counts, cancelled ones too, in any order."""
    question = await ask(request, reading)
    language, filters = language_of(request), question.filters
    if sort.removeprefix("-") not in SORTS:
        sort = "date"
    try:
        found = await listing.page(reading, filters, question.period, question.now, sort=sort, cursor=cursor)
    except BadCursor:
        question.mistakes.add("", _("La suite demandée n’existe plus. Voici le début de la liste."))
        cursor = None
        found = await listing.page(reading, filters, question.period, question.now, sort=sort)
    kept = {"sort": sort} if sort != "date" else {}
    return render(
        request,
        "national/sessions.html",
        question=question,
        options=choices(question, language),
        found=found,
        sort=sort,
        incomplete=incomplete(question.hearing, filters, language),
        region_name=labels.region(filters.region, language),
        statuses=labels.STATUSES,
        number=partial(formats.number, language=language),
        place=place_of,
        back=link("/national", replace(filters, place="")),
        next_url=link("/national/seances", filters, cursor=found.following, **kept)
        if found.following
        else "",
        first_url=link("/national/seances", filters, **kept) if cursor else "",
    )


@router.get("/national/seances/{session_id}")
async def session(request: Request, reading: Reading, staff: NationalStaff, session_id: str) -> HTMLResponse:
    """One session with its seats by kind, and the way to the instance that owns it."""
    row = await listing.find(reading, _id_of(session_id))
    if row is None:
        raise NotFound
    language, here = language_of(request), zone(HOME)
    return render(
        request,
        "national/session.html",
        row=row,
        note=_note(await hearing(reading), row, language),
        place=place_of(row),
        region_name=labels.region(row.region, language) if row.region else None,
        stream=labels.label(labels.STREAMS, row.stream),
        theme=labels.theme(row.theme or "", language),
        spoken=labels.label(labels.LANGUAGES, row.language),
        kinds=[(labels.label(labels.SEAT_KINDS, kind), seats) for kind, seats in _in_order(row.by_kind)],
        columns=SEATS,
        counted_at=row.seats_updated_at.astimezone(here) if row.seats_updated_at else None,
        now=utc_now().astimezone(here),
    )


def place_of(row: SessionRow) -> LazyString | str:
    """Where it is, on one line."""
    if row.modality == "online":
        return labels.MODALITIES["online"]
    if not row.place:
        return _("Lieu à confirmer")
    return _("%(place)s, ou en ligne", place=row.place) if row.modality == "hybrid" else row.place


def _in_order(by_kind: Mapping[str, Mapping[str, int]]) -> list[tuple[str, Mapping[str, int]]]:
    """On site first; a kind that a newer instance knows stands last."""
    known = list(labels.SEAT_KINDS)
    return sorted(by_kind.items(), key=lambda item: known.index(item[0]) if item[0] in known else len(known))


def _id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None


def _note(heard: Hearing, row: SessionRow, language: str) -> LazyString | None:
    """Why these facts may be old."""
    owner = next((one for one in heard.instances if one.slug == row.instance), None)
    if owner is None or owner.standing(heard.now) is Standing.LIVE or owner.received_at is None:
        return None
    since = formats.elapsed(owner.silence(heard.now), language)
    return _("hors ligne depuis %(time)s. Voici ce qui est connu d’avant.", time=since)
