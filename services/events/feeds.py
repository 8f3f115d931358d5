"""The public calendar files: one to subscribe to, one per session; nobody and no room link stands in them."""

import hashlib
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs import ical, vocabularies
from libs.clock import zone
from libs.settings import Settings
from libs.web import formats
from libs.web.app import Reading, service_of
from libs.web.conditional import is_known
from libs.web.i18n import LazyString, _, folder_of, known_language, language_of, translate
from libs.web.kept import Keep
from services.events import labels, public_queries
from services.events.asking import Question, ask, session_id_of
from services.events.calendar_filters import ADDRESS_NAMES, query_of
from services.events.cards import moved, sentence
from services.events.problems import UnknownSession
from services.events.public_session import PublicSession

PACKAGE = "services.events"
_WRITTEN_BY = b"".join(
    file.read_bytes()
    for file in (Path(__file__), Path(ical.__file__), folder_of(PACKAGE) / "locale" / "en.po")
)
"""Another version of the programme may write the same sessions in other words."""

router = APIRouter(include_in_schema=False)


KEPT = Keep("/calendrier.ics", frozenset({*ADDRESS_NAMES, "lang"}), seconds=1.0)
"""Thousands of calendars ask for the same file, most of them on the hour."""


@router.get(KEPT.path)
async def calendar_feed(request: Request, reading: Reading) -> Response:
    """The calendar's sessions, by the same filters; what can't be understood isn't applied.

    Its tag follows from what it is made of, so that a reader who has it is told so without making it.
    """
    language, settings = language_of(request), service_of(request).settings
    question = await ask(request, reading)
    source_url = _calendar_address(request, question, settings)
    state = await public_queries.feed_state(reading, question.asked)
    etag = _tag_of(
        _WRITTEN_BY,
        *(settings.uid_domain, settings.instance_name, settings.phone, settings.mail_from),
        *(source_url, language, question.home_zone, state.digest),
    )
    if _has(request, etag, state.changed_at):
        return _not_modified(request, etag, state.changed_at)
    sessions = await public_queries.feed_sessions(reading, question.asked)
    content = ical.feed(
        [entry(session, settings, language) for session in sessions],
        name=say(_("Ateliers gratuits – %(name)s", name=settings.instance_name), language),
        description=say(
            _("Les ateliers à venir. Par téléphone : %(phone)s.", phone=formats.phone(settings.phone)),
            language,
        ),
        source_url=source_url,
        language=language,
        organizer=organizer(settings),
        default_zone=question.home_zone,
    )
    return _file(request, content, etag, state.changed_at, "ateliers.ics")


@router.get("/seances/{session_id}.ics")
async def session_feed(request: Request, reading: Reading, session_id: str) -> Response:
    """One session, to add to one's own calendar."""
    session = await public_queries.find_session(reading, session_id_of(session_id))
    if session is None or session.status == "draft" or not session.announced:
        raise UnknownSession
    language, settings = language_of(request), service_of(request).settings
    content = ical.feed(
        [entry(session, settings, language)],
        name=session.title,
        source_url=_own_address(request, settings),
        language=language,
        organizer=organizer(settings),
    )
    etag = _tag_of(content)
    if _has(request, etag, session.changed_at):
        return _not_modified(request, etag, session.changed_at)
    return _file(request, content, etag, session.changed_at, f"atelier-{session.id}.ics")


def entry(session: PublicSession, settings: Settings, language: str) -> ical.Entry:
    """The session as a calendar shows it. Its UID is the session's own, on the instance's domain."""
    here, venue = zone(session.timezone), session.venue
    cancelled = session.status == "cancelled"
    title = say(_("Annulé : %(title)s", title=session.title), language) if cancelled else session.title
    theme = vocabularies.label("themes", session.theme, language) if session.theme else None
    located = venue is not None and venue.latitude is not None and venue.longitude is not None
    return ical.Entry(
        uid=f"{session.id}@{settings.uid_domain}",
        sequence=session.sequence,
        summary=title,
        start=session.starts_at_utc.astimezone(here),
        end=session.ends_at_utc.astimezone(here),
        last_modified=session.changed_at,
        description=description(session, settings, language),
        location=location(session, language),
        geo=(venue.latitude, venue.longitude) if located else None,  # type: ignore[union-attr, arg-type]
        url=f"{settings.base_url}/seances/{session.id}",
        status="CANCELLED" if cancelled else "CONFIRMED",
        language=language,
        categories=(theme,) if theme else (),
    )


def description(session: PublicSession, settings: Settings, language: str) -> str:
    """What a calendar's note says, the most important first. Seats stay out: a feed lags by hours."""
    phone = formats.phone(settings.phone)
    lines: list[LazyString | str | None] = []
    if session.status == "cancelled":
        lines += [_("Cet atelier est annulé."), sentence(session.cancel_reason)]
    else:
        change = moved(session, language)
        lines += [
            formats.full_stop(say(change, language)) if change else None,
            sentence(session.change_reason) if change else None,
        ]
    if session.modality != "on_site":
        lines.append(_("En ligne, par vidéo. Le lien est envoyé aux personnes inscrites."))
    lines.append(session.description or None)
    if session.bring and session.status != "cancelled":
        lines.append(_("À apporter : %(bring)s", bring=session.bring))
    lines += [
        labels.label(labels.LANGUAGES, session.language),
        _("Places et inscription : %(url)s", url=f"{settings.base_url}/seances/{session.id}"),
        _("Par téléphone : %(phone)s", phone=phone),
    ]
    return "\n".join(say(line, language) for line in lines if line)


def location(session: PublicSession, language: str) -> str:
    """An address that a telephone can find, or words for online."""
    online = say(labels.MODALITIES["online"], language)
    if session.modality == "online" or session.venue is None:
        return online if session.modality != "on_site" else ""
    venue = session.venue
    address = ", ".join((venue.name, *venue.address_lines))
    return f"{address} / {online}" if session.modality == "hybrid" else address


def organizer(settings: Settings) -> ical.Mailbox:
    """The instance itself; RFC 5546, 3.2.1 wants an ORGANIZER in what is published."""
    _name, address = parseaddr(settings.mail_from or "")
    name = f"Tournée · {settings.instance_name}"
    try:
        return ical.Mailbox(address, name)
    except ValueError:
        return ical.Mailbox(f"tournee@{settings.uid_domain}", name)


def _has(request: Request, etag: str, modified: datetime | None) -> bool:
    return is_known(
        etag=etag,
        modified=modified,
        if_none_match=request.headers.get("if-none-match"),
        if_modified_since=request.headers.get("if-modified-since"),
    )


def _not_modified(request: Request, etag: str, modified: datetime | None) -> Response:
    return Response(status_code=304, headers=_headers(request, etag, modified))


def _file(request: Request, content: bytes, etag: str, modified: datetime | None, name: str) -> Response:
    headers = _headers(request, etag, modified) | {"Content-Disposition": f'inline; filename="{name}"'}
    return Response(content, media_type=ical.MEDIA_TYPE, headers=headers)


def _headers(request: Request, etag: str, modified: datetime | None) -> dict[str, str]:
    headers = {
        "ETag": etag,
        "Cache-Control": "public, max-age=300",
        "Vary": "Cookie",
        "Content-Language": language_of(request),
    }
    if modified is not None:
        headers["Last-Modified"] = format_datetime(modified.astimezone(UTC), usegmt=True)
    return headers


def _tag_of(*parts: object) -> str:
    """A strong tag of what an answer consists of, or is made from."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
    return f'"{digest.hexdigest()[:32]}"'


def _calendar_address(request: Request, question: Question, settings: Settings) -> str:
    """Where the calendar may be asked for again: by the filters that were understood, and the language."""
    spoken = known_language(request.query_params.get("lang"))
    query = query_of(question.typed, lang=spoken)
    return f"{settings.base_url}{KEPT.path}" + (f"?{query}" if query else "")


def _own_address(request: Request, settings: Settings) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    address = f"{settings.base_url}{request.url.path}{query}"
    return (
        address if address.isascii() and address.isprintable() else f"{settings.base_url}{request.url.path}"
    )


def say(text: LazyString | str, language: str) -> str:
    return translate(text, language, PACKAGE)
