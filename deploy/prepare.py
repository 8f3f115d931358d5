"""What services need before they start, made once by the server's administrator: `python -m deploy.prepare`.

Databases, roles, tables, reference data and the bus. Needs DATABASE_URL with the administrator's name and
SECRET_KEY. The services can then be given the same address without the administrator in it. Run it again
before each upgrade: what is there already stays, and the services of the release before go on with it.
"""

import argparse
import sys

import uvloop

from deploy.hosting import given_server, prepare
from libs.settings import BadSettings, read_settings
from libs.web import logs


def main() -> int:
    """The exit code: 0 all is there, 2 a bad setting or a server that can't serve."""
    argparse.ArgumentParser(prog="python -m deploy.prepare", description=__doc__).parse_args()
    try:
        settings = read_settings()
        logs.configure()
        uvloop.run(prepare(given_server(settings), settings))
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    print("Les bases de données et le bus sont prêts.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
