"""One service as its own process: `python -m deploy.service events`.

It needs DATABASE_URL, SECRET_KEY and, for notifications, SMTP_URL; PUBLIC_URL is where people reach the
whole instance, through a proxy that shares the addresses out as `deploy.dispatch` does.
"""

import argparse
import asyncio
import sys

import uvloop

from deploy.ending import Ending
from deploy.hosting import (
    SERVICES,
    calendar_domain,
    create,
    listening_socket,
    of_national,
    opened,
    prepare,
    running,
    serve,
    server_database,
)
from libs.settings import BadSettings, Settings, read_settings
from libs.web import logs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.service")
    parser.add_argument("name", choices=SERVICES)
    name: str = parser.parse_args().name
    try:
        settings = read_settings()
        server_url = _server_url(settings)
        _ = settings.secret
        settings = settings.model_copy(update={"calendar_domain": calendar_domain(settings)})
        if name == "national":
            settings = of_national(settings)
        logs.configure()
        return uvloop.run(_run(name, settings, server_url))
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2


async def _run(name: str, settings: Settings, server_url: str) -> int:
    ending = Ending()
    ending.on_signals()
    try:
        await _live(name, settings, server_url, ending)
    except asyncio.CancelledError:
        if not ending.event.is_set():
            raise
    return ending.exit_code


async def _live(name: str, settings: Settings, server_url: str, ending: Ending) -> None:
    with listening_socket(settings) as address:
        await prepare(server_url, settings)
        async with opened(name, settings, server_url) as service:
            app = create(service)
            async with running(app, ending):
                await serve(app, address, ending)


def _server_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise BadSettings("DATABASE_URL : l’adresse du serveur PostgreSQL manque.")
    return server_database(settings.database_url)


if __name__ == "__main__":
    sys.exit(main())
