"""The regions and the nation as whole instances: their processes, their databases, what is asked of them."""

import asyncio
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from deploy import postgres
from libs.database import database_name, in_database
from libs.messaging import topics
from libs.messaging.bus import JsonHeaders, Message
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.signing import new_secret
from tests.chaos.instance import ADMIN_TOKEN, ROOT, SECRET, Worker
from tests.flows.country import read_all

STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
LOG = ("sessions", "seats", "reach", "registrations")
"""The streams that are held against the tables."""


class Instance(ABC):
    """Some processes and their PostgreSQL. `environment` is what its operators' commands need."""

    def __init__(self, slug: str, folder: Path) -> None:
        self.slug, self.folder = slug, folder
        folder.mkdir(mode=0o711)
        self.signing_key = new_secret()
        self.workers: list[Worker] = []
        self.environment: dict[str, str] = {
            "INSTANCE": slug,
            "INSTANCE_NAME": slug.title(),
            "SECRET_KEY": f"{SECRET}-{slug}",
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "PUBLIC_URL": f"http://{slug}.example",
            "SIGNING_KEY": self.signing_key,
            "DATA_DIR": str(folder),
            "DEMO": "0",
        }

    @property
    @abstractmethod
    def url(self) -> str:
        """The administrator's address of its PostgreSQL."""

    @abstractmethod
    async def prepare(self) -> None:
        """What has to be there before its processes begin."""

    @abstractmethod
    def kill_postgres(self) -> None:
        """Kill -9 the postmaster; whoever watches over it starts it again."""

    @abstractmethod
    def keeping(self, stop: asyncio.Event) -> Sequence[asyncio.Task[None]]:
        """Start everything, and start it again whenever it ends before `stop` is set."""

    async def rows(self, service: str, query: str, *values: object) -> list[asyncpg.Record]:
        """What one of its databases holds, as the server's administrator reads it."""
        connection = await asyncpg.connect(in_database(self.url, database_name(self.slug, service)))
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    async def on_the_server(self, statement: str, *values: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    def ports(self, service: str) -> list[int]:
        """Where a service answers."""
        return [worker.port for worker in self.workers if worker.service in {service, None}]

    async def command(self, module: str, *arguments: str) -> tuple[int, str]:
        """A command of its operators: its exit code, and what it printed."""
        return await run(module, self.environment, *arguments)

    async def healths(self, client: httpx.AsyncClient) -> list[Mapping[str, int]]:
        """The figures of every service of every process. Raises when one doesn't answer that it is ready."""
        found: list[Mapping[str, int]] = []
        for worker in self.workers:
            path = "/health" if worker.service is None else f"/health/{worker.service}"
            answer = await client.get(f"http://127.0.0.1:{worker.port}{path}")
            answer.raise_for_status()
            said = answer.json()
            found += said["services"].values() if worker.service is None else [said]
        return found

    def end(self) -> None:
        for worker in self.workers:
            worker.end()


class Separate(Instance):
    """Processes of their own for each service, on a PostgreSQL of their own, with Kafka as the bus."""

    def __init__(
        self, slug: str, folder: Path, bus_url: str, services: Sequence[str], **environment: str
    ) -> None:
        super().__init__(slug, folder)
        self.server = postgres.start(folder)
        self._bus_url = bus_url
        self.environment |= environment | {"DATABASE_URL": self.server.url, "BUS_URL": bus_url}
        # The services come without the administrator's name, as their operator would have it.
        parts = urlsplit(self.server.url)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        for number, service in enumerate(services):
            log = folder / f"{slug}-{service}-{number}.log"
            own = self.environment | {"DATABASE_URL": bare}
            self.workers.append(Worker(number, own, log, service))

    @property
    def url(self) -> str:
        return self.server.url

    async def prepare(self) -> None:
        code, said = await self.command("deploy.prepare")
        assert code == 0, said

    def kill_postgres(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.server.pid, signal.SIGKILL)

    def keeping(self, stop: asyncio.Event) -> Sequence[asyncio.Task[None]]:
        server = asyncio.create_task(self.server.keep_running(stop))
        return [server, *(asyncio.create_task(worker.keep_running(stop)) for worker in self.workers)]

    def end(self) -> None:
        super().end()
        self.server.stop()

    async def log(self) -> dict[str, list[Message]]:
        """What its bus holds, by the name of the stream."""
        bus = KafkaBus(self._bus_url, instance=self.slug, service="proof")
        try:
            return {name: await read_all(bus, topics.named(name)) for name in LOG}
        finally:
            await bus.close()


class Embedded(Instance):
    """One process with its own PostgreSQL, as `make run` starts it; it speaks to the nation by the bridge."""

    def __init__(self, slug: str, folder: Path, national_bus_url: str, **environment: str) -> None:
        super().__init__(slug, folder)
        self.environment |= environment | {"NATIONAL_BUS_URL": national_bus_url}
        self.workers.append(Worker(0, self.environment, folder.parent / f"{slug}.log", None))

    @property
    def url(self) -> str:
        return postgres.server_url(self.folder)

    async def prepare(self) -> None:
        """It does that by itself."""

    def kill_postgres(self) -> None:
        with suppress(OSError, ValueError, IndexError):
            pid = int((self.folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGKILL)

    def keeping(self, stop: asyncio.Event) -> Sequence[asyncio.Task[None]]:
        return [asyncio.create_task(worker.keep_running(stop)) for worker in self.workers]

    async def log(self) -> dict[str, list[Message]]:
        """What its bus holds, by the name of the stream."""
        found: dict[str, list[Message]] = {}
        for name in LOG:
            rows = await self.rows("bus", f"select key, value, headers from bus.log_{name} order by position")
            found[name] = [
                Message(topics.named(name), row["key"], row["value"], row["key"], JsonHeaders(row["headers"]))
                for row in rows
            ]
        return found


Region = Separate | Embedded


async def run(module: str, environment: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """A command to its end: its exit code, and what it printed."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()
