"""A campaign from its first process to its last check."""

import asyncio
import importlib.util
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import invariants, promises
from tests.chaos.crowd import Crowd
from tests.chaos.faults import Faults, schedule
from tests.chaos.instance import ROOT, SERVICE, Instance
from tests.chaos.journal import Asked
from tests.chaos.programme import Programme
from tests.chaos.promises import Heard
from tests.chaos.tables import Tables, snapshot
from tests.chaos.wire import Wire

STAFF_ACTIONS = ["cancel", "accept", *promises.STAFF_ACTIONS]
_QUIET = """
select (select count(*) from outbox)
    + (select count(*) from session where seats_dirty and facts is not null)
    + (select count(*) from session where next_release_at <= clock.decision_time() and status = 'published')
    + (select count(*) from registration
        where status = 'offered' and offer_expires_at <= clock.decision_time())
"""


@dataclass(slots=True)
class Outcome:
    """What a campaign did and found; `differences` is empty when everything holds."""

    seed: int
    seconds: float = 0.0
    injected: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    starts: int = 0
    failed_starts: int = 0
    lives: int = 0
    checked: dict[str, int] = field(default_factory=dict)
    figures: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


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
            self.instance, self.programme, clients=self._clients, seed=self.seed, staff=STAFF_ACTIONS
        )
        await self.faults.run(
            schedule(self.seed, seconds), lambda what: tell(f"{time.monotonic() - begun:6.1f} s  {what}")
        )
        await asyncio.sleep(max(0, begun + seconds - time.monotonic()))
        await self.instance.all_ready()
        self.outcome.differences += await self._crowd.finish()
        self.outcome.seconds = time.monotonic() - begun
        await self._eventually(self._quiet)
        tell(f"quiet after {time.monotonic() - begun:.1f} s")
        asked, wrong = self._crowd.read()
        self._count(asked)
        return Heard(asked, wrong)

    async def check(self, heard: Heard) -> None:
        """Every invariant, promise and seat; then the audit. Differences are gathered in the outcome."""
        tables = await snapshot(self.instance.url)
        tables.touched = heard.touched(tables)
        await self._compare_public_seats(tables)
        self.outcome.figures |= {
            "sessions": len(tables.sessions),
            "registrations": len(tables.registrations),
            "causes": tables.causes,
            "answers": sum(asked.status is not None for asked in heard.asked),
        }
        for name, check in invariants.CHECKS.items():
            self._note(name, list(check(tables, self.programme)))
        for name, promise in promises.PROMISES.items():
            self._note(name, list(promise(heard, tables, self.programme)))
        for worker in self.instance.workers:
            self.outcome.differences += worker.wrong
        self._note("audit", self._audit())

    async def stop(self) -> None:
        """End the clients and the services; the server stays, for those who want to look."""
        self._crowd.kill()
        await self.faults.close()
        await self.instance.stop_workers()

    def _note(self, name: str, found: list[str]) -> None:
        self.outcome.checked[name] = len(found)
        self.outcome.differences += [f"{name}: {each}" for each in found]

    def _count(self, asked: list[Asked]) -> None:
        kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for each in asked:
            fate = "unanswered" if each.status is None else "done" if each.done else "refused"
            kinds[each.request.kind][fate] += 1
            kinds[each.request.kind]["lost"] += each.lost
            kinds[each.request.kind]["put off"] += each.put_off
            if fate == "refused":
                kinds[each.request.kind][f"{each.status} {each.slug}"] += 1
        self.outcome.kinds = dict(kinds)
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

    async def _compare_public_seats(self, tables: Tables) -> None:
        """Each process tells the public what the tables say."""
        wire = Wire(patience=30)
        found = []
        for session in self.programme.sessions:
            right = {kind: invariants.seats_of(tables, session.id, kind) for kind in session.kinds}
            for worker in self.instance.workers:
                path = f"/api/registrations/v1/sessions/{session.id}/seats"
                answer = await wire.request(worker.port, "GET", path, {})
                got = {
                    kind: answer.body["by_kind"].get(kind, dict.fromkeys(right[kind], 0)) for kind in right
                }
                if answer.status != 200 or got != right:
                    found.append(f"{session.label}: process {worker.number} says {got}, the rows {right}")
        wire.close()
        self._note("public_seats_by_api", found)

    def _audit(self) -> list[str]:
        """The service's own audit, from its ledger."""
        if importlib.util.find_spec(f"services.{SERVICE}.audit") is None:
            return []
        done = subprocess.run(
            [sys.executable, "-m", f"services.{SERVICE}.audit"],
            cwd=ROOT,
            env={**os.environ, **self.instance.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return [] if done.returncode == 0 else [f"exit {done.returncode}: {done.stdout}{done.stderr}"[:3000]]

    async def _eventually(self, condition: Callable[[], Awaitable[bool]]) -> None:
        give_up = time.monotonic() + 180
        while True:
            if await condition():
                return
            if time.monotonic() > give_up:
                self.outcome.differences.append(f"{condition.__name__} never became true")
                return
            await asyncio.sleep(0.2)


def report(outcome: Outcome) -> str:
    """The outcome as a person at a terminal reads it."""
    lines = [f"seed {outcome.seed}, {outcome.seconds:.0f} s of load"]
    lines.append("injected: " + ", ".join(f"{count} × {what}" for what, count in outcome.injected.items()))
    lines.append(
        f"services began {outcome.starts} times ({outcome.failed_starts} while PostgreSQL was away),"
        f" client processes {outcome.lives} times"
    )
    names = ("done", "refused", "unanswered", "lost", "put off")
    lines.append(f"{'request':20}" + "".join(f"{name:>12}" for name in names))
    for kind, counts in sorted(outcome.kinds.items()):
        lines.append(f"{kind:20}" + "".join(f"{counts[name]:12}" for name in names))
        reasons = [f"{count} × {why}" for why, count in sorted(counts.items()) if why not in names]
        lines += [f"{'':20}  refused: {', '.join(reasons)}"] if reasons else []
    total = sum(counts["done"] + counts["refused"] for counts in outcome.kinds.values())
    lines.append(f"{total} answers, {total / max(outcome.seconds, 1):.0f} a second")
    lines.append("checked: " + ", ".join(f"{count} {what}" for what, count in outcome.figures.items()))
    lines += [
        f"  {'holds' if not found else f'{found} differences':18} {name}"
        for name, found in outcome.checked.items()
    ]
    lines += [f"DIFFERENCE {each}" for each in outcome.differences[:20]]
    return "\n".join(lines)
