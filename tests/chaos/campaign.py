"""A campaign from its first process to its last check."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from libs.messaging import topics
from tests.chaos import invariants, promises
from tests.chaos.asking import Asking
from tests.chaos.crowd import Crowd
from tests.chaos.faults import Faults, schedule
from tests.chaos.instance import ROOT, SERVICE, Instance
from tests.chaos.journal import Asked
from tests.chaos.outcome import Outcome
from tests.chaos.programme import Programme
from tests.chaos.promises import Heard
from tests.chaos.tables import Tables, snapshot

STAFF_ACTIONS = ["cancel", "accept", *promises.STAFF_ACTIONS]
_PATIENCE = 240.0
"""Seconds after which what should come to an end counts as hanging."""
_T = TypeVar("_T")
_QUIET = """
select (select count(*) from outbox)
    + (select count(*) from session where seats_dirty and facts is not null)
    + (select count(*) from session where next_release_at <= clock.decision_time() and status = 'published')
    + (select count(*) from registration
        where status = 'offered' and offer_expires_at <= clock.decision_time())
"""


class Campaign:
    """One run on a folder of its own. `tell` is given a line for everything that happens."""

    def __init__(
        self, folder: Path, *, seed: int, clients: int, processes: int = 4, tell: Callable[[str], None]
    ) -> None:
        self.seed = seed
        self.outcome = Outcome(seed)
        self.programme = Programme(seed)
        self.instance = Instance(folder, processes)
        self._crowd = Crowd(folder, processes)
        self._clients = clients
        self._tell = tell
        self.faults = Faults(seed, self.instance, self._crowd, self.programme)

    async def run(self, seconds: float) -> Heard:
        """Start everything, load it while the faults happen, let it settle; returns what the clients know."""
        tell, begun = self._tell, time.monotonic()
        await self.instance.start()
        await self.faults.publish()
        await self._eventually(self._plans_known)
        tell(f"ready after {time.monotonic() - begun:.1f} s")
        begun = time.monotonic()
        self._crowd.start(
            [worker.port for worker in self.instance.workers],
            self.programme.for_clients(),
            clients=self._clients,
            seed=self.seed,
            staff=STAFF_ACTIONS,
        )
        await self.faults.run(
            schedule(self.seed, seconds), lambda what: tell(f"{time.monotonic() - begun:6.1f} s  {what}")
        )
        await asyncio.sleep(max(0, begun + seconds - time.monotonic()))
        self._crowd.ask_to_end()
        self.outcome.seconds = time.monotonic() - begun
        await self._in_the_end(self.instance.all_ready(), "every process answers")
        broken = await self._in_the_end(self._crowd.ended(), "every client has its answers")
        self.outcome.differences += broken
        tell(f"everybody has an answer after {time.monotonic() - begun:.1f} s")
        await self._eventually(self._quiet)
        tell(f"quiet after {time.monotonic() - begun:.1f} s")
        asked, wrong = self._crowd.read()
        self._count(asked)
        return Heard(asked, wrong)

    async def check(self, heard: Heard) -> None:
        """Every invariant, promise and seat; then the audit. Differences are gathered in the outcome."""
        tables = await snapshot(self.instance.url)
        tables.touched = heard.touched(tables)
        await self._ask(heard, tables)
        self.outcome.figures |= {
            "sessions": len(tables.sessions),
            "registrations": len(tables.registrations),
            "causes": tables.causes,
            "messages that came late": sum(said.last != said.version for said in tables.said.values()),
            "answers": sum(asked.status is not None for asked in heard.asked),
        }
        steps = (step.cause for history in tables.history.values() for step in history)
        self.outcome.came_about = Counter(steps)
        for name, check in invariants.CHECKS.items():
            self.outcome.note(name, list(check(tables, self.programme)))
        for name, promise in promises.PROMISES.items():
            self.outcome.note(name, list(promise(heard, tables, self.programme)))
        await self._compact()
        workers = self.instance.workers
        self.outcome.note("processes_end_when_told", [each for one in workers for each in one.wrong])
        self.outcome.note("services_log_no_error", [each for one in workers for each in one.errors()])
        self.outcome.note("audit", self._audit())

    async def stop(self) -> None:
        """End the clients and the services; the server stays, for those who want to look."""
        self._crowd.kill()
        await self.faults.close()
        await self.instance.stop_workers()

    def _count(self, asked: list[Asked]) -> None:
        self.outcome.count(asked)
        self.outcome.injected = self.faults.done
        self.outcome.starts = sum(worker.starts for worker in self.instance.workers)
        self.outcome.failed_starts = sum(worker.failed_starts for worker in self.instance.workers)
        self.outcome.lives = sum(self._crowd.lives)

    async def _plans_known(self) -> bool:
        async with self.instance.database() as connection:
            rows = await connection.fetch("select id::text, version from session")
        known = {row["id"]: row["version"] for row in rows}
        return all(known.get(session.id) == session.version for session in self.programme.sessions)

    async def _quiet(self) -> bool:
        """Nothing left to say, to record or to hear."""
        async with self.instance.database() as connection:
            if await connection.fetchval(_QUIET):
                return False
        return await self._plans_known()

    async def _compact(self) -> None:
        """Two days from now, the log still says the whole state."""
        bus = self.instance.bus_of(SERVICE)
        own = [topic for topic in topics.ALL if topic.writer == SERVICE]
        await bus.compact(own, now=datetime.now(UTC) + timedelta(days=2))
        await bus.close()
        tables = await snapshot(self.instance.url, compacted=True)
        check = invariants.the_compacted_log_is_the_state
        self.outcome.note(check.__name__, list(check(tables, self.programme)))

    async def _ask(self, heard: Heard, tables: Tables) -> None:
        """What the public, staff and people read is what the rows say."""
        asking = Asking(self.instance, tables, self.programme)
        self.outcome.note("public_seats_by_api", await asking.public_seats())
        self.outcome.note("lines_by_api", await asking.lines())
        self.outcome.note("own_pages_by_api", await asking.own_pages(heard, self.seed))
        asking.close()

    def _audit(self) -> list[str]:
        """The service's own audit, from its ledger."""
        done = subprocess.run(
            [sys.executable, "-m", f"services.{SERVICE}.audit"],
            cwd=ROOT,
            env={**os.environ, **self.instance.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return [] if done.returncode == 0 else [f"exit {done.returncode}: {done.stdout}{done.stderr}"[:3000]]

    async def _in_the_end(self, wanted: Coroutine[None, None, _T], what: str) -> _T:
        """`wanted`, or the end of the campaign with how everything stands: something hangs."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await wanted
        except TimeoutError:
            asked, _wrong = self._crowd.read()
            left = [each.request.path for each in asked if each.status is None]
            raise RuntimeError(
                f"after {_PATIENCE:.0f} s it isn't true that {what};"
                f" {len(left)} requests have no answer, {left[:3]} among them;\n{self.instance.state()}"
            ) from None

    async def _eventually(self, condition: Callable[[], Awaitable[bool]]) -> None:
        give_up = time.monotonic() + _PATIENCE
        while True:
            if await condition():
                return
            if time.monotonic() > give_up:
                self.outcome.differences.append(f"{condition.__name__} never became true")
                return
            await asyncio.sleep(0.2)
