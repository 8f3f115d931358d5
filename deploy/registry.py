"""The registry of the national view, for its operators: `python -m deploy.registry`.

    list
    register estrie "BIBLIO Estrie" --key BASE64 --region 05 --region 16:2021-01-01: --reason "Convention 12"
    add-key estrie BASE64 --from 2027-05-01T00:00:00-04:00 --until … --reason …
    end-key estrie KEY-ID [--at …] --reason …        revoke-key estrie KEY-ID --reason …
    regions estrie 05 16:2021-01-01:2030-01-01 --reason …
    suspend | activate | retire estrie --reason …    confirm-epoch estrie 2 --reason …
    give-session estrie SESSION-ID --reason …        log [estrie]

Every change is logged with the account that made it and its reason. What waits in quarantine for it is
replayed at once.
"""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from deploy.reached import reached
from libs.clock import utc_now
from libs.database import Database, service_url
from libs.messaging.signing import key_id_of, read_key
from libs.settings import BadSettings
from libs.web.problems import Problem
from services.national import queries, registry
from services.national.believing import Region
from services.national.registry import By
from services.national.replaying import replay

Change = Callable[[AsyncSession, By, argparse.Namespace], Awaitable[object]]


def main() -> int:
    """The exit code: 0 done, 1 refused, 2 a setting is bad or nothing is there."""
    given = _parser().parse_args()
    try:
        settings, server = reached()
        url = service_url(server, settings.instance, "national", settings.secret)
        return asyncio.run(_run(url, given))
    except BadSettings as error:
        print(error, file=sys.stderr)
    except OSError:
        print("La base de données ne répond pas. Démarrez l’instance, puis recommencez.", file=sys.stderr)
    return 2


async def _run(url: str, given: argparse.Namespace) -> int:
    database = Database(url, application_name="tournee registry")
    try:
        if given.command == "list":
            await _list(database)
            return 0
        if given.command == "log":
            await _log(database, given.instance)
            return 0
        return await _change(database, given)
    finally:
        await database.close()


async def _change(database: Database, given: argparse.Namespace) -> int:
    change: Change = given.change
    by = By(getpass.getuser(), given.reason)
    try:
        async with database.transaction() as session:
            await change(session, by, given)
    except Problem as problem:
        print(f"{problem.title}. {problem.detail or ''}".strip(), file=sys.stderr)
        return 1
    done = await replay(database, [given.instance])
    print("C’est fait.")
    if done.applied or done.left:
        print(f"Quarantaine : {done.applied} messages pris en compte, {done.left} encore en attente.")
    return 0


async def _register(session: AsyncSession, by: By, given: argparse.Namespace) -> None:
    await registry.register(session, by, given.instance, given.name, given.regions)
    if given.key is not None:
        await registry.add_key(session, by, given.instance, given.key, given.valid_from, given.valid_until)


async def _list(database: Database) -> None:
    now = utc_now()
    async with database.reading() as session:
        rows = await queries.instances(session)
    for row in rows:
        seen = row["last_seen"]
        heard = f"entendue il y a {(now - seen).total_seconds():.0f} s" if seen else "jamais entendue"
        regions = " ".join(one["region"] for one in row["regions"]) or "toutes les régions"
        print(f"{row['instance']:<20}{row['status']:<12}époque {row['epoch']:<4}{regions} – {heard}")
        for key in row["keys"]:
            until = (key["revoked_at"] and "révoquée") or key["valid_until"] or "sans fin"
            print(f"    clé {key['key_id']}  dès {key['valid_from']}  {until}")
        if row["quarantined"]:
            print(f"    en quarantaine : {row['quarantined']}")


async def _log(database: Database, instance: str | None) -> None:
    async with database.reading() as session:
        rows = await queries.log(session, instance, 0, 500)
    for row in reversed(rows):
        print(f"{row['at']:%Y-%m-%d %H:%M:%S}  {row['who']}  {row['instance']}  {row['what']}")
        print(f"    {row['reason']}  {row['details']}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.registry")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every instance, its keys, when it was last heard")
    log = commands.add_parser("log", help="every change, with who made it and why")
    log.add_argument("instance", nargs="?")

    def command(name: str, change: Change, explained: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=explained)
        added.add_argument("instance")
        added.add_argument("--reason", required=True, help="kept in the log")
        added.set_defaults(change=change)
        return added

    register = command("register", _register, "make an instance known")
    register.add_argument("name")
    register.add_argument("--key", type=_key, help="its public key, in base64")
    register.add_argument("--region", dest="regions", type=_region, action="append", default=[])
    _dates(register)
    add = command(
        "add-key",
        lambda s, by, g: registry.add_key(s, by, g.instance, g.key, g.valid_from, g.valid_until),
        "believe what another key signs too",
    )
    add.add_argument("key", type=_key, help="a public key, in base64")
    _dates(add)
    end = command(
        "end-key",
        lambda s, by, g: registry.end_key(s, by, g.instance, g.key_id, g.at),
        "believe nothing that a key signs from now on, or from --at",
    )
    end.add_argument("key_id")
    end.add_argument("--at", type=_moment)
    revoke = command(
        "revoke-key",
        lambda s, by, g: registry.revoke_key(s, by, g.instance, g.key_id),
        "believe nothing that a key has ever signed",
    )
    revoke.add_argument("key_id")
    regions = command(
        "regions",
        lambda s, by, g: registry.set_regions(s, by, g.instance, g.regions),
        "the regions that it may speak for: CODE or CODE:FROM:UNTIL; none means all",
    )
    regions.add_argument("regions", nargs="*", type=_region)
    command("suspend", lambda s, by, g: registry.suspend(s, by, g.instance), "believe nothing that comes")
    command("activate", lambda s, by, g: registry.activate(s, by, g.instance), "believe it again")
    command("retire", lambda s, by, g: registry.retire(s, by, g.instance), "it has ended; figures stay")
    epoch = command(
        "confirm-epoch",
        lambda s, by, g: registry.confirm_epoch(s, by, g.instance, g.epoch),
        "it was restored from a backup, as its operators say",
    )
    epoch.add_argument("epoch", type=int)
    give = command(
        "give-session",
        lambda s, by, g: registry.give_session(s, by, g.instance, g.session),
        "a session is this instance's, though another said it first",
    )
    give.add_argument("session", type=UUID)
    return parser


def _dates(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="valid_from", type=_moment, help="now, unless said")
    parser.add_argument("--until", dest="valid_until", type=_moment)


def _key(text: str) -> bytes:
    try:
        key = read_key(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    print(f"Clé {key_id_of(key)} : vérifiez ce nom au téléphone avec l’instance.")
    return key


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.astimezone()


def _region(text: str) -> Region:
    code, _, days = text.partition(":")
    first, _, last = days.partition(":")
    return Region(
        code,
        date.fromisoformat(first) if first else date(2000, 1, 1),
        date.fromisoformat(last) if last else None,
    )


if __name__ == "__main__":
    sys.exit(main())
