"""What is put to the test: one embedded PostgreSQL and four processes of the service, each started again."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from deploy import postgres
from libs.database import database_name, in_database
from libs.messaging.postgres import PostgresBus, bus_url
from tests.chaos.wire import Away, Lost, Wire

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-secret-for-the-chaos-campaign"
ADMIN_TOKEN = "an-admin-token-for-the-chaos"
SERVICE = "registrations"
_AWAY_AT_START = ("DATABASE_URL, BUS_URL : ", "DATABASE_URL : ", "DETAIL: ", "HINT: ")
"""How a start is given up while PostgreSQL is away."""
_TOLD_TO_END = ("timeout graceful shutdown exceeded",)
"""What the web server says of requests that it can't wait for; their clients are put off."""
_KAFKA_AWAY = (
    "Unable connect to",
    "Unable to update metadata",
    "NodeNotReadyError",
    "KafkaConnectionError",
    "RequestTimedOutError",
    "CoordinatorNotAvailableError",
    "NotLeaderForPartitionError",
    "Heartbeat session expired",
)
"""What the client calls an error while its broker is away, though it goes on by itself."""


class Worker:
    """`python -m deploy.service SERVICE` on its own port, started again whenever it ends.

    Without a service it is `python -m deploy.local`, a whole instance, which talks to its operator too.
    """

    def __init__(
        self, number: int, environment: Mapping[str, str], log: Path, service: str | None = SERVICE
    ) -> None:
        self.number = number
        self.service = service
        self.name = f"process {number}" if service == SERVICE else log.stem
        self.port = _free_port()
        self.log = log
        self.starts = 0
        self.failed_starts = 0
        self.wrong: list[str] = []
        self._environment = {**os.environ, **environment, "PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = asyncio.Event()
        self._asked: signal.Signals | None = None

    async def keep_running(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            process = self._launch()
            watching = asyncio.create_task(self._become_ready())
            while process.poll() is None and not stop.is_set():  # noqa: ASYNC110 - a process is no event
                await asyncio.sleep(0.05)
            watching.cancel()
            if not stop.is_set():
                self._judge_end(process.returncode)
                await asyncio.sleep(0.1)

    async def ready(self) -> None:
        await self._ready.wait()

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    def send(self, number: signal.Signals) -> None:
        """Kill, stop, freeze or thaw the process, if it is there."""
        if self._process is not None and self._process.poll() is None:
            if number in {signal.SIGKILL, signal.SIGTERM}:
                self._asked = number
            self._process.send_signal(number)

    def end(self) -> None:
        """Stop it for good."""
        if self._process is None:
            return
        for number in (signal.SIGCONT, signal.SIGTERM):
            self.send(number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.wrong.append(f"{self.name} did not end within 30 s of SIGTERM")
            self._process.kill()
            self._process.wait()

    def errors(self) -> list[str]:
        """What it logged as an error, and what it said that is no log line at all."""
        lines = [line for line in self.log.read_text("utf-8", "replace").splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("{") and '"info"' not in line[:200]]
        errors = [line for line in errors if orjson.loads(line)["level"] in {"error", "critical"}]
        errors = [line for line in errors if not any(told in line for told in _TOLD_TO_END)]
        errors = [line for line in errors if not _is_of_kafka_being_away(orjson.loads(line))]
        strange = [line for line in lines if not line.startswith(("{", *_AWAY_AT_START))]
        if self.service is None:
            strange = [line for line in strange if line.startswith("Traceback")]
        return [f"{self.name}: {line:.3000}" for line in (*errors[:3], *strange[-12:])]

    def state(self) -> str:
        alive = self._process is not None and self._process.poll() is None
        said = self.log.read_text("utf-8", "replace")[-1500:]
        return f"{self.name}: alive {alive}, ready {self.is_ready}, started {self.starts}:\n{said}"

    def _launch(self) -> subprocess.Popen[bytes]:
        self._asked = None
        self.starts += 1
        program = ["deploy.local"] if self.service is None else ["deploy.service", self.service]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *program],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        return self._process

    async def _become_ready(self) -> None:
        wire = Wire(patience=5)
        path = "/health" if self.service is None else f"/health/{self.service}"
        try:
            while True:
                with suppress(Away, Lost):
                    answer = await wire.request(self.port, "GET", path, {})
                    if answer.status == 200:
                        self._ready.set()
                        return
                await asyncio.sleep(0.05)
        finally:
            wire.close()

    def _judge_end(self, code: int) -> None:
        """It may end when it is told to, and give up a start while PostgreSQL is away; nothing else."""
        was_ready = self._ready.is_set()
        self._ready.clear()
        asked = self._asked
        if asked is signal.SIGKILL or (asked is signal.SIGTERM and code in {0, -signal.SIGTERM}):
            return
        if not was_ready:
            self.failed_starts += 1
            return
        self.wrong.append(f"{self.name} ended by itself with code {code}: see {self.log}")


class Instance:
    """The server and the processes; `seed` decides nothing here, the ports are whatever is free."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        self.server = postgres.start(folder)
        self.url = self.server.url
        self.environment = {
            "DATABASE_URL": self.url,
            "DATA_DIR": str(folder),
            "SECRET_KEY": SECRET,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "PUBLIC_URL": "http://127.0.0.1:8000",
            "SMTP_URL": "smtp://127.0.0.1:9",
            "DEMO": "0",
        }
        self.workers = [
            Worker(number, self.environment, folder / f"service-{number}.log") for number in range(workers)
        ]
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """The first process makes the databases, the others find them."""
        self._tasks.append(asyncio.create_task(self.server.keep_running(self._stop)))
        for worker in self.workers:
            self._tasks.append(asyncio.create_task(worker.keep_running(self._stop)))
            if worker is self.workers[0]:
                await self._unless_broken(worker.ready())
        await self._unless_broken(self.all_ready())

    async def all_ready(self) -> None:
        """Wait until every process answers; raises when what starts them again has broken."""
        ready: asyncio.Future[list[None]] = asyncio.gather(*(worker.ready() for worker in self.workers))
        awaited: list[asyncio.Future[Any]] = [ready, *self._tasks]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()
        await ready

    def state(self) -> str:
        """How everything stands, for whoever has to find out why something hangs."""
        lines = [f"PostgreSQL {self.server.pid}: {(self.folder / 'postgres.log').read_text()[-1000:]}"]
        lines += [f"what starts things again: {task}" for task in self._tasks if task.done()]
        return "\n".join(lines + [worker.state() for worker in self.workers])

    async def stop_workers(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for worker in self.workers:
            worker.end()

    async def _unless_broken(self, ready: object) -> None:
        """A process that can't start at all says so at once."""
        assert asyncio.iscoroutine(ready)
        task = asyncio.create_task(ready)
        while not task.done():
            broken = [worker for worker in self.workers if worker.failed_starts > 2]
            if broken:
                task.cancel()
                raise RuntimeError(broken[0].log.read_text("utf-8", "replace")[-3000:])
            await asyncio.wait([task], timeout=0.1)

    @asynccontextmanager
    async def database(self, name: str = SERVICE) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """The administrator's connection to the database of a service, or of the `bus`."""
        connection = await asyncpg.connect(in_database(self.url, database_name("demo", name)))
        try:
            yield connection
        finally:
            await connection.close()

    def bus_of(self, service: str) -> PostgresBus:
        return PostgresBus(bus_url(self.url, "demo", service, SECRET))


def _is_of_kafka_being_away(line: Mapping[str, Any]) -> bool:
    if line["logger"] == "libs.messaging.kafka.troubles":
        return True
    by_client = str(line["logger"]).startswith("aiokafka")
    return by_client and any(reason in line["message"] for reason in _KAFKA_AWAY)


def _free_port() -> int:
    """Below what the kernel hands out, so that no client's own end takes it while a process is away."""
    for port in random.sample(range(12_000, 20_000), 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")
