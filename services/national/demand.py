"""What a region's figure is worth: known, last known before silence, not shared, or spoken for by nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.national.freshness import Heard, Hearing, Standing


class Worth(StrEnum):
    KNOWN = "known"
    OFFLINE = "offline"  # hatched: the figure is the last one known, and its absence isn't zero
    UNSHARED = "unshared"  # « – »: a choice of the region
    NOBODY = "nobody"  # no instance is linked yet


@dataclass(frozen=True, slots=True)
class Counts:
    """Sessions and their seats, summed; cancelled sessions aren't in it."""

    sessions: int = 0
    capacity: int = 0
    confirmed: int = 0
    offered: int = 0
    available: int = 0
    waiting: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.sessions + other.sessions,
            self.capacity + other.capacity,
            self.confirmed + other.confirmed,
            self.offered + other.offered,
            self.available + other.available,
            self.waiting + other.waiting,
        )

    @property
    def taken(self) -> float | None:
        """Seats that are somebody's, in hundredths; None without seats."""
        return (self.confirmed + self.offered) * 100 / self.capacity if self.capacity else None


@dataclass(frozen=True, slots=True)
class RegionFigures:
    """A region's counts and their worth, with the instances that are the reason when it isn't whole.

    `partly`: instances that share one volet only, or of which another one is silent.
    """

    code: str
    worth: Worth
    counts: Counts
    because: tuple[Heard, ...] = ()
    partly: tuple[Heard, ...] = ()


def region_figures(
    code: str, hearing: Hearing, by_instance: Mapping[str, Counts], stream: str = ""
) -> RegionFigures:
    """The figures of one region from those of its instances (slug → counts)."""
    speaking = hearing.speaking_for(code, by_instance)
    total = sum(by_instance.values(), Counts())
    if not speaking:
        return RegionFigures(code, Worth.NOBODY if not total.sessions else Worth.KNOWN, total)
    withholding = [one for one in speaking if one.shares_nothing(stream)]
    if len(withholding) == len(speaking):
        return RegionFigures(code, Worth.UNSHARED, Counts(), tuple(withholding))
    silent = tuple(
        one for one in speaking if one not in withholding and one.standing(hearing.now) is not Standing.LIVE
    )
    partly = tuple(one for one in speaking if one.withheld(stream))
    worth = Worth.OFFLINE if silent else Worth.KNOWN
    return RegionFigures(code, worth, total, silent, partly)
