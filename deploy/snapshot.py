"""`python -m deploy.snapshot --month 2026-10`: keep a month's national figures for good, now.

The national service does it by itself ten days after a month's end, and after each late correction. This is
for whoever won't wait, or wants to say why there is a new version.
"""

import argparse
import asyncio
import sys
from datetime import date

from deploy.buses import server_database
from deploy.postgres import server_url
from libs.clock import decision_time
from libs.database import Database, service_url
from libs.settings import BadSettings, Settings, read_settings
from services.national import snapshots
from services.national.models import Snapshot
from services.national.periods import month_after


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 a version was taken, or the last one still holds; 2 something is to be put right."""
    parser = argparse.ArgumentParser(prog="python -m deploy.snapshot")
    parser.add_argument("--month", required=True, type=_month, help="comme 2026-10")
    parser.add_argument("--reason", default="", help="pourquoi une nouvelle version")
    given = parser.parse_args(arguments)
    try:
        url = _national_url(read_settings())
    except (BadSettings, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        return asyncio.run(_take(url, given.month, given.reason.strip()))
    except OSError:
        print(
            "La base de données ne répond pas. Démarrez l’instance (make run), puis recommencez.",
            file=sys.stderr,
        )
        return 2


async def _take(url: str, month: date, reason: str) -> int:
    database = Database(url, application_name="tournee-snapshot")
    try:
        async with database.reading() as session:
            today = (await decision_time(session)).date()
            known = await snapshots.newest(session, month)
        if month_after(month) > today:
            print(f"Le mois {month:%Y-%m} n’est pas fini.", file=sys.stderr)
            return 2
        async with database.transaction() as session:
            taken = await snapshots.take(session, month, reason)
        return _say(month, known, taken)
    finally:
        await database.close()


def _say(month: date, known: Snapshot | None, taken: Snapshot | None) -> int:
    if taken is not None:
        print(f"{month:%Y-%m}, version {taken.version} : {taken.reason} Empreinte {taken.digest}.")
        return 0
    if known is None:
        print("Un autre relevé est en cours. Recommencez dans une minute.", file=sys.stderr)
        return 2
    print(f"{month:%Y-%m} : rien n’a changé depuis la version {known.version}.")
    return 0


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise argparse.ArgumentTypeError("écrivez un mois comme 2026-10") from None


def _national_url(settings: Settings) -> str:
    """The national database: of DATABASE_URL, or of the instance in DATA_DIR, which must be running."""
    if settings.database_url is not None:
        server = server_database(settings.database_url)
        return service_url(server, settings.instance, "national", settings.secret)
    secret = settings.data_dir / "secret-key"
    if settings.secret_key is None and not secret.is_file():
        raise BadSettings(f"DATA_DIR : il n’y a pas d’instance dans {settings.data_dir}.")
    kept = settings.secret if settings.secret_key is not None else secret.read_text().strip()
    return service_url(server_url(settings.data_dir), settings.instance, "national", kept)


if __name__ == "__main__":
    sys.exit(main())
