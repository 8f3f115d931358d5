"""What every process of an instance in several processes does first and last: settings, logs, signals."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import uvloop

from deploy.ending import Ending
from deploy.hosting import calendar_domain, given_server
from libs.settings import BadSettings, Settings, read_settings
from libs.web import logs

Live = Callable[[Settings, str, Ending], Awaitable[None]]
"""Lives until the ending is asked for, with the settings and the address of the PostgreSQL server."""


def run(live: Live) -> int:
    """The exit code: 0 asked to stop, 2 a bad setting, 70 broken from inside."""
    try:
        settings = read_settings()
        server_url = given_server(settings)
        _ = settings.secret
        settings = settings.model_copy(update={"calendar_domain": calendar_domain(settings)})
        logs.configure()
        return uvloop.run(_run(live, settings, server_url))
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2


async def _run(live: Live, settings: Settings, server_url: str) -> int:
    ending = Ending()
    ending.on_signals(drain=settings.drain_seconds)
    try:
        await live(settings, server_url, ending)
    except asyncio.CancelledError:
        if not ending.event.is_set():
            raise
    return ending.exit_code
