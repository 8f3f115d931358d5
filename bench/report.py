"""What a run found: its lines, as a table for people and as JSON for programs."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the middle half of some figures lies."""

    median: float
    q1: float
    q3: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        if len(figures) < 2:
            (only,) = figures
            return cls(only, only, only, only, only)
        q1, median, q3 = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(median, q1, q3, min(figures), max(figures))


def percentile(figures: Sequence[float], percent: int) -> float:
    """The figure that so many in a hundred don't exceed."""
    ordered = sorted(figures)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


@dataclass(frozen=True, slots=True)
class Target:
    """What was promised. A worst case is held to the worst figure, the rest to the median."""

    sense: Literal["≥", "≤"]
    value: float
    worst: bool = False

    def is_met(self, spread: Spread) -> bool:
        if self.sense == "≥":
            return (spread.lowest if self.worst else spread.median) >= self.value
        return (spread.highest if self.worst else spread.median) <= self.value


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of a case. `unit` × is a ratio: ours to the floor's, pair by pair."""

    case: str
    what: str
    unit: str
    spread: Spread
    target: Target | None = None
    ours: float | None = None
    floor: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return "ok" if self.target.is_met(self.spread) else "MISSED"


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that could not be measured."""

    case: str
    reason: str


_HEAD = ("case", "what", "ours/s", "floor/s", "median [q1–q3]", "target", "")


def table(lines: Sequence[Line], failures: Sequence[Failure]) -> str:
    """For people, at the end of a run."""
    rows = [_HEAD, *(_row(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    printed = ["  ".join(_cells(row, widths)).rstrip() for row in rows]
    printed.insert(1, "─" * max(map(len, printed)))
    missed = sum(line.verdict == "MISSED" for line in lines)
    judged = sum(line.target is not None for line in lines)
    printed += ["", f"{judged - missed} of {judged} targets met, {missed} missed."]
    printed += [f"{failure.case} could not be measured: {failure.reason}" for failure in failures]
    return "\n".join(printed)


def as_json(lines: Sequence[Line], failures: Sequence[Failure]) -> dict[str, Any]:
    return {
        "lines": [asdict(line) | {"verdict": line.verdict} for line in lines],
        "failures": [asdict(failure) for failure in failures],
    }


def _row(line: Line) -> tuple[str, ...]:
    spread, target = line.spread, line.target
    middle = f"{_number(spread.median)} [{_number(spread.q1)}–{_number(spread.q3)}] {line.unit}"
    if target is not None and target.worst:
        worst = spread.highest if target.sense == "≤" else spread.lowest
        middle += f", worst {_number(worst)}"
    promised = f"{target.sense} {_number(target.value)} {line.unit}" if target else ""
    return (line.case, line.what, _rate(line.ours), _rate(line.floor), middle, promised, line.verdict)


def _cells(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    right = {2, 3}
    return [
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
