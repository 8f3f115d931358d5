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
from services.notifications import api, api_receipts, mime, pages, queries
from services.notifications.carriers import ByMail, BySms
from services.notifications.consumer import registrations_handler
from services.notifications.deliveries import Deliveries
from services.notifications.housekeeping import Housekeeping
from services.notifications.reached import Reaching
from services.notifications.sender import Sender
from services.notifications.sms import BadGateway, Gateway, TextMessages
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
    try:
        gateway = Gateway.of(service.settings)
    except BadGateway as error:
        raise BadSettings(f"SMS_URL : {error}.") from None
    # Each way has its own places: a gateway that takes its time holds up no mail.
    ways = {
        "send": Deliveries(
            service.database, service.settings, ByMail(Post(Server.of(service.settings.smtp_url)))
        )
    }
    if gateway is not None:
        texts = BySms(TextMessages(gateway))
        ways["send_sms"] = Deliveries(service.database, service.settings, texts)
    housekeeping = Housekeeping(service.database, has_sms=gateway is not None)
    reaching = Reaching(service.database, service.settings)
    relay = Relay(service.database, service.bus)

    async def handle(batch: Sequence[Received]) -> None:
        await inbox.handle(batch)
        for way in ways.values():
            way.wake()

    async def consume(stop: asyncio.Event) -> None:
        await service.bus.consume(service.name, inbox.topics, handle, stop)

    async def health() -> Mapping[str, object]:
        async with service.database.reading() as session:
            figures = await queries.health(session)
        return {**figures, "lag": await service.bus.lag(service.name, inbox.topics)}

    return create_app(
        service,
        package=PACKAGE,
        routers=[api.router, api_receipts.router, parked_router(service.name, inbox), pages.router],
        loops={
            "consume": consume,
            **{name: way.run for name, way in ways.items()},
            "tidy": housekeeping.run,
            "reached": reaching.run,
            "relay": relay.run,
        },
        health=health,
    )
