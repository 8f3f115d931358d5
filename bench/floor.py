"""The floor's process, and how it is set: its database, its pool, the bytes it keeps."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from bench import floors
from bench.load import load
from bench.people import registrations
from bench.processes import WebProcess, free_port
from bench.server import Connection, connected
from libs.database import in_database

DATABASE = "bench_floor"
POOLS = (1, 2, 4, 8, 16)
PLENTY = 100_000_000


@dataclass(frozen=True, slots=True)
class Floor:
    """The bare application, running; `database` is its own."""

    web: WebProcess
    database: Connection
    database_url: str

    async def sessions(self, count: int) -> list[UUID]:
        """New sessions with more seats than anybody can take."""
        ids = [uuid4() for _ in range(count)]
        await self.database.executemany(
            "insert into counter (session_id, seats) values ($1, $2)", [(id_, PLENTY) for id_ in ids]
        )
        return ids

    def claiming(self, sessions: Sequence[UUID]) -> list[str]:
        """The addresses that take a seat."""
        return [f"/sessions/{id_}/registrations" for id_ in sessions]

    async def clear(self) -> None:
        """Forget what earlier cases left: ours begins with empty tables too."""
        await self.database.execute("truncate counter, registration, outbox, probe")

    async def use_pool(self, size: int) -> None:
        (await self.web.client.put(f"/pool/{size}")).raise_for_status()

    async def keep(self, content: bytes) -> None:
        """Answer `GET /kept` with these bytes from now on."""
        (await self.web.client.put("/kept", content=content)).raise_for_status()

    async def use_best_pool(self, connections: int, sessions: int, seconds: float) -> dict[int, float]:
        """Find the pool with which this many clients get the most: the floor is the best of the bare.

        Returns registrations per second by pool size.
        """
        rates = {}
        for size in POOLS:
            await self.use_pool(size)
            paths = self.claiming(await self.sessions(sessions))
            done = await load(registrations(self.web.port, paths, connections, seconds=seconds))
            rates[size] = done.rate
        await self.use_pool(max(rates, key=lambda size: rates[size]))
        return rates


@asynccontextmanager
async def running(server_url: str, folder: Path) -> AsyncIterator[Floor]:
    """The floor on a new database of the same server."""
    async with connected(server_url) as admin:
        await admin.execute(f"create database {DATABASE} template template0 encoding 'UTF8'")
    url, port = in_database(server_url, DATABASE), free_port()
    command = ("-m", "bench.floors", str(port), url)
    async with connected(url) as database:
        await database.execute(floors.SCHEMA)
        async with WebProcess(command, folder / "floor.log", port, "/kept") as web:
            yield Floor(web, database, url)
