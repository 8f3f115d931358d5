"""A whole instance as plain processes on one machine: `python -m deploy.cluster`.

PostgreSQL (unless DATABASE_URL is given), `--replicas` processes of each service on loopback ports, what
concerns them all (`deploy.operations`), and Caddy in front of them on HOST:PORT. With SIGUSR1, or
`python -m deploy.cluster restart`, one replica after the other is replaced while the others answer.
"""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx

from deploy import postgres, proxy
from deploy.binaries import NoPostgres
from deploy.buses import server_database
from deploy.datadir import DataDir, DataDirBusy, DataDirUnusable, holder
from deploy.ending import Ending
from deploy.hosting import listening_socket, prepare
from deploy.local import completed, say, tell_ready
from deploy.programs import Programs, programs
from libs.settings import BadSettings, Settings, read_settings
from libs.web import logs
from libs.web.loops import Loops

_CADDY_HAS_LOOKED = 2.0
"""Seconds: twice the `health_interval` of the Caddyfile."""


def main() -> int:
    """The exit code: 0 asked to stop, 1 can't start, 2 a bad setting, 70 a program can't be kept running."""
    parser = argparse.ArgumentParser(prog="python -m deploy.cluster")
    parser.add_argument("command", nargs="?", choices=["start", "restart"], default="start")
    parser.add_argument("--replicas", type=int, default=2, help="processes of each service (2)")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        settings = read_settings()
        if given.command == "restart":
            return _restart(settings.data_dir)
        return _with_settings(settings, given.replicas)
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    except (DataDirBusy, DataDirUnusable, postgres.CannotStart, NoPostgres, proxy.NoCaddy) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _restart(data_dir: Path) -> int:
    pid = holder(data_dir)
    if pid is None:
        print(f"Rien ne fonctionne sur {data_dir}.", file=sys.stderr)
        return 1
    os.kill(pid, signal.SIGUSR1)
    say(f"Demandé au processus {pid}, qui dit où il en est.")
    return 0


@dataclass(frozen=True, slots=True)
class _Instance:
    """What the start has settled before the database is there."""

    settings: Settings
    replicas: int
    shows_token: bool


def _with_settings(read: Settings, replicas: int) -> int:
    logs.configure()
    proxy.command()
    data = DataDir.open(read.data_dir)
    port = read.port or postgres.free_port()
    # The proxy takes it; this is to say at once, and in a sentence, that it can't be had.
    listening_socket(read.model_copy(update={"port": port})).close()
    given = _Instance(completed(read, data, port), replicas, shows_token=read.admin_token is None)
    if read.database_url is not None:
        return asyncio.run(_run(given, server_database(read.database_url), None))
    say("PostgreSQL démarre…")
    server = postgres.start(data.path)
    try:
        return asyncio.run(_run(given, server.url, server))
    finally:
        server.stop()


async def _run(instance: _Instance, server_url: str, server: postgres.EmbeddedServer | None) -> int:
    ending = Ending()
    ending.on_signals()
    try:
        await _live(instance, server_url, server, ending)
    except asyncio.CancelledError:
        if not ending.event.is_set():
            raise
    return ending.exit_code


async def _live(
    instance: _Instance, server_url: str, server: postgres.EmbeddedServer | None, ending: Ending
) -> None:
    """Everything, from the databases to the last program. `server` is None for a DATABASE_URL."""

    def crash(name: str, error: BaseException) -> None:
        print(error, file=sys.stderr, flush=True)
        ending.crash(name, error)

    restart = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, restart.set)
    say("Les bases de données se préparent…")
    await prepare(server_url, instance.settings)
    async with AsyncExitStack() as stack:
        if server is not None:
            watch = Loops({"postgres": server.keep_running}, lambda: ending.crash)
            await stack.enter_async_context(watch.running())
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=5))
        started = programs(instance.settings, server_url, instance.replicas, client)
        say(f"{len(started.all)} processus démarrent…")
        running = Loops({one.name: one.keep_running for one in started.all}, lambda: crash)
        await stack.enter_async_context(running.running())
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(_look_after(started, instance, ending, restart))
            await ending.event.wait()
            beside.cancel()


async def _look_after(started: Programs, instance: _Instance, ending: Ending, restart: asyncio.Event) -> None:
    """Say when all is ready, then replace the replicas whenever that is asked for."""
    for program in started.all:
        await program.ready()
    ending.started()
    await tell_ready(instance.settings, instance.shows_token)
    while True:
        await restart.wait()
        restart.clear()
        say("Redémarrage en roulement…")
        for replica in started.replicas:
            await replica.replace()
            # The next one leaves once the proxy knows of the successor.
            await asyncio.sleep(_CADDY_HAS_LOOKED)
            say(f"  {replica.name} a redémarré.")
        say("Redémarrage en roulement terminé.")


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """A signal before the event loop takes them over: unwind as for Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
