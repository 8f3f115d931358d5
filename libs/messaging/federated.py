"""What may leave a region, and nothing else: the payloads of the `federated.*` streams.

Each is built field by field from an allow-list; a field that isn't named here neither leaves nor arrives
(ARCHITECTURE, 10).
"""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, NonNegativeInt

Volet = Literal["public", "pro"]
Level = Literal["nothing", "sessions", "counts", "profile"]
"""How much of a stream of activities a region shares; each level holds the ones before it."""
LEVELS: tuple[Level, ...] = ("nothing", "sessions", "counts", "profile")

MINUTES = (1, 5, 15, 30, 60, 120, 240, 480, 1440, 2880, 4320, 10080, 20160)
"""Upper edges of the histograms' buckets, in minutes, each of them inside; a last bucket takes the rest."""
CALENDAR_DOMAIN = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"
"""What may stand on the right side of calendar identities."""
Histogram = tuple[NonNegativeInt, ...]
"""How many fell into each bucket: `len(MINUTES) + 1` counts, or none at all."""
NO_CHANNEL = "none"
"""Where is counted what belongs to no channel: people who came without being registered."""


class Federated(BaseModel):
    """A payload that leaves a region."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FederatedVenue(Federated):
    """A place as the public calendar shows it."""

    id: UUID
    name: str = Field(max_length=300)
    municipality: str | None = Field(default=None, max_length=200)
    province: str = Field(default="CA-QC", max_length=10)
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)


class FederatedSession(Federated):
    """A session's public facts. `region` is the one that its place belonged to on that day.

    `url` is its page at the instance that owns it. `opens_at` is when registration opened on every
    channel, `cancelled_at` when it was called off. `sequence` is the SEQUENCE (RFC 5545) of its entry in the
    instance's own calendar; None from an instance that doesn't say it yet.
    """

    id: UUID
    status: Literal["published", "held", "cancelled"]
    title: str = Field(max_length=500)
    stream: Volet
    kind: str = Field(default="workshop", max_length=60)
    theme: str | None = Field(default=None, max_length=60)
    level: str | None = Field(default=None, max_length=60)
    language: str = Field(default="fr", max_length=20)
    modality: Literal["on_site", "online", "hybrid"]
    delivered_by: str | None = Field(default=None, max_length=60)
    region: str | None = Field(default=None, max_length=20)
    venue: FederatedVenue | None = None
    starts_at: NaiveDatetime
    ends_at: NaiveDatetime
    timezone: str = Field(max_length=60)
    starts_at_utc: AwareDatetime
    ends_at_utc: AwareDatetime
    capacity: NonNegativeInt
    """Planned seats, of all kinds together."""
    opens_at: AwareDatetime | None = None
    registration_modes: tuple[str, ...] = ()
    url: str = Field(max_length=500)
    cancelled_at: AwareDatetime | None = None
    sequence: int | None = Field(default=None, ge=0, lt=2**31)
    updated_at: AwareDatetime


class FederatedSeatsOfKind(Federated):
    capacity: NonNegativeInt
    confirmed: NonNegativeInt
    offered: NonNegativeInt
    held: NonNegativeInt
    available: NonNegativeInt
    waitlisted: NonNegativeInt


class FederatedSeats(FederatedSeatsOfKind):
    """A session's seats as the public calendar shows them, in total and per kind of seat."""

    session_id: UUID
    by_kind: dict[Literal["on_site", "online"], FederatedSeatsOfKind] = {}
    updated_at: AwareDatetime


class OperationalCounts(Federated):
    """The exact counts of one cell: sessions of a month, region, stream, theme and modality, one channel.

    They are whole again each day: what is newer replaces what was said. `month` is that of the sessions'
    local start. `registrations` counts participations by their state as of `as_of`. What doesn't belong
    to a channel (walk-ins) stands under the channel `none`.
    """

    kind: Literal["operational"] = "operational"
    month: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    region: str | None = Field(default=None, max_length=20)
    stream: Volet
    theme: str | None = Field(default=None, max_length=60)
    channel: str = Field(max_length=20)
    modality: Literal["on_site", "online", "hybrid"]
    registrations: dict[str, NonNegativeInt] = {}
    """By state: `confirmed`, `waitlisted`, `offered`, `attended`, `absent`, `excused`, `cancelled`, …

    Who waits for many sessions at once is in it once, or where a seat was given or an offer answered.
    """
    confirmed_at_start: NonNegativeInt = 0
    waitlisted_at_start: NonNegativeInt = 0
    attended_minutes: NonNegativeInt = 0
    walk_ins: NonNegativeInt = 0
    walk_in_minutes: NonNegativeInt = 0
    offers_made: NonNegativeInt = 0
    offers_accepted: NonNegativeInt = 0
    answer_minutes: Histogram = ()
    """From an offer to its acceptance."""
    minutes_from_opening: Histogram = ()
    """From the opening of registration to each registration; who came by a wait for many sessions, which
    joins lines by itself, isn't in it."""
    as_of: AwareDatetime


class ProfileCounts(Federated):
    """One figure about people, rounded to base 5 where they are known, with a key that stays there."""

    kind: Literal["profile"] = "profile"
    month: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    region: str | None = Field(default=None, max_length=20)
    stream: Volet
    dimension: str = Field(max_length=40)
    """`people` (distinct), `participations`, `answered`, or `target_group`."""
    value: str = Field(default="", max_length=60)
    """Of the dimension: a target group's id; empty for a total."""
    rounded: int = Field(ge=0, multiple_of=5)
    as_of: AwareDatetime


class FederatedTally(Federated):
    """One cell of the counts, of either kind; its key is `cell_key` of it."""

    cell: OperationalCounts | ProfileCounts = Field(discriminator="kind")


def cell_key(cell: OperationalCounts | ProfileCounts) -> str:
    """The key of a cell's message: what it counts, never how much. `-` stands for none."""
    parts: tuple[str | None, ...]
    if isinstance(cell, OperationalCounts):
        parts = (cell.month, cell.region, cell.stream, cell.theme, cell.channel, cell.modality)
    else:
        parts = (cell.month, cell.region, cell.stream, cell.dimension, cell.value)
    return "/".join([cell.kind, *(part or "-" for part in parts)])


class StreamDeclared(Federated):
    """How much of a stream the instance has said, so that the reader can tell what it lacks."""

    count: NonNegativeInt
    """Things whose current state was said and not taken back."""
    newest_id: str | None = Field(default=None, max_length=300)
    """`ce_id` of the newest message."""
    newest_at: AwareDatetime | None = None


class Heartbeat(Federated):
    """Every 30 seconds: that the instance lives, how much it has said, how far it is behind itself."""

    instance: str = Field(max_length=31)
    name: str = Field(max_length=200)
    url: str = Field(max_length=500)
    calendar_domain: str | None = Field(default=None, pattern=CALENDAR_DOMAIN)
    """The right side of its sessions' UIDs (RFC 5545); None from an instance that doesn't say it yet."""
    software: str = Field(max_length=60)
    epoch: NonNegativeInt
    at: AwareDatetime
    streams: dict[Literal["sessions", "seats", "tallies"], StreamDeclared]
    shares: dict[Volet, Level]
    lag: NonNegativeInt
    """Messages that the instance has yet to look at, and to send."""


FEDERATED_PAYLOADS: dict[str, type[Federated]] = {
    "federated.sessions": FederatedSession,
    "federated.seats": FederatedSeats,
    "federated.tallies": FederatedTally,
    "federated.heartbeat": Heartbeat,
}
"""By the logical name of the stream."""
