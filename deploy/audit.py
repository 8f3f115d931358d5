"""`make audit`: the seats of this instance worked out again from the ledger, while it runs."""

import argparse
import asyncio
import sys
import time

from pydantic import SecretStr

from deploy.buses import server_database
from deploy.postgres import server_url
from libs.database import service_url
from libs.settings import BadSettings, Settings, read_settings
from services.registrations.audit import Report, audit


def main() -> int:
    """The exit code: 0 all agrees, 1 something differs, 2 a setting is bad or nothing is there to read."""
    argparse.ArgumentParser(prog="python -m deploy.audit", description=__doc__).parse_args()
    try:
        settings = kept_settings(read_settings())
        url = registrations_url(settings)
    except (BadSettings, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    started = time.perf_counter()
    try:
        report = asyncio.run(audit(url))
    except OSError:
        print("La base de données ne répond pas. Démarrez l’instance (make run), puis recommencez.")
        return 2
    _say(report, time.perf_counter() - started)
    return 1 if report.differences else 0


def kept_settings(settings: Settings) -> Settings:
    """The settings with the secret that this instance generated, where nobody gave it one.

    Raises `BadSettings` where DATA_DIR holds no instance.
    """
    if settings.secret_key is not None or settings.database_url is not None:
        return settings
    secret = settings.data_dir / "secret-key"
    if not secret.is_file():
        raise BadSettings(f"DATA_DIR : il n’y a pas d’instance dans {settings.data_dir}.")
    return settings.model_copy(update={"secret_key": SecretStr(secret.read_text().strip())})


def registrations_url(settings: Settings) -> str:
    """Where the database of `registrations` is; `settings` know their secret."""
    if settings.database_url is not None:
        server = server_database(settings.database_url)
    else:
        server = server_url(settings.data_dir)
    return service_url(server, settings.instance, "registrations", settings.secret)


def _say(report: Report, seconds: float) -> None:
    print(
        f"{report.sessions} séances, {report.people} personnes, {report.entries} décisions "
        f"recalculées en {seconds:.1f} s."
    )
    if not report.differences:
        print("Tout concorde : les places, l’ordre des files et le registre.")
        return
    print(f"{len(report.differences)} écart(s). Le premier :\n  {report.differences[0]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
