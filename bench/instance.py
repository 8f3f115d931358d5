"""An instance under test: its services as processes of their own, and what events would say to them."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from bench.load import Load, load
from bench.people import registrations
from bench.processes import WebProcess, free_port, until
from bench.server import Connection, connected
from libs.clock import zone
from libs.database import database_name, in_database
from libs.messaging import topics
from libs.messaging.bus import Bus
from libs.messaging.contracts import SeatCounts, SessionState, VenueFacts
from libs.messaging.envelope import pack
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.postgres import PostgresBus, bus_url
from libs.messaging.signing import new_secret

SECRET = "a-secret-for-benchmarks-0123456789"  # noqa: S105  # of a server that lives as long as the run
ADMIN_TOKEN = "an-admin-token-for-benchmarks"  # noqa: S105
STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
PLENTY = 1_000_000
"""More seats than anybody can take in a run."""
_ZONE = "America/Toronto"
_QUIET = 15
"""So many looks in a row must find nothing under way."""


@dataclass(frozen=True, slots=True)
class Instance:
    """Services by name; `database` is the administrator's line to the one of registrations."""

    name: str
    services: Mapping[str, WebProcess]
    database: Connection
    bus: Bus
    _versions: dict[UUID, int] = field(default_factory=dict)

    @property
    def registrations(self) -> WebProcess:
        return self.services["registrations"]

    async def announce(self, states: Sequence[SessionState]) -> None:
        """Say on the bus what events would say, each time as a newer version."""
        for state in states:
            self._versions[state.id] = self._versions.get(state.id, 0) + 1
        await self.bus.publish(
            [
                pack(
                    topics.SESSIONS,
                    instance=self.name,
                    key=str(state.id),
                    partition_key=str(state.id),
                    epoch=1,
                    version=self._versions[state.id],
                    time=datetime.now(UTC),
                    payload=state,
                )
                for state in states
            ]
        )

    async def sessions(self, count: int, **changes: Any) -> list[SessionState]:
        """New published sessions that registrations has heard of; `changes` replace fields."""
        states = [session_state(**changes) for _ in range(count)]
        await self.announce(states)
        await self.heard()
        return states

    async def register(
        self,
        sessions: Iterable[SessionState],
        connections: int,
        *,
        seconds: float | None = None,
        count: int | None = None,
    ) -> Load:
        """Let a crowd register, one after the other over `sessions`."""
        paths = [registering(state.id) for state in sessions]
        return await load(
            registrations(self.registrations.port, paths, connections, seconds=seconds, count=count)
        )

    async def seated(self, session_id: UUID) -> int:
        """How many registrations the table holds for a session."""
        found: int = await self.database.fetchval(
            "select count(*) from registration where session_id = $1", session_id
        )
        return found

    async def heard(self) -> None:
        """Wait until every service has taken in all that the bus has for it."""

        async def nothing_left() -> bool:
            for name, web in self.services.items():
                health = (await web.client.get(f"/health/{name}")).json()
                if health.get("parked"):
                    raise RuntimeError(f"{name} has parked {health['parked']} messages")
                if health.get("lag"):
                    return False
            return True

        await until(nothing_left, "the services don't catch up with the bus")

    async def settled(self) -> float:
        """Wait until nothing of an earlier load is still under way: what was to be said is on the bus.

        Returns how many seconds that took.
        """
        start = time.perf_counter()
        quiet = 0

        async def nothing_said() -> bool:
            nonlocal quiet
            busy = await self.database.fetchval("select exists (select from outbox)")
            quiet = 0 if busy else quiet + 1
            return quiet >= _QUIET

        await until(nothing_said, "the outbox doesn't empty")
        await self.heard()
        return time.perf_counter() - start


@asynccontextmanager
async def opened(
    server_url: str, folder: Path, name: str, services: Sequence[str], kafka_url: str | None = None
) -> AsyncIterator[Instance]:
    """Start `services` of a new instance; its databases are dropped afterwards.

    `kafka_url` is its bus; without, it is the server's own.
    """
    signing_key = new_secret()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_drop, server_url, name)
        running = {}
        for service in services:
            port = free_port()
            process = WebProcess(
                ("-m", "deploy.service", service),
                folder / f"{name}-{service}.log",
                port,
                f"/health/{service}",
                {
                    "DATABASE_URL": server_url,
                    "PORT": str(port),
                    "INSTANCE": name,
                    "SECRET_KEY": SECRET,
                    "ADMIN_TOKEN": ADMIN_TOKEN,
                    "PUBLIC_URL": "http://127.0.0.1:8000",
                    "SIGNING_KEY": signing_key,
                    "BUS_URL": kafka_url or "",
                },
            )
            running[service] = await stack.enter_async_context(process)
        bus = (
            KafkaBus(kafka_url, instance=name, service="events")
            if kafka_url
            else PostgresBus(bus_url(server_url, name, "events", SECRET))
        )
        stack.push_async_callback(bus.close)
        url = in_database(server_url, database_name(name, "registrations"))
        database = await stack.enter_async_context(connected(url))
        yield Instance(name, running, database, bus)


async def _drop(server_url: str, name: str) -> None:
    async with connected(server_url) as admin:
        owned = database_name(name, "")
        rows = await admin.fetch("select datname from pg_database where starts_with(datname, $1)", owned)
        for row in rows:
            await admin.execute(f'drop database "{row["datname"]}" with (force)')


def registering(session_id: UUID | str) -> str:
    """The address at which people register."""
    return f"/api/registrations/v1/sessions/{session_id}/registrations"


def session_state(**changes: Any) -> SessionState:
    """A published session in thirty days with plenty of seats; `changes` replace fields."""
    here = zone(_ZONE)
    start = (datetime.now(here) + timedelta(days=30)).replace(minute=30, second=0, microsecond=0, tzinfo=None)
    end = start + timedelta(hours=2)
    values: dict[str, Any] = {
        "id": uuid4(),
        "status": "published",
        "title": "Le courriel, pas à pas",
        "stream": "public",
        "theme": "courriel",
        "level": "beginner",
        "modality": "on_site",
        "region": "03",
        "venue": VenueFacts(
            id=UUID(int=7),
            name="Bibliothèque Monique-Corriveau",
            street="1100, route de l’Église",
            municipality="Québec",
        ),
        "capacity": SeatCounts(on_site=PLENTY),
        "timezone": _ZONE,
        "starts_at": start,
        "ends_at": end,
        "starts_at_utc": start.replace(tzinfo=here).astimezone(UTC),
        "ends_at_utc": end.replace(tzinfo=here).astimezone(UTC),
        "updated_at": datetime.now(UTC),
    }
    return SessionState(**(values | changes))
