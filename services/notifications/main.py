"""The wiring of `notifications`."""

import asyncio
from collections.abc import Mapping, Sequence

from fastapi import FastAPI

from libs.messaging.bus import Received
from libs.messaging.inbox import Inbox
from libs.messaging.outbox import Relay
from libs.messaging.topics import REGISTRATIONS
from libs.settings import BadSettings
from libs.web.app import Service, create_app
from libs.web.parked import parked_router
from services.notifications import api, mime, pages, queries
from services.notifications.consumer import registrations_handler
from services.notifications.deliveries import Deliveries
from services.notifications.housekeeping import Housekeeping
from services.notifications.reached import Reaching
from services.notifications.sender import Sender
from services.notifications.smtp import Post, Server

PACKAGE = "services.notifications"


def create(service: Service) -> FastAPI:
    """The application of this service; nothing opens before its lifespan starts."""
    if service.settings.smtp_url is None:
        raise BadSettings("SMTP_URL manque : il la faut quand les services tournent séparément.")
    try:
        mime.wire_address(Sender.of(service.settings).mailbox)
    except mime.BadAddress:
        raise BadSettings("MAIL_FROM : donnez une adresse de courriel seule.") from None
    inbox = Inbox(service.database, {REGISTRATIONS: registrations_handler(service.settings)})
    sending = Deliveries(service.database, service.settings, Post(Server.of(service.settings.smtp_url)))
    housekeeping = Housekeeping(service.database)
    reaching = Reaching(service.database, service.settings)
    relay = Relay(service.database, service.bus)

    async def handle(batch: Sequence[Received]) -> None:
        await inbox.handle(batch)
        sending.wake()

    async def consume(stop: asyncio.Event) -> None:
        await service.bus.consume(service.name, inbox.topics, handle, stop)

    async def health() -> Mapping[str, object]:
        async with service.database.reading() as session:
            figures = await queries.health(session)
        return {**figures, "lag": await service.bus.lag(service.name, inbox.topics)}

    return create_app(
        service,
        package=PACKAGE,
        routers=[api.router, parked_router(service.name, inbox), pages.router],
        loops={
            "consume": consume,
            "send": sending.run,
            "tidy": housekeeping.run,
            "reached": reaching.run,
            "relay": relay.run,
        },
        health=health,
    )
