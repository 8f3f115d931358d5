"""A whole instance as plain processes on one machine: `python -m deploy.cluster`.

PostgreSQL (unless DATABASE_URL is given), Kafka with `--kafka` (else the bus is BUS_URL's, or PostgreSQL's),
`--replicas` processes of each service on loopback ports, what concerns them all (`deploy.operations`), and
Caddy in front of them on HOST:PORT. With SIGUSR1, or `python -m deploy.cluster restart`, one replica after
the other is replaced while the others answer.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from functools import partial
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
from deploy.kafka import broker, programs
from deploy.kafka.jars import NoKafka
from deploy.local import completed, say, tell_ready
from deploy.programs import Programs, all_programs
from libs.messaging.backoff import pause
from libs.settings import BadSettings, Settings, read_settings
from libs.web import logs
from libs.web.loops import Loop, Loops

_CADDY_HAS_LOOKED = 2.0
"""Seconds: twice the `health_interval` of the Caddyfile."""


_CANNOT_START = (
    DataDirBusy,
    DataDirUnusable,
    postgres.CannotStart,
    NoPostgres,
    proxy.NoCaddy,
    NoKafka,
    programs.CannotStart,
)


def main() -> int:
    """The exit code: 0 asked to stop, 1 can't start, 2 a bad setting, 70 a program can't be kept running."""
    parser = argparse.ArgumentParser(prog="python -m deploy.cluster")
    parser.add_argument("command", nargs="?", choices=["start", "restart"], default="start")
    parser.add_argument("--kafka", action="store_true", help="start Apache Kafka too, as the bus")
    parser.add_argument("--replicas", type=int, default=2, help="processes of each service (2)")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        settings = read_settings()
        if given.command == "restart":
            return _restart(settings.data_dir)
        return _with_settings(settings, given.replicas, with_kafka=given.kafka)
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    except _CANNOT_START as error:
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
    server_url: str = ""
    servers: Mapping[str, Loop] = field(default_factory=dict)
    """What watches over the servers that we started ourselves."""


def _with_settings(read: Settings, replicas: int, *, with_kafka: bool) -> int:
    logs.configure()
    proxy.command()
    data = DataDir.open(read.data_dir)
    port = read.port or postgres.free_port()
    # The proxy takes it; this is to say at once, and in a sentence, that it can't be had.
    listening_socket(read.model_copy(update={"port": port})).close()
    settings = completed(read, data, port)
    servers: dict[str, Loop] = {}
    with ExitStack() as stack:
        if settings.database_url is not None:
            server_url = server_database(settings.database_url)
        else:
            say("PostgreSQL démarre…")
            server = postgres.start(data.path)
            stack.callback(server.stop)
            server_url, servers["postgres"] = server.url, server.keep_running
        if with_kafka:
            say("Kafka démarre…")
            kafka = _kafka(data)
            stack.callback(kafka.stop)
            kafka.start()
            settings = settings.model_copy(update={"bus_url": kafka.url()})
            servers["kafka"] = partial(_keep_running, kafka)
        given = _Instance(settings, replicas, read.admin_token is None, server_url, servers)
        return asyncio.run(_run(given))


def _kafka(data: DataDir) -> broker.Cluster:
    """One broker with its data beside PostgreSQL's, on the port that it had before."""
    port = int(data.kept("kafka-port", lambda: str(postgres.free_port())))
    return broker.Cluster(data.path / "kafka", port=port)


async def _keep_running(kafka: broker.Cluster, stop: asyncio.Event) -> None:
    """Start the broker again, on the same port, whenever it dies before `stop` is set."""
    (node,) = kafka.nodes
    while not stop.is_set():
        await pause(stop, 0.5)
        if node.running is not None and not node.running.alive and not stop.is_set():
            say("Kafka s’est arrêté : nouveau démarrage.")
            # Started here and not in the thread: the kernel ties the death signal to who starts it.
            node.start()
            await asyncio.to_thread(node.wait_until_ready)


async def _run(instance: _Instance) -> int:
    ending = Ending()
    ending.on_signals()
    try:
        await _live(instance, ending)
    except asyncio.CancelledError:
        if not ending.event.is_set():
            raise
    return ending.exit_code


async def _live(instance: _Instance, ending: Ending) -> None:
    """Everything, from the databases to the last program."""

    def crash(name: str, error: BaseException) -> None:
        print(error, file=sys.stderr, flush=True)
        ending.crash(name, error)

    restart = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, restart.set)
    say("Les bases de données se préparent…")
    await prepare(instance.server_url, instance.settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Loops(instance.servers, lambda: crash).running())
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=5))
        started = all_programs(instance.settings, instance.server_url, instance.replicas, client)
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
