"""Rows: a session as the coordinators' tables show it, with its seats and the people who deliver it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.clock import zone
from libs.web import formats
from libs.web.i18n import LazyString, _
from services.events import labels
from services.events.models import Session, Venue
from services.events.schedule import BY_REGISTRATION
from services.events.views import Record, seats_view

Words = LazyString | str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """`starts_at` and `ends_at` are wall times of the place, said by `zone_note` where it isn't home's.

    `taken`: confirmed and offered seats. `is_counted`: registrations have counted the seats once; before
    that the figures are those of the plan. `reach`: people who would be told of a change, by route.
    """

    id: UUID
    version: int
    title: str
    status: str
    stream: str
    language: str
    modality: str
    starts_at: datetime
    ends_at: datetime
    starts_at_utc: datetime
    ends_at_utc: datetime
    timezone: str
    zone_note: str | None
    place: Words
    venue_id: UUID | None
    tour_id: UUID | None
    tour_title: str | None
    stop_id: UUID | None
    capacity: int
    taken: int
    available: int
    held: int
    waitlisted: int
    is_counted: bool
    counts_seats: bool
    reach: Mapping[str, int]
    trainers: tuple[str, ...]

    @property
    def has_trainer(self) -> bool:
        return bool(self.trainers)

    @property
    def url(self) -> str:
        return f"/coordination/seances/{self.id}"


@dataclass(frozen=True, slots=True)
class Totals:
    """The last line of a table. `sessions` counts all of them, seats leave cancelled ones out."""

    sessions: int = 0
    capacity: int = 0
    taken: int = 0
    available: int = 0
    waitlisted: int = 0


def row_of(record: Record, trainers: Mapping[UUID, str], home_zone: str, language: str) -> SessionRow:
    session, seats = record.session, seats_view(record.session, record.seats)
    return SessionRow(
        id=session.id,
        version=session.version,
        title=session.title,
        status=session.status,
        stream=session.stream,
        language=session.language,
        modality=session.modality,
        starts_at=session.starts_at,
        ends_at=session.ends_at,
        starts_at_utc=session.starts_at_utc,
        ends_at_utc=session.ends_at_utc,
        timezone=session.timezone,
        zone_note=zone_note(session, home_zone, language),
        place=place(session, record.venue),
        venue_id=session.venue_id,
        tour_id=session.tour_id,
        tour_title=record.tour.title if record.tour is not None else None,
        stop_id=session.stop_id,
        capacity=seats.capacity,
        taken=seats.confirmed + seats.offered,
        available=seats.available,
        held=seats.held,
        waitlisted=seats.waitlisted,
        is_counted=record.seats is not None,
        counts_seats=bool(BY_REGISTRATION & set(session.registration_modes)),
        reach=dict(record.reach.by_route) if record.reach is not None else {},
        trainers=tuple(trainers[id_] for id_ in record.trainer_ids if id_ in trainers),
    )


def totals_of(rows: Sequence[SessionRow]) -> Totals:
    live = [row for row in rows if row.status != "cancelled"]
    return Totals(
        sessions=len(rows),
        capacity=sum(row.capacity for row in live),
        taken=sum(row.taken for row in live),
        available=sum(row.available for row in live),
        waitlisted=sum(row.waitlisted for row in live),
    )


def place(session: Session, venue: Venue | None) -> Words:
    """Where it is, on one line."""
    if session.modality == "online":
        return labels.MODALITIES["online"]
    if venue is None:
        return _("Lieu à confirmer")
    if session.modality == "hybrid":
        return _("%(place)s, ou en ligne", place=venue_name(venue))
    return venue_name(venue)


def venue_name(venue: Venue) -> str:
    """« Bibliothèque Félix-Leclerc, Québec »; the town isn't said twice."""
    if not venue.municipality or venue.municipality.casefold() in venue.name.casefold():
        return venue.name
    return f"{venue.name}, {venue.municipality}"


def zone_note(session: Session, home_zone: str, language: str) -> str | None:
    """« heure de l’Atlantique » where the session's clock isn't the coordinators' own."""
    start = session.starts_at_utc
    here, there = (start.astimezone(zone(name)).utcoffset() for name in (home_zone, session.timezone))
    return None if here == there else formats.zone_label(session.timezone, start, language)
