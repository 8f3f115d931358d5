"""A whole instance as several processes behind the proxy: replaced, killed and used as one."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.hosting import SERVICES
from deploy.postgres import server_url
from libs.database import database_name, in_database
from tests.deploy.process import Runner
from tests.flows.running import ADMIN_TOKEN, ROOT, RunningInstance
from tests.waiting import eventually

CROWD = 4
MOST = 4_000
"""People at most: the crowd comes as long as replicas are replaced."""


class RunningCluster(RunningInstance):
    """`python -m deploy.cluster` with two replicas of each service."""

    program = ("deploy.cluster",)

    async def rows(self, service: str, query: str) -> list[tuple[Any, ...]]:
        """What the service's own database holds."""
        admin = await asyncpg.connect(in_database(server_url(self.data_dir), database_name("demo", service)))
        try:
            return [tuple(row) for row in await admin.fetch(query)]
        finally:
            await admin.close()

    def processes(self) -> dict[str, set[int]]:
        """The processes of each service."""
        assert self._process is not None
        found: dict[str, set[int]] = {name: set() for name in SERVICES}
        for pid in _children(self._process.pid):
            command = _command(pid)
            if "deploy.service" in command:
                found[command[-1]].add(pid)
        return found

    async def replicas(self) -> dict[str, list[str]]:
        """Where the replicas of each service answer, once all do."""

        async def all_ready() -> list[dict[str, Any]]:
            body = (await self.client.get("/health")).json()
            return body["replicas"] if all(one["ready"] for one in body["replicas"]) else []

        found: dict[str, list[str]] = {}
        for one in await eventually(all_ready):
            found.setdefault(one["service"], []).append(f"http://{one['address']}")
        return found

    async def says(self, text: str) -> None:
        await eventually(lambda: text in self.log(), f"it never said: {text}")

    async def letters(self) -> Counter[str]:
        """How many letters everybody has got."""
        found: Counter[str] = Counter()
        query: dict[str, str] | None = {"limit": "500"}
        while query:
            page = (await self.client.get("/boite-envoi.json", params=query, headers=self.staff)).json()
            found.update(item["to"] for item in page["items"])
            query = {"limit": "500", "cursor": page["next"]} if page["next"] else None
        return found


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> list[str]:
    """Empty for a process that has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


@pytest.fixture(scope="module", autouse=True)
def _caddy() -> None:
    """A missing proxy is installed or fails the run; it never skips a test."""
    subprocess.run(["bash", "deploy/install.sh", "proxy"], check=True, cwd=ROOT)


@pytest.fixture
async def cluster(data_dir: Path) -> AsyncIterator[RunningCluster]:
    running = RunningCluster(data_dir)
    try:
        await running.start()
        yield running
    finally:
        await running.close()


class Crowd:
    """People who register, each trying a second time, with the same key, when the first got no answer.

    They wait as long as they are told (`Retry-After`, RFC 9110, section 10.2.3).
    """

    def __init__(self, cluster: RunningCluster, session_id: str) -> None:
        self.cluster = cluster
        self.session_id = session_id
        self.answered: dict[str, str] = {}
        self.second_tries: list[str] = []
        self.stop = asyncio.Event()

    async def live(self, member: int) -> None:
        for number in range(MOST // CROWD):
            if self.stop.is_set():
                return
            await self._register(f"personne.{member}.{number}@example.org")
            await self._ask("GET", "/", None)
            # A pace and not a wait: people type, and what is measured isn't how much this machine bears.
            await asyncio.sleep(0.1)

    async def _register(self, email: str) -> None:
        body = {"channel": "web", "name": f"Personne {email}", "contact": {"email": email}}
        path = f"/api/registrations/v1/sessions/{self.session_id}/registrations"
        answer = await self._ask("POST", path, body, {"Idempotency-Key": email})
        self.answered[email] = answer.json()["id"]
        own = {"Authorization": f"Bearer {answer.json()['manage_token']}"}
        shown = await self._ask(
            "GET", f"/api/registrations/v1/registrations/{self.answered[email]}", None, own
        )
        assert shown.json()["status"] == "confirmed"

    async def _ask(
        self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        try:
            answer = await self.cluster.client.request(method, path, json=body, headers=headers)
            if answer.status_code < 500:
                assert answer.is_success, answer.text
                return answer
            why = str(answer.status_code)
            await asyncio.sleep(int(answer.headers.get("retry-after", 0)))
        except httpx.TransportError as error:
            why = type(error).__name__
        self.second_tries.append(f"{method} {path}: {why}")
        answer = await self.cluster.client.request(method, path, json=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {why}, then {answer.status_code} {answer.text}"
        return answer


@pytest.fixture(params=["PostgreSQL", "Kafka"])
async def cluster_on(request: pytest.FixtureRequest, data_dir: Path) -> AsyncIterator[RunningCluster]:
    """With each of the two buses."""
    running = RunningCluster(data_dir)
    if request.param == "Kafka":
        install = ["bash", "deploy/install.sh", "kafka"]
        await asyncio.to_thread(subprocess.run, install, check=True, cwd=ROOT)
        running.program = (*running.program, "--kafka")
    try:
        await running.start()
        yield running
    finally:
        await running.close()


async def test_all_replicas_are_replaced_under_load_and_nobody_notices(cluster_on: RunningCluster) -> None:
    cluster = cluster_on
    session = await cluster.published(capacity=MOST)
    await cluster.says("Pour arrêter")
    before = cluster.processes()
    crowd = Crowd(cluster, session["id"])

    async with asyncio.TaskGroup() as group:
        for member in range(CROWD):
            group.create_task(crowd.live(member))
        await eventually(lambda: len(crowd.answered) > CROWD)
        command = [sys.executable, "-m", "deploy.cluster", "restart"]
        environment = {**os.environ, **cluster.environment}
        await asyncio.to_thread(subprocess.run, command, check=True, cwd=ROOT, env=environment)
        for name in SERVICES:
            for number in (1, 2):
                await cluster.says(f"{name}-{number} a redémarré")
        await cluster.says("Redémarrage en roulement terminé")
        crowd.stop.set()

    after = cluster.processes()
    assert all(len(after[name]) == 2 and not before[name] & after[name] for name in SERVICES)
    await _nothing_is_lost(cluster, session["id"], crowd)


async def _nothing_is_lost(cluster: RunningCluster, session_id: str, crowd: Crowd) -> None:
    """Everybody who got an answer is there once, has one letter, and has one seat in public."""
    kept = await cluster.rows("registrations", "select email, id::text from registration")
    assert sorted(kept) == sorted(crowd.answered.items()), crowd.second_tries

    async def all_told() -> bool:
        return (await cluster.letters()).keys() >= crowd.answered.keys()

    await eventually(all_told)
    assert await cluster.letters() == dict.fromkeys(crowd.answered, 1)
    sent = await cluster.rows("notifications", "select registration_id::text, cause, status from delivery")
    assert sorted(sent) == sorted((id_, "confirmed", "sent") for id_ in crowd.answered.values())

    async def seats_are_public() -> bool:
        return bool((await cluster.public(session_id))["seats"]["confirmed"] == len(crowd.answered))

    await eventually(seats_are_public)


async def test_whichever_replica_answers_it_is_one_service(cluster: RunningCluster) -> None:
    session = await cluster.published(capacity=40)
    replicas = await cluster.replicas()
    ours = {"Origin": cluster.base_url}

    async with httpx.AsyncClient(timeout=60) as client:
        # Signed in by one, known to all.
        signed_in = await cluster.client.post("/connexion", data={"token": ADMIN_TOKEN}, headers=ours)
        cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
        pages = {
            "events": "/coordination",
            "registrations": "/guichet",
            "notifications": "/guichet/appels",
        }
        for service, page in pages.items():
            for address in replicas[service]:
                assert (await client.get(f"{address}{page}", headers=cookie)).status_code == 200
                stranger = cookie | {"Origin": "https://evil.example"}
                assert (await client.post(f"{address}/deconnexion", headers=stranger)).status_code == 403
                assert (await client.post(f"{address}/deconnexion", headers=cookie | ours)).status_code == 303

        # A form that one has shown, sent to both: one registration.
        first, second = replicas["registrations"]
        form = await client.get(f"{first}/inscription/{session['id']}")
        form_id = re.search(r'name="form_id"[^>]*? value="([^"]*)"', form.text)
        assert form_id is not None
        typed = {"form_id": unescape(form_id[1]), "name": "Aline", "route": "email", "language": "fr"}
        typed["email"] = "aline@example.org"
        answers = [
            await client.post(f"{address}/inscription/{session['id']}", data=typed, headers=ours)
            for address in (second, first, second)
        ]
        assert [answer.status_code for answer in answers] == [303] * 3
        (place,) = {answer.headers["location"] for answer in answers}
        for address in (cluster.base_url, first, second):
            assert "Vous avez une place." in (await client.get(f"{address}{place}")).text

        # What is kept for a moment is the same everywhere a moment later.
        async def same_everywhere() -> bool:
            lists = [await client.get(f"{one}/api/events/v1/sessions") for one in replicas["events"]]
            feeds = [await client.get(f"{one}/calendrier.ics") for one in replicas["events"]]
            seats = [item["seats"]["confirmed"] for answer in lists for item in answer.json()["items"]]
            return (
                seats == [1, 1]
                and len({answer.text for answer in lists}) == 1
                and len({answer.text for answer in feeds}) == 1
            )

        await eventually(same_everywhere)
    assert await cluster.letters() == {"aline@example.org": 1}


async def test_a_replica_that_dies_is_replaced_and_the_others_answer(cluster: RunningCluster) -> None:
    session = await cluster.published(capacity=MOST)
    await cluster.says("Pour arrêter")
    crowd = Crowd(cluster, session["id"])

    async with asyncio.TaskGroup() as group:
        for member in range(CROWD):
            group.create_task(crowd.live(member))
        for name in ("registrations", "events", "notifications"):
            await cluster.replicas()
            before = cluster.processes()[name]
            os.kill(min(before), signal.SIGKILL)
            await eventually(lambda before=before, name=name: len(cluster.processes()[name] - before) == 1)
        await cluster.replicas()
        crowd.stop.set()

    kept = await cluster.rows("registrations", "select email, id::text from registration")
    assert sorted(kept) == sorted(crowd.answered.items()), crowd.second_tries

    async def all_told() -> bool:
        return (await cluster.letters()).keys() >= crowd.answered.keys()

    await eventually(all_told)


async def test_figures_of_all_replicas_are_on_one_page(cluster: RunningCluster) -> None:
    replicas = await cluster.replicas()
    page = (await cluster.client.get("/metrics")).text
    for name, addresses in replicas.items():
        for address in addresses:
            replica = address.removeprefix("http://")
            assert f'tournee_replica_up{{replica="{replica}"}} 1.0' in page
            assert re.search(rf'tournee_requests_total{{.*replica="{replica}".*service="{name}"', page), (
                f"{name} at {replica}"
            )


def test_a_service_that_can_not_run_ends_everything_loudly(data_dir: Path) -> None:
    runner = Runner(data_dir, {"MAIL_FROM": "not an address"}, module=["deploy.cluster"])
    assert runner.end() == 70
    assert "notifications-" in runner.errors
    assert "donnez une adresse de courriel seule" in runner.errors


def test_one_cluster_at_a_time_works_on_a_folder(data_dir: Path) -> None:
    nobody = Runner(data_dir, module=["deploy.cluster", "restart"])
    assert nobody.end() == 1
    assert "Rien ne fonctionne" in nobody.errors
    first = Runner(data_dir, module=["deploy.cluster", "--replicas", "1"]).ready()
    try:
        second = Runner(data_dir, module=["deploy.cluster"])
        assert second.end() == 1
        assert "fonctionne déjà" in second.errors
        with first.client as client:
            assert client.get("/health").json()["ready"] is True
    finally:
        children = _children(first.process.pid)
        assert first.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
