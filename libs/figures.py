"""What may be said of counts: a percentage and a median, and neither of too few."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from libs.messaging.federated import MINUTES

FEWEST: Final = 10
"""Below this many, no percentage and no median: one person would weigh too much in it."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A part of a whole, both in people or in requests."""

    part: int
    whole: int

    @property
    def percent(self) -> float | None:
        """None below `FEWEST`."""
        return percentage(self.part, self.whole)


@dataclass(frozen=True, slots=True)
class Median:
    """The middle of `n` durations, in minutes, with the edges of the bucket that it was read in.

    `value` and `interval` are None below `FEWEST`; in the last bucket, which has no end, `value` is None
    and the interval open.
    """

    n: int
    value: float | None = None
    interval: tuple[float, float | None] | None = None


def percentage(part: int, whole: int) -> float | None:
    """Per cent to a tenth, at most 100; None where the whole is below `FEWEST`."""
    return round(min(100.0, 100 * part / whole), 1) if whole >= FEWEST else None


def median(buckets: Sequence[int]) -> Median:
    """What may be said of the middle of a histogram (`libs.messaging.federated.MINUTES`)."""
    n = sum(buckets)
    return Median(n, *median_of(buckets)) if n >= FEWEST else Median(n)


def median_of(buckets: Sequence[int]) -> tuple[float | None, tuple[float, float | None]]:
    """The median by interpolation within its bucket, and that bucket's edges, in minutes.

    In the last bucket, which has no end, there is nothing to interpolate. Raises StopIteration where
    nothing is counted.

    >>> median_of([0, 4, 4, *[0] * 11])
    (5.0, (1, 5))
    """
    half = sum(buckets) / 2
    edges = (0, *MINUTES)
    reached = list(accumulate(buckets))
    number = next(i for i, total in enumerate(reached) if total >= half and total > 0)
    low = edges[number]
    if number == len(MINUTES):
        return None, (low, None)
    high = edges[number + 1]
    before = reached[number] - buckets[number]
    return round(low + (high - low) * (half - before) / buckets[number], 1), (low, high)
