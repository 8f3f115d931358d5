"""What goes wrong in a country: its processes, its databases, its broker, its mail, its lines."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import asyncpg

from tests.chaos.country.broker import Broker
from tests.chaos.country.planner import Planner
from tests.chaos.country.post import Post
from tests.chaos.country.region import Embedded, Instance
from tests.chaos.crowd import Crowd
from tests.chaos.faults import Timetable
from tests.chaos.instance import Worker
from tests.cuttable import CuttableLine

PER_MINUTE: Mapping[str, float] = {
    "kill a service": 5,
    "kill the embedded region": 0.8,
    "restart a service": 1.5,
    "freeze a service": 3,
    "kill Kafka": 1,
    "freeze Kafka": 1,
    "kill PostgreSQL": 1.5,
    "cut connections": 3,
    "cut the bridge": 2,
    "hang up on mail": 4,
    "kill clients": 0.5,
    "jump the clock": 1.5,
    "change a plan": 14,
}
AT_LEAST: Mapping[str, int] = {
    "kill a service": 3,
    "kill the embedded region": 1,
    "restart a service": 1,
    "freeze a service": 1,
    "kill Kafka": 1,
    "freeze Kafka": 1,
    "kill PostgreSQL": 1,
    "cut connections": 1,
    "cut the bridge": 1,
    "hang up on mail": 2,
    "kill clients": 1,
    "jump the clock": 1,
    "change a plan": 8,
}
JUMP = timedelta(minutes=16)
"""Longer than the shortest offer, so that a jump ends some."""
DECIDING = ("events", "registrations", "notifications")
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class CountryFaults(Timetable):
    """Does what the schedule says. The nation is the last instance; the others have a planner each."""

    def __init__(
        self,
        seed: int,
        instances: Sequence[Instance],
        planners: Sequence[Planner],
        crowds: Sequence[Crowd],
        broker: Broker,
        line: CuttableLine,
        post: Post,
    ) -> None:
        self._random = random.Random(f"victims of the country {seed}")
        self._instances, self._planners, self._crowds = instances, planners, crowds
        self._broker, self._line, self._post = broker, line, post
        deeds: Mapping[str, Callable[[], Awaitable[None]]] = {
            "kill a service": self._kill_a_service,
            "kill the embedded region": self._kill_the_embedded_region,
            "restart a service": self._restart_a_service,
            "freeze a service": self._freeze_a_service,
            "kill Kafka": self._kill_kafka,
            "freeze Kafka": self._freeze_kafka,
            "kill PostgreSQL": self._kill_postgres,
            "cut connections": self._cut_connections,
            "cut the bridge": self._cut_the_bridge,
            "hang up on mail": self._hang_up_on_mail,
            "kill clients": self._kill_clients,
            "jump the clock": self._jump_the_clock,
            "change a plan": self._change_a_plan,
        }
        super().__init__(deeds)

    async def _kill_a_service(self) -> None:
        self._a_worker().send(signal.SIGKILL)

    async def _kill_the_embedded_region(self) -> None:
        """The runner alone: its PostgreSQL is told by the kernel."""
        for instance in self._instances:
            if isinstance(instance, Embedded):
                instance.workers[0].send(signal.SIGKILL)

    async def _restart_a_service(self) -> None:
        self._a_worker().send(signal.SIGTERM)

    async def _freeze_a_service(self) -> None:
        """Longer than a moment, shorter than what its group at the broker waits for it, or not."""
        worker = self._a_worker()
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(0.3, 5))
        worker.send(signal.SIGCONT)

    async def _kill_kafka(self) -> None:
        self._broker.send(signal.SIGKILL)

    async def _freeze_kafka(self) -> None:
        """As if the network to it were cut: connections stay, nothing comes through."""
        self._broker.send(signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(0.5, 6))
        self._broker.send(signal.SIGCONT)

    async def _kill_postgres(self) -> None:
        self._random.choice(self._instances).kill_postgres()

    async def _cut_connections(self) -> None:
        """Some connections of an instance end, in the middle of a transaction or not."""
        instance = self._random.choice(self._instances)
        with suppress(*AWAY):
            await instance.on_the_server(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where usename like $1 and pid <> pg_backend_pid() and random() < 0.4",
                f"tournee_{instance.slug}_%",
            )

    async def _cut_the_bridge(self) -> None:
        """Nothing comes from the embedded region to the nation for some seconds."""
        port = self._broker.cluster.outside_port
        self._line.to(_NOBODY)
        self._line.cut()
        await asyncio.sleep(self._random.uniform(1, 8))
        self._line.to(port)

    async def _hang_up_on_mail(self) -> None:
        self._post.hang_up += self._random.randrange(1, 4)

    async def _kill_clients(self) -> None:
        await self._random.choice(self._crowds).kill_one(self._random)

    async def _jump_the_clock(self) -> None:
        """In one region; the nation's clock and the other region's stay."""
        instance = self._random.choice(self._instances[:-1])
        for service in DECIDING:
            await jump(instance, service, JUMP)

    async def _change_a_plan(self) -> None:
        number = self._random.randrange(len(self._planners))
        await self._planners[number].change()
        self._crowds[number].tell(self._planners[number].for_clients())

    def _a_worker(self) -> Worker:
        workers = [worker for instance in self._instances for worker in instance.workers if worker.service]
        return self._random.choice([worker for worker in workers if worker.is_ready] or workers)


async def jump(instance: Instance, service: str, by: timedelta) -> None:
    """Move the decision clock of a service, once its database is there."""
    while True:
        with suppress(*AWAY):
            await instance.rows(service, "update clock.shift set by = by + $1 returning by", by)
            return
        await asyncio.sleep(0.1)


_NOBODY = 9
"""A port on which nobody listens."""
