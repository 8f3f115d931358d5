"""A public calendar to read: sessions made and published through the API, with the seats people take."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx

from bench.instance import STAFF, Instance, registering
from bench.processes import until
from libs.clock import utc_now

SESSIONS = "/api/events/v1/sessions"
LIST = f"{SESSIONS}?limit=200"
_AT_ONCE = 4


async def publish_sessions(instance: Instance, count: int) -> list[str]:
    """Make and publish `count` sessions as a coordinator does."""
    client = instance.services["events"].client
    venue = (await client.get("/api/events/v1/venues", headers=STAFF)).json()["items"][0]["id"]
    first = (utc_now() + timedelta(days=20)).replace(hour=9, minute=30, second=0, microsecond=0, tzinfo=None)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def make(number: int) -> str:
        async with gate:
            session = await _post(client, SESSIONS, _session(venue, first + timedelta(hours=6 * number)))
            await _post(client, f"{SESSIONS}/{session['id']}/publish", {})
            return str(session["id"])

    ids = await asyncio.gather(*(make(number) for number in range(count)))
    return list(ids)


async def register(instance: Instance, session_id: str) -> None:
    """Somebody takes a seat."""
    name = secrets.token_hex(6)
    body = {"channel": "web", "name": f"Aline {name}", "contact": {"email": f"{name}@example.org"}}
    await _post(instance.registrations.client, registering(session_id), body)


async def confirmed(instance: Instance, session_id: str) -> int:
    """How many seats of a session the public list says are taken."""
    items = (await instance.services["events"].client.get(LIST)).json()["items"]
    return next(int(item["seats"]["confirmed"]) for item in items if item["id"] == session_id)


@asynccontextmanager
async def people_registering(
    instance: Instance, sessions: list[str], per_second: float
) -> AsyncIterator[None]:
    """During the block people take seats, now here, now there: no list stays true for long."""

    async def go_on() -> None:
        for number in range(1_000_000):
            await register(instance, sessions[number % len(sessions)])
            await asyncio.sleep(1 / per_second)

    task = asyncio.create_task(go_on())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def seats_are_public(instance: Instance) -> None:
    """Wait until the list shows seats that registrations counted, and nothing more is on its way."""
    await instance.settled()
    client = instance.services["events"].client

    async def all_counted() -> bool:
        items = (await client.get(LIST)).json()["items"]
        return bool(items) and all(item["seats"] is not None for item in items)

    await until(all_counted, "the list has sessions without seats", every=0.2)
    await instance.settled()


def _session(venue: str, start: datetime) -> dict[str, Any]:
    return {
        "title": "Le courriel, pas à pas",
        "description": "Ouvrir une boîte, écrire, joindre une photo. Un appareil est prêté.",
        "stream": "public",
        "theme": "courriel",
        "level": "beginner",
        "modality": "on_site",
        "venue_id": venue,
        "starts_at": start.isoformat(timespec="minutes"),
        "ends_at": (start + timedelta(hours=2)).isoformat(timespec="minutes"),
        "timezone": "America/Toronto",
        "capacity": 10_000,
    }


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(path, json=body, headers=STAFF)
    if not answer.is_success:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:500]}")
    return dict(answer.json())
