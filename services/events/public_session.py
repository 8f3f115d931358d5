"""What the public may know of a session: an explicit list, so that a room link or a note can't slip in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PublicVenue:
    """A place as the calendar shows it. `accessibility` holds ids such as `step_free`."""

    id: UUID
    name: str
    street: str | None = None
    municipality: str | None = None
    province: str = "CA-QC"
    postal_code: str | None = None
    phone: str | None = None
    email: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    accessibility: tuple[str, ...] = ()

    @property
    def address_lines(self) -> tuple[str, ...]:
        """The address as an envelope has it: street, then town, province and postal code."""
        province = self.province.rpartition("-")[2]
        town = f"{self.municipality} ({province})" if self.municipality else None
        last = " ".join(part for part in (town, self.postal_code) if part)
        return tuple(line for line in (self.street, last) if line)

    @property
    def short(self) -> str:
        """« Bibliothèque Félix-Leclerc, Québec »; the town isn't said twice."""
        if not self.municipality or self.municipality.casefold() in self.name.casefold():
            return self.name
        return f"{self.name}, {self.municipality}"


@dataclass(frozen=True, slots=True)
class PublicSeats:
    """Seats as `registrations` last said them. `held`: free seats kept for the phone or the desk."""

    capacity: int
    available: int
    held: int
    waitlisted: int
    updated_at: datetime
    by_kind: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    draw: str | None = None


@dataclass(frozen=True, slots=True)
class PublicSession:
    """One session. `starts_at` and `ends_at` are wall times in `timezone`; the `_utc` ones are instants.

    `seats` is None until they have been counted once. `changed_at` is when a public fact last changed,
    `updated_at` the same with seats. `previous_starts_at` and its zone are set once it was moved.
    """

    id: UUID
    title: str
    status: str
    stream: str
    kind: str
    language: str
    modality: str
    starts_at: datetime
    ends_at: datetime
    timezone: str
    starts_at_utc: datetime
    ends_at_utc: datetime
    changed_at: datetime
    capacity_on_site: int = 0
    capacity_online: int = 0
    description: str = ""
    bring: str = ""
    audience: str | None = None
    theme: str | None = None
    level: str | None = None
    delivered_by: str | None = None
    region: str | None = None
    tour_id: UUID | None = None
    tour_title: str | None = None
    venue: PublicVenue | None = None
    seats: PublicSeats | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    waitlist_limit: int | None = None
    draw_closes_at: datetime | None = None
    registration_modes: tuple[str, ...] = ()
    change_reason: str | None = None
    cancel_reason: str | None = None
    cancelled_at: datetime | None = None
    sequence: int = 0
    distance_km: float | None = None
    previous_starts_at: datetime | None = None
    previous_ends_at: datetime | None = None
    previous_timezone: str | None = None
    previous_place: str | None = None
    published_at: datetime | None = None

    @property
    def announced(self) -> bool:
        """Whether the public was ever told; a draft can be cancelled before that."""
        return self.published_at is not None

    @property
    def capacity(self) -> int:
        """Seats in all: counted ones if known, else as planned."""
        return self.seats.capacity if self.seats else self.capacity_on_site + self.capacity_online

    @property
    def updated_at(self) -> datetime:
        return max(self.changed_at, self.seats.updated_at) if self.seats else self.changed_at
