"""What concerns all replicas at once, as a process of its own: `python -m deploy.operations`.

`/health` and `/metrics` of everything that REPLICAS names, and the mail catcher where MAIL_CATCHER is set:
it then takes mail on the address that SMTP_URL names. Needs no right that a service doesn't have.
"""

import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
from starlette.types import Receive, Scope, Send

from deploy import mailcatcher, process
from deploy.dispatch import CATCHER, OPERATIONS, operations, service_at
from deploy.ending import Ending
from deploy.hosting import listening_socket, opened, serve
from deploy.mailbox import Mailbox
from deploy.overview import Overview
from libs.settings import Settings
from libs.web.app import create_app


def main() -> int:
    return process.run(_live)


async def _live(settings: Settings, server_url: str, ending: Ending) -> None:
    async with AsyncExitStack() as stack:
        address = stack.enter_context(listening_socket(settings))
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=5))
        named = [replica.partition("=") for replica in settings.replicas]
        overview = Overview(client, [(name, address) for name, _, address in named])
        together = operations(overview.health, overview.metrics, https=settings.base_url.startswith("https:"))
        # Its pages ask the database nothing; a service has one.
        service = replace(
            await stack.enter_async_context(opened("events", settings, server_url)), name=CATCHER
        )
        if settings.mail_catcher:
            mailbox = Mailbox(settings.data_dir / CATCHER)
            port = urlsplit(settings.smtp_url or "").port or 25
            await stack.enter_async_context(mailcatcher.catching(mailbox, settings.host, port))
            pages = mailcatcher.create(service, mailbox)
        else:
            pages = create_app(service, package="deploy", routers=[])

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            handler = together if service_at(scope["path"]) == OPERATIONS else pages
            await handler(scope, receive, send)

        await serve(app, address, ending)


if __name__ == "__main__":
    sys.exit(main())
