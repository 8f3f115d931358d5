"""The national service at work on the streams of a country: how fast it takes them in, and what it costs."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from bench.case import Bench
from bench.national_streams import Streams
from bench.processes import WebProcess, cpu_seconds, resident, until
from bench.server import Connection, connected
from deploy.kafka.broker import Cluster
from libs.database import Database, database_name, in_database
from libs.messaging.bus import Bus, Received
from libs.messaging.kafka.transport import KafkaBus
from services.national import generations
from services.national.ingest import Ingest

_LOOK = 0.02
_STEP = 10_000
_POSITION = (
    "select coalesce(sum(position), 0)::bigint from progress where generation = $1 and topic = any($2)"
)
_BACKENDS = "select pid from pg_stat_activity where application_name = $1"


@dataclass(frozen=True, slots=True)
class Filled:
    """How a generation was filled. Times are of the processor, in seconds; memory in MiB."""

    messages: int
    seconds: float
    worker: float
    server: float
    """The PostgreSQL connections of the service, without what the server does beside them."""
    memory: Sequence[float]
    """Resident memory at each look."""

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


@dataclass(frozen=True, slots=True)
class Alone:
    """Messages that came one by one: milliseconds of each, and an average one's µs of processor."""

    times: Sequence[float]
    worker: float
    server: float


@dataclass(frozen=True, slots=True)
class National:
    """A national service on a Kafka, and its database as the administrator sees it."""

    web: WebProcess
    database: Database
    connection: Connection
    kafka: Cluster
    bus: Bus
    streams: Streams

    async def fill(self) -> tuple[int, Filled]:
        """Begin a generation as a rebuild does, and see it filled by the running service: its number, how.

        Measured from the moment when a first batch is in the database until everything is.
        """
        number = await generations.begin(self.database)
        memory: list[float] = []
        first = await self.reach(number, 1, memory)
        start, before = time.perf_counter(), cpu_seconds([self.web.pid, *await self._backends()])
        await self.reach(number, self.streams.messages, memory)
        seconds, after = time.perf_counter() - start, cpu_seconds([self.web.pid, *await self._backends()])
        spent = {pid: after[pid] - before.get(pid, 0) for pid in after}
        worker = spent.pop(self.web.pid)
        return number, Filled(self.streams.messages - first, seconds, worker, sum(spent.values()), memory)

    async def reach(self, number: int, wanted: int, memory: list[float] | None = None) -> int:
        """Wait until a generation has taken in so many messages, as long as it goes on; how many it has."""
        names = [topic.name for topic in self.streams.topics]
        position = 0

        async def further(target: int) -> bool:
            nonlocal position
            if memory is not None:
                memory.append(resident(self.web.pid))
            position = await self.connection.fetchval(_POSITION, number, names)
            return bool(position >= target)

        while position < wanted:
            target = min(position + _STEP, wanted)
            await until(partial(further, target), "the ingest stands still", every=_LOOK)
        return position

    async def check(self, number: int) -> None:
        """Raises unless everything that was said was believed."""
        doubted = await self.connection.fetchval("select count(*) from quarantined")
        kept = await self.connection.fetchval(
            "select count(*) from session where generation = $1 and title is not null"
            " and seats_updated_at is not null",
            number,
        )
        if doubted or kept != self.streams.sessions:
            raise RuntimeError(
                f"{kept} of {self.streams.sessions} sessions, {doubted} messages in quarantine"
            )

    async def forget(self, number: int) -> None:
        """Let go of a generation, and empty the tables for the next."""
        await generations.give_up(self.database, number)
        await self.connection.execute(
            "truncate session, session_cell, session_owner, tally, profile, pulse, erased, progress"
        )

    def stored(self) -> dict[str, int]:
        """Bytes that the broker keeps of each stream, of all instances together, before any compaction."""
        found: Counter[str] = Counter()
        for log in (self.kafka.nodes[0].folder / "data").glob("*.federated.*/*.log"):
            found[log.parent.name.rpartition("-")[0].rpartition(".")[2]] += log.stat().st_size
        return dict(found)

    async def alone(self, count: int) -> Alone:
        """Take in heartbeats one by one, as they come: each is a batch of its own."""
        ingest = Ingest(self.database, 1)
        said = [
            Received(voice.heartbeat(version), 0, version)
            for version in range(1, count // len(self.streams.voices) + 1)
            for voice in self.streams.voices
        ]
        await ingest.handle(said[:1])
        backends = await self._backends("tournee")
        before, spent = cpu_seconds(backends), time.process_time()
        times = []
        for received in said[1:]:
            start = time.perf_counter()
            await ingest.handle([received])
            times.append(1000 * (time.perf_counter() - start))
        spent, after = time.process_time() - spent, cpu_seconds(backends)
        server = sum(after[pid] - before[pid] for pid in after)
        return Alone(times, 1e6 * spent / len(times), 1e6 * server / len(times))

    async def _backends(self, application: str = "tournee national") -> list[int]:
        return [row["pid"] for row in await self.connection.fetch(_BACKENDS, application)]


@asynccontextmanager
async def national_on_kafka(bench: Bench, name: str, messages: int) -> AsyncIterator[National]:
    """The service, whose first generation has already taken in what the instances of a country said."""
    streams = Streams.of(messages)
    with bench.kafka() as kafka:
        async with bench.instance(name, "national", bus_url=kafka.url()) as instance:
            national_url = in_database(bench.server_url, database_name(name, "national"))
            database, bus = Database(national_url), KafkaBus(kafka.url(), instance=name, service="national")
            try:
                await streams.register(database)
                await streams.say(kafka.url())
                async with connected(national_url) as connection:
                    web = instance.services["national"]
                    national = National(web, database, connection, kafka, bus, streams)
                    await national.reach(1, streams.messages)
                    yield national
            finally:
                await bus.close()
                await database.close()
