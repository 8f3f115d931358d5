"""The sending loop: claims notices that are due, composes them, hands them over, records what came of it."""

import asyncio
import logging
import random
from datetime import timedelta
from uuid import UUID, uuid4

from libs.database import Database, is_unavailable
from libs.messaging.backoff import backoff_seconds, pause
from libs.settings import Settings
from services.notifications import mailing, records
from services.notifications.carriers import Carrier
from services.notifications.handing import NotNow, Refused
from services.notifications.records import Again, Claimed, Refusal, Result, Sent, Superseded
from services.notifications.retrying import gives_up_at, wait_after
from services.notifications.sender import Sender
from services.notifications.wording import Facts

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
SLOTS = 4
"""Messages under way at a time, each on a connection of its own."""
LEASE = timedelta(seconds=15)
"""A claim that nobody renews lives this long: so long do the notices of a crashed process rest."""


class Deliveries:
    """Sends what is due by one carrier, oldest first, one notice per registration at a time.

    A crash between handing over and recording repeats the message with the same Message-ID, UID and
    SEQUENCE, or the same id of a text message; nothing is recorded as sent before a server has taken it.
    """

    def __init__(self, database: Database, settings: Settings, carrier: Carrier) -> None:
        self._database = database
        self._settings = settings
        self._sender = Sender.of(settings)
        self._carrier = carrier
        self._me = uuid4().hex
        self._under_way: set[UUID] = set()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something to send: don't wait for the next poll."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then finish what is under way. A database that is away is waited for."""
        try:
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._renew_claims())
                await self._dispatch(stop, group)
                while self._under_way:
                    await self._rest()
                renewing.cancel()
        finally:
            await self._carrier.close()

    async def _dispatch(self, stop: asyncio.Event, group: asyncio.TaskGroup) -> None:
        group.create_task(stop.wait()).add_done_callback(lambda _stopped: self.wake())
        failures = 0
        while not stop.is_set():
            self._woken.clear()
            try:
                claimed = await self._claim()
            except Exception as error:
                if not is_unavailable(error):
                    raise
                failures += 1
                log.warning("sending waits for the database: %s", type(error).__name__)
                await pause(stop, backoff_seconds(failures))
                continue
            failures = 0
            for item in claimed:
                self._under_way.add(item.id)
                group.create_task(self._deliver(item))
            if not claimed:
                await self._rest()

    async def _rest(self) -> None:
        await pause(self._woken, POLL_SECONDS)
        self._woken.clear()

    async def _claim(self) -> list[Claimed]:
        free = SLOTS - len(self._under_way)
        if free <= 0:
            return []
        async with self._database.transaction() as session:
            return await records.claim(session, self._carrier.route, self._me, self._under_way, free, LEASE)

    async def _renew_claims(self) -> None:
        """A slow server is no crash: what is under way stays claimed."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            if not self._under_way:
                continue
            try:
                async with self._database.transaction() as session:
                    await records.renew(session, self._me, self._under_way, LEASE)
            except Exception as error:
                if not is_unavailable(error):
                    raise

    async def _deliver(self, item: Claimed) -> None:
        try:
            await self._record(item, await self._attempt(item))
        finally:
            self._under_way.discard(item.id)
            self.wake()

    async def _attempt(self, item: Claimed) -> Result:
        """Compose and hand over, outside of any transaction."""
        facts = Facts(item.state, item.cause, item.told)
        if mailing.is_stale(item.cause, item.now) or _nothing_new(facts):
            return Superseded()
        try:
            hand_over = self._carrier.compose(item, facts, self._sender)
        except Refused as error:
            return Refusal(str(error))
        except Exception as error:
            # One notice that can't be composed must not stop the others; somebody calls instead.
            log.error("a notice could not be composed: %s %s", item.cause.cause, type(error).__name__)
            return Refusal(f"COMPOSE {type(error).__name__}")
        try:
            return Sent(await hand_over())
        except Refused as error:
            return Refusal(str(error), no_such_address=error.no_such_address)
        except NotNow as error:
            if item.now >= gives_up_at(item.cause, item.created_at):
                return Refusal(str(error))
            chance = random.random()  # noqa: S311  # spreads load, guards nothing
            wait = wait_after(item.attempts, chance, asked=error.after)
            return Again(item.now + wait, str(error))

    async def _record(self, item: Claimed, result: Result) -> None:
        """Write the result down, however long the database is away: it can't be found out again."""
        failures = 0
        while True:
            try:
                async with self._database.transaction() as session:
                    await records.record(session, self._settings, item, result)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                failures += 1
                await asyncio.sleep(backoff_seconds(failures))
            else:
                return


def _nothing_new(facts: Facts) -> bool:
    """Whether a change was taken back before anybody was told of it."""
    told = facts.told
    if facts.cause.cause != "session_changed" or told is None or told.id != facts.cause.session.id:
        return False
    return not facts.differences
