"""One service as its own process: `python -m deploy.service events`.

It needs DATABASE_URL, SECRET_KEY and, for notifications, SMTP_URL; PUBLIC_URL is where people reach the
whole instance, through a proxy that shares the addresses out as `deploy.dispatch` does. A DATABASE_URL that
names the server's administrator lets it prepare the server itself; without a name in it, somebody has done
`python -m deploy.prepare` before.
"""

import argparse
import sys
from functools import partial
from urllib.parse import urlsplit

from deploy import process
from deploy.ending import Ending
from deploy.hosting import (
    SERVICES,
    check_prepared,
    create,
    listening_socket,
    opened,
    prepare,
    running,
    serve,
)
from libs.settings import Settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.service")
    parser.add_argument("name", choices=SERVICES)
    return process.run(partial(_live, parser.parse_args().name))


async def _live(name: str, settings: Settings, server_url: str, ending: Ending) -> None:
    with listening_socket(settings) as address:
        if urlsplit(server_url).username:
            await prepare(server_url, settings)
        else:
            await check_prepared(name, settings, server_url)
        async with opened(name, settings, server_url) as service:
            app = create(service)
            async with running(app, ending):
                await serve(app, address, ending)


if __name__ == "__main__":
    sys.exit(main())
