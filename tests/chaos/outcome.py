"""What a campaign did and found, and how a person at a terminal reads it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.journal import Asked

_SHOWN = 8
"""Differences of each check that are printed."""
_FATES = ("done", "refused", "unanswered", "lost", "put off")


@dataclass(slots=True)
class Outcome:
    """`differences` is empty when everything holds; `checked` counts those of each check."""

    seed: int
    seconds: float = 0.0
    injected: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    starts: int = 0
    failed_starts: int = 0
    lives: int = 0
    came_about: Counter[str] = field(default_factory=Counter)
    figures: dict[str, int] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def count(self, asked: Iterable[Asked]) -> None:
        """Add up what became of these requests."""
        for each in asked:
            counts = self.kinds.setdefault(each.request.kind, Counter())
            fate = "unanswered" if each.status is None else "done" if each.done else "refused"
            counts[fate] += 1
            counts["lost"] += each.lost
            counts["put off"] += each.put_off
            if fate == "refused":
                counts[f"{each.status} {each.slug}"] += 1

    def note(self, check: str, found: list[str]) -> None:
        self.checked[check] = len(found)
        self.differences += [f"{check}: {each}" for each in found]


def report(outcome: Outcome) -> str:
    """Lines about what was injected, asked and checked, the differences last."""
    answers = sum(counts["done"] + counts["refused"] for counts in outcome.kinds.values())
    lines = [
        f"seed {outcome.seed}, {outcome.seconds:.0f} s of load",
        f"injected: {_listed(outcome.injected)}",
        f"services began {outcome.starts} times ({outcome.failed_starts} while PostgreSQL was away),"
        f" client processes {outcome.lives} times",
        f"{'request':20}" + "".join(f"{fate:>12}" for fate in _FATES),
    ]
    for kind, counts in sorted(outcome.kinds.items()):
        lines.append(f"{kind:20}" + "".join(f"{counts[fate]:12}" for fate in _FATES))
        reasons = Counter({why: count for why, count in counts.items() if why not in _FATES})
        lines += [f"{'':20}  refused: {_listed(reasons)}"] if reasons else []
    lines += [
        f"{answers} answers, {answers / max(outcome.seconds, 1):.0f} a second",
        f"came about: {_listed(outcome.came_about)}",
        "checked: " + ", ".join(f"{count} {what}" for what, count in outcome.figures.items()),
    ]
    for check, count in outcome.checked.items():
        lines.append(f"  {'holds' if not count else f'{count} differences':18} {check}")
    lines += [f"DIFFERENCE {each}" for each in _some_of_each(outcome.differences)]
    return "\n".join(lines)


def _some_of_each(differences: Iterable[str]) -> list[str]:
    """The first of each check: one that finds hundreds hides no other."""
    shown: Counter[str] = Counter()
    found = []
    for each in differences:
        check = each.partition(":")[0]
        shown[check] += 1
        if shown[check] <= _SHOWN:
            found.append(each)
    return found


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in counts.most_common())
