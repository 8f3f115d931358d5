"""The event-listing importer: `python -m deploy.import_events LISTING.csv --municipality Laval`."""

import argparse
import asyncio
import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy.exc import DBAPIError

from deploy import postgres
from deploy.buses import server_database
from deploy.datadir import DataDir, DataDirBusy, DataDirUnusable
from libs.database import Database, service_url
from libs.settings import BadSettings, Settings, read_settings
from services.events.importing import Entry, Options, Outcome, Report, import_listing
from services.events.listings import LARGEST_FILE, BadListing


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks."""

    path: Path
    options: Options
    dry_run: bool
    report: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done (refused rows are in the report), 1 nothing was changed, 2 bad settings."""
    try:
        request = _read_command_line(arguments)
        content = _content(request.path)
        settings = read_settings()
        with _server(settings) as url:
            report = asyncio.run(imported(request, content, settings.instance, url))
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    except (BadListing, DataDirUnusable, postgres.CannotStart) as error:
        print(f"Rien n’a été changé. {error}", file=sys.stderr)
        return 1
    except (OSError, asyncpg.PostgresError, DBAPIError) as error:
        print(f"Rien n’a été changé. La base de données ne répond pas\u00a0: {error}", file=sys.stderr)
        return 1
    if request.report is not None:
        write(report, request.report)
    _print("".join(f"{line}\n" for line in told(report, dry_run=request.dry_run)))
    return 0


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # A reader that stops early (`| head`) is no error; nor is what is left to flush at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def told(report: Report, *, dry_run: bool) -> Iterator[str]:
    """The report in sentences, for the person at the terminal."""
    yield f"Source « {report.source} » : {len(report.entries)} lignes lues."
    if dry_run:
        yield "Essai seulement : rien n’est écrit."
    for outcome, words in _OUTCOMES.items():
        if number := report.counts[outcome]:
            yield f"  {number:>5}  {words}"
    listed = [entry for entry in report.entries if entry.texts]
    if listed:
        yield ""
    for entry in listed:
        yield from _explained(entry)


_OUTCOMES = {
    Outcome.CREATED: "ajoutées",
    Outcome.UPDATED: "mises à jour",
    Outcome.CANCELLED: "annulées, et les personnes inscrites averties",
    Outcome.UNCHANGED: "inchangées depuis la dernière fois",
    Outcome.KEPT: "gardées comme elles sont ici",
    Outcome.REFUSED: "refusées (la raison suit)",
    Outcome.GONE: "encore au calendrier, mais plus dans la liste",
}


def _explained(entry: Entry) -> Iterator[str]:
    where = f"ligne {entry.number}" if entry.number is not None else "hors de la liste"
    yield f"{where} · {entry.title or '(sans titre)'} · {entry.id or '(sans id)'}"
    for text in entry.texts:
        yield f"    {text}"


def write(report: Report, path: Path) -> None:
    """The report for machines: JSON, or CSV with one line per reason."""
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            table = csv.writer(file)
            table.writerow(["outcome", "row", "id", "title", "reason", "text"])
            table.writerows(_csv_rows(report.entries))
        return
    items = {"source": report.source, "counts": report.counts, "items": report.as_dicts()}
    path.write_text(json.dumps(items, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _csv_rows(entries: Iterable[Entry]) -> Iterator[list[str]]:
    for entry in entries:
        number = "" if entry.number is None else str(entry.number)
        for reason, text in zip(entry.reasons or ("",), entry.texts or ("",), strict=True):
            cells = [entry.outcome.value, number, entry.id, entry.title, reason, text]
            # A spreadsheet would run a cell that starts like a formula; the listing is a stranger's.
            yield [f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell for cell in cells]


def _read_command_line(arguments: Sequence[str] | None) -> Request:
    parser = argparse.ArgumentParser(prog="python -m deploy.import_events", description=__doc__)
    parser.add_argument("listing", type=Path, metavar="LISTE.csv", help="le fichier CSV, en UTF-8")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--municipality", metavar="VILLE", help="la ville des lieux, par exemple Laval")
    where.add_argument("--region", metavar="CODE", help="la région des lieux, par exemple 13")
    parser.add_argument("--source", help="le nom du calendrier d’origine (sinon celui du fichier)")
    parser.add_argument("--capacity", type=_seats, default=20, help="places par séance avec inscription")
    parser.add_argument("--dry-run", action="store_true", help="dire ce qui se passerait, sans rien écrire")
    parser.add_argument("--report", type=Path, metavar="RAPPORT", help="écrire le rapport en .json ou .csv")
    given = parser.parse_args(arguments)
    options = Options(
        source=given.source or given.listing.stem,
        municipality=given.municipality,
        region=given.region,
        capacity=given.capacity,
    )
    return Request(given.listing, options, given.dry_run, given.report)


def _seats(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 10_000:
        raise ValueError(text)
    return number


async def imported(request: Request, content: bytes, instance: str, url: str) -> Report:
    """Import into the events service's database at `url`. Raises `BadListing`."""
    database = Database(url, application_name="tournee import")
    try:
        # What a dry run writes is rolled back: it says exactly what the real one would.
        unit = database.reading() if request.dry_run else database.transaction()
        async with unit as session:
            return await import_listing(session, instance, content, request.options)
    finally:
        await database.close()


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadListing(
                f"Le fichier dépasse {LARGEST_FILE // 1_000_000}\u00a0Mo. Coupez-le en plusieurs."
            )
        return path.read_bytes()
    except OSError as error:
        raise BadListing(f"{path} ne peut pas être lu\u00a0: {error.strerror}.") from error


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    """The URL of the events service's database; the embedded server runs at least as long as the block."""
    if settings.database_url is not None:
        secret = settings.secret if settings.secret_key else _kept_secret(settings)
        server = server_database(settings.database_url)
        yield service_url(server, settings.instance, "events", secret)
        return
    folder = settings.data_dir.resolve()
    if not (folder / "postgres").is_dir():
        raise BadSettings(f"DATA_DIR ({folder}) ne contient pas d’instance. Lancez d’abord « make run ».")
    with _embedded(folder) as server:
        yield service_url(server, settings.instance, "events", _kept_secret(settings))


@contextmanager
def _embedded(folder: Path) -> Iterator[str]:
    """The server of a running instance, or our own while nobody else runs it."""
    try:
        data = DataDir.open(folder)
    except DataDirBusy:
        yield postgres.server_url(folder)
        return
    try:
        with postgres.running(folder) as url:
            yield url
    finally:
        data.close()


def _kept_secret(settings: Settings) -> str:
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    try:
        return (settings.data_dir / "secret-key").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSettings(f"SECRET_KEY manque, et {settings.data_dir}/secret-key aussi.") from error


if __name__ == "__main__":
    sys.exit(main())
