"""The registrations service under test: a real database, sessions announced to it, the clock shifted."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson
import pytest
from fastapi import FastAPI

from libs.clock import zone
from libs.database import Database
from libs.messaging import topics
from libs.messaging.bus import Received
from libs.messaging.contracts import SeatCounts, SessionAccess, SessionState, VenueFacts
from libs.messaging.envelope import pack
from libs.messaging.postgres import PostgresBus
from libs.settings import Settings
from libs.web.app import Service
from services.registrations.consumer import inbox
from services.registrations.main import create
from tests.conftest import ADMIN_TOKEN, DatabaseFactory

VENUE = VenueFacts(
    id=UUID(int=7),
    name="Bibliothèque Monique-Corriveau",
    street="1100, route de l’Église",
    municipality="Québec",
    latitude=46.77,
    longitude=-71.3,
)


def session_state(**changes: Any) -> SessionState:
    """A published session in ten days, at the library, with twelve seats; `changes` replace fields."""
    timezone = changes.pop("timezone", "America/Toronto")
    in_days = changes.pop("in_days", 10)
    start = (datetime.now(zone(timezone)) + timedelta(days=in_days)).replace(
        minute=30, second=0, microsecond=0, tzinfo=None
    )
    starts_at = changes.pop("starts_at", start)
    ends_at = changes.pop("ends_at", starts_at + timedelta(hours=2))
    values: dict[str, Any] = {
        "id": uuid4(),
        "status": "published",
        "title": "Le courriel, pas à pas",
        "stream": "public",
        "theme": "courriel",
        "level": "beginner",
        "modality": "on_site",
        "region": "03",
        "venue": VENUE,
        "capacity": SeatCounts(on_site=12),
        "timezone": timezone,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "starts_at_utc": starts_at.replace(tzinfo=zone(timezone)).astimezone(UTC),
        "ends_at_utc": ends_at.replace(tzinfo=zone(timezone)).astimezone(UTC),
        "updated_at": datetime.now(UTC),
    }
    return SessionState(**(values | changes))


def person(number: int = 1, **changes: Any) -> dict[str, Any]:
    """The body of a registration by web; each number is another person."""
    body: dict[str, Any] = {
        "channel": "web",
        "name": f"Aline Tremblay {number}",
        "contact": {"email": f"aline{number}@example.org"},
    }
    return body | changes


def bearer(registration: dict[str, Any]) -> dict[str, str]:
    """The headers of the registration's own person."""
    return {"Authorization": f"Bearer {registration['manage_token']}"}


def problem(answer: httpx.Response) -> str:
    """The slug of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).rpartition(":")[2]


class Instance:
    """The service and its application, driven as its peers and its users do."""

    def __init__(
        self, app: FastAPI, database: Database, settings: Settings, client: httpx.AsyncClient
    ) -> None:
        self.app, self.database, self.settings, self.client = app, database, settings, client
        self.staff = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        self._inbox = inbox(database, settings)

    async def hear(self, *states: SessionState | SessionAccess, version: int = 1, epoch: int = 1) -> None:
        """Deliver messages of `events`."""
        for state in states:
            topic = topics.SESSIONS if isinstance(state, SessionState) else topics.SESSION_ACCESS
            key = str(state.id if isinstance(state, SessionState) else state.session_id)
            message = pack(
                topic,
                instance="test",
                key=key,
                partition_key=key,
                epoch=epoch,
                version=version,
                time=datetime.now(UTC),
                payload=state,
            )
            await self._inbox.handle([Received(message, 0, 0)])

    async def hear_gone(self, topic: topics.Topic, key: UUID, *, version: int = 1, epoch: int = 2) -> None:
        """Deliver what `deploy.restore` says of a session that the backup of `events` hasn't got."""
        message = pack(
            topic,
            instance="test",
            key=str(key),
            partition_key=str(key),
            epoch=epoch,
            version=version,
            time=datetime.now(UTC),
            payload=None,
        )
        await self._inbox.handle([Received(message, 0, 0)])

    async def register(self, session_id: UUID, number: int = 1, **changes: Any) -> httpx.Response:
        headers = changes.pop("headers", {})
        if changes.get("channel", "web") != "web":
            headers = headers | self.staff
        return await self.client.post(
            f"/api/registrations/v1/sessions/{session_id}/registrations",
            json=person(number, **changes),
            headers=headers,
        )

    async def show(self, registration: dict[str, Any]) -> dict[str, Any]:
        """A registration as staff see it now."""
        path = f"/api/registrations/v1/registrations/{registration['id']}"
        answer = await self.client.get(path, headers=self.staff)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def seats(self, session_id: UUID) -> dict[str, Any]:
        answer = await self.client.get(f"/api/registrations/v1/sessions/{session_id}/seats")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def announced(self, topic: topics.Topic = topics.REGISTRATIONS) -> list[Any]:
        """The payloads in the outbox, oldest first: what this service has said."""
        connection = await asyncpg.connect(self.database.url)
        try:
            rows = await connection.fetch("select value from outbox where topic = $1 order by id", topic.name)
        finally:
            await connection.close()
        return [orjson.loads(row["value"]) for row in rows if row["value"] is not None]

    async def causes(self) -> list[str]:
        """The newest cause of each message, in the order in which they were announced."""
        return [state["causes"][-1]["cause"] for state in await self.announced() if state["causes"]]


ShiftClock = Callable[[Database, timedelta], Awaitable[None]]


@pytest.fixture
def shift_clock(postgres_url: str) -> ShiftClock:
    """Move the decision clock of a database, as only its administrator can."""

    async def shift(database: Database, by: timedelta) -> None:
        path = urlsplit(database.url).path
        admin = await asyncpg.connect(urlsplit(postgres_url)._replace(path=path).geturl())
        try:
            await admin.execute("update clock.shift set by = by + $1", by)
        finally:
            await admin.close()

    return shift


@pytest.fixture
async def instance(database_factory: DatabaseFactory, settings: Settings) -> AsyncIterator[Instance]:
    """The service without its loops: tests run them one step at a time."""
    database = await database_factory("registrations", pool_size=10)
    # No loop runs, so nothing is read from or written to the bus.
    app = create(Service("registrations", settings, database, PostgresBus(database.url)))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield Instance(app, database, settings, client)
