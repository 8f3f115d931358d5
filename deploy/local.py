"""The one-process runner behind `make run`: a whole instance on one port, from an empty folder."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import NoReturn

import httpx
import uvloop
from pydantic import SecretStr

from deploy import demo, mailcatcher, postgres, tallies
from deploy.audit import registrations_url
from deploy.binaries import NoPostgres
from deploy.buses import server_database
from deploy.datadir import DataDir, DataDirBusy, DataDirUnusable
from deploy.dispatch import CATCHER, Dispatch
from deploy.ending import Ending
from deploy.hosting import (
    SERVICES,
    calendar_domain,
    create,
    listening_socket,
    opened,
    prepare,
    running,
    serve,
)
from deploy.mailbox import Mailbox
from deploy.parent import die_with_parent, end_with_make
from libs.database import is_unavailable
from libs.messaging.signing import new_secret
from libs.settings import BadSettings, Settings, read_settings
from libs.web import logs
from libs.web.loops import Loops


def main() -> int:
    """The exit code: 0 asked to stop, 1 can't start, 2 a bad setting, 70 broken from inside."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local")
    parser.add_argument("--until-parent-ends", action="store_true", help="end when the starting process does")
    by_make: bool = parser.parse_args().until_parent_ends
    if by_make:
        # Without make there would be nobody left to pass Ctrl-C on, and the next start would find us here.
        die_with_parent(signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        return _with_settings(read_settings(), by_make=by_make)
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    except (DataDirBusy, DataDirUnusable, postgres.CannotStart, NoPostgres) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _with_settings(read: Settings, *, by_make: bool) -> int:
    logs.configure(level=logging.WARNING if sys.stderr.isatty() else logging.INFO)
    data = DataDir.open(read.data_dir)
    address = listening_socket(read)
    settings = completed(read, data, address.getsockname()[1])
    given = _Instance(settings, address, shows_token=read.admin_token is None, by_make=by_make)
    if settings.database_url is not None:
        return uvloop.run(_run(given, server_database(settings.database_url), None))
    say("PostgreSQL démarre…")
    server = postgres.start(data.path)
    try:
        return uvloop.run(_run(given, server.url, server))
    finally:
        server.stop()


def completed(settings: Settings, data: DataDir, port: int) -> Settings:
    """The settings with what nobody chose: secrets made once and kept in DATA_DIR, the port taken."""
    chosen: dict[str, object] = {
        "port": port,
        "data_dir": data.path,
        "mail_catcher": settings.smtp_url is None,
    }
    if settings.secret_key is None:
        chosen["secret_key"] = SecretStr(data.kept("secret-key"))
    if settings.admin_token is None:
        chosen["admin_token"] = SecretStr(data.kept("admin-token"))
    if settings.signing_key is None:
        chosen["signing_key"] = SecretStr(data.kept("signing-key", new_secret))
    if settings.calendar_domain is None:
        # Kept, because the calendars of people who registered know it.
        chosen["calendar_domain"] = data.kept("calendar-domain", partial(calendar_domain, settings))
    return settings.model_copy(update=chosen)


@dataclass(frozen=True, slots=True)
class _Instance:
    """What the start has settled before the database is there."""

    settings: Settings
    address: socket.socket
    shows_token: bool
    by_make: bool


async def _run(instance: _Instance, server_url: str, server: postgres.EmbeddedServer | None) -> int:
    ending = Ending()
    ending.on_signals()
    watch = asyncio.create_task(end_with_make(ending)) if instance.by_make else None
    try:
        await _live(instance, server_url, server, ending)
    except asyncio.CancelledError:
        if not ending.event.is_set():
            raise
    finally:
        if watch is not None:
            watch.cancel()
    return ending.exit_code


async def _live(
    instance: _Instance, server_url: str, server: postgres.EmbeddedServer | None, ending: Ending
) -> None:
    """Everything, from the databases to the last request. `server` is None for a DATABASE_URL."""
    settings = instance.settings
    say("Les bases de données se préparent…")
    try:
        await prepare(server_url, settings)
    except Exception as error:
        # Nobody watches over the embedded server yet: the next start finds whatever this one has made.
        if server is None or not is_unavailable(error):
            raise
        raise postgres.CannotStart("PostgreSQL s’est arrêté pendant la préparation : recommencez.") from error
    async with AsyncExitStack() as stack:
        if server is not None:
            watch = Loops({"postgres": server.keep_running}, lambda: ending.crash)
            await stack.enter_async_context(watch.running())
        mailbox = Mailbox(settings.data_dir / CATCHER) if settings.mail_catcher else None
        smtp_url = await stack.enter_async_context(mailcatcher.catching(mailbox)) if mailbox else None
        settings = settings.model_copy(update={"smtp_url": smtp_url or settings.smtp_url})
        services = {
            name: await stack.enter_async_context(opened(name, settings, server_url)) for name in SERVICES
        }
        catching = replace(services["events"], name=CATCHER)
        catcher = mailcatcher.create(catching, mailbox) if mailbox else None
        apps = {name: create(service) for name, service in services.items()}
        for app in apps.values():
            await stack.enter_async_context(running(app, ending))
        dispatch = Dispatch(apps, catcher, https=settings.base_url.startswith("https:"))
        await serve(dispatch, instance.address, ending, partial(tell_ready, settings, instance.shows_token))


async def tell_ready(settings: Settings, shows_token: bool) -> None:
    """Once requests are answered: the demonstration, if wanted, then where to go."""
    links = await _demonstrated(settings) if settings.demo else []
    base = settings.base_url
    # A token that the operator chose is the operator's to show.
    sign_in = f"{base}/connexion" + (f"/{_token(settings)}" if shows_token else "")
    places = [("Calendrier", f"{base}/"), ("Coordination (lien de connexion)", sign_in)]
    places += [("Guichet", f"{base}/guichet"), ("Vue nationale", f"{base}/national")]
    if settings.mail_catcher:
        places.append(("Boîte d’envoi", f"{base}/boite-envoi"))
    say("\nTournée est prête. Ouvrez :")
    for name, place in [*places, *links]:
        say(f"  {name:<34}{place}")
    say("\nPour arrêter : Ctrl+C.")
    if links:
        await _count(settings)


async def _demonstrated(settings: Settings) -> Sequence[tuple[str, str]]:
    """Fill an empty instance; what is worth opening in it. An instance without it is still an instance."""
    # This process's own address: the public one may lead through a proxy that isn't there yet.
    here = settings.model_copy(update={"public_url": None}).base_url
    say(f"Tournée répond sur {here}/")
    try:
        summary = await demo.load(here, _token(settings), settings.data_dir, say)
    except (demo.DemoFailed, httpx.HTTPError) as error:
        print(f"La démonstration n’a pas pu être chargée : {error}", file=sys.stderr)
        return []
    return summary.links if summary else []


async def _count(settings: Settings) -> None:
    """What the country is told nightly, told now: its indicators aren't empty on the first day."""
    try:
        await tallies.count(registrations_url(settings), settings)
    except Exception as error:
        if not is_unavailable(error):
            raise


def _token(settings: Settings) -> str:
    assert settings.admin_token is not None
    return settings.admin_token.get_secret_value()


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(text, flush=True)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """A signal before the event loop takes them over: unwind as for Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
