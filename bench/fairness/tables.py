"""The tables of docs/fairness.md: what was assumed, who got in, and what it hangs on."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from bench.fairness.assumptions import CALENDAR, Assumptions
from bench.fairness.course import Fate, Outcome, play
from bench.fairness.crowd import ASSISTED, WEB, tours
from bench.fairness.policies import Policy, policies
from bench.fairness.shares import Count, Estimate, ratio, share

NOT_AS_ASSUMED: tuple[dict[str, Any], ...] = (
    {},
    {"lines": 1},
    {"lines": 8},
    {"racers": 0.1, "web": 0.4},
    {"demand_most": 1.5},
    {"held": 0.2},
    {"held": 0.5},
    {"release_days": 2},
    {"draw_days": 1},
    {"draw_days": 14},
)
"""What is changed, one at a time, to see what the result hangs on."""
PART = 4
"""Every so many sessions are enough for that."""

_GROUPS = (
    ("web, at the opening", ("racers",)),
    ("web, later", ("web",)),
    ("phone", ("phone",)),
    ("desk", ("desk",)),
    ("referred", ("referred",)),
    ("all web", WEB),
    ("all assisted", ASSISTED),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a policy came to, tour by tour."""

    policy: Policy
    tours: list[list[Outcome]]

    def fates(self) -> Iterator[Fate]:
        return (fate for tour in self.tours for outcome in tour for fate in outcome.fates)

    def counts(self, wanted: Callable[[Fate], bool]) -> list[Count]:
        """Of those wanted, how many got a seat, in each tour."""
        found = []
        for tour in self.tours:
            asked = [fate for outcome in tour for fate in outcome.fates if wanted(fate)]
            found.append(Count(sum(fate.seated_at is not None for fate in asked), len(asked)))
        return found

    def assisted_to_web(self) -> Estimate:
        return ratio(self.counts(_is_of(ASSISTED)), self.counts(_is_of(WEB)))


def simulate(sessions: int, seed: int, assumed: Assumptions) -> list[Result]:
    """The same people and workshops under every policy."""
    results = [Result(policy, []) for policy in policies(assumed)]
    for tour in tours(sessions, seed, assumed):
        for result in results:
            result.tours.append([play(workshop, result.policy, assumed) for workshop in tour])
    return results


def tables(sessions: int, seed: int, assumed: Assumptions) -> str:
    """Everything that is printed, as Markdown. The same arguments say the same."""
    results = simulate(sessions, seed, assumed)
    parts = [
        _assumed(assumed),
        CALENDAR,
        f"{sessions:,} sessions, seed {seed}:",
        _by_policy(results),
        _by_group(results),
        f"Assisted : web when one assumption is another, {_fewer(sessions):,} sessions, seed {seed}:",
        _varied(_fewer(sessions), seed, assumed),
    ]
    return "\n\n".join(parts) + "\n"


def _assumed(assumed: Assumptions) -> str:
    rows = [
        (_option(one.name), f"{getattr(assumed, one.name):g}", one.metadata["about"])
        for one in fields(assumed)
    ]
    return _table(("Assumed", "", "what, and why"), "-r-", rows)


def _by_policy(results: Iterable[Result]) -> str:
    head = (
        "Policy",
        "how",
        "asked",
        "got a seat",
        "assisted : web",
        "first time : others",
        "seats taken at the start",
    )
    rows = []
    for result in results:
        everybody = result.counts(lambda _: True)
        new = result.counts(lambda fate: fate.person.is_new)
        known = result.counts(lambda fate: not fate.person.is_new)
        outcomes = [outcome for tour in result.tours for outcome in tour]
        taken = sum(outcome.taken for outcome in outcomes) / sum(outcome.seats for outcome in outcomes)
        rows.append(
            (
                result.policy.name,
                result.policy.about,
                f"{sum(count.asked for count in everybody):,}",
                _percent(share(everybody)),
                _times(result.assisted_to_web()),
                _times(ratio(new, known)),
                f"{taken:.1%}",
            )
        )
    return _table(head, "--rrrrr", rows)


def _by_group(results: Iterable[Result]) -> str:
    head = ("Policy", "who", "asked", "got a seat", "of these from the line", "told after", "seat after")
    rows = []
    for result in results:
        for label, groups in _GROUPS:
            fates = [fate for fate in result.fates() if fate.person.group in groups]
            seated = [fate for fate in fates if fate.seated_at is not None]
            from_line = sum(fate.waited for fate in seated)
            told = [fate.told_at - fate.person.began for fate in fates if fate.told_at is not None]
            got = [fate.seated_at - fate.person.began for fate in seated if fate.seated_at is not None]
            rows.append(
                (
                    result.policy.name,
                    label,
                    f"{len(fates):,}",
                    _percent(share(result.counts(_is_of(groups)))),
                    f"{from_line / len(seated):.0%}" if seated else "-",
                    _median(told),
                    _median(got),
                )
            )
    return _table(head, "--rrrrr", rows)


def _varied(sessions: int, seed: int, assumed: Assumptions) -> str:
    rows = []
    for changes in NOT_AS_ASSUMED:
        try:
            changed = replace(assumed, **changes)
        except ValueError:
            # It doesn't go with what somebody else assumes.
            continue
        results = simulate(sessions, seed, changed)
        options = " ".join(f"{_option(name)[:-1]} {value}`" for name, value in changes.items())
        rows.append((options or "as assumed", *(_times(result.assisted_to_web()) for result in results)))
    head = ("Changed", *(policy.name for policy in policies(assumed)))
    return _table(head, "-" + "r" * (len(head) - 1), rows)


def _fewer(sessions: int) -> int:
    return -(-sessions // PART)


def _is_of(groups: Sequence[str]) -> Callable[[Fate], bool]:
    return lambda fate: fate.person.group in groups


def _option(name: str) -> str:
    return f"`--{name.replace('_', '-')}`"


def _percent(found: Estimate) -> str:
    if found.value is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.1%}"
    return f"{found.value:.1%} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _times(found: Estimate) -> str:
    if found.value is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _median(waits: Sequence[timedelta]) -> str:
    """In the unit that people would say it in."""
    if not waits:
        return "-"
    minutes = statistics.median(wait / timedelta(minutes=1) for wait in waits)
    if minutes < 1:
        return "at once"
    if minutes < 100:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.1f} days"


def _table(head: Sequence[str], align: str, rows: Iterable[Sequence[str]]) -> str:
    rule = ["---:" if one == "r" else "---" for one in align]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))
