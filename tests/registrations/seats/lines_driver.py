"""Several sessions of the service as driven systems, and those who wait at many of them."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import orjson

from libs.messaging.contracts import SessionState
from services.registrations.joining import Joining
from services.registrations.tallying import Tallying
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance
from tests.registrations.seats.drivers import Observed
from tests.registrations.seats.model import CALLED
from tests.registrations.seats.plans import BEGINNING
from tests.registrations.seats.service_driver import ServiceDriver
from tests.registrations.seats.wait_model import Waiting

T = TypeVar("T")
WAITS = "/api/registrations/v1/waits"

ROWS = """
select wait_id, status, confirmed_at, created_at, session_id, party_size,
    (select status from session where id = session_id) as session
from registration
"""
COUNTED = """
select value as status, sum(number::int) as number
from tally, jsonb_each_text(cell -> 'registrations') as counted (value, number) group by 1
"""


class LinesDriver:
    """Called from a thread of its own; everything it asks of the service happens in `loop`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        instance: Instance,
        connection: asyncpg.Connection,
        clock: asyncpg.Connection,
    ) -> None:
        self._loop, self._instance, self._connection, self._clock = loop, instance, connection, clock
        self.sessions: dict[UUID, ServiceDriver] = {}
        self._waits: dict[str, UUID] = {}

    def announce(self, facts: SessionState) -> None:
        if facts.id not in self.sessions:
            self.sessions[facts.id] = ServiceDriver(self._loop, self._instance, self._connection, self._clock)
        self.sessions[facts.id].announce(facts)

    def clock(self, now: datetime) -> None:
        self._run(self._clock.execute("update clock.frozen set at = $1", now))

    def time_is_up(self) -> None:
        self._run(Timers(self._instance.database, self._instance.settings).act_on_what_is_due())

    def look(self) -> None:
        self._run(Joining(self._instance.database, self._instance.settings).act_on_what_is_due())

    def begin(self, wait: Waiting) -> None:
        number = int(wait.name.removeprefix("w"))
        contact = {"email": f"odile{number}@example.org"}
        if wait.channel == CALLED:
            contact = {"phone": f"418 555-1{number:03}"}
        body = {
            "channel": wait.channel,
            "name": f"Odile Bouchard {number}",
            "contact": contact,
            "theme": wait.theme,
            "regions": sorted(wait.regions),
            "online": wait.online,
            "first_day": BEGINNING.date().isoformat(),
            "last_day": (BEGINNING + timedelta(days=200)).date().isoformat(),
        }
        answer = self._run(self._instance.client.post(WAITS, json=body, headers=self._instance.staff))
        assert answer.status_code == 201, answer.text
        self._waits[wait.name] = UUID(answer.json()["id"])

    def give_up(self, name: str) -> None:
        path = f"{WAITS}/{self._waits[name]}"
        answer = self._run(self._instance.client.delete(path, headers=self._instance.staff))
        assert answer.status_code == 200, answer.text

    def state(self) -> dict[UUID, Observed]:
        """Of each session; who came there by a wait is called as the wait is."""
        names = {id_: name for name, id_ in self._waits.items()}
        for row in self._run(
            self._connection.fetch(
                "select id, session_id, wait_id from registration where wait_id = any($1)", list(names)
            )
        ):
            self.sessions[row["session_id"]].meet(row["id"], names[row["wait_id"]])
        return {id_: session.state() for id_, session in self.sessions.items()}

    def waits(self) -> dict[str, tuple[str, Counter[str]]]:
        """The status of each wait, and what its person was told of it, of late."""
        rows = self._run(
            self._connection.fetch(
                "select id, status, causes from wait where id = any($1)", list(self._waits.values())
            )
        )
        found = {row["id"]: row for row in rows}
        return {
            name: (
                found[id_]["status"],
                Counter(cause["cause"] for cause in orjson.loads(found[id_]["causes"])),
            )
            for name, id_ in self._waits.items()
        }

    def counted(self) -> Counter[str]:
        """Registrations by state, as the daily job tells the country."""
        self._run(Tallying(self._instance.database, self._instance.settings).count())
        rows = self._run(self._connection.fetch(COUNTED))
        return +Counter({row["status"]: row["number"] for row in rows})

    def rows(self) -> list[dict[str, Any]]:
        """Every registration that there is, of earlier lives as well."""
        return [dict(row) for row in self._run(self._connection.fetch(ROWS))]

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
