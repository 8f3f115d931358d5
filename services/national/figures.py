"""The figures of the first page, counted where they lie: sessions and their seats, and what came of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.national.demand import Counts
from services.national.filters import NO_REGION, Filters
from services.national.freshness import Heard, Hearing
from services.national.models import NationalSession, SessionCell
from services.national.periods import Period, month_after
from services.national.searching import folded

S = NationalSession.__table__  # type: ignore[attr-defined]  # SQLModel gives each table model one
C = SessionCell.__table__  # type: ignore[attr-defined]
_ANY_CLOCK = timedelta(hours=15)
"""No clock of the earth lies further from UTC."""

SERVING = "(select number from generation where state = 'serving')"
COUNTED = sa.text(f"session.generation = {SERVING}")
ANNOUNCED = S.c.title.is_not(None)
"""Of a session of which only the seats have arrived nothing can be said yet."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of the sessions asked for: all together, and by each of what they can be told apart by.

    `regions`: region code ("" for none) → instance → counts, whatever region was asked for.
    """

    total: Counts
    regions: Mapping[str, Mapping[str, Counts]]
    months: Mapping[date, Counts]
    themes: Mapping[str, Counts]
    streams: Mapping[str, Counts]
    modalities: Mapping[str, Counts]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of participations by month and state; `walk_ins` by month; `as_of`: the newest report."""

    months: Mapping[date, Mapping[str, int]] = field(default_factory=dict)
    walk_ins: Mapping[date, int] = field(default_factory=dict)
    as_of: datetime | None = None

    @property
    def states(self) -> Mapping[str, int]:
        total: dict[str, int] = defaultdict(int)
        for states in self.months.values():
            for state, count in states.items():
                total[state] += count
        return total


_HEARING = sa.text(
    f"""
    select clock.decision_time() as now, instance.slug, instance.status, pulse.received_at, pulse.shares,
        coalesce(nullif(pulse.name, ''), instance.name) as name, coalesce(pulse.url, '') as url,
        array(select region from instance_region where instance = instance.slug
            and valid_from <= current_date and (valid_until is null or valid_until > current_date)) as regions
    from (select 1) as always
    left join instance on true
    left join pulse on pulse.instance = instance.slug and pulse.generation = {SERVING}
    order by instance.name
    """  # noqa: S608  # no value stands in it
)


async def hearing(session: AsyncSession) -> Hearing:
    """Every registered instance as it was last heard, at the database's time."""
    rows = (await session.execute(_HEARING)).all()
    known = [
        Heard(
            slug=row.slug,
            name=row.name,
            status=row.status,
            received_at=row.received_at,
            regions=frozenset(row.regions),
            shares=row.shares or {},
            url=row.url,
        )
        for row in rows
        if row.slug is not None
    ]
    return Hearing.at(rows[0].now, known)


def conditions(filters: Filters, period: Period, now: datetime, *, region: bool = True) -> list[Any]:
    """What a session must be to be among those asked for, whatever its status."""
    found: list[Any] = [COUNTED, ANNOUNCED, *_when(period, now)]
    for name in (*_TOLD_APART, "language"):
        if value := getattr(filters, name):
            found.append(S.c[name] == value)
    if region and (here := _region(S, filters)) is not None:
        found.append(here)
    if filters.place:
        found.append(_named(filters.place))
    return found


def _when(period: Period, now: datetime) -> list[Any]:
    """Of the local days; the instants are wider bounds, for the index."""
    if period.first is None or period.last is None:
        return [S.c.starts_at_utc > now]
    first = datetime.combine(period.first, time(), UTC)
    after = datetime.combine(period.last, time(), UTC) + timedelta(days=1)
    return [
        S.c.starts_at_utc.between(first - _ANY_CLOCK, after + _ANY_CLOCK),
        S.c.starts_at >= first.replace(tzinfo=None),
        S.c.starts_at < after.replace(tzinfo=None),
    ]


def _named(words: str) -> Any:
    """Every word stands in the title, the place or the town; accents and capitals don't matter."""
    found = [S.c.search.contains(word, autoescape=True) for word in folded(words).split()]
    return sa.and_(sa.true(), *found)


async def figures(session: AsyncSession, filters: Filters, period: Period, now: datetime) -> Figures:
    """Count once, by everything: the regions without the filter on the region, the rest with it.

    Whole months come from the cells that the ingest keeps. What they don't tell apart, and the rest of a
    month that has begun, come from the sessions themselves.
    """
    begun = (now + _ANY_CLOCK).date().replace(day=1)
    rows: list[tuple[str, Any, Counts]] = []
    for source, where in _sources(filters, period, now, begun):
        by_region = (source.c.region, source.c.instance)
        others = [(source.c[name],) for name in ("month", "theme", "stream", "modality")]
        here = _region(source, filters)
        if here is None:
            rows += await _grouped(session, source, where, by_region, *others)
        else:
            rows += await _grouped(session, source, where, by_region)
            rows += await _grouped(session, source, [*where, here], *others)
    found: dict[str, dict[Any, Counts]] = defaultdict(lambda: defaultdict(Counts))
    regions: dict[str, dict[str, Counts]] = defaultdict(lambda: defaultdict(Counts))
    for kind, key, counts in rows:
        if kind == "region":
            regions[key[0] or ""][key[1]] += counts
        else:
            found[kind][key] += counts
    total = sum(found["stream"].values(), Counts())
    return Figures(total, regions, found["month"], found["theme"], found["stream"], found["modality"])


def _sources(
    filters: Filters, period: Period, now: datetime, begun: date
) -> list[tuple[sa.Table, list[Any]]]:
    """Where the figures lie, with what a session or a cell must be. `begun`: the newest month that has
    begun anywhere on earth, so that all of a later one is to come.
    """
    if filters.language or filters.place:
        return [(S, conditions(filters, period, now, region=False))]
    if not period.to_come:
        return [(C, _cells(filters, C.c.month.between(period.first, period.last)))]
    # The bound on the instant is for the index; the month decides.
    until = datetime.combine(month_after(begun), time(), UTC) + _ANY_CLOCK
    soon = [S.c.starts_at_utc <= until, S.c.month <= begun]
    return [
        (S, [*conditions(filters, period, now, region=False), *soon]),
        (C, _cells(filters, C.c.month > begun)),
    ]


async def _grouped(
    session: AsyncSession, source: sa.Table, where: Sequence[Any], *sets: tuple[Any, ...]
) -> list[tuple[str, Any, Counts]]:
    """(what it is grouped by, key, counts); the key of a region is (code, instance)."""
    columns = [column for group in sets for column in group]
    counted = sa.func.count() if source is S else sa.func.sum(C.c.sessions)
    statement = (
        sa.select(
            *columns,
            sa.func.grouping(*columns).label("mask"),
            counted.label("sessions"),
            *(sa.func.sum(source.c[name]).label(name) for name in _SUMMED),
        )
        .where(*where, source.c.status != "cancelled")
        .group_by(sa.func.grouping_sets(*(sa.tuple_(*group) for group in sets)))
    )
    found: list[tuple[str, Any, Counts]] = []
    for row in (await session.execute(statement)).mappings():
        # A bit of the mask is 1 where the column isn't grouped by; the first column is the highest bit.
        grouped = [c.name for n, c in enumerate(reversed(columns)) if not row["mask"] >> n & 1]
        counts = Counts(int(row["sessions"]), *(int(row[name] or 0) for name in _SUMMED))
        if "region" in grouped:
            found.append(("region", (row["region"], row["instance"]), counts))
        else:
            found.append((grouped[0], row[grouped[0]] or "", counts))
    return [one for one in found if one[2].sessions]


def _cells(filters: Filters, months: Any) -> list[Any]:
    """`conditions`, of the cells, for whole months and any region."""
    found: list[Any] = [sa.text(f"session_cell.generation = {SERVING}"), months]
    found += [C.c[name] == value for name in _TOLD_APART if (value := getattr(filters, name))]
    return found


def _region(source: sa.Table, filters: Filters) -> Any | None:
    """What the filter on the region asks of a session or a cell; no region is "" in a cell."""
    if filters.region == NO_REGION:
        return S.c.region.is_(None) if source is S else C.c.region == ""
    return source.c.region == filters.region if filters.region else None


_TOLD_APART = ("stream", "theme", "modality", "instance")
_SUMMED = ("capacity", "confirmed", "offered", "available", "waitlisted")

STATES: Sequence[str] = ("attended", "absent", "excused", "cancelled", "expired", "declined")
"""How a participation can end, in the order in which they are shown."""


async def outcomes(session: AsyncSession, filters: Filters, first: date, last: date) -> Outcomes:
    """What the instances' daily counts say of the sessions of the months from `first` to `last`."""
    wanted = {"first": first.replace(day=1), "last": last}
    clauses = ["month >= :first", "month <= :last"]
    for name in _TOLD_APART:
        if value := getattr(filters, name):
            clauses.append(f"{name} = :{name}")
            wanted[name] = value
    if filters.region:
        clauses.append("region is null" if filters.region == NO_REGION else "region = :region")
        wanted["region"] = filters.region  # type: ignore[assignment]
    sums = ", ".join(f"sum((registrations->>'{state}')::int) as {state}" for state in STATES)
    statement = sa.text(
        f"select month, {sums}, sum(walk_ins) as walk_ins, max(as_of) as as_of from tally"  # noqa: S608
        f" where generation = {SERVING} and {' and '.join(clauses)} group by month order by month"
    )
    if filters.region == NO_REGION:
        wanted.pop("region")
    rows = (await session.execute(statement, wanted)).mappings().all()
    return Outcomes(
        months={row["month"]: {state: int(row[state] or 0) for state in STATES} for row in rows},
        walk_ins={row["month"]: int(row["walk_ins"] or 0) for row in rows},
        as_of=max((row["as_of"] for row in rows), default=None),
    )
