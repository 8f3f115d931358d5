"""The tables of `national`: who may speak for which region, what they said, and the figures once reported.

The read model (`session`, `tally`, `profile`, `pulse`) is kept once per *generation*: a rebuild fills a new
one from the streams while the old one serves. Everything else is primary data: a rebuild leaves it alone.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from libs.database import service_metadata
from libs.messaging.federated import MINUTES

metadata = service_metadata()


class Model(SQLModel, registry=sa.orm.registry(metadata=metadata)):
    """The base of this service's tables: a registry of its own, so that no other service's are in reach."""


def _instant(**options: Any) -> Any:
    return Field(sa_type=sa.DateTime(timezone=True), **options)


def _identity() -> Any:
    return Field(default=None, sa_column=sa.Column(sa.BigInteger, sa.Identity(always=True), primary_key=True))


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", name=column)


# The registry: primary data.


class Instance(Model, table=True):
    """A regional network's instance. `epoch`: the newest that national staff have confirmed.

    One whose national view this is (`own`) belongs to the same operators: its epochs need nobody else.
    """

    __tablename__ = "instance"

    slug: str = Field(primary_key=True)
    name: str
    status: str = "active"
    epoch: int = 1
    own: bool = False
    registered_at: datetime = _instant()

    __table_args__ = (_one_of("status", ("active", "suspended", "retired")),)


class InstanceKey(Model, table=True):
    """An Ed25519 public key of an instance, 32 bytes, and when what it signs is believed.

    Two keys may overlap while one replaces the other. A revoked key is believed for nothing any more.
    """

    __tablename__ = "instance_key"

    instance: str = Field(primary_key=True, foreign_key="instance.slug")
    key_id: str = Field(primary_key=True)
    public_key: bytes = Field(sa_type=sa.LargeBinary)
    valid_from: datetime = _instant()
    valid_until: datetime | None = _instant(default=None)
    revoked_at: datetime | None = _instant(default=None)

    __table_args__ = (sa.CheckConstraint("length(public_key) = 32", name="ed25519"),)


class InstanceRegion(Model, table=True):
    """A region that an instance may speak for, from a day on (until the day before `valid_until`)."""

    __tablename__ = "instance_region"

    instance: str = Field(primary_key=True, foreign_key="instance.slug")
    region: str = Field(primary_key=True)
    valid_from: date = Field(primary_key=True)
    valid_until: date | None = None


class RegistryEntry(Model, table=True):
    """One change of the registry: who made it, when and why. The highest id is the registry's version."""

    __tablename__ = "registry_entry"

    id: int | None = _identity()
    at: datetime = _instant()
    who: str
    """Who vouches for it: `admin`, `national`, or the account that ran the command."""
    what: str
    instance: str = Field(index=True)
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    reason: str


class SessionOwner(Model, table=True):
    """The instance that first said that a session exists: nobody else may speak of it, ever after."""

    __tablename__ = "session_owner"

    session_id: UUID = Field(primary_key=True)
    instance: str = Field(foreign_key="instance.slug", index=True)


class Quarantined(Model, table=True):
    """A message that was not believed, as it came, with the reason; it has touched no figure.

    `digest` is of the whole message, so that the same one delivered twice, or read by two generations, is
    kept once. NUL characters, which no text here can hold, stand as U+FFFD.
    """

    __tablename__ = "quarantined"

    id: int | None = _identity()
    topic: str
    instance: str
    """Whose topic it came on, whatever it says of itself."""
    position: int = Field(sa_type=sa.BigInteger)
    key: str
    headers: dict[str, str] = Field(sa_type=JSONB)
    value: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    digest: bytes = Field(sa_type=sa.LargeBinary)
    reason: str
    detail: str = ""
    """What is malformed, without any value of the message."""
    received_at: datetime = _instant()

    __table_args__ = (
        sa.UniqueConstraint("topic", "digest"),
        sa.Index("ix_quarantined_instance_reason", "instance", "reason"),
    )


# The read model: once per generation.


GENERATION_NUMBER = sa.Sequence("generation_number", metadata=metadata)
"""A number is never given again: a consumer group of that name has read the streams already."""


class Generation(Model, table=True):
    """One building of the read model. One of them serves; a new one is filled beside it.

    `consumed_at`: when its consumer was last at work. After a longer absence than the streams keep their
    tombstones, only a new generation is sure to have lost what was erased.
    """

    __tablename__ = "generation"

    number: int = Field(primary_key=True)
    state: str
    started_at: datetime = _instant()
    served_at: datetime | None = _instant(default=None)
    consumed_at: datetime | None = _instant(default=None)
    automatic: bool = False
    """Begun after such an absence: it serves as soon as it has caught up, whatever it says."""

    __table_args__ = (
        _one_of("state", ("building", "serving", "retired")),
        sa.Index(
            "uq_generation_serving", "state", unique=True, postgresql_where=sa.text("state = 'serving'")
        ),
    )


class NationalSession(Model, table=True):
    """A session and its seats, as its instance says them; either may arrive first.

    `title` is null while only the seats have arrived, `seats_updated_at` while only the facts have.
    `month` is the first day of the month of its local start; `minutes` is how long it lasts; `search` is
    its title and place in lower case without accents. Ids of vocabularies that nobody here knows are kept.
    """

    __tablename__ = "session"

    generation: int = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    instance: str
    epoch: int = 0
    version: int = Field(default=0, sa_type=sa.BigInteger)
    status: str | None = None
    title: str | None = None
    stream: str | None = None
    kind: str | None = None
    theme: str | None = None
    level: str | None = None
    language: str | None = None
    modality: str | None = None
    delivered_by: str | None = None
    region: str | None = None
    month: date | None = None
    starts_at: datetime | None = Field(default=None, sa_type=sa.DateTime(timezone=False))
    ends_at: datetime | None = Field(default=None, sa_type=sa.DateTime(timezone=False))
    timezone: str | None = None
    starts_at_utc: datetime | None = _instant(default=None)
    ends_at_utc: datetime | None = _instant(default=None)
    venue_id: UUID | None = None
    venue_name: str | None = None
    municipality: str | None = None
    province: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    registration_modes: list[str] = Field(default_factory=list, sa_type=JSONB)
    url: str | None = None
    opens_at: datetime | None = _instant(default=None)
    cancelled_at: datetime | None = _instant(default=None)
    sequence: int | None = None
    updated_at: datetime | None = _instant(default=None)
    planned: int | None = None
    minutes: int | None = None
    search: str = ""
    seats_epoch: int = 0
    seats_version: int = Field(default=0, sa_type=sa.BigInteger)
    capacity: int = 0
    confirmed: int = 0
    offered: int = 0
    held: int = 0
    available: int = 0
    waitlisted: int = 0
    by_kind: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    seats_updated_at: datetime | None = _instant(default=None)

    # Seats change often, and none of them is indexed: half-filled pages let an update stay where it is.
    __table_args__ = (
        sa.Index("ix_session_generation_starts_at_utc", "generation", "starts_at_utc"),
        sa.Index("ix_session_generation_instance_month", "generation", "instance", "month"),
        sa.Index("ix_session_search", "search", "generation"),
        # Of the indicators: places that held a session, and how early what was called off was.
        sa.Index(
            "ix_session_held",
            "generation",
            "month",
            "region",
            "stream",
            "theme",
            "modality",
            "instance",
            "venue_id",
            postgresql_where=sa.text("status = 'held' and venue_id is not null"),
        ),
        sa.Index(
            "ix_session_cancelled", "generation", "month", postgresql_where=sa.text("status = 'cancelled'")
        ),
        {"postgresql_with": {"fillfactor": "60"}},
    )


class SearchText(Model, table=True):
    """Each `search` that some session has, once: words are looked for here, not in every session.

    One that no session has any more stays until housekeeping comes.
    """

    __tablename__ = "search_text"

    text: str = Field(primary_key=True)


class SessionCell(Model, table=True):
    """The sessions of one cell counted, and their seats summed: kept with every change of `session`.

    No region or no theme is the empty string. A cell whose `sessions` fell to 0 may stay for a while.
    Only sessions whose facts have arrived are in it; `with_seats` of them have said their seats.
    """

    __tablename__ = "session_cell"

    generation: int = Field(primary_key=True)
    instance: str = Field(primary_key=True)
    month: date = Field(primary_key=True)
    region: str = Field(primary_key=True)
    stream: str = Field(primary_key=True)
    theme: str = Field(primary_key=True)
    modality: str = Field(primary_key=True)
    language: str = Field(primary_key=True)
    status: str = Field(primary_key=True)
    sessions: int = Field(default=0, sa_type=sa.BigInteger)
    with_seats: int = Field(default=0, sa_type=sa.BigInteger)
    minutes: int = Field(default=0, sa_type=sa.BigInteger)
    planned: int = Field(default=0, sa_type=sa.BigInteger)
    capacity: int = Field(default=0, sa_type=sa.BigInteger)
    confirmed: int = Field(default=0, sa_type=sa.BigInteger)
    offered: int = Field(default=0, sa_type=sa.BigInteger)
    held: int = Field(default=0, sa_type=sa.BigInteger)
    available: int = Field(default=0, sa_type=sa.BigInteger)
    waitlisted: int = Field(default=0, sa_type=sa.BigInteger)

    __table_args__ = ({"postgresql_with": {"fillfactor": "60"}},)


class Erased(Model, table=True):
    """What an instance has taken back, so that a late message from before doesn't bring it back.

    Whatever a rebuild reads, it starts from these: the streams forget them after a few days. `key_id`: who
    signed it, because what a revoked key took back is believed no more than what it said.
    """

    __tablename__ = "erased"

    generation: int = Field(primary_key=True)
    instance: str = Field(primary_key=True)
    stream: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    key_id: str


class Progress(Model, table=True):
    """Up to where a generation has taken in a partition, written with the effect of each batch."""

    __tablename__ = "progress"

    generation: int = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    position: int = Field(sa_type=sa.BigInteger)
    """The next position to read."""

    __table_args__ = ({"postgresql_with": {"fillfactor": "50"}},)


ENDED = ("attended", "absent", "excused", "cancelled", "expired", "declined")
"""How a participation can end."""


class Tally(Model, table=True):
    """One cell of an instance's exact operational counts; the newest replaces what was said before."""

    __tablename__ = "tally"

    generation: int = Field(primary_key=True)
    instance: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    month: date
    region: str | None = None
    stream: str
    theme: str | None = None
    channel: str
    modality: str
    registrations: dict[str, int] = Field(sa_type=JSONB)
    confirmed_at_start: int = 0
    waitlisted_at_start: int = 0
    attended_minutes: int = Field(default=0, sa_type=sa.BigInteger)
    walk_ins: int = 0
    walk_in_minutes: int = Field(default=0, sa_type=sa.BigInteger)
    offers_made: int = 0
    offers_accepted: int = 0
    answer_minutes: list[int] = Field(sa_type=JSONB)
    minutes_from_opening: list[int] = Field(sa_type=JSONB)
    as_of: datetime = _instant()

    # What the first page sums of all months stands in the index: the rows themselves are ten times as long.
    __table_args__ = (
        sa.Index(
            "ix_tally_outcomes",
            "generation",
            "month",
            "stream",
            "theme",
            "modality",
            "region",
            "instance",
            postgresql_include=[*(f"of_{state}" for state in ENDED), "walk_ins", "as_of"],
        ),
    )


TALLY_STATES = (
    "pending", "waitlisted", "offered", "confirmed", "attended", "absent", "excused", "cancelled",
    "declined", "expired",
)  # fmt: skip
TALLY_PREFIXES = {"state": "of", "answer_minutes": "answer", "minutes_from_opening": "opening"}
"""What the columns are called that the database makes from a tally's documents: `of_attended`, `answer_3`."""


def _made_columns() -> list[sa.Column[int]]:
    """A number in a document costs five times as much to sum as a column; the database keeps them equal."""
    # Written as PostgreSQL writes it, so that the migrations' check finds them equal.
    made = {
        f"of_{state}": f"COALESCE(((registrations ->> '{state}'::text))::integer, 0)"
        for state in TALLY_STATES
    }
    for document in ("answer_minutes", "minutes_from_opening"):
        made |= {
            f"{TALLY_PREFIXES[document]}_{i}": f"COALESCE((({document} ->> {i}))::integer, 0)"
            for i in range(len(MINUTES) + 1)
        }
    return [sa.Column(name, sa.Integer, sa.Computed(sql, persisted=True)) for name, sql in made.items()]


for _column in _made_columns():
    Tally.__table__.append_column(_column)  # type: ignore[attr-defined]  # SQLModel gives each table model one


class Profile(Model, table=True):
    """One figure about people, rounded by the instance; never rounded again."""

    __tablename__ = "profile"

    generation: int = Field(primary_key=True)
    instance: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    month: date
    region: str | None = None
    stream: str
    dimension: str
    value: str
    rounded: int
    as_of: datetime = _instant()


class Pulse(Model, table=True):
    """The last heartbeat of an instance, when it last spoke, and how much is here of what it said.

    `received_at` is the newest instant at which something believed was said, and never later than the
    database's clock then: a backlog of yesterday doesn't make an instance look alive. `sessions`, `seats`
    and `tallies` count what is here, for comparison with what the heartbeat's `streams` declare.
    """

    __tablename__ = "pulse"

    generation: int = Field(primary_key=True)
    instance: str = Field(primary_key=True)
    epoch: int = 0
    version: int = Field(default=0, sa_type=sa.BigInteger)
    name: str = ""
    url: str = ""
    calendar_domain: str | None = None
    software: str = ""
    sent_at: datetime | None = _instant(default=None)
    received_at: datetime = _instant()
    streams: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    shares: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
    lag: int = 0
    sessions: int = Field(default=0, sa_type=sa.BigInteger)
    seats: int = Field(default=0, sa_type=sa.BigInteger)
    tallies: int = Field(default=0, sa_type=sa.BigInteger)


# Figures once reported: primary data, never changed.


class Snapshot(Model, table=True):
    """A month's figures as they stood; a late correction is a new version with its reason."""

    __tablename__ = "snapshot"

    month: date = Field(primary_key=True)
    version: int = Field(primary_key=True)
    taken_at: datetime = _instant()
    reason: str
    digest: str
    """SHA-256 of the figures, so that anybody can tell that they are the same."""


class SnapshotFigure(Model, table=True):
    """One exact figure of a snapshot: an indicator's numerator and denominator in one cell."""

    __tablename__ = "snapshot_figure"

    id: int | None = _identity()
    month: date
    version: int
    indicator: str
    cell: dict[str, str | None] = Field(sa_type=JSONB)
    value: dict[str, Any] = Field(sa_type=JSONB)

    __table_args__ = (
        sa.ForeignKeyConstraint(["month", "version"], ["snapshot.month", "snapshot.version"]),
        sa.Index("ix_snapshot_figure_of", "month", "version", "indicator"),
    )
