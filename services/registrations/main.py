"""The wiring of `registrations`."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

from fastapi import FastAPI

from libs.messaging.inbox import count_parked
from libs.messaging.outbox import Relay
from libs.web.app import Service, create_app
from libs.web.parked import parked_router
from services.registrations import (
    api,
    api_draw,
    api_equity,
    api_sessions,
    api_waits,
    commands,
    desk,
    desk_attendance,
    desk_draw,
    desk_equity,
    desk_line,
    desk_party,
    desk_registration,
    desk_signup,
    desk_transfer,
    desk_waits,
    draw_page,
    joining,
    own_page,
    own_party,
    pages,
    wait_pages,
)
from services.registrations.api_register import register_router
from services.registrations.consumer import inbox
from services.registrations.lane import Lane
from services.registrations.tallying import Tallying
from services.registrations.timers import Timers

PACKAGE = "services.registrations"


def create(service: Service) -> FastAPI:
    """The application of this service; nothing opens before its lifespan starts."""
    box = inbox(service.database, service.settings)
    relay = Relay(service.database, service.bus)
    timers = Timers(service.database, service.settings)

    async def consume(stop: asyncio.Event) -> None:
        await service.bus.consume("registrations", box.topics, box.handle, stop)

    async def health() -> Mapping[str, object]:
        async with service.database.reading() as tx:
            parked = await count_parked(tx)
        return {"parked": parked, "lag": await service.bus.lag("registrations", box.topics)}

    async def settle(session_id: UUID) -> None:
        async with service.database.transaction() as tx:
            await commands.release_seats(tx, service.settings, session_id)
        async with service.database.transaction() as tx:
            await joining.join_session(tx, service.settings, session_id)

    app = create_app(
        service,
        package=PACKAGE,
        routers=[
            register_router(),
            api.router,
            api_sessions.router,
            api_draw.router,
            api_waits.router,
            api_equity.router,
            parked_router(service.name, box),
            pages.router,
            own_page.router,
            draw_page.router,
            wait_pages.router,
            desk_waits.router,
            own_party.router,
            desk.router,
            desk_attendance.router,
            desk_draw.router,
            desk_equity.router,
            desk_signup.router,
            desk_line.router,
            desk_party.router,
            desk_transfer.router,
            desk_registration.router,
        ],
        loops={
            "consume": consume,
            "relay": relay.run,
            "offers and releases": timers.offers_and_releases,
            "seats": timers.seats,
            "reach": timers.reach,
            "reminders": timers.reminders,
            "waits": timers.waits,
            "waits swept": timers.waits_swept,
            "office hours": timers.office_hours,
            "prune": timers.prune,
            "tallies": Tallying(service.database, service.settings).run,
        },
        health=health,
    )
    app.state.lane = Lane(service.database, service.settings, settle)
    return app
