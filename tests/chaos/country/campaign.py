"""A campaign against a whole country, from its first process to its last check."""

import asyncio
import base64
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx

from libs.messaging.signing import Signer
from tests.chaos import invariants, promises
from tests.chaos.campaign import STAFF_ACTIONS
from tests.chaos.country.broker import Broker
from tests.chaos.country.checks import CHECKS, causes_of
from tests.chaos.country.facts import Country, Nation, regional
from tests.chaos.country.faults import AT_LEAST, AWAY, PER_MINUTE, CountryFaults, jump
from tests.chaos.country.planner import Planner
from tests.chaos.country.post import Post
from tests.chaos.country.region import STAFF, Embedded, Instance, Region, Separate, run
from tests.chaos.crowd import Crowd
from tests.chaos.faults import schedule
from tests.chaos.outcome import Outcome
from tests.chaos.promises import Heard
from tests.cuttable import cuttable_line

PATIENCE = 600.0
"""Seconds after which what should come to an end counts as hanging."""
SERVICES = ("events", "registrations", "notifications", "exporter")
CODES = ("03", "12")
"""The regions that the two may speak for."""
THINK = 0.6
_T = TypeVar("_T")
_LEFT = {
    "events": "select count(*) from outbox",
    "registrations": """
        select (select count(*) from outbox)
            + (select count(*) from session where seats_dirty and facts is not null)
            + (select count(*) from session
                where next_release_at <= clock.decision_time() and status = 'published')
            + (select count(*) from registration
                where status = 'offered' and offer_expires_at <= clock.decision_time())""",
    "exporter": "select count(*) from outbox",
}
_LETTERS_LEFT = "select count(*) from delivery where status = 'queued' and route = 'email'"
_FIGURES = ("lag", "queued", "bridge_lag")


class CountryCampaign:
    """One run on a folder of its own, with so many `replicas` of each service that isn't embedded.

    `tell` is given a line for everything that happens.
    """

    def __init__(
        self, folder: Path, *, seed: int, clients: int, replicas: int = 2, tell: Callable[[str], None]
    ) -> None:
        self.seed = seed
        self.outcome = Outcome(seed)
        self.post = Post()
        self.country: Country | None = None
        self._folder, self._clients, self._tell = folder, clients, tell
        self._replicas = replicas
        self._stack = AsyncExitStack()
        self._stop = asyncio.Event()
        self._keeping: list[asyncio.Task[None]] = []
        self._crowds: list[Crowd] = []
        self._regions: tuple[Region, ...] = ()
        self._planners: list[Planner] = []

    async def run(self, seconds: float) -> None:
        """Start everything, load it while the faults happen, let it settle, and check."""
        begun = time.monotonic()
        await self._start()
        self._tell(f"ready after {time.monotonic() - begun:.1f} s")
        begun = time.monotonic()
        for crowd, region, planner in zip(self._crowds, self._regions, self._planners, strict=True):
            crowd.start(
                region.ports("registrations"),
                planner.for_clients(),
                clients=max(1, self._clients // len(self._crowds)),
                seed=self.seed,
                staff=STAFF_ACTIONS,
                think=THINK,
            )
        everybody = [*self._regions, self._nation]
        faults = CountryFaults(
            self.seed, everybody, self._planners, self._crowds, self._broker, self._line, self.post
        )
        await faults.run(
            schedule(self.seed, seconds, PER_MINUTE, AT_LEAST),
            lambda what: self._tell(f"{time.monotonic() - begun:6.1f} s  {what}"),
        )
        await asyncio.sleep(max(0, begun + seconds - time.monotonic()))
        for crowd in self._crowds:
            crowd.ask_to_end()
        self.outcome.seconds = time.monotonic() - begun
        self.outcome.injected = faults.done
        await self._in_the_end(self._all_ready(), "every process answers")
        for crowd in self._crowds:
            self.outcome.differences += await self._in_the_end(crowd.ended(), "every client has its answers")
        self._tell(f"everybody has an answer after {time.monotonic() - begun:.1f} s")
        await self._quiet()
        self._tell(f"quiet after {time.monotonic() - begun:.1f} s")
        for region in self._regions:
            await self._command(region, "deploy.tallies")
        await self._quiet()
        self._tell(f"counted after {time.monotonic() - begun:.1f} s")
        await self._check()

    async def stop(self) -> None:
        """End everything, in the order in which it was begun, backwards."""
        for crowd in self._crowds:
            crowd.kill()
        for planner in self._planners:
            await planner.close()
        self._stop.set()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self._stack.aclose()

    async def _start(self) -> None:
        await self._stack.enter_async_context(self.post.running())
        self._line = self._stack.enter_context(cuttable_line())
        self._broker = Broker(self._folder / "kafka", self._line.port)
        self._stack.callback(self._broker.stop)
        self._line.to(self._broker.cluster.outside_port)
        await self._broker.start()
        self._keeping.append(asyncio.create_task(self._broker.keep_running(self._stop)))
        kafka, mail = self._broker.url, {"SMTP_URL": self.post.url}
        self._nation = self._ended(
            Separate("nation", self._folder / "nation", kafka, ["national"] * self._replicas, **mail)
        )
        self._separate = self._ended(
            Separate("plaine", self._folder / "plaine", kafka, SERVICES * self._replicas, **mail)
        )
        way = f"kafka://127.0.0.1:{self._line.port}"
        embedded = self._ended(Embedded("rivage", self._folder / "rivage", way, **mail))
        self._regions = (self._separate, embedded)
        # Of the embedded region, whose own bus is PostgreSQL, Kafka has what it says to the nation.
        code, said = await run("deploy.kafka.topics", {"INSTANCE": embedded.slug, "BUS_URL": kafka})
        assert code == 0, said
        await asyncio.gather(*(self._begin(instance) for instance in self._everybody))
        await self._in_the_end(self._all_ready(), "every process answers")
        self.nation = Nation(self._nation)
        self._stack.push_async_callback(self.nation.close)
        for region, code in zip(self._regions, CODES, strict=True):
            key = base64.b64encode(Signer.from_secret(region.signing_key).public_key).decode()
            await self.nation.introduce(region, code, key)
            await self._share_everything(region)
            planner = Planner(region, code, self.seed)
            self._planners.append(planner)
            folder = self._folder / f"clients-{region.slug}"
            folder.mkdir()
            self._crowds.append(Crowd(folder, 1))
        await asyncio.gather(*(planner.begin() for planner in self._planners))

    async def _begin(self, instance: Instance) -> None:
        await instance.prepare()
        self._keeping += instance.keeping(self._stop)

    def _ended(self, instance: _T) -> _T:
        assert isinstance(instance, Instance)
        self._stack.callback(instance.end)
        return instance

    async def _share_everything(self, region: Region) -> None:
        url = f"http://127.0.0.1:{region.ports('exporter')[0]}/api/exporter/v1/sharing"
        async with httpx.AsyncClient(headers=STAFF, timeout=60) as client:
            for volet in ("public", "pro"):
                body = {"volet": volet, "level": "profile", "reason": "Décision du comité"}
                (await client.put(url, json=body)).raise_for_status()

    # In the end.

    async def _check(self) -> None:
        note, outcome = self.outcome.note, self.outcome
        said, asked_all = [], []
        for region, planner, crowd in zip(self._regions, self._planners, self._crowds, strict=True):
            asked, wrong = crowd.read()
            outcome.count(asked)
            asked_all += asked
            said.append(await regional(region, planner, Heard(asked, wrong)))
        country = self.country = await self.nation.country(said, self.post)
        outcome.figures |= {
            "sessions": sum(len(one.sessions) for one in said),
            "registrations": sum(len(one.tables.registrations) for one in said),
            "causes": sum(len(one.causes) for one in said),
            "letters": len(country.letters),
            "letters that came twice": sum(count > 1 for count in self.post.taken.values()),
            "national cells": sum(map(len, country.cells.values())),
            "answers": sum(asked.status is not None for asked in asked_all),
        }
        for one in said:
            outcome.came_about += causes_of(one)
        outcome.starts = sum(worker.starts for one in self._everybody for worker in one.workers)
        outcome.failed_starts = sum(worker.failed_starts for one in self._everybody for worker in one.workers)
        outcome.lives = sum(sum(crowd.lives) for crowd in self._crowds)
        for name, check in invariants.CHECKS.items():
            note(name, [f"{one.slug}: {each}" for one in said for each in check(one.tables, one.programme)])
        for name, promise in promises.PROMISES.items():
            found = ((one, promise(one.heard, one.tables, one.programme)) for one in said)
            note(name, [f"{one.slug}: {each}" for one, sentences in found for each in sentences])
        for name, compare in CHECKS.items():
            note(name, list(compare(country)))
        note(
            "audit",
            [each for region in self._regions for each in await self._refused(region, "deploy.audit")],
        )
        rebuilt = await self._refused(self._nation, "deploy.rebuild_national")
        note("a_rebuild_says_the_same", rebuilt)
        again = await self.nation.country(said, self.post)
        note("the_rebuilt_view_agrees", [each for compare in CHECKS.values() for each in compare(again)])
        workers = [worker for one in self._everybody for worker in one.workers]
        note("processes_end_when_told", [each for one in workers for each in one.wrong])
        note("services_log_no_error", [each for one in workers for each in one.errors()])

    @property
    def _everybody(self) -> Sequence[Instance]:
        return (*self._regions, self._nation)

    async def _command(self, instance: Instance, module: str) -> None:
        self.outcome.differences += await self._refused(instance, module)

    async def _refused(self, instance: Instance, module: str) -> list[str]:
        """What an operator's command says when it isn't content."""
        code, said = await instance.command(module)
        return [f"{instance.slug}: {module} ended with {code}: {said[-3000:]}"] if code else []

    async def _all_ready(self) -> None:
        for instance in self._everybody:
            for worker in instance.workers:
                ready = asyncio.create_task(worker.ready())
                await asyncio.wait([ready, *self._keeping], return_when=asyncio.FIRST_COMPLETED)
                for task in self._keeping:
                    if task.done():
                        task.result()
                await ready

    async def _quiet(self) -> None:
        """Wait until nothing is left to say, to read or to send, twice in a row: all flows one way."""
        give_up = time.monotonic() + PATIENCE
        calm = 0
        async with httpx.AsyncClient(timeout=30) as client:
            while calm < 2:
                left = await self._left(client)
                calm = 0 if left else calm + 1
                if time.monotonic() > give_up:
                    raise RuntimeError(f"it never became quiet: {left}\n{self._state()}")
                await asyncio.sleep(0.3)

    async def _left(self, client: httpx.AsyncClient) -> list[str]:
        """What there still is to do, from the regions to the nation."""
        found: list[str] = []
        try:
            for region in self._regions:
                for service, query in _LEFT.items():
                    (row,) = await region.rows(service, query)
                    found += [f"{region.slug} {service}: {row[0]} to do"] if row[0] else []
                (row,) = await region.rows("notifications", _LETTERS_LEFT)
                if row[0]:
                    found.append(f"{region.slug}: {row[0]} letters")
                    # News of a change waits a little for the next change, and a failed letter for its turn.
                    await jump(region, "notifications", timedelta(minutes=1))
            for instance in self._everybody:
                for said in await instance.healths(client):
                    found += [f"{instance.slug}: {name} {said[name]}" for name in _FIGURES if said.get(name)]
        except (*AWAY, httpx.HTTPError) as error:
            found.append(f"{type(error).__name__} {error}")
        return found

    def _state(self) -> str:
        return "\n".join(worker.state() for one in self._everybody for worker in one.workers)

    async def _in_the_end(self, wanted: Coroutine[Any, Any, _T], what: str) -> _T:
        try:
            async with asyncio.timeout(PATIENCE):
                return await wanted
        except TimeoutError:
            raise RuntimeError(
                f"after {PATIENCE:.0f} s it isn't true that {what};\n{self._state()}"
            ) from None
