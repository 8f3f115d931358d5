"""The public pages: the calendar, a session, a tour, the programme on paper, and what we promise."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.sax.saxutils import escape

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from libs import vocabularies
from libs.clock import utc_now, zone
from libs.web import formats
from libs.web.app import Reading, service_of
from libs.web.auth import MaybeStaff
from libs.web.i18n import SOURCE, _, language_of
from libs.web.problems import NotFound
from libs.web.templating import render
from services.events import cards, labels, public_queries
from services.events.asking import Question, ask, session_id_of
from services.events.calendar_filters import PERIODS, CalendarFilters, query_of
from services.events.problems import UnknownSession
from services.events.public_queries import Asked, BadCursor, Page
from services.events.public_session import PublicSession
from services.events.standing import OPEN, Standing, standing_of
from services.events.structured_data import embedded, event_data

router = APIRouter(include_in_schema=False)

KEEP = {"Cache-Control": "private, no-cache"}
"""A page depends on cookies and on the minute: it may be kept, but is asked for again."""


@router.get("/")
async def calendar(request: Request, reading: Reading) -> HTMLResponse:
    """The list of sessions, by the filters of its address."""
    question = await ask(request, reading)
    asked, cursor = question.asked, request.query_params.get("cursor") or None
    try:
        page = await public_queries.calendar_page(reading, asked, cursor)
    except BadCursor:
        question.mistakes.add("", _("La suite demandée n’existe plus. Voici le début de la liste."))
        cursor, page = None, await public_queries.calendar_page(reading, asked, None)
    return _kept(
        render(
            request,
            "public/calendar.html",
            **_calendar_context(request, question, page),
            cursor=cursor,
            closest=await _closest(request, reading, question, page),
        )
    )


@router.get("/seances/{session_id}")
async def session_page(
    request: Request, reading: Reading, staff: MaybeStaff, session_id: str
) -> HTMLResponse:
    """One session; a draft is shown to staff alone, with a banner."""
    session = await public_queries.find_session(reading, session_id_of(session_id))
    if session is None or not (session.announced or staff):
        raise UnknownSession
    now, language = utc_now(), language_of(request)
    standing = standing_of(session, now)
    home_zone = (await public_queries.freshness(reading)).home_zone
    others = await _alternatives(reading, session, standing, now)
    settings = service_of(request).settings
    data = event_data(session, base_url=settings.base_url, organizer=_organizer(request), now=now)
    return _kept(
        render(
            request,
            "public/session.html",
            session=session,
            standing=standing,
            open=standing in OPEN,
            badge=cards.badge(session, standing),
            place=cards.place(session, language),
            by_kind=cards.by_kind(session),
            waiting=cards.waiting(session),
            before=cards.before(session, language),
            reason=cards.sentence(
                session.cancel_reason if standing is Standing.CANCELLED else session.change_reason
            ),
            drawing=cards.drawing(session, language) if standing is Standing.DRAW else None,
            opening=cards.opening(session, language) if standing is Standing.NOT_OPEN else None,
            zone_note=cards.zone_note(session, home_zone, language),
            updated=_local(session.updated_at, home_zone),
            now=_local(now, home_zone),
            words=_words(session, language),
            others=[cards.card(replace(o, distance_km=None), now, home_zone, language) for o in others],
            structured_data=embedded(data) if session.announced else None,
            feed_url=f"/seances/{session.id}.ics"
            + _query(query_of(CalendarFilters(), lang=_spoken(language))),
        )
    )


@router.get("/tournees/{tour_id}")
async def tour_page(request: Request, reading: Reading, staff: MaybeStaff, tour_id: str) -> HTMLResponse:
    """A tour: its stops in their order, each with its sessions."""
    tour = await public_queries.find_tour(reading, session_id_of(tour_id))
    if tour is None or (tour.status == "draft" and not staff):
        raise NotFound
    now, language = utc_now(), language_of(request)
    home_zone = (await public_queries.freshness(reading)).home_zone
    return _kept(
        render(
            request,
            "public/tour.html",
            tour=tour,
            stops=[(stop, cards.days(stop.sessions, now, home_zone, language)) for stop in tour.stops],
            others=cards.days(tour.others, now, home_zone, language),
            region=vocabularies.region_name(tour.region, language) if tour.region else None,
        )
    )


@router.get("/programme")
async def programme(request: Request, reading: Reading) -> HTMLResponse:
    """The coming sessions on paper, by the calendar's filters."""
    question = await ask(request, reading)
    asked, language = question.asked, language_of(request)
    sessions = await public_queries.programme_sessions(reading, asked)
    return _kept(
        render(
            request,
            "public/programme.html",
            question=question,
            days=cards.days(sessions, asked.now, question.home_zone, language),
            count=len(sessions),
            printed=_local(asked.now, question.home_zone),
            address=urlsplit(service_of(request).settings.base_url).netloc,
            choices=_chosen(question, language),
            calendar_url=_calendar_url(asked.filters),
        )
    )


@router.get("/vie-privee")
async def privacy(request: Request) -> HTMLResponse:
    return render(request, "privacy.html")


@router.get("/accessibilite")
async def accessibility(request: Request) -> HTMLResponse:
    return render(request, "accessibility.html")


@router.get("/robots.txt")
async def robots(request: Request) -> Response:
    """Search engines may read what is public; personal and staff pages aren't theirs (RFC 9309)."""
    private = (
        "/api/",
        "/boite-envoi",
        "/connexion",
        "/coordination",
        "/guichet",
        "/inscription/",
        "/mon-inscription/",
        "/attendre",
        "/mon-attente/",
    )
    rules = "".join(f"Disallow: {path}\n" for path in private)
    sitemap = f"{service_of(request).settings.base_url}/sitemap.xml"
    return Response(f"User-agent: *\n{rules}\nSitemap: {sitemap}\n", media_type="text/plain")


@router.get("/sitemap.xml")
async def sitemap(request: Request, reading: Reading) -> Response:
    """The public addresses, with the last change of each session (sitemaps.org protocol 0.9)."""
    base = service_of(request).settings.base_url
    pages = "".join(
        f"<url><loc>{escape(base + path)}</loc></url>"
        for path in ("/", "/programme", "/vie-privee", "/accessibilite")
    )
    sessions = "".join(
        f"<url><loc>{escape(f'{base}/seances/{id_}')}</loc><lastmod>{changed.isoformat(timespec='seconds')}</lastmod></url>"
        for id_, changed in await public_queries.listed(reading)
    )
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{pages}{sessions}</urlset>\n'
    )
    return Response(body, media_type="application/xml")


# What the calendar's template needs


def _calendar_context(request: Request, question: Question, page: Page) -> dict[str, Any]:
    asked, language = question.asked, language_of(request)
    filters = asked.filters
    feed = "/calendrier.ics" + _query(query_of(filters, lang=_spoken(language)))
    return {
        "question": question,
        "typed": question.typed,
        "errors": question.mistakes,
        "hidden_errors": bool(set(question.mistakes) - {"near", "theme", "period", ""}),
        "nearby": asked.nearby,
        "days": cards.days(page.sessions, asked.now, question.home_zone, language),
        "total": page.total,
        "next_url": _calendar_url(filters, cursor=page.next) if page.next else None,
        "first_url": _calendar_url(filters),
        "available_url": _calendar_url(filters, available=not filters.available),
        "choices": _chosen(question, language),
        "suggestions": _suggestions(question, language),
        "guesses": [
            (name, _calendar_url(filters, near=name))
            for name in (question.unknown.guesses if question.unknown else ())
        ],
        "options": _options(question, language),
        "feed_url": feed,
        "feed_address": service_of(request).settings.base_url + feed,
        "webcal": _webcal(request, feed),
        "programme_url": "/programme" + _query(query_of(filters)),
        "wait_url": _wait_url(asked),
        "updated": _local(question.updated_at, question.home_zone) if question.updated_at else None,
        "now": _local(asked.now, question.home_zone),
    }


async def _closest(
    request: Request, reading: AsyncSession, question: Question, page: Page
) -> Sequence[cards.Card]:
    """When nothing is near: what is nearest all the same."""
    asked = question.asked
    if page.total or asked.nearby is None:
        return ()
    found = await public_queries.nearest(reading, asked)
    return [cards.card(session, asked.now, question.home_zone, language_of(request)) for session in found]


def _chosen(question: Question, language: str) -> list[tuple[object, str]]:
    """Each filter in use, in words, with the address of the list without it."""
    asked = question.asked
    filters = asked.filters
    words: list[tuple[object, dict[str, object]]] = []
    if filters.near and asked.nearby:
        words.append((_("Près de %(place)s", place=asked.nearby.label), {"near": ""}))
    if filters.theme:
        words.append((vocabularies.label("themes", filters.theme, language), {"theme": ""}))
    if filters.first or filters.last:
        words.append((_days(asked, language), {"first": None, "last": None}))
    elif filters.period:
        words.append((labels.PERIODS[filters.period], {"period": ""}))
    if filters.available:
        words.append((_("Avec des places"), {"available": False}))
    if filters.q:
        words.append((_("Avec les mots « %(words)s »", words=filters.q), {"q": ""}))
    if filters.region:
        words.append((vocabularies.region_name(filters.region, language), {"region": ""}))
    if filters.stream:
        words.append((labels.label(labels.STREAMS, filters.stream), {"stream": ""}))
    if filters.modality:
        words.append((labels.label(labels.MODALITIES, filters.modality), {"modality": ""}))
    if filters.language:
        words.append((labels.label(labels.LANGUAGES, filters.language), {"language": ""}))
    return [(text, _calendar_url(filters, **without)) for text, without in words]


def _days(asked: Asked, language: str) -> object:
    first, last = asked.days
    if first and last:
        return _(
            "Du %(first)s au %(last)s",
            first=formats.long_date(first, language),
            last=formats.long_date(last, language),
        )
    if first:
        return _("Dès le %(first)s", first=formats.long_date(first, language))
    assert last is not None
    return _("Jusqu’au %(last)s", last=formats.long_date(last, language))


def _suggestions(question: Question, language: str) -> list[tuple[str, str]]:
    """The regions that a postal code hints at, each with the address of its own list."""
    nearby, filters = question.asked.nearby, question.asked.filters
    if nearby is None or filters.region:
        return []
    return [
        (vocabularies.region_name(code, language), _calendar_url(filters, near="", region=code))
        for code in nearby.suggested
    ]


def _options(question: Question, language: str) -> dict[str, list[tuple[str, object]]]:
    """The choices of each list in the form; the first is no choice."""
    regions = [code for code in question.regions if vocabularies.region(code)]
    if question.typed.region and question.typed.region not in regions:
        regions.append(question.typed.region)
    return {
        "theme": [("", _("Tous les sujets")), *vocabularies.choices("themes", language)],
        "period": [
            ("", _("Toutes les dates")),
            *[(period, labels.PERIODS[period]) for period in PERIODS],
        ],
        "region": [
            ("", _("Toutes les régions")),
            *[(code, vocabularies.region_name(code, language)) for code in regions],
        ],
        "stream": [("", _("Tous les publics")), *labels.STREAMS.items()],
        "modality": [("", _("Peu importe")), *labels.MODALITIES.items()],
        "language": [("", _("Toutes les langues")), *labels.LANGUAGES.items()],
    }


# What the other templates need


async def _alternatives(
    reading: AsyncSession, session: PublicSession, standing: Standing, now: datetime
) -> Sequence[PublicSession]:
    """Other dates, where this session is no way in for everybody any more."""
    if standing in {Standing.FREE, Standing.DROP_IN, Standing.DRAFT}:
        return ()
    return await public_queries.alternatives(reading, session, now)


def _words(session: PublicSession, language: str) -> dict[str, object]:
    """The session's vocabulary ids in words."""
    venue = session.venue if session.modality != "online" else None
    return {
        "kind": labels.label(labels.KINDS, session.kind) if session.kind != "workshop" else None,
        "stream": labels.label(labels.STREAMS, session.stream),
        "theme": vocabularies.label("themes", session.theme, language) if session.theme else None,
        "level": vocabularies.label("levels", session.level, language) if session.level else None,
        "language": labels.label(labels.LANGUAGES, session.language),
        "delivered_by": (
            vocabularies.label("delivered_by", session.delivered_by, language)
            if session.delivered_by
            else None
        ),
        "access": [labels.label(labels.ACCESS, id_) for id_ in venue.accessibility] if venue else [],
        "region": vocabularies.region_name(session.region, language) if session.region else None,
    }


def _spoken(language: str) -> str:
    """For the address of a feed: a calendar program has no cookie that says its language."""
    return "" if language == SOURCE else language


def _organizer(request: Request) -> str:
    return f"Tournée · {service_of(request).settings.instance_name}"


def _calendar_url(filters: CalendarFilters, **changes: object) -> str:
    return "/" + _query(query_of(filters, **changes))


def _wait_url(asked: Asked) -> str:
    """The form for whoever waits for what isn't there yet, with what was looked for filled in."""
    filters = asked.filters
    known = {
        "sujet": filters.theme,
        "region": filters.region,
        "pres": "" if filters.region else filters.near,
        "du": filters.first.isoformat() if filters.first else "",
        "au": filters.last.isoformat() if filters.last else "",
        "volet": "pro" if filters.stream == "pro" else "",
    }
    return "/attendre" + _query(urlencode({name: value for name, value in known.items() if value}))


def _query(query: str) -> str:
    return f"?{query}" if query else ""


def _webcal(request: Request, path: str) -> str:
    """The address that calendar programs subscribe to when it is followed."""
    base = urlsplit(service_of(request).settings.base_url)
    return f"webcal://{base.netloc}{base.path}{path}"


def _local(moment: datetime, timezone: str) -> datetime:
    return moment.astimezone(zone(timezone))


def _kept(page: HTMLResponse) -> HTMLResponse:
    page.headers.update(KEEP)
    return page
