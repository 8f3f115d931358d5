"""Profile counts: how many people came in a month, and what they said of themselves, by region and stream.

The rules alone. A person is a pseudonym that lives as long as the counting; nobody is in what comes out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from libs import vocabularies
from libs.messaging.federated import ProfileCounts, cell_key
from libs.rounding import rounded


class Group(NamedTuple):
    """Whose figures stand together. `region` is empty where there is none."""

    month: str
    region: str
    stream: str


class Figure(NamedTuple):
    """One figure of a group: `people`, `participations`, `answered`, or `target_group` with its id."""

    group: Group
    dimension: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody came to a session. `order` sorts the sessions of a group, `answers` needs a consent.

    `answers`: the target groups that the person named; None without their consent to count them.
    """

    group: Group
    person: bytes
    order: tuple[datetime, str]
    answers: frozenset[str] | None


def figures(visits: Iterable[Visit]) -> Counter[Figure]:
    """Participations by visit, the rest by person: what somebody said last in the month is what counts."""
    found: Counter[Figure] = Counter()
    last: dict[tuple[Group, bytes], Visit] = {}
    for visit in visits:
        found[Figure(visit.group, "participations")] += 1
        known = last.get((visit.group, visit.person))
        if known is None or known.order < visit.order:
            last[visit.group, visit.person] = visit
    for visit in last.values():
        found[Figure(visit.group, "people")] += 1
        if visit.answers is not None:
            found[Figure(visit.group, "answered")] += 1
            for group in visit.answers & vocabularies.ids("target_groups"):
                found[Figure(visit.group, "target_group", group)] += 1
    return found


def left_behind(gone: Iterable[Visit], still: Iterable[Visit]) -> Counter[Figure]:
    """What must be kept of visits whose people are about to be erased, so that no figure changes.

    Somebody who is still known from another visit counts there. Visits are erased in their order, so what
    they said last is still known as well.
    """
    gone = list(gone)
    known = {(visit.group, visit.person) for visit in still}
    kept = figures(visit for visit in gone if (visit.group, visit.person) not in known)
    for visit in gone:
        if (visit.group, visit.person) in known:
            kept[Figure(visit.group, "participations")] += 1
    return kept


def announced(
    groups: Iterable[Group], counted: Mapping[Figure, int], *, key: bytes, as_of: datetime
) -> list[ProfileCounts]:
    """Every figure of every group, rounded: also those that are zero, since one left out would tell so."""
    return [
        _cell(figure, counted.get(figure, 0), key, as_of) for group in groups for figure in _figures_of(group)
    ]


def _figures_of(group: Group) -> list[Figure]:
    return [
        *(Figure(group, dimension) for dimension in ("people", "participations", "answered")),
        *(Figure(group, "target_group", term.id) for term in vocabularies.terms("target_groups")),
    ]


def _cell(figure: Figure, count: int, key: bytes, as_of: datetime) -> ProfileCounts:
    group = figure.group
    cell: dict[str, Any] = {
        "month": group.month,
        "region": group.region or None,
        "stream": group.stream,
        "dimension": figure.dimension,
        "value": figure.value,
        "as_of": as_of,
    }
    name = cell_key(ProfileCounts(**cell, rounded=0))
    return ProfileCounts(**cell, rounded=rounded(count, key=key, cell=name, period=group.month))
