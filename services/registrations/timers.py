"""What happens by itself: offers that end, seats released, reminders due, seats announced, old rows gone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import decision_time
from libs.database import Database, is_unavailable
from libs.messaging import topics
from libs.messaging.contracts import ReachState
from libs.messaging.envelope import pack
from libs.messaging.inbox import prune
from libs.messaging.outbox import announce_all, current_epoch
from libs.settings import Settings
from services.registrations import commands, queries, reminders, retention
from services.registrations.models import Registration, SessionCopy
from services.registrations.seating import Seating

log = logging.getLogger(__name__)

_COALESCE_SECONDS = 0.1


class Timers:
    """The loops of this service; each is safe to run in several processes at once."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._changed = asyncio.Event()
        database.on_commit.append(self._changed.set)

    async def offers_and_releases(self, stop: asyncio.Event) -> None:
        """Record what is due within a second; whoever comes first locks the session and decides."""
        await _repeat(stop, 1.0, self.act_on_what_is_due)

    async def seats(self, stop: asyncio.Event) -> None:
        """Announce changed seats at most 100 ms after the change, many changes as one."""
        while not stop.is_set():
            await _once(self.announce_seats)
            await _first(stop, self._changed, 1.0)
            self._changed.clear()
            await _first(stop, asyncio.Event(), _COALESCE_SECONDS)

    async def reminders(self, stop: asyncio.Event) -> None:
        """Cause the reminders that are due."""
        await _repeat(stop, 30.0, self.remind)

    async def prune(self, stop: asyncio.Event) -> None:
        """Forget what has served: people of past sessions, causes, inbox rows, idempotency keys."""
        await _repeat(stop, 3600.0, self._prune)

    async def announce_seats(self) -> None:
        """Announce every session whose seats are marked as changed."""
        async with self._database.reading() as tx:
            dirty = (
                await tx.scalars(
                    sa.select(col(SessionCopy.id)).where(col(SessionCopy.seats_dirty), _is_known()).limit(200)
                )
            ).all()
        for session_id in dirty:
            async with self._database.transaction() as tx:
                await self._announce_seats_of(tx, session_id)

    async def remind(self) -> None:
        """One pass over the sessions that start within the longest reminder's reach."""
        days = self._settings.reminder_days
        if not days:
            return
        async with self._database.reading() as tx:
            now = await decision_time(tx)
            soon = await tx.scalars(
                sa.select(col(SessionCopy.id)).where(
                    col(SessionCopy.status) == "published",
                    col(SessionCopy.starts_at) > now,
                    col(SessionCopy.starts_at) <= now + timedelta(days=max(days)),
                )
            )
            ids = soon.all()
        for session_id in ids:
            async with self._database.transaction() as tx:
                await self._remind_session(tx, session_id)

    async def _remind_session(self, tx: AsyncSession, session_id: UUID) -> None:
        seating = await Seating.lock(tx, self._settings, session_id)
        if seating is None or seating.is_over:
            return
        confirmed = await tx.scalars(
            select(Registration)
            .where(Registration.session_id == session_id, Registration.status == "confirmed")
            .order_by(col(Registration.seq))
        )
        for registration in confirmed:
            mark = reminders.due(
                now=seating.now,
                starts_at=seating.facts.starts_at_utc.astimezone(UTC),
                confirmed_at=registration.confirmed_at or registration.created_at,
                already=registration.reminded,
                days=self._settings.reminder_days,
            )
            if mark is not None:
                registration.reminded = [*registration.reminded, mark]
                seating.telling.tell(registration, reminders.cause_of(mark))
        await seating.telling.finish()

    async def act_on_what_is_due(self) -> None:
        """One pass over the offers that ended and the releases whose date has come."""
        async with self._database.reading() as tx:
            now = await decision_time(tx)
            late = await _sessions_with_late_offers(tx, now)
            released = await _sessions_with_due_release(tx, now)
        for session_id in late:
            async with self._database.transaction() as tx:
                await commands.expire_offers(tx, self._settings, session_id)
        for session_id in released:
            async with self._database.transaction() as tx:
                await commands.release_seats(tx, self._settings, session_id)

    async def _announce_seats_of(self, tx: AsyncSession, session_id: UUID) -> None:
        row = await tx.get_one(SessionCopy, session_id, with_for_update=True)
        if not row.seats_dirty:
            return
        row.seats_dirty = False
        row.seats_version += 1
        now = await decision_time(tx)
        kinds = (await queries.seats_by_kind(tx, [session_id]))[session_id]
        reached = ReachState(
            session_id=session_id, by_route=await queries.reach(tx, session_id), updated_at=now
        )
        epoch = await current_epoch(tx)
        await announce_all(
            tx,
            [
                pack(
                    topic,
                    instance=self._settings.instance,
                    key=str(session_id),
                    partition_key=str(session_id),
                    epoch=epoch,
                    version=row.seats_version,
                    time=now,
                    payload=payload,
                )
                for topic, payload in (
                    (topics.SEATS, queries.seats_state(session_id, kinds, now)),
                    (topics.REACH, reached),
                )
            ],
        )

    async def _prune(self) -> None:
        await retention.erase_due(self._database, self._settings)
        async with self._database.transaction() as tx:
            await tx.execute(sa.text("delete from registration_cause where at < now() - interval '14 days'"))
            await tx.execute(
                sa.text("delete from idempotency_key where created_at < now() - interval '1 day'")
            )
            await prune(tx)


def _is_known() -> sa.ColumnElement[bool]:
    return col(SessionCopy.facts).is_not(None)


async def _sessions_with_late_offers(tx: AsyncSession, now: datetime) -> list[UUID]:
    rows = await tx.scalars(
        sa.select(col(Registration.session_id))
        .where(col(Registration.status) == "offered", col(Registration.offer_expires_at) <= now)
        .distinct()
        .limit(100)
    )
    return list(rows)


async def _sessions_with_due_release(tx: AsyncSession, now: datetime) -> list[UUID]:
    rows = await tx.scalars(
        sa.select(col(SessionCopy.id)).where(col(SessionCopy.next_release_at) <= now).limit(100)
    )
    return list(rows)


async def _repeat(stop: asyncio.Event, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while not stop.is_set():
        await _once(work)
        await _first(stop, asyncio.Event(), seconds)


async def _once(work: Callable[[], Awaitable[None]]) -> None:
    """One round; a database that is away means another round later."""
    try:
        await work()
    except Exception as error:
        if not is_unavailable(error):
            raise
        log.warning("database away: %s", type(error).__name__)


async def _first(stop: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    waiting = [asyncio.create_task(stop.wait()), asyncio.create_task(other.wait())]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
