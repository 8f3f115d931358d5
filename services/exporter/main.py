"""The wiring of `exporter`."""

import asyncio
from collections.abc import Mapping

from fastapi import FastAPI

from libs.messaging.backoff import pause
from libs.messaging.inbox import count_parked, prune
from libs.messaging.outbox import Relay
from libs.web.app import Service, create_app
from libs.web.loops import Loop
from libs.web.parked import parked_router
from services.exporter import api, pages, queries
from services.exporter.consumer import inbox
from services.exporter.heartbeat import Beating
from services.exporter.restating import Restating
from services.exporter.saying import Voice

PACKAGE = "services.exporter"
_PRUNE_EVERY = 3600.0


def create(service: Service) -> FastAPI:
    """The application of this service; nothing opens before its lifespan starts."""
    voice = Voice.of(service.settings)
    box = inbox(service.database, voice, service.settings.base_url)
    bridge = service.bridge

    async def consume(stop: asyncio.Event) -> None:
        await service.bus.consume(service.name, box.topics, box.handle, stop)

    async def health() -> Mapping[str, object]:
        async with service.database.reading() as session:
            parked, queued = await count_parked(session), await queries.queued(session)
        lag = await service.bus.lag(service.name, box.topics)
        beyond = {"bridge_lag": await bridge.lag()} if bridge else {}
        return {"parked": parked, "queued": queued, "lag": lag, **beyond}

    app = create_app(
        service,
        package=PACKAGE,
        routers=[api.router, parked_router(service.name, box), pages.router],
        loops={
            "consume": consume,
            "relay": Relay(service.database, service.bus).run,
            "heartbeat": Beating(service, voice).run,
            "restate": Restating(service.database, voice).run,
            "prune": _pruning(service),
        }
        | ({"bridge": bridge.run} if bridge else {}),
        health=health,
    )
    app.state.voice = voice
    return app


def _pruning(service: Service) -> Loop:
    """Messages that were taken in are forgotten after 14 days."""

    async def run(stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with service.database.transaction() as tx:
                await prune(tx)
            await pause(stop, _PRUNE_EVERY)

    return run
