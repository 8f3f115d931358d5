"""What is done by itself: a generation that caught up takes over, and what nobody needs any more goes."""

import asyncio
import logging

import sqlalchemy as sa

from libs.database import Database
from libs.messaging.backoff import pause
from libs.messaging.bus import Bus
from services.national import generations, outdated
from services.national.generations import NotCaughtUp

log = logging.getLogger(__name__)

_LOOK_SECONDS, _TIDY_SECONDS = 5.0, 60.0
# One comes every 30 seconds, and only the newest says anything; of everything else nothing is given up,
# because the last to come need not be the newest.
_OLD_HEARTBEATS = sa.text(
    "delete from quarantined as old using (select topic, reason, max(id) as newest from quarantined"
    "   where topic like '%.heartbeat' group by topic, reason) as kept"
    " where old.topic = kept.topic and old.reason = kept.reason and old.id < kept.newest"
    " and old.received_at < clock.decision_time() - interval '1 hour'"
)


class Housekeeping:
    """Safe to run in several processes at once."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def generations(self, stop: asyncio.Event) -> None:
        """Let a generation that was begun after an absence serve once it has caught up, until `stop`.

        And what instances said before they were restored, and say no more, goes.
        """
        while not stop.is_set():
            await self.switch_automatic()
            await outdated.leave_behind(self._database)
            await pause(stop, _LOOK_SECONDS)

    async def tidy(self, stop: asyncio.Event) -> None:
        """Every minute until `stop`."""
        while not stop.is_set():
            await generations.tidy(self._database)
            async with self._database.transaction() as session:
                await session.execute(_OLD_HEARTBEATS)
            await pause(stop, _TIDY_SECONDS)

    async def switch_automatic(self) -> None:
        async with self._database.reading() as session:
            found = await session.execute(
                sa.text("select number from generation where state = 'building' and automatic")
            )
            number = found.scalar()
        if number is None or await generations.lag(self._bus, number):
            return
        try:
            await generations.try_switch(self._database, self._bus, number, accept=True)
        except NotCaughtUp:
            return
        log.info("generation %d serves after an absence", number)
