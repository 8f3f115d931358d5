"""The tables of `registrations`: people's registrations, the seats of each session, and what was said."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from libs.database import service_metadata
from libs.messaging.tables import messaging_tables
from libs.web.idempotency import idempotency_table
from services.registrations.draw import Stage
from services.registrations.seatbook import LIVE

metadata = service_metadata()
MESSAGING = messaging_tables(metadata)
IDEMPOTENCY = idempotency_table(metadata)
"""The keys of all POSTs but registering, whose lane keeps its own in `idempotency_key`."""

STATUSES = (*LIVE, "expired", "declined", "cancelled", "attended", "absent", "excused")


class Model(SQLModel, registry=sa.orm.registry(metadata=metadata)):
    """The base of this service's tables: a registry of its own, so that no other service's are in reach."""


def _instant(**options: Any) -> Any:
    return Field(sa_type=sa.DateTime(timezone=True), **options)


def _document(default: Any) -> Any:
    return Field(default_factory=default, sa_type=JSONB)


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", name=column)


class SessionCopy(Model, table=True):
    """What `events` said of a session, and this service's own counters for it.

    The row is the lock of everything about the session's seats. `facts` is a `SessionState`, null while
    only `session_access` has arrived.
    """

    __tablename__ = "session"

    id: UUID = Field(primary_key=True)
    epoch: int = 0
    version: int = Field(default=0, sa_type=sa.BigInteger)
    # None would be written as the null of JSON, which to SQL is something.
    facts: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    status: str | None = None
    starts_at: datetime | None = _instant(default=None, index=True)
    ends_at: datetime | None = _instant(default=None)
    access_epoch: int = 0
    access_version: int = Field(default=0, sa_type=sa.BigInteger)
    online_url: str | None = None
    staff_notes: str = ""
    last_seq: int = Field(default=0, sa_type=sa.BigInteger)
    last_entry: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})
    """The number of the ledger's newest entry about this session."""
    office: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    """When the team is there until this session, as its ledger has it (`office_hours.office_json`)."""
    next_release_at: datetime | None = _instant(default=None, index=True)
    joins_at: datetime | None = _instant(default=None)
    """From when on those who wait for many sessions are to join this one's line; null: nobody is to."""
    seats_version: int = Field(default=0, sa_type=sa.BigInteger)
    seats_dirty: bool = False
    reach_version: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})
    reach_dirty: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    draw_stage: str | None = None
    """How far the draw has come (`draw.Stage`); null where seats are not drawn."""

    __table_args__ = (
        _one_of("draw_stage", tuple(Stage)),
        sa.Index("ix_session_dirty", "id", postgresql_where=sa.text("seats_dirty")),
        sa.Index("ix_session_reach_dirty", "id", postgresql_where=sa.text("reach_dirty")),
        sa.Index("ix_session_joins", "joins_at", postgresql_where=sa.text("joins_at is not null")),
        # The counters change with every registration: the facts are kept apart, so that they aren't copied.
        {"postgresql_with": {"fillfactor": "50", "toast_tuple_target": "128"}},
    )


class SeatPool(Model, table=True):
    """Seats of one kind kept for one channel, or for everybody (`channel` empty).

    The code writes `effective`; triggers on `registration` count everything else, so that no statement,
    not even one typed by hand, seats more people than there are seats.
    """

    __tablename__ = "seat_pool"

    session_id: UUID = Field(primary_key=True, foreign_key="session.id")
    seat_kind: str = Field(primary_key=True)
    channel: str = Field(primary_key=True, default="")
    effective: int = 0
    confirmed: int = 0
    offered: int = 0
    waiting: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How many requests wait that may use a seat of this pool; a party is one."""
    granted: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How many of the seats in use here are over capacity."""
    gathering: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How many of those who wait, one at most, have the free seats kept for them."""

    __table_args__ = (
        sa.CheckConstraint("confirmed >= 0 and offered >= 0", name="not_negative"),
        sa.CheckConstraint("waiting >= 0 and granted between 0 and confirmed", name="counted"),
        sa.CheckConstraint("gathering between 0 and 1 and gathering <= waiting", name="gathering"),
        sa.CheckConstraint("confirmed + offered <= effective", name="no_oversell"),
        _one_of("seat_kind", ("on_site", "online")),
        # Counters change with every registration: room on the page keeps the updates in place.
        {"postgresql_with": {"fillfactor": "50"}},
    )


class Registration(Model, table=True):
    """A request for one session, of one person or of a party who come together.

    `pool_channel` says whose seats it uses, if it has any.
    """

    __tablename__ = "registration"

    id: UUID = Field(primary_key=True)
    session_id: UUID = Field(foreign_key="session.id")
    status: str
    seat_kind: str
    pool_channel: str | None = None
    channel: str
    party_size: int = 1
    """How many people come."""
    seats: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    """How many seats they take, all of one pool: one less where a support companion takes none."""
    gather_until: datetime | None = _instant(default=None)
    """Until when the seats that are free are kept for the party, while there are too few."""
    gathered: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    """Whether seats were kept for the party long enough; that happens once."""
    split_from: UUID | None = None
    """The registration of the party that this one was part of, while both waited."""
    name: str
    name_key: str
    language: str = "fr"
    email: str | None = None
    mobile: str | None = None
    phone: str | None = None
    postal: str | None = None
    organisation: str | None = None
    role: str | None = None
    target_groups: list[str] = _document(list)
    confirmation_number: str = Field(unique=True)
    generation: int = 1
    seq: int = Field(sa_type=sa.BigInteger)
    """The number given under the session's lock: the order of the line rests on it."""
    priority: int = Field(default=0, sa_type=sa.SmallInteger, sa_column_kwargs={"server_default": "0"})
    place: Decimal | None = Field(default=None, sa_type=sa.Numeric)
    """Where staff have moved the person in the line, in the units of `seq`."""
    draw_rank: int | None = None
    """What the draw gave the person; `seq` was their ticket."""
    granted: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    by_hand: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    """Whether the team calls or writes to this person: decided with the request, so that the ledger holds."""
    ledger_ref: UUID | None = Field(default=None, unique=True)
    """Who this is in the seat ledger; emptied when the person is erased."""
    transferred_from: UUID | None = None
    """The registration, on another session, that this one replaces."""
    wait_id: UUID | None = Field(default=None, foreign_key="wait.id")
    """The wait for many sessions by which the person came here: no seat is theirs before they said yes."""
    offer_expires_at: datetime | None = _instant(default=None)
    uid: str
    sequence: int = 0
    invited: bool = False
    """Whether the person was sent a calendar invitation that a CANCEL must take back."""
    version: int = Field(default=0, sa_type=sa.BigInteger)
    content_hash: bytes = Field(sa_type=sa.LargeBinary)
    """Of what was asked, to tell a repeated form from a changed one."""
    reminded: list[str] = _document(list)
    reconfirm_asked: list[dict[str, Any]] = Field(
        default_factory=list, sa_type=JSONB, sa_column_kwargs={"server_default": sa.text("'[]'")}
    )
    """The times that the person was asked whether they still come (`reconfirming.Asked`)."""
    reconfirmed_at: datetime | None = _instant(default=None)
    """When the person said so, to the session as it is planned now."""
    created_at: datetime = _instant()
    confirmed_at: datetime | None = _instant(default=None)
    ended_at: datetime | None = _instant(default=None)

    __table_args__ = (
        sa.UniqueConstraint("session_id", "seq"),
        _one_of("status", STATUSES),
        _one_of("seat_kind", ("on_site", "online")),
        sa.CheckConstraint(
            "party_size between 1 and 99 and seats between 1 and party_size and party_size - seats <= 1",
            name="party_size",
        ),
        sa.CheckConstraint(
            "gather_until is null or (status = 'waitlisted' and seats > 1 and not gathered)",
            name="gathers_while_waiting",
        ),
        sa.CheckConstraint("priority between 0 and 9", name="priority"),
        sa.CheckConstraint("not (granted and pool_channel is distinct from '')", name="grant_is_a_seat"),
        sa.CheckConstraint(
            "coalesce(email, mobile, phone, postal) is not null or name = ''", name="can_be_reached"
        ),
        sa.CheckConstraint("(status = 'offered') = (offer_expires_at is not null)", name="offer_has_an_end"),
        sa.CheckConstraint(
            "(status in ('confirmed', 'offered', 'attended', 'absent', 'excused'))"
            " = (pool_channel is not null)",
            name="seat_has_a_pool",
        ),
        sa.Index(
            "ix_registration_line", "session_id", "seq", postgresql_where=sa.text("status = 'waitlisted'")
        ),
        sa.Index(
            "ix_registration_offers_due", "offer_expires_at", postgresql_where=sa.text("status = 'offered'")
        ),
        sa.Index(
            "ix_registration_gatherings_due",
            "gather_until",
            postgresql_where=sa.text("gather_until is not null"),
        ),
        sa.Index("ix_registration_same_person", "name_key", "session_id"),
        sa.Index(
            "ix_registration_transferred",
            "transferred_from",
            postgresql_where=sa.text("transferred_from is not null"),
        ),
        sa.Index(
            "ix_registration_wait",
            "wait_id",
            "session_id",
            unique=True,
            postgresql_where=sa.text("wait_id is not null"),
        ),
    )


WAIT_STATUSES = ("open", "found", "ended", "over")
"""`found`: a seat was accepted; `ended` by the person or the team; `over`: no day is left."""


class Wait(Model, table=True):
    """One person's wait for a seat at any of many sessions, each of whose lines it joins.

    The row is the lock of the wait; it is taken after those of its sessions. `place` is what `latitude`
    and `longitude` were understood from; `spoken` is the language wanted at the session.
    """

    __tablename__ = "wait"

    id: UUID = Field(primary_key=True)
    status: str = "open"
    channel: str
    name: str
    name_key: str
    language: str = "fr"
    email: str | None = None
    mobile: str | None = None
    phone: str | None = None
    postal: str | None = None
    organisation: str | None = None
    role: str | None = None
    another_person: bool = False
    """Somebody else of the same name is reached in the same way: both may wait."""
    accommodations: list[str] = _document(list)
    """What the person needs that day, for each registration that comes of the wait; gone with its end."""
    theme: str
    stream: str
    regions: list[str] = _document(list)
    place: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    km: float | None = None
    online: bool = False
    spoken: str | None = None
    first_day: date
    last_day: date
    due: bool = True
    """Whether there may be sessions that it has not joined yet."""
    confirmation_number: str = Field(unique=True)
    generation: int = 1
    version: int = Field(default=0, sa_type=sa.BigInteger)
    content_hash: bytes = Field(sa_type=sa.LargeBinary)
    causes: list[dict[str, Any]] = _document(list)
    """What the person was told of the wait itself, for 14 days."""
    created_at: datetime = _instant()
    ended_at: datetime | None = _instant(default=None)

    __table_args__ = (
        _one_of("status", WAIT_STATUSES),
        sa.CheckConstraint("(status = 'open') = (ended_at is null)", name="open_or_ended"),
        sa.CheckConstraint("first_day <= last_day", name="period"),
        sa.CheckConstraint(
            "num_nulls(latitude, longitude, km) in (0, 3) and (km is null or km > 0)", name="around"
        ),
        sa.CheckConstraint(
            "coalesce(email, mobile, phone, postal) is not null or name = ''", name="can_be_reached"
        ),
        sa.Index("ix_wait_open", "theme", "created_at", postgresql_where=sa.text("status = 'open'")),
        sa.Index("ix_wait_due", "id", postgresql_where=sa.text("due and status = 'open'")),
        sa.Index("ix_wait_same_person", "name_key"),
    )


class RegistrationCause(Model, table=True):
    """Why a person is told something, as it was announced; kept 14 days for the messages that follow."""

    __tablename__ = "registration_cause"

    registration_id: UUID = Field(primary_key=True, foreign_key="registration.id", ondelete="CASCADE")
    epoch: int = Field(primary_key=True)
    version: int = Field(primary_key=True, sa_type=sa.BigInteger)
    cause: str = Field(primary_key=True)
    at: datetime = _instant(index=True)
    body: dict[str, Any] = Field(sa_type=sa.JSON)


class RegistrationReach(Model, table=True):
    """What `notifications` last said of whom the notices about a registration reached (`NoticeOutcome`s)."""

    __tablename__ = "registration_reach"

    registration_id: UUID = Field(primary_key=True)
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    notices: list[dict[str, Any]] = _document(list)


class AccommodationRequest(Model, table=True):
    """What a person needs that day. Health data: apart from the registration, for those who act on it."""

    __tablename__ = "accommodation_request"

    registration_id: UUID = Field(primary_key=True, foreign_key="registration.id", ondelete="CASCADE")
    need: str = Field(primary_key=True)


class Consent(Model, table=True):
    """A consent by purpose, with the wording that was shown or read aloud (Loi 25, P-39.1 s. 14)."""

    __tablename__ = "consent"

    registration_id: UUID = Field(primary_key=True, foreign_key="registration.id", ondelete="CASCADE")
    purpose: str = Field(primary_key=True)
    wording: str
    channel: str
    given_at: datetime = _instant()
    withdrawn_at: datetime | None = _instant(default=None)


class StaffAction(Model, table=True):
    """What staff did out of the usual order, and why: personal data, erased with the person."""

    __tablename__ = "staff_action"

    id: int | None = Field(
        default=None, sa_column=sa.Column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    )
    registration_id: UUID = Field(foreign_key="registration.id", ondelete="CASCADE", index=True)
    action: str
    reason: str
    by: str
    at: datetime = _instant()


class DrawRecord(Model, table=True):
    """The draw of one session's seats: what was committed to, and what is published step by step.

    `rules` is `draw.rules_of`. `tickets`, `[[ticket, lots]…]` in the order of their numbers, is null until
    the closing; `result`, `[[ticket, rank, outcome]…]` in the order of the ranks, until the draw. The outcome
    is `confirmed`, `waitlisted`, or `withdrawn` for who left before the draw. Nothing here names anybody.
    The database refuses to change what was committed to or published.
    """

    __tablename__ = "draw"

    session_id: UUID = Field(primary_key=True, foreign_key="session.id")
    rules: dict[str, Any] = Field(sa_type=JSONB)
    seed: bytes = Field(sa_type=sa.LargeBinary)
    """Nobody's to see before `drawn_at`."""
    commitment: str
    opened_at: datetime = _instant()
    closes_at: datetime = _instant()
    closed_at: datetime | None = _instant(default=None)
    last_ticket: int | None = Field(default=None, sa_type=sa.BigInteger)
    """The highest number given before the closing."""
    tickets: list[list[int]] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    tickets_hash: str | None = None
    drawn_at: datetime | None = _instant(default=None)
    result: list[list[Any]] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    cancelled_at: datetime | None = _instant(default=None)
    cancel_reason: str | None = None

    __table_args__ = (
        sa.CheckConstraint(
            "num_nonnulls(closed_at, last_ticket, tickets, tickets_hash) in (0, 4)", name="closed_as_a_whole"
        ),
        sa.CheckConstraint("num_nonnulls(drawn_at, result) in (0, 2)", name="drawn_as_a_whole"),
        sa.CheckConstraint("drawn_at is null or closed_at is not null", name="closed_before_it_is_drawn"),
        sa.CheckConstraint("num_nonnulls(drawn_at, cancelled_at) < 2", name="drawn_or_cancelled"),
        sa.Index(
            "ix_draw_to_come",
            "closes_at",
            postgresql_where=sa.text("num_nonnulls(drawn_at, cancelled_at) = 0"),
        ),
    )


class Served(Model, table=True):
    """Somebody, by a keyed pseudonym of their name and one way to reach them, came to a session that year.

    Written for those alone who asked for the lots of a first time; gone with the programme year.
    """

    __tablename__ = "served"

    pseudonym: bytes = Field(primary_key=True, sa_type=sa.LargeBinary)
    session_id: UUID = Field(primary_key=True)
    year: int = Field(index=True)


class LedgerEntry(Model, table=True):
    """One decision about seats with all that it rested on: append-only, and without anybody's name."""

    __tablename__ = "seat_ledger"

    session_id: UUID = Field(primary_key=True)
    entry: int = Field(primary_key=True, sa_type=sa.BigInteger)
    at: datetime = _instant()
    command: str
    inputs: dict[str, Any] = Field(sa_type=sa.JSON)
    touched: list[dict[str, Any]] = Field(sa_type=sa.JSON)


class SessionOutcome(Model, table=True):
    """What staff noted once a session had begun: when last, and how many came without being registered."""

    __tablename__ = "session_outcome"

    session_id: UUID = Field(primary_key=True, foreign_key="session.id")
    walk_ins: int = 0
    changed_at: datetime = _instant(index=True)

    __table_args__ = (sa.CheckConstraint("walk_ins >= 0", name="walk_ins"),)


class Tally(Model, table=True):
    """One cell of the counts as it was last announced; `cell` is null once it was taken back.

    Counts alone: nothing leads from them to anybody. `version` only rises, also over a taking back.
    """

    __tablename__ = "tally"

    key: str = Field(primary_key=True)
    month: str = Field(index=True)
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    cell: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))


class TallyMonth(Model, table=True):
    """The `mark` of all that a month's counts rested on when they were last made: unchanged, they stand."""

    __tablename__ = "tally_month"

    month: str = Field(primary_key=True)
    mark: str
    counted_at: datetime = _instant()


class TallyRun(Model, table=True):
    """The one row that says when counting last went through: `day` is the one on which all months were."""

    __tablename__ = "tally_run"

    only_row: bool = Field(default=True, primary_key=True)
    day: date | None = None
    counted_at: datetime = _instant()

    __table_args__ = (sa.CheckConstraint("only_row", name="only_row"),)


class ProfileKept(Model, table=True):
    """What erased people add to a figure of the profile counts: written as they are erased, never less.

    `region` is empty where there is none. A figure is what stands here plus those who are still known.
    """

    __tablename__ = "profile_kept"

    month: str = Field(primary_key=True)
    region: str = Field(primary_key=True)
    stream: str = Field(primary_key=True)
    dimension: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    count: int

    __table_args__ = (sa.CheckConstraint("count > 0", name="count"),)


class IdempotencyKey(Model, table=True):
    """A client's key for one POST, kept 24 h: the token of the answer is derived again, never stored."""

    __tablename__ = "idempotency_key"

    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    body_hash: bytes = Field(sa_type=sa.LargeBinary)
    registration_id: UUID
    status: str
    position: int | None = None
    created_at: datetime = _instant(index=True)
