"""`python -m deploy.tallies`: the counts that leave this instance made now, while it runs, not tonight."""

import argparse
import asyncio
import sys

from deploy.audit import kept_settings, registrations_url
from libs.database import Database
from libs.settings import BadSettings, Settings, read_settings
from services.registrations.tallying import Tallying


def main() -> int:
    """The exit code: 0 counted, 2 a setting is bad or nothing is there to count."""
    argparse.ArgumentParser(prog="python -m deploy.tallies", description=__doc__).parse_args()
    try:
        settings = kept_settings(read_settings())
        url = registrations_url(settings)
    except (BadSettings, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        announced = asyncio.run(count(url, settings))
    except OSError:
        print("La base de données ne répond pas. Démarrez l’instance (make run), puis recommencez.")
        return 2
    print(f"{announced} comptes annoncés.")
    return 0


async def count(url: str, settings: Settings) -> int:
    """Count in the database of `registrations` at `url`; how many counts that announced."""
    database = Database(url, pool_size=1, application_name="tournee tallies")
    try:
        return await Tallying(database, settings).count()
    finally:
        await database.close()


if __name__ == "__main__":
    sys.exit(main())
