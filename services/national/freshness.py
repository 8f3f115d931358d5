"""Whether an instance can be heard, since when not, and what it shares: so that silence is never a zero."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

STALE_AFTER: Final = timedelta(minutes=2)
VOLETS: Final = ("public", "pro")


class Standing(StrEnum):
    """In the order in which they are asked: the first that is true wins."""

    RETIRED = "retired"
    SUSPENDED = "suspended"  # what it says now is kept apart until somebody has looked
    NEVER = "never"  # registered, and nothing was received yet
    OFFLINE = "offline"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Heard:
    """An instance as the registry knows it and as it was last heard. `regions` it may speak for today."""

    slug: str
    name: str
    status: str = "active"
    received_at: datetime | None = None
    regions: frozenset[str] = frozenset()
    shares: Mapping[str, str] = field(default_factory=dict)
    url: str = ""

    def standing(self, now: datetime) -> Standing:
        if self.status == "retired":
            return Standing.RETIRED
        if self.status == "suspended":
            return Standing.SUSPENDED
        if self.received_at is None:
            return Standing.NEVER
        return Standing.OFFLINE if self.silence(now) >= STALE_AFTER else Standing.LIVE

    def silence(self, now: datetime) -> timedelta:
        """How long ago anything was received of it."""
        return max(now - self.received_at, timedelta(0)) if self.received_at else timedelta(0)

    def withheld(self, stream: str = "", level: str = "sessions") -> tuple[str, ...]:
        """The volets, among the one asked for or both, of which it doesn't share as much as `level`.

        What it never said counts as shared: its first heartbeat hasn't arrived.
        """
        asked = (stream,) if stream else VOLETS
        return tuple(v for v in asked if _RANK.get(self.shares.get(v, "profile"), 0) < _RANK[level])

    def shares_nothing(self, stream: str = "", level: str = "sessions") -> bool:
        return len(self.withheld(stream, level)) == (1 if stream else len(VOLETS))


_RANK: Final = {"nothing": 0, "sessions": 1, "counts": 2, "profile": 3}


@dataclass(frozen=True, slots=True)
class Hearing:
    """All instances at one moment: what the sentence on top of each page says."""

    now: datetime
    instances: tuple[Heard, ...]

    @classmethod
    def at(cls, now: datetime, instances: Iterable[Heard]) -> "Hearing":
        return cls(now, tuple(one for one in instances if one.status != "retired"))

    @property
    def live(self) -> Sequence[Heard]:
        return [one for one in self.instances if one.standing(self.now) is Standing.LIVE]

    @property
    def silent(self) -> Sequence[Heard]:
        """Those whose figures are old or missing, the longest silence first."""
        silent = [one for one in self.instances if one.standing(self.now) is not Standing.LIVE]
        return sorted(silent, key=lambda one: (one.received_at is not None, -one.silence(self.now)))

    @property
    def newest(self) -> timedelta | None:
        """How long ago anything was received of anybody."""
        return min((one.silence(self.now) for one in self.instances if one.received_at), default=None)

    def speaking_for(self, region: str, seen: Iterable[str] = ()) -> list[Heard]:
        """The instances that may speak for a region, or whose sessions (`seen`: slugs) stand in it."""
        known = set(seen)
        return [one for one in self.instances if region in one.regions or one.slug in known]

    def concerned(self, region: str = "", instance: str = "") -> list[Heard]:
        """The instances whose figures a page shows, by its filters."""
        return [
            one
            for one in self.instances
            if (not region or not one.regions or region in one.regions)
            and (not instance or one.slug == instance)
        ]
