"""What is said of counts: totals, percentages with their margin, medians with their interval.

Everything here follows from the counts it is given and from nothing else. What is published is given rounded
counts, so no percentage, median, silence or missing row can tell more than they do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from libs.figures import FEWEST, median, percentage
from services.national.indicators.measures import Measure
from services.national.rounding import Counted


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `value` is None where too few are counted, or nobody who knows says anything.

    `numerator`, `denominator` of a percentage; `parts` of a total or a gap; `n`: how many a median is of.
    `margin`: the lowest and highest value that the true counts can have; `interval`: where a median lies,
    open above where its end is None.
    """

    value: float | int | None
    numerator: int | None = None
    denominator: int | None = None
    n: int | None = None
    parts: Mapping[str, int | float] = field(default_factory=dict)
    margin: tuple[float, float] | None = None
    interval: tuple[float, float | None] | None = None
    rounded: bool = False


def present(measure: Measure, counts: Mapping[str, Counted]) -> Figure:
    """The figure of a measure, from its counts by name."""
    values = [counts[count.name] for count in measure.counts]
    rounded = any(value.base for value in values)
    if measure.shape == "ratio":
        return _ratio(values[0], values[1], rounded=rounded)
    if measure.shape == "gap":
        return _gap(values, rounded=rounded)
    if measure.shape == "histogram":
        return _histogram([value.n for value in values], rounded=rounded)
    if measure.shape == "median":
        middle, n = values[0].n, values[1].n
        return Figure(middle if n >= FEWEST else None, n=n)
    if measure.shape == "age":
        return Figure(values[0].n)
    return _total(measure, values, rounded=rounded)


def _total(measure: Measure, values: Sequence[Counted], *, rounded: bool) -> Figure:
    """With several counts the last is the sum of those before it, counted on its own."""
    divisor = 60 if measure.unit == "hours" else 1
    parts = {
        count.name: _divided(value.n, divisor)
        for count, value in zip(measure.counts[:-1], values[:-1], strict=True)
    }
    total = values[-1]
    return Figure(_divided(total.n, divisor), parts=parts, margin=_around(total, divisor), rounded=rounded)


def _divided(n: int, divisor: int) -> int | float:
    return n if divisor == 1 else round(n / divisor, 1)


def _around(count: Counted, divisor: int = 1) -> tuple[float, float] | None:
    if not count.base:
        return None
    low, high = bounds(count)
    return _divided(low, divisor), _divided(high, divisor)


def bounds(count: Counted) -> tuple[int, int]:
    """The lowest and highest true count behind a published one."""
    away = max(count.base - 1, 0)
    return max(0, count.n - away), count.n + away


def _ratio(part: Counted, whole: Counted, *, rounded: bool) -> Figure:
    share, margin = _share(part, whole)
    return Figure(
        share, numerator=part.n, denominator=whole.n, margin=margin if rounded else None, rounded=rounded
    )


def _share(part: Counted, whole: Counted) -> tuple[float | None, tuple[float, float] | None]:
    """Per cent, and between which values the true one lies."""
    share = percentage(part.n, whole.n)
    if share is None:
        return None, None
    (least, most), (fewest, all_) = bounds(part), bounds(whole)
    low = round(min(100.0, 100 * least / all_), 1)
    high = round(min(100.0, 100 * most / max(fewest, 1)), 1)
    return share, (low, high)


def _gap(values: Sequence[Counted], *, rounded: bool) -> Figure:
    (one, one_margin), (other, other_margin) = _share(*values[:2]), _share(*values[2:])
    parts = dict(
        zip(
            ("numerator", "denominator", "other_numerator", "other_denominator"),
            (value.n for value in values),
            strict=True,
        )
    )
    if one is None or other is None or one_margin is None or other_margin is None:
        return Figure(None, parts=parts, rounded=rounded)
    margin = (round(one_margin[0] - other_margin[1], 1), round(one_margin[1] - other_margin[0], 1))
    return Figure(round(one - other, 1), parts=parts, margin=margin if rounded else None, rounded=rounded)


def _histogram(buckets: Sequence[int], *, rounded: bool) -> Figure:
    middle = median(buckets)
    return Figure(middle.value, n=middle.n, interval=middle.interval, rounded=rounded)
