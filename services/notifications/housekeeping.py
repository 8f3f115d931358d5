"""What is tidied by itself: calls too late, text messages without a gateway, inbox rows that have served."""

import asyncio

from libs.database import Database
from libs.messaging.backoff import pause
from libs.messaging.inbox import prune
from services.notifications import mailing, records

MINUTE = 60.0
_PRUNE_EVERY = 60


class Housekeeping:
    """Safe to run in several processes at once."""

    def __init__(self, database: Database, *, has_sms: bool = True) -> None:
        self._database = database
        self._has_sms = has_sms

    async def run(self, stop: asyncio.Event) -> None:
        """Every minute until `stop`; the inbox once an hour."""
        minutes = 0
        while not stop.is_set():
            await self.drop_stale_calls()
            if not self._has_sms:
                await self.call_instead()
            if minutes % _PRUNE_EVERY == 0:
                await self.prune_inbox()
            minutes += 1
            await pause(stop, MINUTE)

    async def drop_stale_calls(self) -> None:
        """Take from the call list what is of no use any more: an offer that ended, yesterday's reminder."""
        async with self._database.transaction() as session:
            await records.supersede_stale(session, mailing.is_stale)

    async def call_instead(self) -> None:
        """Put on the call list what waits for an SMS gateway that SMS_URL names no more."""
        async with self._database.transaction() as session:
            await records.call_instead(session)

    async def prune_inbox(self) -> None:
        async with self._database.transaction() as session:
            await prune(session)
