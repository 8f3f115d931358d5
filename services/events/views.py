"""What the API answers: a session for the public, the same with what staff may know, and the rest."""

from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.events.models import Session, SessionReach, SessionSeats, Stop, Tour, Venue
from services.events.plans import as_input
from services.events.schedule import KINDS


class View(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class SeatsView(View):
    """Seats as last counted; before the first count, as planned. `held` are kept for a channel."""

    capacity: int
    confirmed: int
    offered: int
    held: int
    available: int
    waitlisted: int


class SeatCountsView(View):
    on_site: int
    online: int


class ReleaseView(View):
    at: datetime
    seat_kind: str
    channel: str
    seats: int


class DrawView(View):
    closes_at: datetime
    first_time_lots: int


class WaitlistView(View):
    policy: str
    offer_hours: float
    limit: int | None
    draw: DrawView | None = None


class ReconfirmView(View):
    days: int | None
    silence: str


class VenueView(View):
    id: UUID
    version: int
    name: str
    kind: str
    street: str | None
    municipality: str | None
    province: str
    postal_code: str | None
    phone: str | None
    email: str | None
    latitude: float | None
    longitude: float | None
    timezone: str
    region: str | None
    accessibility: list[str]


class SessionView(View):
    """A session's public facts. `starts_at` has its offset; `starts_at_local` is the wall time."""

    id: UUID
    version: int
    status: str
    url: str
    title: str
    description: str
    bring: str
    stream: str
    kind: str
    theme: str | None
    level: str | None
    language: str
    modality: str
    delivered_by: str | None
    audience: str | None
    region: str | None
    tour_id: UUID | None
    tour_title: str | None
    venue_id: UUID | None
    venue: VenueView | None
    starts_at: datetime
    ends_at: datetime
    starts_at_local: datetime
    ends_at_local: datetime
    timezone: str
    capacity: SeatCountsView
    held_seats: dict[str, int] | dict[str, dict[str, int]]
    releases: list[ReleaseView]
    opens_at: datetime | None
    closes_at: datetime | None
    waitlist: WaitlistView
    reconfirm: ReconfirmView
    registration_modes: list[str]
    on_shrink: str
    change_reason: str | None
    cancel_reason: str | None
    seats: SeatsView
    distance_km: float | None = None
    published_at: datetime | None
    cancelled_at: datetime | None
    updated_at: datetime


class StaffSessionView(SessionView):
    """With what only staff may know. `reach`: people who would be told of a change, by route."""

    online_url: str | None
    staff_notes: str
    programme_id: UUID | None
    activity_id: UUID | None
    stop_id: UUID | None
    trainer_ids: list[UUID]
    reach: dict[str, int] | None
    source: str | None
    source_id: str | None
    created_at: datetime


class Record(BaseModel):
    """A session with what its views need."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    session: Session
    venue: Venue | None
    seats: SessionSeats | None
    reach: SessionReach | None
    tour: Tour | None
    trainer_ids: list[UUID]
    distance_km: float | None = None


def session_view(record: Record, base_url: str) -> SessionView:
    """What the public may know; a tour that is still a draft isn't named."""
    facts = _facts(record, base_url)
    if record.tour is not None and record.tour.status == "draft":
        facts |= {"tour_id": None, "tour_title": None}
    return SessionView.model_validate(facts)


def staff_session_view(record: Record, base_url: str) -> StaffSessionView:
    """What staff may know."""
    session = record.session
    return StaffSessionView.model_validate(
        _facts(record, base_url)
        | {
            "online_url": session.online_url,
            "staff_notes": session.staff_notes,
            "programme_id": session.programme_id,
            "activity_id": session.activity_id,
            "stop_id": session.stop_id,
            "trainer_ids": record.trainer_ids,
            "reach": record.reach.by_route if record.reach is not None else None,
            "source": session.source,
            "source_id": session.source_id,
            "created_at": session.created_at,
        }
    )


def _facts(record: Record, base_url: str) -> dict[str, Any]:
    session = record.session
    fields = as_input(session)
    if len(KINDS.get(session.modality, ())) == 1:
        fields["held_seats"] = next(iter(fields["held_seats"].values()), {})
    return fields | {
        "id": session.id,
        "version": session.version,
        "status": session.status,
        "url": f"{base_url}/seances/{session.id}",
        "starts_at_local": session.starts_at,
        "ends_at_local": session.ends_at,
        "tour_title": record.tour.title if record.tour is not None else None,
        "venue": VenueView.model_validate(record.venue) if record.venue is not None else None,
        "change_reason": session.change_reason,
        "cancel_reason": session.cancel_reason,
        "seats": seats_view(session, record.seats),
        "distance_km": record.distance_km,
        "published_at": session.published_at,
        "cancelled_at": session.cancelled_at,
        "updated_at": session.updated_at,
    }


def seats_view(session: Session, counted: SessionSeats | None) -> SeatsView:
    """The count, or before the first one the plan: nobody is there yet."""
    if counted is not None:
        return SeatsView.model_validate(counted)
    capacity = session.capacity_on_site + session.capacity_online
    held = sum(item["seats"] for item in session.held_seats)
    return SeatsView(
        capacity=capacity, confirmed=0, offered=0, held=held, available=max(capacity - held, 0), waitlisted=0
    )


class ProgrammeView(View):
    id: UUID
    version: int
    name: str
    first_date: date | None
    last_date: date | None


class ActivityView(View):
    id: UUID
    version: int
    programme_id: UUID | None
    title: str
    description: str
    bring: str
    kind: str
    stream: str
    theme: str | None
    level: str | None
    language: str
    delivered_by: str | None
    audience: str | None
    duration_minutes: int
    capacity: int


class TrainerView(View):
    id: UUID
    version: int
    name: str
    email: str | None
    phone: str | None
    languages: list[str]


class WindowView(View):
    first: date
    last: date


class StopView(View):
    id: UUID
    version: int
    tour_id: UUID
    venue_id: UUID
    position: int
    first_date: date
    last_date: date
    note: str

    @classmethod
    def of(cls, stop: Stop) -> Self:
        return cls.model_validate(stop)


class TourView(View):
    """`coordinator_note` is for staff alone, and so are the tours of this API."""

    id: UUID
    version: int
    status: str
    title: str
    region: str | None
    programme_id: UUID | None
    description: str
    coordinator_note: str
    windows: dict[str, WindowView]
    copied_from: UUID | None
    stops: list[StopView] = []

    @classmethod
    def of(cls, tour: Tour, stops: list[Stop]) -> Self:
        return cls.model_validate(tour).model_copy(update={"stops": [StopView.of(stop) for stop in stops]})
