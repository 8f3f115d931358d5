"""The parts that indicators are made of: counts of facts, and what is worked out from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from libs import equity
from libs.messaging.federated import MINUTES
from libs.web.i18n import LazyString
from services.national import rounding
from services.national.models import TALLY_STATES

Source = Literal["sessions", "counts", "profile", "instances"]
"""Where a measure's facts come from: public facts, daily exact counts, rounded profiles, heartbeats.
The first three are what an instance must share for it."""
Unit = Literal["count", "percent", "hours", "minutes", "points", "seconds"]

SESSION_DIMENSIONS: Final = (
    "region", "month", "stream", "theme", "modality", "delivered_by", "language", "instance",
)  # fmt: skip
COUNT_DIMENSIONS: Final = ("region", "month", "stream", "theme", "channel", "modality", "instance")

STATES: Final = TALLY_STATES
"""Of a registration, as the instances count them."""
WEB: Final = (equity.WEB,)


@dataclass(frozen=True, slots=True)
class Count:
    """A number of people, seats or sessions: the sum of some facts, perhaps of some channels only.

    One that doesn't vary is there whatever happened: alone, it makes no row.
    """

    name: str
    facts: tuple[str, ...]
    channels: tuple[str, ...] = ()
    varies: bool = True

    @property
    def base(self) -> int:
        return rounding.MINUTES if self.facts[0].endswith("_minutes") else rounding.PEOPLE


def of_states(name: str, *states: str, channels: tuple[str, ...] = ()) -> Count:
    """Registrations in some states."""
    return Count(name, tuple(f"state:{state}" for state in states), channels)


def of_buckets(histogram: str, channels: tuple[str, ...] = ()) -> tuple[Count, ...]:
    """A histogram's buckets, from the shortest."""
    who = "+".join(channels)
    facts = [f"{histogram}:{i}" for i in range(len(MINUTES) + 1)]
    return tuple(Count(f"{fact}/{who}", (fact,), channels) for fact in facts)


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of an indicator. `dimensions`: what it can be told apart by.

    `id` is empty for the only figure of an indicator, or names this one among them.
    """

    id: str
    name: LazyString | None
    source: Source
    dimensions: tuple[str, ...]
    counts: tuple[Count, ...]
    shape: "Shape"
    unit: Unit = "count"

    @property
    def exact(self) -> bool:
        """Whether it follows from public facts, so that it needs no rounding."""
        return self.source in ("sessions", "instances")


Shape = Literal["total", "ratio", "gap", "histogram", "median", "age"]
"""What is worked out from a measure's counts:

`total`     the last; the counts before it are its parts, said apart
`ratio`     the first ÷ the second, in per cent
`gap`       the first ÷ the second, minus the third ÷ the fourth, in points
`histogram` the median of what the buckets hold
`median`    given as it is, with how many it is the median of
`age`       a duration, given as it is
"""

CountValues = Mapping[str, rounding.Counted]
