"""The public calendar files: one to subscribe to, one per session; nobody and no room link stands in them."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr, parsedate_to_datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs import ical, vocabularies
from libs.clock import zone
from libs.settings import Settings
from libs.web import formats
from libs.web.app import Reading, service_of
from libs.web.i18n import LazyString, _, language_of, translate
from services.events import labels, public_queries
from services.events.asking import ask, session_id_of
from services.events.cards import moved, sentence
from services.events.problems import UnknownSession
from services.events.public_session import PublicSession

PACKAGE = "services.events"

router = APIRouter(include_in_schema=False)


@router.get("/calendrier.ics")
async def calendar_feed(request: Request, reading: Reading) -> Response:
    """The calendar's sessions, by the same filters; what can't be understood isn't applied."""
    language = language_of(request)
    asked = await ask(request, reading)
    sessions = await public_queries.feed_sessions(reading, asked.asked)
    settings = service_of(request).settings
    content = ical.feed(
        [entry(session, settings, language) for session in sessions],
        name=say(_("Ateliers gratuits – %(name)s", name=settings.instance_name), language),
        description=say(
            _("Les ateliers à venir. Par téléphone : %(phone)s.", phone=formats.phone(settings.phone)),
            language,
        ),
        source_url=_own_address(request, settings),
        language=language,
        organizer=organizer(settings),
        default_zone=asked.home_zone,
    )
    return conditional(request, content, _latest(sessions), "ateliers.ics")


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
    return conditional(request, content, session.changed_at, f"atelier-{session.id}.ics")


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


def conditional(request: Request, content: bytes, modified: datetime | None, filename: str) -> Response:
    """`content`, or 304 when the reader has it: by ETag, else by date (RFC 9110, 13.2.2)."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "public, max-age=300",
        "Vary": "Cookie",
        "Content-Language": language_of(request),
    }
    if modified is not None:
        headers["Last-Modified"] = format_datetime(modified.astimezone(UTC), usegmt=True)
    if _is_known(request, etag, modified):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f'inline; filename="{filename}"'
    return Response(content, media_type=ical.MEDIA_TYPE, headers=headers)


def _is_known(request: Request, etag: str, modified: datetime | None) -> bool:
    sent = request.headers.get("if-none-match")
    if sent is not None:
        # Weak comparison (RFC 9110, 13.1.2): a proxy may have weakened our tag.
        tags = [tag.strip().removeprefix("W/") for tag in sent.split(",")]
        return etag in tags or "*" in tags
    since = request.headers.get("if-modified-since")
    if since is None or modified is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except ValueError:
        return False
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return modified.replace(microsecond=0) <= moment


def _latest(sessions: Sequence[PublicSession]) -> datetime | None:
    return max((session.changed_at for session in sessions), default=None)


def _own_address(request: Request, settings: Settings) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    address = f"{settings.base_url}{request.url.path}{query}"
    return (
        address if address.isascii() and address.isprintable() else f"{settings.base_url}{request.url.path}"
    )


def say(text: LazyString | str, language: str) -> str:
    return translate(text, language, PACKAGE)
