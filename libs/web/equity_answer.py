"""The equity report as programs read it: one shape for a region's API and the country's."""

from pydantic import BaseModel

from libs.equity import Line, Report
from libs.figures import Median, Ratio


class RatioAnswer(BaseModel):
    """`value` is per cent; null where the denominator is below 10."""

    value: float | None
    numerator: int
    denominator: int


class MedianAnswer(BaseModel):
    """`value` is minutes, read within `interval`; null where `n` is below 10, or the interval has no end."""

    value: float | None
    interval: tuple[float, float | None] | None
    n: int


class LineAnswer(BaseModel):
    """A channel, or `assisted` (telephone, desk, referring organisation, paper) or `all`.

    `seated_at_start` and `waiting_at_start` divide by the people who had a seat or waited for one when their
    session began; `attendance` by who came or was absent without an excuse.
    """

    channel: str
    registrations: int
    share: RatioAnswer
    minutes_from_opening: MedianAnswer
    seated_at_start: RatioAnswer
    waiting_at_start: RatioAnswer
    offers_accepted: RatioAnswer
    answer_minutes: MedianAnswer
    attendance: RatioAnswer


class EquityAnswer(BaseModel):
    """`assisted` and `all` are null, and `channels` empty, where nobody who knows says anything.

    So it is before the first counting too.
    """

    channels: list[LineAnswer]
    assisted: LineAnswer | None
    all: LineAnswer | None


def lines_of(report: Report | None) -> EquityAnswer:
    """The lines of a report; None where there is none."""
    if report is None:
        return EquityAnswer(channels=[], assisted=None, all=None)
    return EquityAnswer(
        channels=[_line(line) for line in report.channels],
        assisted=_line(report.assisted),
        all=_line(report.all),
    )


def _line(line: Line) -> LineAnswer:
    return LineAnswer(
        channel=line.id,
        registrations=line.counts.registrations,
        share=_ratio(line.share),
        minutes_from_opening=_median(line.opening),
        seated_at_start=_ratio(line.seated),
        waiting_at_start=_ratio(line.waiting),
        offers_accepted=_ratio(line.offers),
        answer_minutes=_median(line.answer),
        attendance=_ratio(line.attendance),
    )


def _ratio(ratio: Ratio) -> RatioAnswer:
    return RatioAnswer(value=ratio.percent, numerator=ratio.part, denominator=ratio.whole)


def _median(median: Median) -> MedianAnswer:
    return MedianAnswer(value=median.value, interval=median.interval, n=median.n)
