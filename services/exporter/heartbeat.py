"""The heartbeat: every 30 seconds, that the instance lives, how much it has said, how far it is behind."""

import asyncio
from datetime import timedelta

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.clock import utc_now
from libs.messaging.backoff import pause
from libs.messaging.bus import Bus
from libs.messaging.federated import Heartbeat
from libs.messaging.outbox import announce_all
from libs.messaging.topics import SEATS, SESSIONS, TALLIES
from libs.settings import Settings
from libs.version import VERSION
from libs.web.app import Service
from services.exporter import queries
from services.exporter.saying import Voice, standing

HEARD = (SESSIONS, SEATS, TALLIES)
"""What this service consumes."""
EVERY = timedelta(seconds=30)
_LOOK_SECONDS = 1.0


class Beating:
    """One heartbeat every 30 seconds, however many processes of this service there are."""

    def __init__(self, service: Service, voice: Voice) -> None:
        self._service = service
        self._voice = voice

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with self._service.database.reading() as session:
                due: bool = (await session.execute(_IS_DUE, {"every": EVERY})).scalar_one()
            if due:
                lag = await behind(self._service.bus, self._service.name)
                async with self._service.database.transaction() as tx:
                    await beat(tx, self._service.settings, self._voice, unread=lag, only_if_due=True)
            await pause(stop, _LOOK_SECONDS)


async def behind(bus: Bus, group: str) -> int:
    """How many messages inside the instance this service has yet to look at."""
    return await bus.lag(group, HEARD)


async def beat(
    tx: AsyncSession,
    settings: Settings,
    voice: Voice,
    *,
    unread: int | None = None,
    only_if_due: bool = False,
) -> None:
    """Say now that the instance lives, and what it shares. Without `unread` it is as last measured."""
    every = EVERY if only_if_due else timedelta(0)
    row = (await tx.execute(_BEAT, {"unread": unread, "every": every})).first()
    if row is None:
        return  # another process was quicker
    now, held = utc_now(), await standing(tx)
    payload = Heartbeat(
        instance=settings.instance,
        name=settings.instance_name,
        url=settings.base_url,
        calendar_domain=settings.uid_domain,
        software=VERSION,
        epoch=held.epoch,
        at=now,
        streams=await queries.declared(tx),
        shares=dict(held.levels),
        lag=row.lag + await queries.queued(tx),
    )
    value = orjson.dumps(payload.model_dump(mode="json"))
    message = voice.message("heartbeat", settings.instance, (held.epoch, row.version), value, now)
    await tx.execute(_REMEMBER, {"headers": dict(message.headers), "payload": value})
    await announce_all(tx, [message])


# By the database's clock, which all processes share.
_IS_DUE = sa.text("select beat_at <= now() - cast(:every as interval) from pulse")
_BEAT = sa.text("""
update pulse set version = version + 1, beat_at = now(), lag = coalesce(cast(:unread as integer), lag)
where beat_at <= now() - cast(:every as interval) returning version, lag
""")
_REMEMBER = sa.text("update pulse set headers = :headers, payload = :payload").bindparams(
    sa.bindparam("headers", type_=sa.dialects.postgresql.JSONB)
)
