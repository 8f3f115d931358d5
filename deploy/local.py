"""The one-process runner behind `make run`: a whole instance on one port, from an empty folder."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import NoReturn

import asyncpg
import uvloop
from pydantic import SecretStr

from deploy import mailcatcher, postgres
from deploy.binaries import NoPostgres
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
    server_database,
)
from deploy.mailbox import Mailbox
from deploy.parent import die_with_parent
from libs.settings import BadSettings, Settings, read_settings
from libs.web import logs
from libs.web.loops import Loops


def main() -> int:
    """The exit code: 0 asked to stop, 1 can't start, 2 a bad setting, 70 broken from inside."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local")
    parser.add_argument("--until-parent-ends", action="store_true", help="end when the starting process does")
    if parser.parse_args().until_parent_ends:
        # Without make there would be nobody left to pass Ctrl-C on, and the next start would find us here.
        die_with_parent(signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        return _with_settings(read_settings())
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    except (DataDirBusy, DataDirUnusable, postgres.CannotStart, NoPostgres) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _with_settings(settings: Settings) -> int:
    logs.configure(level=logging.WARNING if sys.stderr.isatty() else logging.INFO)
    data = DataDir.open(settings.data_dir)
    address = listening_socket(settings)
    settings = _completed(settings, data, address.getsockname()[1])
    if settings.database_url is not None:
        return uvloop.run(_run(settings, server_database(settings.database_url), address, None))
    _say("PostgreSQL démarre…")
    server = postgres.start(data.path)
    try:
        return uvloop.run(_run(settings, server.url, address, server))
    finally:
        server.stop()


def _completed(settings: Settings, data: DataDir, port: int) -> Settings:
    """The settings with what nobody chose: secrets made once and kept in DATA_DIR, the port taken."""
    chosen: dict[str, object] = {"port": port, "data_dir": data.path}
    if settings.secret_key is None:
        chosen["secret_key"] = SecretStr(data.kept("secret-key"))
    if settings.admin_token is None:
        chosen["admin_token"] = SecretStr(data.kept("admin-token"))
    if settings.calendar_domain is None:
        # Kept, because the calendars of people who registered know it.
        chosen["calendar_domain"] = data.kept("calendar-domain", partial(calendar_domain, settings))
    return settings.model_copy(update=chosen)


async def _run(
    settings: Settings,
    server_url: str,
    address: socket.socket,
    server: postgres.EmbeddedServer | None,
) -> int:
    ending = Ending()
    ending.on_signals()
    try:
        await _live(settings, server_url, address, server, ending)
    except asyncio.CancelledError:
        if not ending.event.is_set():
            raise
    return ending.exit_code


async def _live(
    settings: Settings,
    server_url: str,
    address: socket.socket,
    server: postgres.EmbeddedServer | None,
    ending: Ending,
) -> None:
    """The whole instance, from its databases to its last request."""
    _say("Les bases de données se préparent…")
    await _prepared(settings, server_url)
    async with AsyncExitStack() as stack:
        if server is not None:
            watch = Loops({"postgres": server.keep_running}, lambda: ending.crash)
            await stack.enter_async_context(watch.running())
        mailbox = Mailbox(settings.data_dir / CATCHER) if settings.smtp_url is None else None
        smtp_url = await stack.enter_async_context(mailcatcher.catching(mailbox)) if mailbox else None
        # The others' settings still say that no mail server was chosen.
        mailing = settings.model_copy(update={"smtp_url": smtp_url or settings.smtp_url})
        services = {
            name: await stack.enter_async_context(
                opened(name, mailing if name == "notifications" else settings, server_url)
            )
            for name in SERVICES
        }
        catching = replace(services["events"], name=CATCHER)
        catcher = mailcatcher.create(catching, mailbox) if mailbox else None
        apps = {name: create(service) for name, service in services.items()}
        for app in apps.values():
            await stack.enter_async_context(running(app, ending))
        dispatch = Dispatch(apps, catcher, https=settings.base_url.startswith("https:"))
        await serve(dispatch, address, ending, partial(_ready, settings))


async def _prepared(settings: Settings, server_url: str) -> None:
    try:
        await prepare(server_url, settings)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if settings.database_url is None:
            raise
        raise BadSettings(f"DATABASE_URL : le serveur ne peut pas servir ({error}).") from error


async def _ready(settings: Settings) -> None:
    """Once requests are answered: the demonstration, if wanted, then where to go."""
    base = settings.base_url
    places = [
        ("Calendrier", f"{base}/"),
        ("Coordination (lien de connexion)", f"{base}/connexion/{_token(settings)}"),
        ("Guichet", f"{base}/guichet"),
    ]
    if settings.smtp_url is None:
        places.append(("Boîte d’envoi", f"{base}/boite-envoi"))
    _say("\nTournée est prête. Ouvrez :")
    for name, place in places:
        _say(f"  {name:<34}{place}")
    _say("\nPour arrêter : Ctrl+C.")


def _token(settings: Settings) -> str:
    assert settings.admin_token is not None
    return settings.admin_token.get_secret_value()


def _say(text: str) -> None:
    print(text, flush=True)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """A signal before the event loop takes them over: unwind as for Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
