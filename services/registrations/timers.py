"""What happens by itself: offers that end, seats released, reminders due, seats announced, old rows gone."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import decision_time
from libs.database import Database, is_unavailable
from libs.messaging.inbox import prune
from libs.settings import Settings
from libs.web.idempotency import purge_keys
from services.registrations import (
    announcing,
    commands,
    drawing,
    reconfirmation,
    reminders,
    retention,
    serving,
)
from services.registrations.joining import Joining
from services.registrations.models import Registration, SessionCopy
from services.registrations.office_renewal import renew_office_hours
from services.registrations.seating import Seating

log = logging.getLogger(__name__)

_ASKED: sa.ColumnElement[timedelta] = sa.literal_column(
    "make_interval(days => case when facts ? 'reconfirm' then"
    " coalesce((facts #>> '{reconfirm,days}')::int, 0) else 7 end)"
)
"""How long before a session its people are first asked whether they still come; 7 days, as the contract."""

_COALESCE_SECONDS = 0.1
_REST_PER_WORK = 8
_LONGEST_REST, _MANY_SESSIONS = 0.4, 100
"""In seconds, and once more for each hundred sessions."""
_REACH_SECONDS = 3.0


class Timers:
    """The loops of this service; each is safe to run in several processes at once."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._changed = asyncio.Event()
        self._announced = 0
        self._joining = Joining(database, settings)
        database.on_commit.append(self._changed.set)

    async def offers_and_releases(self, stop: asyncio.Event) -> None:
        """Record what is due within a second; whoever comes first locks the session and decides."""
        await _repeat(stop, 1.0, self.act_on_what_is_due)

    async def seats(self, stop: asyncio.Event) -> None:
        """Announce changed seats at most 100 ms after the change, many changes as one.

        In a rush each round takes longer: then it rests longer too, and leaves the process to requests. But
        a round about a few sessions that took long has waited for something, and nobody should wait more.
        """
        while not stop.is_set():
            started, before = time.monotonic(), self._announced
            await _once(self.announce_seats)
            longest = _LONGEST_REST * (1 + (self._announced - before) // _MANY_SESSIONS)
            rest = max(_COALESCE_SECONDS, min(_REST_PER_WORK * (time.monotonic() - started), longest))
            await _first(stop, self._changed, 1.0)
            self._changed.clear()
            await _first(stop, asyncio.Event(), rest)

    async def reach(self, stop: asyncio.Event) -> None:
        """Announce how many people a change would reach: staff read it, so seconds later is soon enough."""
        await _repeat(stop, _REACH_SECONDS, self.announce_reach)

    async def reminders(self, stop: asyncio.Event) -> None:
        """Cause the reminders that are due."""
        await _repeat(stop, 30.0, self.remind)

    async def waits(self, stop: asyncio.Event) -> None:
        """Let those who wait for many sessions join each that opens, half a second later at most."""
        await _repeat(stop, 0.5, self._joining.act_on_what_is_due)

    async def waits_swept(self, stop: asyncio.Event) -> None:
        """Compare all waits with all sessions, for what began at the same moment."""
        await _repeat(stop, 60.0, self._joining.sweep)

    async def office_hours(self, stop: asyncio.Event) -> None:
        """Give sessions the opening hours that hold now; an hour late is soon enough."""
        await _repeat(stop, 3600.0, self.renew_office_hours)

    async def renew_office_hours(self) -> None:
        """One pass over the sessions to come."""
        await renew_office_hours(self._database, self._settings)

    async def prune(self, stop: asyncio.Event) -> None:
        """Forget what has served: people of past sessions, causes, inbox rows, idempotency keys."""
        await _repeat(stop, 3600.0, self._prune)

    async def announce_seats(self) -> None:
        """Announce every session whose seats are marked as changed."""
        self._announced += await announcing.announce_seats(self._database, self._settings)

    async def announce_reach(self) -> None:
        """Announce every session whose people are marked as changed."""
        await announcing.announce_reach(self._database, self._settings)

    async def remind(self) -> None:
        """One pass over the sessions that start within the longest reminder's reach."""
        async with self._database.reading() as tx:
            now = await decision_time(tx)
            soon = await tx.scalars(
                sa.select(col(SessionCopy.id)).where(
                    col(SessionCopy.status) == "published",
                    col(SessionCopy.starts_at) > now,
                    col(SessionCopy.starts_at)
                    <= now
                    + sa.func.greatest(timedelta(days=max(self._settings.reminder_days, default=0)), _ASKED),
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
        people = confirmed.all()
        freed = await reconfirmation.free_the_silent(seating, people)
        for registration in people:
            if registration.status == "confirmed":
                self._remind_person(seating, registration)
        # Without a seat that changed hands there are no seats to announce.
        await (seating.finish() if freed else seating.telling.finish())

    def _remind_person(self, seating: Seating, registration: Registration) -> None:
        """One letter a day: the question whether they still come takes the place of that day's reminder."""
        asked = reconfirmation.ask(seating, registration)
        mark = reminders.due(
            now=seating.now,
            starts_at=seating.facts.starts_at_utc.astimezone(UTC),
            confirmed_at=registration.confirmed_at or registration.created_at,
            already=registration.reminded,
            days=self._settings.reminder_days,
        )
        if mark is not None:
            registration.reminded = [*registration.reminded, mark]
            if not asked:
                seating.telling.tell(registration, reminders.cause_of(mark))

    async def act_on_what_is_due(self) -> None:
        """One pass over the offers and gatherings that ended, the releases and draws whose time has come."""
        async with self._database.reading() as tx:
            now = await decision_time(tx)
            late = await _sessions_with_late_offers(tx, now)
            released = await _sessions_with_due_release(tx, now)
            drawn = await drawing.sessions_due(tx, now)
        for session_id in late:
            async with self._database.transaction() as tx:
                await commands.expire_offers(tx, self._settings, session_id)
        for session_id in released:
            async with self._database.transaction() as tx:
                await commands.release_seats(tx, self._settings, session_id)
        for session_id in drawn:
            async with self._database.transaction() as tx:
                await drawing.act_if_due(tx, self._settings, session_id)

    async def _prune(self) -> None:
        await retention.erase_due(self._database, self._settings)
        async with self._database.transaction() as tx:
            await tx.execute(sa.text("delete from registration_cause where at < now() - interval '14 days'"))
            await tx.execute(
                sa.text("delete from idempotency_key where created_at < now() - interval '1 day'")
            )
            await serving.forget_past_years(tx, await decision_time(tx))
            await purge_keys(tx)
            await prune(tx)


async def _sessions_with_late_offers(tx: AsyncSession, now: datetime) -> list[UUID]:
    rows = await tx.scalars(
        sa.select(col(Registration.session_id))
        .where(
            sa.or_(
                sa.and_(col(Registration.status) == "offered", col(Registration.offer_expires_at) <= now),
                col(Registration.gather_until) <= now,
            )
        )
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
    """One round; a database that is away, or a session that is locked for long, means another round later."""
    try:
        await work()
    except asyncpg.LockNotAvailableError:
        log.info("a session is busy: next round")
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
