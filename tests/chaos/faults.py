"""What goes wrong during a campaign, and when: a list that follows from the seed, then done one by one."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import asyncpg

from libs.messaging.bus import BusUnavailable
from tests.chaos.crowd import Crowd
from tests.chaos.instance import Instance, Worker
from tests.chaos.programme import Programme

PER_MINUTE: Mapping[str, float] = {
    "kill a service": 6,
    "kill every service": 0.5,
    "restart a service": 2,
    "freeze a service": 3,
    "kill PostgreSQL": 1.5,
    "kill a backend": 1.5,
    "cut connections": 4,
    "kill clients": 1,
    "jump the clock": 3,
    "change a plan": 12,
}
AT_LEAST: Mapping[str, int] = {
    "kill a service": 2,
    "restart a service": 1,
    "freeze a service": 1,
    "kill PostgreSQL": 1,
    "kill a backend": 1,
    "cut connections": 1,
    "kill clients": 1,
    "jump the clock": 3,
    "change a plan": 6,
}
"""In the shortest campaign too."""
JUMP = timedelta(minutes=16)
"""Longer than the shortest offer, so that a jump ends some."""
MOST_JUMPS = 20
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, BusUnavailable)

Fault = tuple[float, str]


def schedule(
    seed: int,
    seconds: float,
    per_minute: Mapping[str, float] = PER_MINUTE,
    at_least: Mapping[str, int] = AT_LEAST,
) -> Sequence[Fault]:
    """(second of the load, fault), in order. The same seed and length give the same list."""
    chosen = random.Random(f"faults {seed}")
    faults: list[Fault] = []
    for what, rate in per_minute.items():
        count = max(at_least.get(what, 0), round(rate * seconds / 60))
        if what == "jump the clock":
            count = min(count, MOST_JUMPS)
        faults += [(chosen.uniform(0.08, 0.92) * seconds, what) for _ in range(count)]
    return sorted(faults)


class Timetable:
    """Does what a schedule says; `done` counts it."""

    def __init__(self, deeds: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        self.done: Counter[str] = Counter()
        self._deeds = deeds
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, faults: Sequence[Fault], tell: Callable[[str], None]) -> None:
        """Each at its second; one that takes its time doesn't hold up the next."""
        begun = asyncio.get_running_loop().time()
        for at, what in faults:
            await asyncio.sleep(max(0, begun + at - asyncio.get_running_loop().time()))
            task = asyncio.create_task(self._do(what, tell), name=what)
            self._under_way.add(task)
        if self._under_way:
            await asyncio.gather(*self._under_way)

    async def _do(self, what: str, tell: Callable[[str], None]) -> None:
        tell(what)
        await self._deeds[what]()
        self.done[what] += 1


class Faults(Timetable):
    """What goes wrong around one service."""

    def __init__(self, seed: int, instance: Instance, crowd: Crowd, programme: Programme) -> None:
        self._random = random.Random(f"victims {seed}")
        self._instance, self._crowd, self._programme = instance, crowd, programme
        self._bus = instance.bus_of("events")
        self._plans = iter(programme.changes())
        deeds: Mapping[str, Callable[[], Awaitable[None]]] = {
            "kill a service": self._kill_a_service,
            "kill every service": self._kill_every_service,
            "restart a service": self._restart_a_service,
            "freeze a service": self._freeze_a_service,
            "kill PostgreSQL": self._kill_postgres,
            "kill a backend": self._kill_a_backend,
            "cut connections": self._cut_connections,
            "kill clients": self._kill_clients,
            "jump the clock": self._jump_the_clock,
            "change a plan": self._change_a_plan,
        }
        super().__init__(deeds)

    async def publish(self) -> None:
        """Say every session as it stands."""
        await self._bus.publish(self._programme.announcements())

    async def close(self) -> None:
        await self._bus.close()

    async def _kill_a_service(self) -> None:
        self._a_worker().send(signal.SIGKILL)

    async def _kill_every_service(self) -> None:
        for worker in self._instance.workers:
            worker.send(signal.SIGKILL)

    async def _restart_a_service(self) -> None:
        self._a_worker().send(signal.SIGTERM)

    async def _freeze_a_service(self) -> None:
        """A process that hangs in the middle of whatever it holds: locks, leases, half of a batch."""
        worker = self._a_worker()
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(0.3, 2.5))
        worker.send(signal.SIGCONT)

    async def _kill_postgres(self) -> None:
        """The postmaster; its children end when they notice, and the runner starts it again."""
        with suppress(ProcessLookupError):
            os.kill(self._instance.server.pid, signal.SIGKILL)

    async def _kill_a_backend(self) -> None:
        """One server process, at work for the service if there is one: the others end with it."""
        pids = await self._backends("state = 'active'") or await self._backends("true")
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self._random.choice(pids), signal.SIGKILL)

    async def _cut_connections(self) -> None:
        """Some of the service's connections end, in the middle of a transaction or not."""
        for pid in await self._backends("true"):
            if self._random.random() < 0.4:
                await self._on_the_server("select pg_terminate_backend($1)", pid)

    async def _kill_clients(self) -> None:
        await self._crowd.kill_one(self._random)

    async def _jump_the_clock(self) -> None:
        """The decision clock goes ahead: offers end and releases fall due, all at once."""
        while True:
            with suppress(*_AWAY):
                async with self._instance.database() as connection:
                    await connection.execute("update clock.shift set by = by + $1::interval", JUMP)
                    return
            await asyncio.sleep(0.1)

    async def _change_a_plan(self) -> None:
        session = self._programme.change(next(self._plans))
        messages = self._programme.message_of(session)
        while True:
            with suppress(BusUnavailable):
                return await self._bus.publish(messages)
            await asyncio.sleep(0.1)

    def _a_worker(self) -> Worker:
        ready = [worker for worker in self._instance.workers if worker.is_ready]
        return self._random.choice(ready or self._instance.workers)

    async def _backends(self, which: str) -> list[int]:
        rows = await self._on_the_server(
            "select pid from pg_stat_activity where usename like 'tournee_demo_%' and pid <> pg_backend_pid()"
            f" and {which} order by pid"
        )
        return [row["pid"] for row in rows]

    async def _on_the_server(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Nothing, when the server is away just now."""
        with suppress(*_AWAY):
            async with self._instance.database() as connection:
                return list(await connection.fetch(statement, *arguments))
        return []
