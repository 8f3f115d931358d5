"""Taking over another calendar's events: what its listing says becomes sessions, once, all or nothing."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import decision_time, utc_now
from libs.web.i18n import translate
from libs.web.problems import Malformed
from services.events import commands
from services.events.listings import BadListing, Candidate, Gazetteer, KnownVenue, Refused, read_listing
from services.events.models import Session, Venue
from services.events.schedule import BY_REGISTRATION

CANCELLED_BY_SOURCE = "L’organisateur a annulé cette activité."


@dataclass(frozen=True, slots=True)
class Options:
    """`source` names the calendar: rows are recognised by it, so keep it from one import to the next.

    `municipality` or `region` says where the listing's places are. `capacity` is what a session with
    registration gets, since a listing doesn't say it.
    """

    source: str
    municipality: str | None = None
    region: str | None = None
    capacity: int = 20


class Outcome(StrEnum):
    """What became of a row; the value is what machines read."""

    CREATED = "created"
    UPDATED = "updated"
    CANCELLED = "cancelled"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the report. `number` is its row in the spreadsheet, None for a session that is gone."""

    outcome: Outcome
    number: int | None
    id: str
    title: str
    reasons: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """What an import did, or would do, row by row."""

    source: str
    entries: list[Entry] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        return Counter(entry.outcome.value for entry in self.entries)

    @property
    def reasons(self) -> Counter[str]:
        """How many rows each reason stands in the way of; a row may have several."""
        return Counter(reason for entry in self.entries for reason in entry.reasons)

    def as_dicts(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.entries]


async def import_listing(db: AsyncSession, instance: str, content: bytes, options: Options) -> Report:
    """Bring the sessions of a listing (the bytes of a CSV file) up to date, in the caller's transaction.

    A row that can't be taken is reported and hurts no other. A session that somebody edited here is kept
    as it is. Past events become held sessions, which tells nobody anything. Raises `BadListing`.
    """
    gazetteer = await _gazetteer(db, options)
    reading = read_listing(content, gazetteer)
    # Two imports of one source at the same time would both find a row missing.
    await db.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"import:{options.source}"))))
    known = await _known(db, options.source, [candidate.key for candidate in reading.taken])
    now = await decision_time(db)
    report = Report(options.source, [_refused(row) for row in reading.refused])
    for candidate in reading.taken:
        existing = _same_event(known.pop(candidate.key, []), candidate, options.source)
        report.entries.append(await _take(db, instance, candidate, existing, options, now))
    report.entries += [_gone(session) for session in _missing(chain(*known.values()), reading.taken, now)]
    report.entries.sort(key=lambda entry: (entry.number is None, entry.number or 0))
    return report


def digest(candidate: Candidate) -> str:
    """The fingerprint of what the source says of a row, so that an unchanged row is known as such."""
    said = [
        candidate.title,
        candidate.ends_at.isoformat(),
        str(candidate.venue.id),
        candidate.audience,
        candidate.modes,
        candidate.cancelled,
        candidate.full,
    ]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


async def _gazetteer(db: AsyncSession, options: Options) -> Gazetteer:
    rows = (await db.execute(select(Venue))).scalars()
    venues = (KnownVenue(v.id, v.name, v.municipality, v.region, v.timezone) for v in rows)
    gazetteer = Gazetteer.of(venues, municipality=options.municipality, region=options.region)
    if not gazetteer.by_key:
        where = options.municipality or options.region or "cette instance"
        raise BadListing(f"Aucun lieu n’est connu pour « {where} ». Vérifiez le nom de la ville ou le code.")
    return gazetteer


async def _known(db: AsyncSession, source: str, keys: Sequence[str]) -> dict[str, list[Session]]:
    """The sessions that came from this source, and those of these rows under another source's name.

    Locked, so that no edit slips between.
    """
    found = await db.execute(
        select(Session)
        .where(sa.or_(col(Session.source) == source, col(Session.source_id).in_(keys)))
        .order_by(col(Session.id))
        .with_for_update()
    )
    known: dict[str, list[Session]] = {}
    for session in found.scalars():
        known.setdefault(session.source_id or "", []).append(session)
    return known


def _same_event(sessions: Sequence[Session], candidate: Candidate, source: str) -> Session | None:
    """The session of a row: its source's, else the one at the same venue that a renamed file brought."""
    own = (session for session in sessions if session.source == source)
    renamed = (session for session in sessions if session.venue_id == candidate.venue.id)
    return next(chain(own, renamed), None)


async def _take(
    db: AsyncSession,
    instance: str,
    candidate: Candidate,
    existing: Session | None,
    options: Options,
    now: datetime,
) -> Entry:
    try:
        if existing is None:
            await _create(db, instance, candidate, options, now)
            return _entry(Outcome.CREATED, candidate)
        return await _refresh(db, instance, candidate, existing, options)
    except Malformed as problem:
        texts = tuple(translate(error.message, "fr") for error in problem.errors)
        return Entry(
            Outcome.REFUSED,
            candidate.number,
            candidate.id,
            candidate.title,
            ("malformed",) * len(texts),
            texts,
        )


async def _create(
    db: AsyncSession, instance: str, candidate: Candidate, options: Options, now: datetime
) -> None:
    session = await commands.create_session(
        db,
        {
            "modality": "on_site",
            "stream": "public",
            "starts_at": candidate.starts_at,
            **_said(candidate, options),
        },
    )
    session.source, session.source_id = options.source, candidate.key
    if candidate.cancelled or session.ends_at_utc <= now:
        await _finish(db, instance, session, cancelled=candidate.cancelled)
    else:
        await commands.publish_locked(db, instance, session)
    await _remember(db, session, candidate)


async def _finish(db: AsyncSession, instance: str, session: Session, *, cancelled: bool) -> None:
    """A session that nobody could register for here: it is over, or was cancelled before we knew it."""
    session.updated_at = utc_now()
    # An old event is no news: neither the calendar nor its feed may show it as changed today.
    session.published_at = min(session.updated_at, session.starts_at_utc)
    session.status = "cancelled" if cancelled else "held"
    if cancelled:
        session.cancelled_at, session.cancel_reason = session.published_at, CANCELLED_BY_SOURCE
    session.version += 1
    await db.flush()
    await commands.tell(db, instance, session)


async def _refresh(
    db: AsyncSession, instance: str, candidate: Candidate, session: Session, options: Options
) -> Entry:
    if session.source == options.source and session.source_digest == digest(candidate):
        return _entry(Outcome.UNCHANGED, candidate)
    if kept := _why_kept(session, options.source):
        return _entry(Outcome.KEPT, candidate, *kept)
    if candidate.cancelled:
        await commands.cancel_locked(db, instance, session, CANCELLED_BY_SOURCE)
        await _remember(db, session, candidate)
        return _entry(Outcome.CANCELLED, candidate)
    given = {**_said(candidate, options), "venue_id": candidate.venue.id}
    if BY_REGISTRATION & set(session.registration_modes):
        del given["capacity"]  # the seats that were planned stay planned
    await commands.patch_session(db, instance, session.id, given)
    await _remember(db, session, candidate)
    return _entry(Outcome.UPDATED, candidate)


def _why_kept(session: Session, source: str) -> tuple[str, str] | None:
    """Why the source no longer decides: the reason's id and its words."""
    if session.source != source:
        return "other_source", f"Elle est déjà là, venue de la source «\u00a0{session.source}\u00a0»."
    if session.status == "held":
        return "held_here", "La séance a déjà eu lieu : elle reste comme elle est."
    if session.version != session.source_version:
        return "edited_here", "Quelqu’un a modifié cette séance ici : elle reste comme elle est."
    if session.status == "cancelled":
        return "cancelled_here", "La séance a été annulée : une séance annulée ne revient pas."
    return None


def _said(candidate: Candidate, options: Options) -> dict[str, Any]:
    by_registration = bool(BY_REGISTRATION & set(candidate.modes))
    return {
        "title": candidate.title,
        "description": "Complet, selon le calendrier d’origine." if candidate.full else "",
        "ends_at": candidate.ends_at,
        "venue_id": candidate.venue.id,
        "audience": candidate.audience,
        "registration_modes": list(candidate.modes),
        "capacity": options.capacity if by_registration else 0,
    }


async def _remember(db: AsyncSession, session: Session, candidate: Candidate) -> None:
    session.source_digest = digest(candidate)
    session.source_version = session.version
    await db.flush()


def _missing(known: Iterable[Session], taken: Sequence[Candidate], now: datetime) -> Iterator[Session]:
    """Sessions to come that the listing names no more, within the days that it covers."""
    if not taken:
        return
    first = min(candidate.starts_at for candidate in taken)
    last = max(candidate.starts_at for candidate in taken)
    for session in known:
        if (
            session.status == "published"
            and session.ends_at_utc > now
            and first <= session.starts_at_utc <= last
        ):
            yield session


def _entry(outcome: Outcome, candidate: Candidate, reason: str = "", text: str = "") -> Entry:
    said = ((reason,), (text,)) if reason else ((), ())
    return Entry(outcome, candidate.number, candidate.id, candidate.title, *said)


def _refused(row: Refused) -> Entry:
    return Entry(
        Outcome.REFUSED,
        row.number,
        row.id,
        row.title,
        tuple(obstacle.reason.value for obstacle in row.obstacles),
        tuple(obstacle.text for obstacle in row.obstacles),
    )


def _gone(session: Session) -> Entry:
    text = "La liste ne la nomme plus. Rien n’a été changé : annulez-la ici si elle n’a pas lieu."
    source_id = (session.source_id or "").partition("@")[0]
    return Entry(Outcome.GONE, None, source_id, session.title, ("not_listed",), (text,))
