"""`/national/calendrier.ics`: the calendar of the country for calendar programs; public facts only."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs import ical, vocabularies
from libs.clock import zone
from libs.settings import Settings, usual_calendar_domain
from libs.web.app import Reading, service_of
from libs.web.conditional import is_known
from libs.web.i18n import LazyString, _, folder_of, language_of, translate
from services.national import labels, listing
from services.national.access import CalendarReader
from services.national.asking import HOME, ask
from services.national.filters import link
from services.national.incomplete import PACKAGE
from services.national.listing import SessionRow

router = APIRouter(include_in_schema=False)

PATH: Final = "/national/calendrier.ics"
MOST: Final = 1_000
"""Sessions in one file, the nearest first: about 1 MB, what calendar programs still take."""
_WRITTEN_BY = b"".join(
    file.read_bytes()
    for file in (Path(__file__), Path(ical.__file__), folder_of(PACKAGE) / "locale" / "en.po")
)
"""Another version of the programme may write the same sessions in other words."""


@router.get(PATH)
async def calendar_feed(request: Request, reading: Reading, reader: CalendarReader) -> Response:
    """The sessions that the calendar's page shows, by the same filters; a mistaken one isn't applied.

    Its tag follows from what it is made of, so that a reader who has it is told so without making it.
    """
    question = await ask(request, reading)
    language, settings = language_of(request), service_of(request).settings
    state = await listing.state(reading, question.filters, question.period, question.now, limit=MOST)
    source = settings.base_url + link(PATH, question.filters, lang=request.query_params.get("lang") or "")
    etag = _tag_of(_WRITTEN_BY, settings.mail_from, settings.uid_domain, source, language, state.digest)
    headers = _headers(settings, etag, state.changed_at, language)
    if is_known(
        etag=etag,
        modified=state.changed_at,
        if_none_match=request.headers.get("if-none-match"),
        if_modified_since=request.headers.get("if-modified-since"),
    ):
        return Response(status_code=304, headers=headers)
    found = await listing.page(reading, question.filters, question.period, question.now, limit=MOST)
    # A thousand sessions take a good part of a second: others are answered meanwhile.
    content = await asyncio.to_thread(_written, found.rows, settings, source, language)
    headers["Content-Disposition"] = 'inline; filename="ateliers-du-pays.ics"'
    return Response(content, media_type=ical.MEDIA_TYPE, headers=headers)


def _written(rows: Sequence[SessionRow], settings: Settings, source: str, language: str) -> bytes:
    return ical.feed(
        [entry(row, language) for row in rows],
        name=say(_("Ateliers gratuits du pays"), language),
        description=say(_("Les séances de tous les réseaux. L’inscription se fait chez chacun."), language),
        source_url=source,
        language=language,
        organizer=_organizer(settings),
        default_zone=HOME,
    )


def entry(row: SessionRow, language: str) -> ical.Entry:
    """The session as its instance's own feed shows it: the same UID, so that nobody sees it twice."""
    here, cancelled = zone(row.timezone), row.status == "cancelled"
    theme = vocabularies.label("themes", row.theme, language) if row.theme else None
    located = row.latitude is not None and row.longitude is not None
    return ical.Entry(
        uid=uid_of(row),
        sequence=sequence_of(row),
        summary=say(_("Annulé : %(title)s", title=row.title), language) if cancelled else row.title,
        start=row.starts_at_utc.astimezone(here),
        end=row.ends_at_utc.astimezone(here),
        last_modified=row.updated_at,
        description=_description(row, language),
        location=_location(row, language),
        geo=(row.latitude, row.longitude) if located else None,  # type: ignore[arg-type]
        url=row.url,
        status="CANCELLED" if cancelled else "CONFIRMED",
        language=language,
        categories=(theme,) if theme else (),
    )


def uid_of(row: SessionRow) -> str:
    """What the instance calls it in its own feed, on the domain that its heartbeat says."""
    return f"{row.id}@{row.calendar_domain or usual_calendar_domain(row.instance)}"


def sequence_of(row: SessionRow) -> int:
    """That of the instance's own feed. Where it isn't said: one that rises with each change.

    Over a restore too, after which versions may start again lower.
    """
    if row.sequence is not None:
        return row.sequence
    return min((max(row.epoch, 1) - 1) * 1_000_000 + row.version, 2**31 - 1)


def _description(row: SessionRow, language: str) -> str:
    lines: list[LazyString | str] = []
    if row.status == "cancelled":
        lines.append(_("Cette séance est annulée."))
    if row.modality != "on_site":
        lines.append(_("En ligne, par vidéo. Le lien est envoyé aux personnes inscrites."))
    lines.append(labels.label(labels.LANGUAGES, row.language))
    lines.append(_("Organisé par : %(name)s", name=row.instance_name))
    if row.url:
        lines.append(_("Places et inscription : %(url)s", url=row.url))
    return "\n".join(say(line, language) for line in lines)


def _location(row: SessionRow, language: str) -> str:
    online = say(labels.MODALITIES["online"], language)
    if row.modality == "online" or not row.place:
        return online if row.modality != "on_site" else ""
    return f"{row.place} / {online}" if row.modality == "hybrid" else row.place


def _organizer(settings: Settings) -> ical.Mailbox:
    """The national instance itself; RFC 5546, 3.2.1 wants an ORGANIZER in what is published."""
    _name, address = parseaddr(settings.mail_from or "")
    try:
        return ical.Mailbox(address, "Tournée")
    except ValueError:
        return ical.Mailbox(f"tournee@{settings.uid_domain}", "Tournée")


def _headers(settings: Settings, etag: str, changed_at: datetime | None, language: str) -> dict[str, str]:
    who = "public" if settings.national_calendar_public else "private"
    headers = {
        "ETag": etag,
        "Cache-Control": f"{who}, max-age=300",
        "Vary": "Cookie, Authorization",
        "Content-Language": language,
    }
    if changed_at is not None:
        headers["Last-Modified"] = format_datetime(changed_at.astimezone(UTC), usegmt=True)
    return headers


def _tag_of(*parts: object) -> str:
    """A strong tag of what the answer is made from."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
    return f'"{digest.hexdigest()[:32]}"'


def say(text: LazyString | str, language: str) -> str:
    return translate(text, language, PACKAGE)
