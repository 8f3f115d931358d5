"""Writing a migration from a service's models: `make migration SERVICE=events NAME="…"`."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from deploy import postgres
from deploy.hosting import SERVICES
from libs.database import provision
from libs.migrations import new_revision


def main() -> None:
    parser = argparse.ArgumentParser(prog="make migration")
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("name", help="what the revision does, in a few words")
    given = parser.parse_args()
    if not given.name.strip():
        parser.error('NAME="…" is missing')
    with tempfile.TemporaryDirectory() as folder, postgres.running(Path(folder), durable=False) as url:
        path = asyncio.run(_write(url, given.service, given.name))
    print(path)


async def _write(server_url: str, service: str, name: str) -> Path:
    url = await provision(server_url, "scratch", service, "only for the minute that this server lives")
    return await new_revision(url, f"services.{service}", name)


if __name__ == "__main__":
    main()
