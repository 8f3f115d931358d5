"""A coordinator of a region: plans sessions and changes plans by the API, again until an answer comes."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from tests.chaos.country.region import STAFF, Region

API = "/api/events/v1"
MOST = 40
"""Sessions of a region."""
PAUSE = 0.1


@dataclass(slots=True)
class Plan:
    """What the last answer about a session makes true."""

    title: str
    status: str
    starts_at: str
    capacity: dict[str, int]


class Planner:
    """One of them for each region, who does one thing after the other; `plans` by the session's id."""

    def __init__(self, region: Region, code: str, seed: int) -> None:
        self.plans: dict[str, Plan] = {}
        self.answered: Counter[str] = Counter()
        self.cancelled: str | None = None
        self._region, self._code = region, code
        self._random = random.Random(f"planner {region.slug} {seed}")
        self._wishes = self._changes()
        self._alone = asyncio.Lock()
        self._client = httpx.AsyncClient(timeout=8, headers=STAFF)
        self._venue: str | None = None

    async def begin(self) -> None:
        """The sessions that a campaign opens with."""
        for label, body in _first_sessions():
            await self._publish(label, body)

    async def change(self) -> None:
        """Publish one more, or change a plan; returns once it is answered."""
        async with self._alone:
            wish = next(self._wishes)
            if wish == "publish" and len(self.plans) < MOST:
                number = len(self.plans) + 1
                await self._publish(f"number {number}", {"capacity": {"on_site": 1 + number % 6}})
            elif wish == "cancel":
                id_ = next(id_ for id_, plan in self.plans.items() if plan.title == "to be cancelled")
                await self._post(f"/sessions/{id_}/cancel", {"reason": "Tempête de neige"})
                self.plans[id_].status, self.cancelled = "cancelled", id_
            else:
                id_ = self._random.choice([id_ for id_, plan in self.plans.items() if _changeable(plan)])
                await (self._move(id_) if wish == "move" else self._resize(id_, up=wish == "raise"))
            self.answered[wish] += 1

    def for_clients(self) -> list[dict[str, object]]:
        """Where people may register; small sessions get crowds."""
        return [
            {"id": id_, "kinds": list(plan.capacity), "weight": math.pow(sum(plan.capacity.values()), 0.15)}
            for id_, plan in self.plans.items()
        ]

    async def close(self) -> None:
        await self._client.aclose()

    def _changes(self) -> Iterator[str]:
        wishes = ["raise", "publish", "cancel", "move", "lower", "publish", "raise"]
        while True:
            yield from wishes
            wishes = [wish for wish in wishes if wish != "cancel"]
            self._random.shuffle(wishes)

    async def _publish(self, label: str, given: Mapping[str, Any]) -> None:
        body = {
            "title": label,
            "stream": self._random.choice(["public", "pro"]),
            "theme": self._random.choice(["courriel", "tablette", "internet"]),
            "modality": "on_site",
            "timezone": "America/Toronto",
            **_times(timedelta(days=self._random.randrange(10, 80))),
            **given,
        }
        if body["modality"] == "online":
            body["region"] = self._code
        else:
            body["venue_id"] = await self._some_venue()
        made = await self._post("/sessions", body)
        id_ = str(made["id"])
        await self._post(f"/sessions/{id_}/publish", {})
        await self._takes_registrations(id_)
        self.plans[id_] = Plan(label, "published", str(body["starts_at"]), dict(body["capacity"]))

    async def _resize(self, id_: str, *, up: bool) -> None:
        plan = self.plans[id_]
        sizes = {
            kind: seats + 1 + seats // 5 if up else max(1, seats * 2 // 3)
            for kind, seats in plan.capacity.items()
        }
        while True:
            now = await self._ask("GET", f"/sessions/{id_}")
            headers = {"If-Match": now.headers["etag"]}
            answer = await self._ask("PATCH", f"/sessions/{id_}", {"capacity": sizes}, headers)
            # What got no answer may have been done: then the version is another one.
            if answer.status_code != 412:
                answer.raise_for_status()
                plan.capacity = sizes
                return

    async def _move(self, id_: str) -> None:
        plan = self.plans[id_]
        wall = datetime.fromisoformat(plan.starts_at) + timedelta(hours=1)
        body = {"starts_at": _text(wall), "ends_at": _text(wall + timedelta(hours=2))}
        body |= {"timezone": "America/Toronto", "reason": "La salle est prise plus tôt"}
        await self._post(f"/sessions/{id_}/reschedule", body)
        plan.starts_at = _text(wall)

    async def _some_venue(self) -> str:
        if self._venue is None:
            found = await self._ask("GET", f"/venues?region={self._code}&limit=1")
            self._venue = str(found.json()["items"][0]["id"])
        return self._venue

    async def _takes_registrations(self, id_: str) -> None:
        path = f"/api/registrations/v1/sessions/{id_}/seats"
        while (await self._ask("GET", path, service="registrations")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(PAUSE)

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._ask("POST", path, body, {"Idempotency-Key": str(uuid4())})
        if not answer.is_success:
            raise AssertionError(f"{path} {body}: {answer.status_code} {answer.text}")
        return dict(answer.json())

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        service: str = "events",
    ) -> httpx.Response:
        """As a browser behind a load balancer would; under the same key until an answer comes."""
        path = path if path.startswith("/api/") else f"{API}{path}"
        while True:
            port = self._random.choice(self._region.ports(service))
            try:
                url = f"http://127.0.0.1:{port}{path}"
                answer = await self._client.request(method, url, json=body, headers=headers)
            except httpx.TransportError:
                pass
            else:
                if answer.status_code != 503:
                    return answer
            await asyncio.sleep(PAUSE)


def _changeable(plan: Plan) -> bool:
    return plan.status == "published" and plan.title != "to be cancelled"


def _times(away: timedelta) -> dict[str, str]:
    wall = (datetime.now(UTC) + away).replace(minute=30, second=0, microsecond=0, tzinfo=None)
    return {"starts_at": _text(wall), "ends_at": _text(wall + timedelta(hours=2))}


def _text(wall: datetime) -> str:
    return wall.isoformat(timespec="minutes")


def _first_sessions() -> Iterator[tuple[str, dict[str, Any]]]:
    soon = {"offer_hours": 0.25}
    link = {"online_url": "https://rencontre.example.org/salle"}
    yield "one seat", {"capacity": {"on_site": 1}, "waitlist": soon}
    yield "three seats, three may wait", {"capacity": {"on_site": 3}, "waitlist": {"limit": 3}}
    yield "to be cancelled", {"capacity": {"on_site": 5}, "waitlist": soon}
    yield "five online", {"capacity": {"online": 5}, "modality": "online", "waitlist": soon, **link}
    yield "hybrid", {"capacity": {"on_site": 4, "online": 4}, "modality": "hybrid", **link}
    yield "sixty", {"capacity": {"on_site": 60}, "waitlist": soon, "held_seats": {"on_site": {"phone": 5}}}
