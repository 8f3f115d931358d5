"""Shares and their ratios, each with the interval in which the true one lies at 95 %.

People of one tour share a desk and those of one workshop its seats, so they are no independent draws: the
intervals come from how tours differ from each other (linearised, as for any sample of clusters).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

_95 = 1.96
"""Standard deviations around the mean."""


class Count(NamedTuple):
    """Of those of one tour who asked, how many got it."""

    got: int
    asked: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """None where nobody asked, and no interval of a single tour."""

    value: float | None
    low: float | None = None
    high: float | None = None


def share(tours: Sequence[Count]) -> Estimate:
    """Who got it of those who asked, all tours together."""
    got, asked = _sums(tours)
    if not asked:
        return Estimate(None)
    part = got / asked
    if len(tours) < 2:
        return Estimate(part)
    margin = _95 * _deviation([(one.got - part * one.asked) / asked for one in tours])
    return Estimate(part, max(0.0, part - margin), min(1.0, part + margin))


def ratio(some: Sequence[Count], others: Sequence[Count]) -> Estimate:
    """The share of `some` to that of `others`, tour by tour the same ones; 1 is the same chance."""
    (got, asked), (got_else, asked_else) = _sums(some), _sums(others)
    if not (got and got_else):
        return Estimate(None)
    part, part_else = got / asked, got_else / asked_else
    if len(some) < 2:
        return Estimate(part / part_else)
    spread = _95 * _deviation(
        [
            (one.got - part * one.asked) / got - (other.got - part_else * other.asked) / got_else
            for one, other in zip(some, others, strict=True)
        ]
    )
    value = part / part_else
    return Estimate(value, value * math.exp(-spread), value * math.exp(spread))


def _sums(tours: Sequence[Count]) -> Count:
    return Count(sum(one.got for one in tours), sum(one.asked for one in tours))


def _deviation(residuals: Sequence[float]) -> float:
    """Of a sum over tours, estimated from what each tour adds beside its expectation."""
    return math.sqrt(len(residuals) / (len(residuals) - 1) * math.fsum(one * one for one in residuals))
