"""A month's figures as they stood, kept for good; a late correction is a new version with its reason."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.clock import decision_time
from libs.database import Database
from libs.messaging.backoff import pause
from services.national.figures import hearing
from services.national.freshness import VOLETS, Heard
from services.national.indicators.answering import Missing, concerned, measures_of, who_is_missing
from services.national.indicators.asking import DIMENSIONS, PUBLISHED_DIMENSIONS, Question
from services.national.indicators.counting import Cells, counted
from services.national.indicators.measures import Measure
from services.national.models import Snapshot, SnapshotFigure
from services.national.periods import month_after
from services.national.rounding import Counted

GRACE: Final = timedelta(days=10)
"""After a month's end, for the last attendance sheets to arrive."""
WATCHED_MONTHS: Final = 13
"""How far back late corrections are looked for."""
FIRST_REASON: Final = "Premier relevé du mois."
ABSENT: Final = "-"
"""Stands for an indicator where a row says which instances there were, and which of them were missing."""
HEARD: Final = "heard"
_ONE_AT_A_TIME: Final = 7_038_141
_HOUR = 3600.0

Figures = dict[tuple[str, str, tuple[tuple[str, str | None], ...]], dict[str, Any]]
"""By indicator, measure and cell: the counts that the figure is worked out from."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure that a version gives otherwise than the one before; None: it isn't in there."""

    indicator: str
    measure: str
    cell: Mapping[str, str | None]
    before: Mapping[str, int] | None
    after: Mapping[str, int] | None


async def take(session: AsyncSession, month: date, reason: str = "") -> Snapshot | None:
    """Keep the figures of `month` (its first day) as a new version; None if they are those of the last one,
    or if somebody else is taking one. The first statement of its transaction.

    Without a `reason`, a correction says from whom it came.
    """
    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    locked = await session.execute(sa.text("select pg_try_advisory_xact_lock(:id)"), {"id": _ONE_AT_A_TIME})
    if not locked.scalar_one():
        return None
    previous = await newest(session, month)
    figures = await _figures(session, month)
    if previous is not None:
        before = await _kept(session, month, previous.version)
        if _comparable(before) == _comparable(figures):
            return None
        reason = reason or _reason(before, figures, previous.version)
    snapshot = Snapshot(
        month=month,
        version=previous.version + 1 if previous else 1,
        taken_at=await decision_time(session),
        reason=reason or FIRST_REASON,
        digest=digest(month, figures),
    )
    session.add(snapshot)
    await session.flush()
    rows = [
        {"month": month, "version": snapshot.version, "indicator": indicator, "cell": dict(cell)}
        | {"value": {"measure": measure, **value}}
        for (indicator, measure, cell), value in figures.items()
    ]
    await session.execute(sa.insert(SnapshotFigure), rows)
    return snapshot


async def newest(session: AsyncSession, month: date, version: int | None = None) -> Snapshot | None:
    """The newest version of a month's snapshot, or the one asked for."""
    query = sa.select(Snapshot).where(_COLUMNS.month == month).order_by(_COLUMNS.version.desc()).limit(1)
    if version is not None:
        query = query.where(_COLUMNS.version == version)
    return (await session.execute(query)).scalar_one_or_none()


async def every(session: AsyncSession) -> Sequence[Snapshot]:
    """All versions, the newest month first, its newest version first."""
    query = sa.select(Snapshot).order_by(_COLUMNS.month.desc(), _COLUMNS.version.desc())
    return (await session.execute(query)).scalars().all()


_COLUMNS = Snapshot.__table__.c  # type: ignore[attr-defined]  # SQLModel gives each table model one


def digest(month: date, figures: Figures) -> str:
    """SHA-256, in hexadecimal, of the figures as canonical JSON: sorted, without spaces."""
    listed = [[*key[:2], dict(key[2]), value] for key, value in sorted(figures.items(), key=_place)]
    text = orjson.dumps([f"{month:%Y-%m}", listed], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def _place(item: tuple[Any, Any]) -> bytes:
    return orjson.dumps(item[0])


async def is_intact(session: AsyncSession, snapshot: Snapshot) -> bool:
    """Whether the figures kept are still those of the digest."""
    kept = await _kept(session, snapshot.month, snapshot.version)
    return digest(snapshot.month, kept) == snapshot.digest


async def _figures(session: AsyncSession, month: date) -> Figures:
    """Every figure of a month, told apart by every dimension and every two."""
    found: Figures = {}
    for size in range(PUBLISHED_DIMENSIONS + 1):
        for by in combinations([name for name in DIMENSIONS if name != "month"], size):
            question = Question(by=by, first=month, last=month, rounded=True)
            asked = measures_of(question)
            cells = await counted(session, question, list(dict.fromkeys(one for _id, one in asked)))
            for indicator, measure in asked:
                columns = question.columns(measure)
                for key, counts in cells[measure].items():
                    cell = tuple(zip(columns, key, strict=True))
                    kept = {name: _packed(count) for name, count in counts.items()}
                    found[indicator.id, measure.id, cell] = {"counts": kept}
    heard = await hearing(session)
    for each in heard.instances:
        found[ABSENT, HEARD, (("instance", each.slug),)] = {
            "name": each.name,
            "regions": sorted(each.regions),
        }
    for one in who_is_missing(Question(), heard, measures_of(Question())):
        where = (("instance", one.instance), ("streams", ",".join(one.streams) or None))
        found[ABSENT, one.why, where] = {
            "name": one.name,
            "since": one.since.isoformat() if one.since else None,
            "streams": list(one.streams),
            "indicators": list(one.indicators),
            "regions": sorted(one.regions),
            "silent": one.silent,
        }
    return found


def _packed(count: Counted) -> list[Any]:
    return [count.n, f"{count.contributors & (1 << 64) - 1:016x}", count.first, count.last, count.base]


def _unpacked(kept: Sequence[Any]) -> Counted:
    n, contributors, first, last, base = kept
    return Counted(n, int(contributors, 16), first, last, base)


async def _kept(
    session: AsyncSession, month: date, version: int, where: str = "true", **given: Any
) -> Figures:
    rows = await session.execute(
        sa.text(
            "select indicator, cell, value from snapshot_figure"  # noqa: S608  # our own condition
            f" where month = :month and version = :version and {where}"
        ),
        {"month": month, "version": version, **given},
    )
    found: Figures = {}
    for indicator, cell, value in rows:
        rest = {name: part for name, part in value.items() if name != "measure"}
        found[indicator, value["measure"], tuple(sorted(cell.items(), key=_rank))] = rest
    return found


def _rank(item: tuple[str, Any]) -> tuple[int, str]:
    name = item[0]
    return (DIMENSIONS.index(name) if name in DIMENSIONS else len(DIMENSIONS)), name


def _comparable(figures: Figures) -> dict[Any, Any]:
    """The figures without what changes by itself: how fresh the instances were."""
    return {key: _numbers(value) for key, value in figures.items() if key[0] not in (ABSENT, "I24")}


def _numbers(value: Mapping[str, Any]) -> dict[str, int]:
    return {name: kept[0] for name, kept in value["counts"].items()}


def _reason(before: Figures, after: Figures, version: int) -> str:
    cells = [dict(key[2]) for key in _differing(before, after)]
    changed = {cell["instance"] or "" for cell in cells if set(cell) == {"instance"}}
    who = ", ".join(sorted(changed)) or "le pays"
    return f"Corrections reçues après la version {version} : {who}."


def _differing(before: Figures, after: Figures) -> list[Any]:
    one, other = _comparable(before), _comparable(after)
    return [key for key in sorted({*one, *other}, key=orjson.dumps) if one.get(key) != other.get(key)]


async def changes(session: AsyncSession, month: date, version: int) -> list[Change]:
    """What a version gives otherwise than the one before: of the country, its regions and its instances."""
    where = "(select count(*) from jsonb_object_keys(cell)) <= 1"
    before = await _kept(session, month, version - 1, where)
    after = await _kept(session, month, version, where)
    found = []
    for key in _differing(before, after):
        indicator, measure, cell = key
        if set(dict(cell)) <= {"region", "instance"}:
            old = _numbers(before[key]) if key in before else None
            new = _numbers(after[key]) if key in after else None
            found.append(Change(indicator, measure, dict(cell), old, new))
    return found


async def kept_cells(
    session: AsyncSession, question: Question, snapshot: Snapshot
) -> tuple[Mapping[Measure, Cells], Sequence[Missing], int]:
    """The counts of a question as a snapshot kept them, who was missing then, and of how many instances."""
    names = [name for name in DIMENSIONS if name in question.names and name != "month"]
    asked = measures_of(question)
    figures = await _kept(
        session,
        snapshot.month,
        snapshot.version,
        "(indicator in ('-', 'I24') or (indicator = any(:ids) and cell ?& cast(:names as text[])"
        " and (select count(*) from jsonb_object_keys(cell)) = :size))",
        ids=[indicator.id for indicator, _measure in asked],
        names=names,
        size=len(names),
    )
    cells: dict[Measure, dict[Any, dict[str, Counted]]] = {measure: {} for _one, measure in asked}
    missing: list[Missing] = []
    instances: list[Heard] = []
    by_id = {(indicator.id, measure.id): measure for indicator, measure in asked}
    for (indicator, measure_id, cell), value in figures.items():
        known = dict(cell)
        if indicator == ABSENT and measure_id == HEARD:
            regions = frozenset(value["regions"])
            instances.append(Heard(str(known["instance"]), value["name"], regions=regions))
        elif indicator == ABSENT:
            missing.append(_absent(measure_id, str(known["instance"]), value))
        elif (measure := by_id.get((indicator, measure_id))) and _is_asked(question, known):
            columns = question.columns(measure)
            key = tuple(f"{snapshot.month:%Y-%m}" if name == "month" else known[name] for name in columns)
            counts = {name: _unpacked(kept) for name, kept in value["counts"].items()}
            if not question.rounded:
                counts = {name: Counted(count.n) for name, count in counts.items()}
            cells[measure][key] = counts
    about = {one.slug for one in concerned(question, instances)}
    ids = {indicator.id for indicator, _measure in asked}
    of_these = (_of_question(question, one, ids) for one in missing if one.instance in about)
    return cells, [one for one in of_these if one.indicators], len(about)


def _of_question(question: Question, one: Missing, ids: set[str]) -> Missing:
    """What is missing, as far as a question is about it."""
    indicators = tuple(id_ for id_ in one.indicators if id_ in ids)
    if one.why != "not-shared":
        return replace(one, indicators=indicators)
    asked = question.filters.get("stream", VOLETS)
    streams = tuple(stream for stream in one.streams if stream in asked)
    silent = len(streams) == len(asked)
    return replace(one, indicators=indicators if streams else (), streams=streams, silent=silent)


def _is_asked(question: Question, cell: Mapping[str, str | None]) -> bool:
    return all((cell.get(name) or "") in values for name, values in question.filters.items())


def _absent(why: str, instance: str, value: Mapping[str, Any]) -> Missing:
    return Missing(
        instance,
        value["name"],
        why,
        datetime.fromisoformat(value["since"]) if value["since"] else None,
        tuple(value["streams"]),
        tuple(value["indicators"]),
        frozenset(value["regions"]),
        silent=value["silent"],
    )


async def due(session: AsyncSession) -> list[date]:
    """The finished months that a snapshot is due of, or that a correction may have changed since."""
    now = await decision_time(session)
    last = month_after((now - GRACE).date().replace(day=1), -1)
    rows = await session.execute(_MONTHS, {"first": month_after(last, 1 - WATCHED_MONTHS), "last": last})
    return [row.month for row in rows]


_MONTHS = sa.text(
    """
    select month from session_cell join generation on generation = number and state = 'serving'
    where month between :first and :last and sessions > 0
    union
    select month from tally join generation on generation = number and state = 'serving'
    where month between :first and :last
    union
    select month from snapshot where month between :first and :last
    order by month
    """
)


class Keeper:
    """Takes what is due, once a day for each month; safe to run in several processes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looked: dict[date, date] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Every hour until `stop`."""
        while not stop.is_set():
            await self.keep(stop)
            await pause(stop, _HOUR)

    async def keep(self, stop: asyncio.Event) -> None:
        """One round, a transaction for each month."""
        async with self._database.reading() as session:
            today = (await decision_time(session)).date()
            months = await due(session)
        for month in months:
            if stop.is_set() or self._looked.get(month) == today:
                continue
            async with self._database.transaction() as session:
                await take(session, month)
            self._looked[month] = today
