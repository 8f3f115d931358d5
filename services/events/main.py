"""The events service, wired: routers, loops, health."""

import asyncio
from time import monotonic

from fastapi import FastAPI

from libs.messaging.inbox import Inbox, count_parked, prune
from libs.messaging.outbox import Relay
from libs.web.app import Service, create_app
from libs.web.idempotency import purge_keys
from libs.web.kept import Clock, KeptAnswers
from libs.web.loops import Loop
from libs.web.parked import parked_router
from services.events import api, api_planning, commands, consumer, feeds, pages
from services.events.coordination import pages as coordination
from services.events.places import Places

PACKAGE = "services.events"
_HOLD_EVERY = 1.0
_PURGE_EVERY = 3600.0


def create(service: Service, *, clock: Clock = monotonic) -> FastAPI:
    """The application of events. By `clock` the public answers that it keeps grow old."""
    inbox = Inbox(service.database, consumer.HANDLERS)

    async def consume(stop: asyncio.Event) -> None:
        await service.bus.consume(service.name, inbox.topics, inbox.handle, stop)

    async def health() -> dict[str, object]:
        async with service.database.reading() as db:
            parked = await count_parked(db)
        return {"parked": parked, "lag": await service.bus.lag(service.name, inbox.topics)}

    app = create_app(
        service,
        package=PACKAGE,
        # A feed's address ends in `.ics`, which a page's would take for a part of the id.
        routers=[
            api.router,
            api_planning.router,
            parked_router(service.name, inbox),
            feeds.router,
            pages.router,
            *coordination.routers,
        ],
        loops={
            "relay": Relay(service.database, service.bus).run,
            "consumer": consume,
            "held": _held(service),
            "purge": _purge(service),
        },
        health=health,
        kept=KeptAnswers([api.KEPT, feeds.KEPT], clock=clock),
    )
    app.state.places = Places()
    return app


def _held(service: Service) -> Loop:
    """Published sessions become held at their end."""

    async def run(stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with service.database.transaction() as db:
                held = await commands.hold_ended(db, service.settings.instance)
            if not held:
                await _pause(stop, _HOLD_EVERY)

    return run


def _purge(service: Service) -> Loop:
    """Idempotency keys are forgotten after 24 hours, messages that were taken in after 14 days."""

    async def run(stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with service.database.transaction() as db:
                await purge_keys(db)
                await prune(db)
            await _pause(stop, _PURGE_EVERY)

    return run


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
