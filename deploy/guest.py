"""A way to this instance's bus for another instance: `python -m deploy.guest estrie`.

Prints what that instance sets as NATIONAL_BUS_URL, with a role that may append to its own federated streams
and do nothing else. Run it again to see it again. For a bus on Kafka, its ACLs say the same.
"""

import argparse
import asyncio
import re
import sys

from deploy.buses import server_database
from deploy.reached import reached
from libs.messaging.postgres import provision_guest
from libs.settings import BadSettings, Settings

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,30}")


def main() -> int:
    """The exit code: 0 done, 2 a setting is bad or nothing is there."""
    parser = argparse.ArgumentParser(prog="python -m deploy.guest")
    parser.add_argument("instance", help="the guest's INSTANCE")
    guest: str = parser.parse_args().instance
    if not _SLUG.fullmatch(guest):
        parser.error(f"{guest} is no INSTANCE")
    try:
        settings, server = reached()
        if guest == settings.instance:
            parser.error(f"{guest} needs no way to its own bus")
        print(asyncio.run(provision_guest(_bus(settings, server), settings.instance, settings.secret, guest)))
        return 0
    except BadSettings as error:
        print(error, file=sys.stderr)
    except OSError:
        print("La base de données ne répond pas. Démarrez l’instance, puis recommencez.", file=sys.stderr)
    return 2


def _bus(settings: Settings, server: str) -> str:
    if settings.bus_url is None:
        return server
    if settings.bus_url.startswith("kafka:"):
        raise BadSettings("BUS_URL : sur Kafka, les droits d’une instance sont des ACL.")
    return server_database(settings.bus_url)


if __name__ == "__main__":
    sys.exit(main())
