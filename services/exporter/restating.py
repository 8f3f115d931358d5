"""Restating: after a change of level, of key or of epoch, everything that was said is gone through again."""

import asyncio

import sqlalchemy as sa

from libs.database import Database
from libs.messaging.backoff import pause
from services.exporter.saying import Standing, Voice, bring_in_line, standing
from services.exporter.sharing import allowed

_BATCH = 500
_LOOK_SECONDS = 1.0


class Restating:
    """Goes through everything when it starts, and again whenever a level or the epoch has changed.

    It looks at what is, not at what happened: stopped in the middle, the next start goes on.
    """

    def __init__(self, database: Database, voice: Voice) -> None:
        self._database = database
        self._voice = voice
        self._done_for: Standing | None = None

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.look(stop)
            await pause(stop, _LOOK_SECONDS)

    async def look(self, stop: asyncio.Event) -> None:
        """Go through everything if something has changed since this was done last."""
        async with self._database.reading() as session:
            now = await standing(session)
            settled: bool = (await session.execute(_IS_SETTLED)).scalar_one()
        if not settled or now != self._done_for:
            await self._go_through(now, stop)

    async def _go_through(self, wanted: Standing, stop: asyncio.Event) -> None:
        place = ("", "")
        while not stop.is_set():
            async with self._database.transaction() as tx:
                held = await standing(tx)
                if held != wanted:
                    return  # decided again: from the start, at the next look
                found = (await tx.execute(_OUT_OF_LINE, self._terms(held, place))).all()
                await bring_in_line(tx, self._voice, found)
            if len(found) < _BATCH:
                await self._settle(wanted)
                return
            place = (found[-1].stream, found[-1].key)

    async def _settle(self, wanted: Standing) -> None:
        # In a transaction of its own: it waits for those that rest on the levels, and they for the things.
        async with self._database.transaction() as tx:
            for volet, level in sorted(wanted.levels.items()):
                await tx.execute(_SETTLE, {"volet": volet, "level": level})
        self._done_for = wanted

    def _terms(self, held: Standing, place: tuple[str, str]) -> dict[str, object]:
        return {
            "stream": place[0],
            "key": place[1],
            "allowed": allowed(held.levels),
            "epoch": held.epoch,
            "key_id": self._voice.signer.key_id,
            "limit": _BATCH,
        }


_IS_SETTLED = sa.text("select bool_and(settled) from sharing")
_SETTLE = sa.text("""
update sharing set settled = true where volet = :volet and level = :level and not settled
""")
_OUT_OF_LINE = sa.text("""
select * from thing where (stream, key) > (:stream, :key) and (
    said is distinct from
        (payload is not null and coalesce(volet || '/' || needs, '') = any(cast(:allowed as text[])))
    or said and (said_epoch < greatest(epoch, :epoch) or headers ->> 'ce_keyid' is distinct from :key_id)
)
order by stream, key limit :limit for update
""")
