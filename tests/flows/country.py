"""A country on loopback: two regions, each with its own way to the national Kafka, and the national service.

Region A is embedded and comes by the bridge, over a line that can be cut. Region B has a Kafka of its own,
and MirrorMaker 2 copies what may leave. What each region's own databases say is read there, by statements
that share nothing with the services.
"""

import asyncio
import base64
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from deploy.kafka.broker import Cluster
from deploy.kafka.mirror import MirrorMaker, properties
from deploy.postgres import server_url
from libs.database import database_name, in_database
from libs.messaging.bus import Message, Received
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.signing import Signer, new_secret
from libs.messaging.topics import Topic, federated, federated_named
from tests.conftest import SECRET, open_folder
from tests.cuttable import CuttableLine, cuttable_line
from tests.flows.processes import ServiceProcess
from tests.flows.running import ADMIN_TOKEN, ROOT, RunningInstance
from tests.waiting import eventually

API = "/api/national/v1"
STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
SESSION_FIELDS = (
    "status", "title", "stream", "theme", "level", "language", "modality", "region", "starts_at_local",
    "planned",
)  # fmt: skip


class Region(RunningInstance):
    """An instance that is known nationally. `regions`: the codes that it may speak for."""

    def __init__(self, slug: str, regions: Sequence[str], **environment: str) -> None:
        self.slug, self.regions = slug, tuple(regions)
        self.secret = new_secret()
        self.folder = open_folder()
        super().__init__(
            self.folder / "data",
            INSTANCE=slug,
            INSTANCE_NAME=slug.title(),
            SIGNING_KEY=self.secret,
            SECRET_KEY=f"{SECRET}-{slug}",
            **environment,
        )
        self.data_dir.mkdir(mode=0o711)

    @property
    def signer(self) -> Signer:
        return Signer.from_secret(self.secret)

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.signer.public_key).decode()

    async def changes_key(self) -> None:
        """As an operator does: another key in the environment, and a restart."""
        self.stop()
        self.secret = self.environment["SIGNING_KEY"] = new_secret()
        await self.start()

    async def backed_up(self) -> Path:
        """A copy of all its databases, as they are between two of its lives; it goes on."""
        self.stop()
        backup = self.folder / "backup"
        await copied(self.data_dir, backup)
        await self.start()
        return backup

    async def restored(self, backup: Path) -> None:
        """Its databases are lost; the backup takes their place, and the operator follows the procedure."""
        self.stop()
        shutil.rmtree(self.data_dir)
        await copied(backup, self.data_dir)
        await run("deploy.restore", self.environment)
        await self.start()

    async def rows(self, service: str, query: str, *values: object) -> list[asyncpg.Record]:
        """What the service's own database holds, as the server's administrator reads it."""
        return await rows_at(server_url(self.data_dir), self.slug, service, query, *values)

    async def later(self, span: timedelta) -> None:
        """Move the decision clocks of those who decide."""
        for service in ("events", "registrations", "notifications"):
            url = in_database(server_url(self.data_dir), database_name(self.slug, service))
            admin = await asyncpg.connect(url)
            try:
                await admin.execute("update clock.shift set by = by + $1", span)
            finally:
                await admin.close()

    async def count(self) -> None:
        """What an operator does to have the counts now."""
        await run("deploy.tallies", self.environment)

    async def share(self, level: str, volets: Sequence[str] = ("public", "pro")) -> None:
        for volet in volets:
            answer = await self.client.put(
                "/api/exporter/v1/sharing",
                json={"volet": volet, "level": level, "reason": "Décision du comité"},
                headers=self.staff,
            )
            assert answer.is_success, answer.text

    async def has_said_all(self) -> None:
        """Until nothing is left to read or to send, up to the bus that it speaks on."""
        await eventually(self._said_all)

    async def _said_all(self) -> bool:
        services = (await self.client.get("/health")).json()["services"]
        dirty = await self.rows(
            "registrations", "select 1 from session where seats_dirty and facts is not null limit 1"
        )
        return not dirty and all(
            services[name].get(figure, 0) == 0
            for name in ("events", "registrations", "exporter")
            for figure in ("lag", "queued")
        )

    # What its own databases say.

    async def sessions(self) -> dict[str, dict[str, Any]]:
        """Every session that was published, with its seats, as the public may know them."""
        facts = await self.rows("events", SESSIONS)
        seats = {row["session_id"]: dict(row) for row in await self.rows("registrations", SEATS)}
        found = {}
        for row in facts:
            session = {name: row[name] for name in SESSION_FIELDS}
            counts = seats[row["id"]]
            del counts["session_id"]
            found[str(row["id"])] = session | {"instance": self.slug, "seats": counts}
        return found

    async def cells(self) -> dict[str, dict[str, Any]]:
        """The cells of counts as they were announced last, by key."""
        rows = await self.rows(
            "registrations", "select key, cell::text as cell from tally where cell is not null"
        )
        return {row["key"]: _json(row["cell"]) for row in rows}

    async def participations(self) -> list[asyncpg.Record]:
        """Each registration by all that national figures tell apart, and by nothing else."""
        return await self.rows("registrations", _PARTICIPATIONS)

    async def walk_ins(self) -> list[asyncpg.Record]:
        return await self.rows("registrations", _WALK_INS)


@dataclass
class Country:
    """`line` is region A's way to the national Kafka; `mirror` is region B's."""

    nation: ServiceProcess
    nation_environment: Mapping[str, str]
    postgres_url: str
    kafka: Cluster
    line: CuttableLine
    mirror: MirrorMaker
    a: Region
    b: Region
    bus: KafkaBus

    @property
    def regions(self) -> tuple[Region, Region]:
        return self.a, self.b

    async def ask(self, path: str, **query: str) -> Any:
        answer = await self.nation.client.get(f"{API}{path}", params=query, headers=STAFF)
        assert answer.is_success, answer.text
        return answer.json()

    async def decide(self, path: str, **body: object) -> Any:
        """A decision of national staff."""
        body = {"reason": "Convention entre les réseaux"} | body
        answer = await self.nation.client.post(f"{API}{path}", json=body, headers=STAFF)
        assert answer.is_success, answer.text
        return answer.json()

    async def introduce(self, region: Region) -> None:
        await self.decide(
            "/instances",
            instance=region.slug,
            name=region.slug.title(),
            regions=[{"region": code} for code in region.regions],
            public_key=region.public_key,
            valid_from="2026-01-01T00:00:00Z",
        )

    async def rows(self, query: str, *values: object) -> list[asyncpg.Record]:
        return await rows_at(self.postgres_url, "nation", "national", query, *values)

    async def command(self, module: str, *arguments: str) -> str:
        """A command of the national operators."""
        return await run(module, self.nation_environment, *arguments)

    # What the national view says.

    async def sessions(self) -> dict[str, dict[str, Any]]:
        """Every session of the country, by its id."""
        found: dict[str, dict[str, Any]] = {}
        query = {"limit": "500"}
        while True:
            page = await self.ask("/sessions", **query)
            for item in page["items"]:
                seats = item["seats"] and {name: item["seats"][name] for name in _SEAT_COUNTS}
                kept = {name: item[name] for name in SESSION_FIELDS}
                found[item["id"]] = kept | {"instance": item["instance"], "seats": seats}
            if page["next"] is None:
                return found
            query = {"limit": "500", "cursor": page["next"]}

    async def cells(self, instance: str) -> dict[str, dict[str, Any]]:
        """The cells of counts that the view holds of an instance, by key, in the form in which they came."""
        rows = await self.rows(CELLS, instance)
        return {row["key"]: _json(row["cell"]) for row in rows}

    async def state(self) -> dict[str, Any]:
        """All sessions, seats and counts that the view holds now."""
        cells = {region.slug: await self.cells(region.slug) for region in self.regions}
        return {"sessions": await self.sessions(), "cells": cells}

    async def page(self, path: str) -> str:
        answer = await self.nation.client.get(path, headers=STAFF)
        assert answer.is_success, answer.text
        return unescape(answer.text)

    async def indicators(self, *ids: str, by: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """What each indicator says, by (indicator, measure, the values of the dimensions)."""
        answer = await self.ask("/indicators", indicator=",".join(ids), by=by)
        assert answer["next"] is None
        names = by.split(",") if by else []
        return {
            (item["indicator"], item.get("measure", ""), *(item[name] for name in names)): item
            for item in answer["items"]
        }

    async def quarantine(self, *, pulses: bool = False) -> dict[tuple[str, str], int]:
        """How many messages are not believed, by instance and reason; `pulses`: of heartbeats too."""
        found: dict[tuple[str, str], int] = {}
        query = {"limit": "500"}
        while True:
            page = await self.ask("/quarantine", **query)
            for item in page["items"]:
                if pulses or not item["topic"].endswith(".heartbeat"):
                    key = item["instance"], item["reason"]
                    found[key] = found.get(key, 0) + 1
            if page["next"] is None:
                return found
            query = {"limit": "500", "cursor": page["next"]}

    async def has_heard_all(self) -> None:
        """Until the national service has taken in, or refused, everything that stands on its bus."""

        async def nothing_left() -> bool:
            return (await self.nation.health())["lag"] == 0

        await eventually(nothing_left)

    # The national bus, as somebody with the key to it.

    async def said(self, region: Region | str, *streams: str) -> list[Message]:
        """Everything that stands on the national bus of a region, stream by stream, in order."""
        slug = region if isinstance(region, str) else region.slug
        found: list[Message] = []
        for topic in (federated(slug)[stream] for stream in streams or ("sessions", "seats", "tallies")):
            found += await read_all(self.bus, topic)
        return found

    async def put(self, *messages: Message) -> None:
        """Append messages as they are."""
        await self.bus.publish(messages)


async def read_all(bus: KafkaBus, topic: Topic) -> list[Message]:
    """Everything in a stream now."""
    group, stop = f"proof-{secrets.token_hex(4)}", asyncio.Event()
    found: list[Message] = []

    async def keep(batch: Sequence[Received]) -> None:
        found.extend(received.message for received in batch)

    async def read() -> bool:
        return await bus.lag(group, [topic]) == 0

    reading = asyncio.create_task(bus.consume(group, [topic], keep, stop))
    try:
        await eventually(read)
    finally:
        stop.set()
        await reading
    return found


async def rows_at(
    server: str, instance: str, service: str, query: str, *values: object
) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(in_database(server, database_name(instance, service)))
    try:
        return list(await connection.fetch(query, *values))
    finally:
        await connection.close()


async def copied(source: Path, target: Path) -> None:
    """The folder with its owners and rights, which PostgreSQL insists on."""
    await asyncio.to_thread(subprocess.run, ["cp", "-a", str(source), str(target)], check=True)


async def run(module: str, environment: Mapping[str, str], *arguments: str) -> str:
    """A command to its end; what it printed."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@asynccontextmanager
async def country(postgres_url: str, kafka_bootstrap: str) -> AsyncIterator[Country]:
    """Everything started, both regions introduced; nobody has done anything yet."""
    await asyncio.to_thread(subprocess.run, ["bash", "deploy/install.sh", "kafka"], check=True, cwd=ROOT)
    chance = secrets.token_hex(3)
    folder = open_folder()
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        line = stack.enter_context(cuttable_line())
        kafka = Cluster(folder / "kafka", outside=line.port)
        line.to(kafka.outside_port)
        stack.callback(kafka.stop)
        await asyncio.to_thread(kafka.start)
        # The codes are those of the places where their sessions are.
        a = Region(f"a-{chance}", ("03", "12"), NATIONAL_BUS_URL=f"kafka://127.0.0.1:{line.port}")
        b = Region(f"b-{chance}", ("05", "16"), BUS_URL=f"kafka://{kafka_bootstrap}")
        for region in (a, b):
            stack.callback(shutil.rmtree, region.folder, ignore_errors=True)
            stack.push_async_callback(region.close)
        mirror = MirrorMaker(
            folder / "mirror", properties(b.slug, f"kafka://{kafka_bootstrap}", kafka.url(), replication=1)
        )
        stack.callback(mirror.stop)
        environment = {
            "INSTANCE": "nation",
            "DATABASE_URL": postgres_url,
            "BUS_URL": kafka.url(),
            "SECRET_KEY": SECRET,
            "ADMIN_TOKEN": ADMIN_TOKEN,
        }
        nation = ServiceProcess("national", folder / "national.log", **environment)
        stack.push_async_callback(nation.close)
        bus = KafkaBus(kafka.url(), instance="nation", service="proof")
        stack.push_async_callback(bus.close)
        for slug in (a.slug, b.slug):
            await run("deploy.kafka.topics", {"INSTANCE": slug, "BUS_URL": kafka.url()})
        await asyncio.gather(a.start(), b.start(), nation.start(), asyncio.to_thread(mirror.start))
        found = Country(nation, environment, postgres_url, kafka, line, mirror, a, b, bus)
        for region in found.regions:
            await found.introduce(region)
            await region.share("profile")
        yield found


def in_days(days: int, hour: int = 13) -> str:
    """A wall time so many days from now."""
    day = datetime.now(UTC).date() + timedelta(days=days)
    return f"{day}T{hour:02}:30"


def stranger(message: Message, slug: str) -> Message:
    """The message on the stream of another instance, with everything else as it is."""
    topic = federated_named(message.topic.name.replace(message.topic.instance or "", slug, 1))
    assert topic is not None
    return Message(topic, message.key, message.value, message.partition_key, message.headers)


def _json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(text)
    return found


_SEAT_COUNTS = ("capacity", "confirmed", "offered", "waitlisted")
SESSIONS = """
select id, status, title, stream, theme, level, language, modality, region,
    to_char(starts_at, 'YYYY-MM-DD"T"HH24:MI:SS') as starts_at_local,
    capacity_on_site + capacity_online as planned
from session where status <> 'draft'
"""
SEATS = """
select session.id as session_id,
    (select coalesce(sum(effective), 0)::int from seat_pool where session_id = session.id) as capacity,
    count(r.id) filter (where r.status in ('confirmed', 'attended', 'absent', 'excused'))::int as confirmed,
    count(r.id) filter (where r.status = 'offered')::int as offered,
    count(r.id) filter (where r.status = 'waitlisted')::int as waitlisted
from session left join registration r on r.session_id = session.id group by session.id
"""
_KIND = """
facts ->> 'region' as region, left(facts ->> 'starts_at', 7) as month, facts ->> 'stream' as stream,
facts ->> 'theme' as theme, facts ->> 'modality' as modality
"""
_MINUTES = (
    "extract(epoch from (facts ->> 'ends_at')::timestamp - (facts ->> 'starts_at')::timestamp)::int / 60"
)
_PARTICIPATIONS = f"""
select {_KIND}, channel, registration.status as state, 1 as n, {_MINUTES} as minutes
from registration join session on session.id = session_id
"""
_WALK_INS = f"""
select {_KIND}, walk_ins as n, walk_ins * {_MINUTES} as minutes
from session_outcome join session on session.id = session_id where walk_ins > 0
"""
CELLS = """
select key, json_build_object('kind', 'operational', 'month', to_char(month, 'YYYY-MM'), 'region', region,
    'stream', stream, 'theme', theme, 'channel', channel, 'modality', modality,
    'registrations', registrations, 'confirmed_at_start', confirmed_at_start,
    'waitlisted_at_start', waitlisted_at_start,
    'attended_minutes', attended_minutes, 'walk_ins', walk_ins, 'walk_in_minutes', walk_in_minutes,
    'offers_made', offers_made, 'offers_accepted', offers_accepted, 'answer_minutes', answer_minutes,
    'minutes_from_opening', minutes_from_opening)::text as cell
from tally where instance = $1 and generation = (select number from generation where state = 'serving')
union all
select key, json_build_object('kind', 'profile', 'month', to_char(month, 'YYYY-MM'), 'region', region,
    'stream', stream, 'dimension', dimension, 'value', value, 'rounded', rounded)::text
from profile where instance = $1 and generation = (select number from generation where state = 'serving')
"""
