"""What of the country's figures is published: a count of people leaves as a multiple of 5, by a keyed draw.

Two descriptions of one count (a region, and the only network that serves it; a year, and the one month in
which anything happened) are one cell: it is named by the facts that it sums, so it is drawn once. Somebody
who asked for the same count in many ways could otherwise take the average of the draws and have the truth.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from libs.rounding import BASE, rounded
from libs.web.tokens import derived_key

PEOPLE = BASE
MINUTES = BASE * 7 * 60
"""What minutes are rounded to: the longest stay is a day of 7 hours, so they tell no more than people do."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A count and the facts that it sums.

    `contributors`: the exclusive or of 64 bits of each fact that isn't zero; `first` and `last`: the months
    that they belong to. `base` is what it is rounded to, 0 where it follows from public facts.
    """

    n: int = 0
    contributors: int = 0
    first: str = ""
    last: str = ""
    base: int = 0

    @property
    def period(self) -> str:
        """The month or the range that was counted, however the question named it."""
        return self.first if self.first == self.last else f"{self.first}/{self.last}"


def summed(counts: Iterable[Counted]) -> Counted:
    """The sum of counts that have no fact in common."""
    n = contributors = base = 0
    months: list[str] = []
    for count in counts:
        n += count.n
        contributors ^= count.contributors
        base = max(base, count.base)
        if count.n:
            months += (count.first, count.last)
    return Counted(n, contributors, min(months, default=""), max(months, default=""), base)


def national_key(secret: str) -> bytes:
    """The key of the country's published figures; it follows from the national instance's SECRET_KEY."""
    return derived_key(secret, "national-rounding")


def published(count: Counted, key: bytes) -> Counted:
    """`count` as it may be published. What it summed is forgotten, so nothing is rounded twice."""
    if not count.base:
        return Counted(count.n)
    cell = f"{count.contributors & (1 << 64) - 1:016x}"
    n = rounded(count.n, key=key, cell=cell, period=count.period, base=count.base)
    return Counted(n, base=count.base)
