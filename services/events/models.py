"""The tables of the events service: programmes, activities, venues, trainers, tours, stops, sessions."""

from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from libs.clock import utc_now
from libs.database import service_metadata
from libs.messaging.tables import messaging_tables
from libs.web.idempotency import idempotency_table


class Model(SQLModel, registry=registry(metadata=service_metadata())):
    """The registry of this service's tables; no other service sees it."""


metadata = Model.metadata
MESSAGING = messaging_tables(metadata)
IDEMPOTENCY = idempotency_table(metadata)

_INSTANT = sa.DateTime(timezone=True)
_WALL = sa.DateTime(timezone=False)


def _id() -> Any:
    return Field(default_factory=uuid4, primary_key=True)


def _instant() -> Any:
    return Field(default_factory=utc_now, sa_type=_INSTANT, nullable=False)


def _instant_or_none(index: bool = False) -> Any:
    return Field(default=None, sa_type=_INSTANT, nullable=True, index=index)


def _json_list() -> Any:
    return Field(default_factory=list, sa_type=JSONB, nullable=False)


def _json_object() -> Any:
    return Field(default_factory=dict, sa_type=JSONB, nullable=False)


class Programme(Model, table=True):
    """A funded frame, such as AlphaNumérique, with its dates."""

    __tablename__ = "programme"
    __table_args__ = (
        sa.CheckConstraint(
            "last_date is null or first_date is null or last_date >= first_date", name="dates"
        ),
    )

    id: UUID = _id()
    name: str
    first_date: date | None = None
    last_date: date | None = None
    version: int = 1
    created_at: datetime = _instant()
    updated_at: datetime = _instant()


class Activity(Model, table=True):
    """A reusable template of what is taught; a session copies it and may then differ."""

    __tablename__ = "activity"
    __table_args__ = (
        sa.CheckConstraint("duration_minutes between 5 and 1440", name="duration"),
        sa.CheckConstraint("capacity > 0", name="capacity"),
    )

    id: UUID = _id()
    programme_id: UUID | None = Field(default=None, foreign_key="programme.id")
    title: str
    description: str = ""
    bring: str = ""
    kind: str = "workshop"
    stream: str = "public"
    theme: str | None = None
    level: str | None = None
    language: str = "fr"
    delivered_by: str | None = None
    audience: str | None = None
    duration_minutes: int = 120
    capacity: int = 12
    source_id: str | None = Field(default=None, unique=True)
    version: int = 1
    created_at: datetime = _instant()
    updated_at: datetime = _instant()


class Venue(Model, table=True):
    """A place that receives sessions. `accessibility` holds ids such as `step_free`.

    `source_id` is its id in the reference data (`odcaf-333`), None when a coordinator added it.
    `search` is `search_text(name, municipality, postal_code, street)`. `notes` are for staff alone.
    """

    __tablename__ = "venue"
    __table_args__ = (
        sa.CheckConstraint("(latitude is null) = (longitude is null)", name="whole_point"),
        sa.CheckConstraint("latitude between -90 and 90 and longitude between -180 and 180", name="point"),
        sa.Index(
            "ix_venue_search_trgm",
            "search",
            postgresql_using="gin",
            postgresql_ops={"search": "gin_trgm_ops"},
        ),
    )

    id: UUID = _id()
    source_id: str | None = Field(default=None, unique=True)
    name: str
    kind: str = "library"
    street: str | None = None
    municipality: str | None = None
    province: str = "CA-QC"
    postal_code: str | None = None
    phone: str | None = None
    email: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    timezone: str = "America/Toronto"
    region: str | None = Field(default=None, index=True)
    accessibility: list[str] = _json_list()
    notes: str = Field(default="", sa_column_kwargs={"server_default": ""})
    search: str = ""
    version: int = 1
    created_at: datetime = _instant()
    updated_at: datetime = _instant()


class Trainer(Model, table=True):
    """Somebody who delivers sessions; e-mail and phone are for staff alone."""

    __tablename__ = "trainer"

    id: UUID = _id()
    name: str
    email: str | None = None
    phone: str | None = None
    languages: list[str] = _json_list()
    version: int = 1
    created_at: datetime = _instant()
    updated_at: datetime = _instant()


class Tour(Model, table=True):
    """A planned set of stops in one region and period.

    `windows` says per stream on which local dates sessions may stand:
    `{"public": {"first": "2027-01-11", "last": "2027-02-26"}}`; a stream that is missing has no window.
    """

    __tablename__ = "tour"
    __table_args__ = (
        sa.CheckConstraint("status in ('draft', 'published', 'cancelled', 'closed')", name="status"),
    )

    id: UUID = _id()
    programme_id: UUID | None = Field(default=None, foreign_key="programme.id")
    title: str
    region: str | None = Field(default=None, index=True)
    description: str = ""
    coordinator_note: str = ""
    status: str = "draft"
    windows: dict[str, dict[str, str]] = _json_object()
    copied_from: UUID | None = Field(default=None, foreign_key="tour.id")
    version: int = 1
    created_at: datetime = _instant()
    updated_at: datetime = _instant()


class Stop(Model, table=True):
    """One venue of a tour on one date, or on a few that follow each other. `position` counts from 1."""

    __tablename__ = "stop"
    __table_args__ = (
        sa.CheckConstraint("last_date >= first_date", name="dates"),
        sa.UniqueConstraint("tour_id", "position", deferrable=True, initially="DEFERRED"),
    )

    id: UUID = _id()
    tour_id: UUID = Field(foreign_key="tour.id", ondelete="CASCADE")
    venue_id: UUID = Field(foreign_key="venue.id")
    position: int
    first_date: date
    last_date: date
    note: str = ""
    version: int = 1
    created_at: datetime = _instant()
    updated_at: datetime = _instant()


class Session(Model, table=True):
    """One scheduled occurrence. `starts_at` and `ends_at` are wall times in `timezone`.

    `region` is the venue's, or the one named when the session is online. `held_seats` are
    `{seat_kind, channel, seats}`, `releases` are `{at, seat_kind, channel, seats}` with `at` in UTC.
    `version` rises with each change (the ETag), `sequence` with those that the public feed must show
    as a revision (RFC 5545, 3.8.7.4). `source` + `source_id` say where an imported one came from.
    `previous_…` are the times and place that people knew before the last move, None if it never moved.
    `source_digest` is the fingerprint of what the source said, `source_version` this row's version right
    after: a higher `version` means that somebody edited it here, and the source no longer decides.
    """

    __tablename__ = "session"
    __table_args__ = (
        sa.CheckConstraint("status in ('draft', 'published', 'held', 'cancelled')", name="status"),
        sa.CheckConstraint("ends_at_utc > starts_at_utc", name="ends_after_start"),
        sa.CheckConstraint("capacity_on_site >= 0 and capacity_online >= 0", name="capacity"),
        sa.CheckConstraint("modality <> 'on_site' or capacity_online = 0", name="on_site_seats"),
        sa.CheckConstraint("modality <> 'online' or capacity_on_site = 0", name="online_seats"),
        sa.CheckConstraint("waitlist_offer_hours > 0", name="offer_hours"),
        sa.CheckConstraint("waitlist_limit >= 0", name="waitlist_limit"),
        sa.CheckConstraint(
            "(waitlist_policy = 'draw') = (draw_closes_at is not null)", name="draw_has_a_closing"
        ),
        sa.CheckConstraint("draw_first_time_lots between 1 and 3", name="draw_first_time_lots"),
        sa.CheckConstraint("reconfirm_days between 2 and 30", name="reconfirm_days"),
        sa.CheckConstraint("reconfirm_silence in ('keep', 'free')", name="reconfirm_silence"),
        sa.CheckConstraint("party_limit between 1 and 12 and party_gather_hours >= 0", name="party"),
        sa.CheckConstraint("(status = 'cancelled') = (cancelled_at is not null)", name="cancelled_at"),
        sa.CheckConstraint(
            "status not in ('published', 'held') or published_at is not null", name="published_at"
        ),
        sa.CheckConstraint("(source is null) = (source_id is null)", name="source"),
        sa.UniqueConstraint("source", "source_id"),
        # The calendar's order and its keyset pagination; what awaits its end is found by the second.
        sa.Index("ix_session_calendar", "starts_at_utc", "id"),
        sa.Index("ix_session_to_hold", "ends_at_utc", postgresql_where=sa.text("status = 'published'")),
    )

    id: UUID = _id()
    programme_id: UUID | None = Field(default=None, foreign_key="programme.id")
    activity_id: UUID | None = Field(default=None, foreign_key="activity.id")
    tour_id: UUID | None = Field(default=None, foreign_key="tour.id", index=True)
    stop_id: UUID | None = Field(default=None, foreign_key="stop.id", index=True)
    venue_id: UUID | None = Field(default=None, foreign_key="venue.id", index=True)
    title: str
    description: str = ""
    bring: str = ""
    stream: str
    kind: str = "workshop"
    theme: str | None = None
    level: str | None = None
    language: str = "fr"
    modality: str
    delivered_by: str | None = None
    audience: str | None = None
    region: str | None = Field(default=None, index=True)
    online_url: str | None = None
    staff_notes: str = ""
    starts_at: datetime = Field(sa_type=_WALL)
    ends_at: datetime = Field(sa_type=_WALL)
    timezone: str
    starts_at_utc: datetime = Field(sa_type=_INSTANT)
    ends_at_utc: datetime = Field(sa_type=_INSTANT)
    capacity_on_site: int = 0
    capacity_online: int = 0
    held_seats: list[dict[str, Any]] = _json_list()
    releases: list[dict[str, Any]] = _json_list()
    opens_at: datetime | None = _instant_or_none()
    closes_at: datetime | None = _instant_or_none()
    waitlist_policy: str = "first_come"
    waitlist_offer_hours: float = 24
    waitlist_limit: int | None = None
    draw_closes_at: datetime | None = _instant_or_none()
    """Until when requests are equal, where the policy is `draw`."""
    draw_first_time_lots: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    reconfirm_days: int | None = Field(default=7, sa_column_kwargs={"server_default": "7"})
    reconfirm_silence: str = Field(default="keep", sa_column_kwargs={"server_default": "keep"})
    party_limit: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    party_gather_hours: float = Field(default=24, sa_column_kwargs={"server_default": "24"})
    companion_takes_seat: bool = Field(default=True, sa_column_kwargs={"server_default": sa.true()})
    registration_modes: list[str] = _json_list()
    on_shrink: str = "keep"
    status: str = "draft"
    version: int = 1
    sequence: int = 0
    change_reason: str | None = None
    cancel_reason: str | None = None
    previous_starts_at: datetime | None = Field(default=None, sa_type=_WALL)
    previous_ends_at: datetime | None = Field(default=None, sa_type=_WALL)
    previous_timezone: str | None = None
    previous_place: str | None = None
    source: str | None = None
    source_id: str | None = None
    source_digest: str | None = None
    source_version: int | None = None
    search: str = ""
    created_at: datetime = _instant()
    updated_at: datetime = _instant()
    published_at: datetime | None = _instant_or_none()
    cancelled_at: datetime | None = _instant_or_none()


class SessionTrainer(Model, table=True):
    """Who delivers a session."""

    __tablename__ = "session_trainer"

    session_id: UUID = Field(foreign_key="session.id", primary_key=True, ondelete="CASCADE")
    trainer_id: UUID = Field(foreign_key="trainer.id", primary_key=True, index=True)


class SessionSeats(Model, table=True):
    """The copy of `seats`, as registrations last said them; newer by (epoch, version) wins."""

    __tablename__ = "session_seats"

    session_id: UUID = Field(primary_key=True)
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    capacity: int
    confirmed: int
    offered: int
    held: int
    available: int
    waitlisted: int
    by_kind: dict[str, dict[str, int]] = _json_object()
    draw: str | None = None
    """`to_come`, `drawn` or `cancelled`, where seats are drawn."""
    updated_at: datetime = _instant()


class SessionReach(Model, table=True):
    """The copy of `reach`: how many people would be told of a change, by route. For staff alone."""

    __tablename__ = "session_reach"

    session_id: UUID = Field(primary_key=True)
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    by_route: dict[str, int] = _json_object()
    updated_at: datetime = _instant()
