"""The daily job: every month whose counts can have changed is counted anew, and what differs is announced."""

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.clock import decision_time
from libs.database import Database
from libs.messaging import topics
from libs.messaging.backoff import pause
from libs.messaging.bus import Message
from libs.messaging.contracts import SessionState
from libs.messaging.envelope import pack
from libs.messaging.federated import FederatedTally, OperationalCounts, ProfileCounts, cell_key
from libs.messaging.outbox import announce_all, current_epoch
from libs.settings import Settings
from libs.web.tokens import derived_key
from services.registrations import profiles, tally_queries
from services.registrations.models import SessionCopy, Tally, TallyMonth, TallyRun
from services.registrations.profiles import Figure, Group
from services.registrations.tallies import Operational, kind_of
from services.registrations.tally_queries import Head

log = logging.getLogger(__name__)

_LOOK_SECONDS = 60.0
_NIGHT = timedelta(hours=9)
"""A day of counting begins at 9:00 UTC: in the small hours from Newfoundland to British Columbia, so that
the month which it finds over is over everywhere."""
_RULES = 2
"""Raise it when the rules of counting change: every month is then counted anew."""
_ONE_AT_A_TIME = 7_031_907  # any number that no other advisory lock of this database uses

Cell = OperationalCounts | ProfileCounts


class Tallying:
    """Counts, and announces each cell that has changed; safe to run in several processes at once."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def run(self, stop: asyncio.Event) -> None:
        """Count at the start, then once a day, and again within a minute of outcomes that were noted."""
        await self.count()
        while not stop.is_set():
            await pause(stop, _LOOK_SECONDS)
            if not stop.is_set() and await self.is_due():
                await self.count()

    async def count(self) -> int:
        """Count every month that may have changed since it was counted; returns how many messages that made.

        Doing it again announces nothing.
        """
        async with self._database.reading() as tx:
            now = await decision_time(tx)
            wanted = await _stale_months(tx, now)
        announced = 0
        for month in wanted:
            async with self._database.transaction() as tx:
                # One snapshot: the people, the ledger and the walk-ins of the same instant.
                await tx.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                if not await tx.scalar(_TRY_LOCK, {"number": _ONE_AT_A_TIME}):
                    return announced  # Another process counts right now, and will say when it is done.
                announced += await _count_month(tx, self._settings, month)
        async with self._database.transaction() as tx:
            await tx.execute(_upsert(TallyRun, {"only_row": True, "day": _day(now), "counted_at": now}))
        if announced:
            log.info("Tallies announced", extra={"data": {"cells": announced, "months": len(wanted)}})
        return announced

    async def is_due(self) -> bool:
        """Whether a new day has begun, or outcomes were noted, since counting last went through."""
        async with self._database.reading() as tx:
            now = await decision_time(tx)
            return bool(await tx.scalar(_IS_DUE, {"day": _day(now)}))


async def keep_profile(tx: AsyncSession, settings: Settings, session: SessionCopy) -> None:
    """Keep what the people of a session add to the figures of its month; call it before they are erased."""
    facts = SessionState.model_validate(session.facts)
    if kind_of(facts) is None:
        return
    group = _group(facts)
    month = await tally_queries.heads(tx, await decision_time(tx), group.month)
    states = await tally_queries.facts_of(tx, [head.id for head in month])
    found = await tally_queries.visits(tx, groups_of(states.values()), people_key(settings))
    gone = found.pop(session.id, [])
    kept = profiles.left_behind(gone, (visit for visits in found.values() for visit in visits))
    for figure, count in kept.items():
        await tx.execute(_KEEP, {**figure.group._asdict(), **_named(figure), "count": count})


async def _stale_months(tx: AsyncSession, now: datetime) -> list[str]:
    """The months whose mark is another one now, and those whose sessions have all gone elsewhere."""
    epoch = await current_epoch(tx)
    by_month: dict[str, list[Head]] = {}
    for head in await tally_queries.heads(tx, now):
        by_month.setdefault(head.month, []).append(head)
    known = {row.month: row.mark for row in await tx.execute(sa.select(_MONTH.c.month, _MONTH.c.mark))}
    marks = {month: _mark(month, by_month.get(month, ()), epoch, now) for month in by_month.keys() | known}
    return sorted(month for month, mark in marks.items() if known.get(month) != mark)


async def _count_month(tx: AsyncSession, settings: Settings, month: str) -> int:
    now, epoch = await decision_time(tx), await current_epoch(tx)
    heads = await tally_queries.heads(tx, now, month)
    mark = _mark(month, heads, epoch, now)
    if await tx.scalar(sa.select(_MONTH.c.mark).where(_MONTH.c.month == month)) == mark:
        return 0
    counts = Operational()
    states: list[SessionState] = []
    async for state, session in tally_queries.counted_sessions(tx, heads, now):
        counts.add(session)
        states.append(state)
    cells: list[Cell] = [*counts.cells(now)]
    if _is_over(month, now):
        cells += await _profile(tx, settings, month, states, now)
    announced = await _announce_changes(tx, settings, month, cells, _Now(now, epoch))
    await tx.execute(_upsert(TallyMonth, {"month": month, "mark": mark, "counted_at": now}))
    return announced


async def _profile(
    tx: AsyncSession, settings: Settings, month: str, states: Iterable[SessionState], now: datetime
) -> list[ProfileCounts]:
    """The figures of a month that is over, for every region and stream that had a session."""
    known = await tally_queries.visits(tx, groups_of(states), people_key(settings))
    counted = profiles.figures(visit for visits in known.values() for visit in visits)
    counted.update(await tally_queries.kept_figures(tx, month))
    held = {_group(state) for state in states if state.status != "cancelled"}
    groups = sorted(held | {figure.group for figure in counted})
    key = derived_key(settings.secret, "rounding-of-tallies")
    return profiles.announced(groups, counted, key=key, as_of=now)


@dataclass(frozen=True, slots=True)
class _Now:
    at: datetime
    epoch: int


async def _announce_changes(
    tx: AsyncSession, settings: Settings, month: str, cells: Iterable[Cell], now: _Now
) -> int:
    """Say what differs from what was said last; a cell that is no more is taken back."""
    rows = await tx.execute(sa.select(_TALLY).where(_TALLY.c.month == month))
    said = {row.key: row for row in rows}
    fresh = {cell_key(cell): cell for cell in cells}
    written: list[dict[str, Any]] = []
    messages: list[Message] = []
    for key in sorted(said.keys() | fresh.keys()):
        cell, last = fresh.get(key), said.get(key)
        content = None if cell is None else cell.model_dump(mode="json", exclude={"as_of"})
        if last is not None and (last.cell, last.epoch) == (content, now.epoch):
            continue
        version = 1 if last is None else last.version + 1
        written.append({"key": key, "month": month, "epoch": now.epoch, "version": version, "cell": content})
        messages.append(
            pack(
                topics.TALLIES,
                instance=settings.instance,
                key=key,
                partition_key=key,
                epoch=now.epoch,
                version=version,
                time=now.at,
                payload=None if cell is None else FederatedTally(cell=cell),
            )
        )
    for row in written:
        await tx.execute(_upsert(Tally, row))
    await announce_all(tx, messages)
    return len(messages)


def groups_of(states: Iterable[SessionState]) -> dict[UUID, tuple[Group, datetime]]:
    """Whose figures each session belongs to, and its end, after which visits are sorted."""
    return {state.id: (_group(state), state.ends_at_utc) for state in states if kind_of(state) is not None}


def _group(state: SessionState) -> Group:
    kind = kind_of(state)
    assert kind is not None, "asked only of sessions that are counted"
    return Group(kind.month, kind.region or "", kind.stream)


def _mark(month: str, heads: Sequence[Head], epoch: int, now: datetime) -> str:
    """Another one whenever anything changed that the month's counts rest on."""
    rests_on = [_RULES, epoch, _is_over(month, now), *[str(head) for head in heads]]
    return hashlib.sha256(repr(rests_on).encode()).hexdigest()


def _is_over(month: str, now: datetime) -> bool:
    return f"{_day(now):%Y-%m}" > month


def _day(now: datetime) -> date:
    return (now - _NIGHT).date()


def people_key(settings: Settings) -> bytes:
    """Of the pseudonyms that live as long as a counting."""
    return derived_key(settings.secret, "people-of-tallies")


def _named(figure: Figure) -> Mapping[str, str]:
    return {"dimension": figure.dimension, "value": figure.value}


def _upsert(model: Any, row: Mapping[str, Any]) -> sa.Executable:
    table: sa.Table = model.__table__
    key = [column.name for column in table.primary_key]
    rest = {name: value for name, value in row.items() if name not in key}
    return insert(table).values(row).on_conflict_do_update(index_elements=key, set_=rest)


_TALLY: sa.Table = Tally.__table__  # type: ignore[attr-defined]
_MONTH: sa.Table = TallyMonth.__table__  # type: ignore[attr-defined]
_TRY_LOCK = sa.text("select pg_try_advisory_xact_lock(:number)")
_IS_DUE = sa.text(
    """
    select not exists (
        select from tally_run where day = :day and counted_at >= coalesce(
            -- Later than it was noted: what was being written while we looked is seen the next time.
            (select max(changed_at) + interval '2 minutes' from session_outcome), '-infinity'
        )
    )
    """
)
_KEEP = sa.text(
    """
    insert into profile_kept (month, region, stream, dimension, value, count)
    values (:month, :region, :stream, :dimension, :value, :count)
    on conflict (month, region, stream, dimension, value) do update
        set count = profile_kept.count + excluded.count
    """
)
