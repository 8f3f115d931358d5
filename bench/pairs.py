"""Interleaved pairs: ours and the floor in turn, so that a machine that slows down slows both."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bench.load import Load
from bench.report import Line, Spread, Target

Half = Callable[[int], Awaitable[Load]]
"""One half of pair number n, checked: it raises unless every answer is what it should be. 0 isn't counted."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The loads of each pair."""

    ours: tuple[Load, ...]
    floor: tuple[Load, ...]

    @property
    def ratios(self) -> list[float]:
        return [ours.rate / floor.rate for ours, floor in zip(self.ours, self.floor, strict=True)]

    def line(self, case: str, what: str, target: Target | None, **details: Any) -> Line:
        """The ratio, judged."""
        return Line(
            case,
            what,
            "×",
            Spread.of(self.ratios),
            target,
            ours=Spread.of([load.rate for load in self.ours]).median,
            floor=Spread.of([load.rate for load in self.floor]).median,
            details={
                "pairs": [
                    {"ours": _told(ours), "floor": _told(floor)}
                    for ours, floor in zip(self.ours, self.floor, strict=True)
                ],
                **details,
            },
        )

    def latency(self, case: str, target: Target | None) -> Line:
        """The time within which 99 of 100 got their answer."""
        floor = Spread.of([load.p99 for load in self.floor]).median
        spread = Spread.of([load.p99 for load in self.ours])
        return Line(case, f"p99 (floor: {floor:.0f} ms)", "ms", spread, target)


async def interleaved(pairs: int, ours: Half, floor: Half) -> Pairs:
    """Pair after pair, each begun by the other half than the last; the first, uncounted, warms both up."""
    halves: dict[Half, list[Load]] = {ours: [], floor: []}
    for number in range(pairs + 1):
        order = (ours, floor) if number % 2 else (floor, ours)
        for half in order:
            halves[half].append(await half(number))
    return Pairs(tuple(halves[ours][1:]), tuple(halves[floor][1:]))


def expect(load: Load, *statuses: int) -> Load:
    """The load, if every request was answered with one of `statuses`; raises `RuntimeError` otherwise."""
    expected = {str(status) for status in statuses}
    if load.lost or not load.answers or not set(load.answers) <= expected:
        raise RuntimeError(
            f"expected {sorted(expected)}, got {load.answers} and {load.lost} lost connections"
        )
    return load


def _told(load: Load) -> dict[str, float]:
    return {"rate": round(load.rate, 1), "p50": round(load.p50, 2), "p99": round(load.p99, 2)}
