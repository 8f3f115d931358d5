"""What everybody in a country says once it is quiet, gathered for the checks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import orjson

from libs.messaging.bus import Message
from libs.messaging.contracts import SessionState
from libs.messaging.envelope import read_envelope, read_payload
from tests.chaos.country.planner import Plan, Planner
from tests.chaos.country.post import Post
from tests.chaos.country.region import STAFF, Instance, Region
from tests.chaos.programme import Planned, Programme
from tests.chaos.promises import Heard
from tests.chaos.tables import Tables, state
from tests.flows.country import CELLS, SEATS, SESSION_FIELDS, SESSIONS

Facts = dict[str, Any]
SEAT_COUNTS = ("capacity", "confirmed", "offered", "waitlisted")


@dataclass(slots=True)
class Regional:
    """What a region says of itself. `deliveries` and `causes` as (registration, epoch, version, cause)."""

    slug: str
    tables: Tables
    programme: Programme
    heard: Heard
    plans: Mapping[str, Plan]
    sessions: dict[str, Facts]
    cells: dict[str, Facts]
    causes: list[tuple[str, int, int, str]]
    deliveries: list[Facts]
    parked: dict[str, int]


@dataclass(slots=True)
class Country:
    """Everything that is compared."""

    regions: Sequence[Regional]
    sessions: dict[str, Facts]
    cells: dict[str, dict[str, Facts]]
    """By instance and key."""
    live: dict[str, int]
    """Indicator I4 by instance, as the API says it: from the public seats."""
    by_state: dict[str, dict[str, int]]
    """The same by instance and state: from the tallies."""
    quarantined: list[str]
    letters: dict[str, set[str]]
    """Whom the mail server has a letter for, by its Message-ID."""

    def apart(self) -> "Country":
        """The same, to be changed at will; the rows of databases stay shared."""
        return Country(
            regions=[
                replace(
                    region,
                    plans=deepcopy(region.plans),
                    sessions=deepcopy(region.sessions),
                    cells=deepcopy(region.cells),
                    deliveries=deepcopy(region.deliveries),
                    parked=dict(region.parked),
                )
                for region in self.regions
            ],
            sessions=deepcopy(self.sessions),
            cells=deepcopy(self.cells),
            live=dict(self.live),
            by_state=deepcopy(self.by_state),
            quarantined=list(self.quarantined),
            letters=deepcopy(self.letters),
        )


class KnownProgramme(Programme):
    """The sessions of a region as `events` said them on its bus."""

    def __init__(self, said: Sequence[Message], cancelled: str | None) -> None:
        by_key: defaultdict[str, list[Message]] = defaultdict(list)
        for message in said:
            by_key[message.key].append(message)
        self.sessions = [_planned(messages) for messages in by_key.values()]
        self.by_id = {session.id: session for session in self.sessions}
        self.cancelled = cancelled


def _planned(messages: Sequence[Message]) -> Planned:
    states = [(read_envelope(message).newness, read_payload(message)) for message in messages]
    states.sort(key=lambda each: each[0])
    said = [payload for _, payload in states if isinstance(payload, SessionState)]
    return Planned(said[-1].title, said[-1], states[-1][0][1], said)


async def regional(region: Region, planner: Planner, heard: Heard) -> Regional:
    """Read a region's own databases and bus."""
    log = await region.log()
    tables = await state(region.url, region.slug, log)
    tables.touched = heard.touched(tables)
    seats = {row["session_id"]: dict(row) for row in await region.rows("registrations", SEATS)}
    sessions = {}
    for row in await region.rows("events", SESSIONS):
        counts = {name: seats[row["id"]][name] for name in SEAT_COUNTS}
        facts = {name: row[name] for name in SESSION_FIELDS}
        sessions[str(row["id"])] = facts | {"instance": region.slug, "seats": counts}
    cells = await region.rows("registrations", "select key, cell::text from tally where cell is not null")
    causes = await region.rows(
        "registrations", "select registration_id::text, epoch, version, cause from registration_cause"
    )
    deliveries = await region.rows(
        "notifications",
        "select registration_id::text, epoch, version, cause, status, route, message_id from delivery",
    )
    return Regional(
        slug=region.slug,
        tables=tables,
        programme=KnownProgramme(log["sessions"], planner.cancelled),
        heard=heard,
        plans=planner.plans,
        sessions=sessions,
        cells={row["key"]: orjson.loads(row["cell"]) for row in cells},
        causes=[tuple(row) for row in causes],
        deliveries=[dict(row) for row in deliveries],
        parked={
            service: (await region.rows(service, "select count(*) from parked"))[0]["count"]
            for service in ("events", "registrations", "notifications", "exporter")
        },
    )


class Nation:
    """The national service as its staff ask it."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{instance.workers[0].port}/api/national/v1", timeout=60, headers=STAFF
        )

    async def introduce(self, region: Instance, code: str, public_key: str) -> None:
        answer = await self._client.post(
            "/instances",
            json={
                "instance": region.slug,
                "name": region.slug.title(),
                "regions": [{"region": code}],
                "public_key": public_key,
                "valid_from": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
                "reason": "Convention entre les réseaux",
            },
        )
        assert answer.is_success, answer.text

    async def country(self, regions: Sequence[Regional], post: Post) -> Country:
        cells = {}
        for region in regions:
            rows = await self._rows(CELLS, region.slug)
            cells[region.slug] = {row["key"]: orjson.loads(row["cell"]) for row in rows}
        by_state: dict[str, dict[str, int]] = {region.slug: {} for region in regions}
        for item in await self._registrations("instance,state"):
            by_state[item["instance"]][item["state"]] = item["value"]
        doubted = await self._rows("select instance, topic, reason from quarantined order by id limit 20")
        return Country(
            regions=regions,
            sessions=await self._sessions(),
            cells=cells,
            live={item["instance"]: item["value"] for item in await self._registrations("instance")},
            by_state=by_state,
            quarantined=[" ".join(row) for row in doubted],
            letters=dict(post.to),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def _sessions(self) -> dict[str, Facts]:
        found: dict[str, Facts] = {}
        query = {"limit": "500"}
        while True:
            page = await self._get("/sessions", **query)
            for item in page["items"]:
                seats = item["seats"] and {name: item["seats"][name] for name in SEAT_COUNTS}
                facts = {name: item[name] for name in SESSION_FIELDS}
                found[item["id"]] = facts | {"instance": item["instance"], "seats": seats}
            if page["next"] is None:
                return found
            query = {"limit": "500", "cursor": page["next"]}

    async def _registrations(self, by: str) -> list[Facts]:
        return list((await self._get("/indicators", indicator="I4", by=by))["items"])

    async def _get(self, path: str, **query: str) -> Facts:
        answer = await self._client.get(path, params=query)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def _rows(self, query: str, *values: object) -> list[asyncpg.Record]:
        return await self._instance.rows("national", query, *values)
