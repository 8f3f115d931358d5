"""The equity report: what the counts of each channel say of seats, waits, answers and attendance.

For a region and for the country alike: cells or sums go in, figures come out (DOMAIN, V5, I10, I19, I20).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from libs import vocabularies
from libs.figures import Median, Ratio, median
from libs.messaging.federated import NO_CHANNEL, Histogram, OperationalCounts

WEB: Final = "web"
ASSISTED: Final = ("phone", "desk", "partner", "paper")
"""Channels where somebody helps to register."""
WITH_HELP, EVERYBODY = "assisted", "all"
"""The ids of the two lines that stand for several channels."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted of one channel, or of several together.

    `registrations`, `seated` and `waiting` (when the session began), `attended` and `absent` are people;
    offers and the two histograms (from an offer to its yes, from opening to the request) are requests: a
    party asks once and answers once.
    """

    registrations: int = 0
    seated: int = 0
    waiting: int = 0
    offers: int = 0
    accepted: int = 0
    attended: int = 0
    absent: int = 0
    answers: Histogram = ()
    openings: Histogram = ()

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.registrations + other.registrations,
            self.seated + other.seated,
            self.waiting + other.waiting,
            self.offers + other.offers,
            self.accepted + other.accepted,
            self.attended + other.attended,
            self.absent + other.absent,
            _added(self.answers, other.answers),
            _added(self.openings, other.openings),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of a channel, or of several together. `everybody`: the registrations by all channels."""

    id: str
    counts: Counts
    everybody: int

    @property
    def share(self) -> Ratio:
        """Of all registrations."""
        return Ratio(self.counts.registrations, self.everybody)

    @property
    def seated(self) -> Ratio:
        """Of the people who had a seat or waited for one when the session began: who had one."""
        return Ratio(self.counts.seated, self.counts.seated + self.counts.waiting)

    @property
    def waiting(self) -> Ratio:
        """Of the same people: who still waited (I9)."""
        return Ratio(self.counts.waiting, self.counts.seated + self.counts.waiting)

    @property
    def offers(self) -> Ratio:
        """Offers accepted, of those made (I10)."""
        return Ratio(self.counts.accepted, self.counts.offers)

    @property
    def answer(self) -> Median:
        """From an offer to its acceptance (I10)."""
        return median(self.counts.answers)

    @property
    def attendance(self) -> Ratio:
        """Who came, of who came or was absent without an excuse (I7)."""
        return Ratio(self.counts.attended, self.counts.attended + self.counts.absent)

    @property
    def opening(self) -> Median:
        """From the opening of registration to each request (I20)."""
        return median(self.counts.openings)


@dataclass(frozen=True, slots=True)
class Report:
    """A line for each channel, then those with help together, then all."""

    channels: tuple[Line, ...]
    assisted: Line
    all: Line

    @property
    def lines(self) -> tuple[Line, ...]:
        return (*self.channels, self.assisted, self.all)

    @property
    def web(self) -> Line:
        return next(line for line in self.channels if line.id == WEB)


def report(counts: Mapping[str, Counts]) -> Report:
    """The report of what is counted of each channel: every channel that we know has its line.

    What belongs to no channel (people who came without being registered) is in none of them.
    """
    known = {channel: some for channel, some in counts.items() if channel != NO_CHANNEL}
    ours = [term.id for term in vocabularies.terms("channels")]
    total = summed(known.values())

    def line(id_: str, some: Counts) -> Line:
        return Line(id_, some, total.registrations)

    return Report(
        channels=tuple(
            line(id_, known.get(id_, Counts())) for id_ in (*ours, *sorted(known.keys() - set(ours)))
        ),
        assisted=line(WITH_HELP, summed(known[id_] for id_ in ASSISTED if id_ in known)),
        all=line(EVERYBODY, total),
    )


def by_channel(cells: Iterable[OperationalCounts]) -> dict[str, Counts]:
    """The sums of some cells, by channel."""
    found: dict[str, Counts] = {}
    for cell in cells:
        found[cell.channel] = found.get(cell.channel, Counts()) + counts_of(cell)
    return found


def counts_of(cell: OperationalCounts) -> Counts:
    """What the report reads in one cell."""
    return Counts(
        registrations=sum(cell.registrations.values()),
        seated=cell.confirmed_at_start,
        waiting=cell.waitlisted_at_start,
        offers=cell.offers_made,
        accepted=cell.offers_accepted,
        attended=cell.registrations.get("attended", 0),
        absent=cell.registrations.get("absent", 0),
        answers=cell.answer_minutes,
        openings=cell.minutes_from_opening,
    )


def summed(some: Iterable[Counts]) -> Counts:
    """The sum of counts that have nobody in common."""
    return sum(some, Counts())


def _added(one: Histogram, other: Histogram) -> Histogram:
    """Bucket by bucket; a histogram in which nothing is counted may have no buckets."""
    if not one or not other:
        return one or other
    return tuple(a + b for a, b in zip(one, other, strict=True))
