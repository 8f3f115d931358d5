"""What the tests of events share: its database, its application, and clients of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from typing import Any, cast
from uuid import UUID

import orjson
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from libs.database import Database
from libs.messaging.bus import Bus
from libs.settings import Settings
from libs.web.app import Service
from services.events import main
from tests.builders import a_venue
from tests.conftest import ADMIN_TOKEN, DatabaseFactory


@dataclass(frozen=True)
class Said:
    """A message in the outbox."""

    topic: str
    key: str
    epoch: int
    version: int
    payload: dict[str, Any]


@pytest.fixture
async def database(database_factory: DatabaseFactory) -> Database:
    return await database_factory("events")


@pytest.fixture
def app(database: Database, settings: Settings) -> FastAPI:
    """The service without its loops: what it would say stays in the outbox.

    Between any two requests minutes pass, so that no kept answer is fresh any more.
    """
    service = Service("events", settings, database, cast(Bus, None))
    return main.create(service, clock=count(step=300).__next__)


@pytest.fixture
async def public(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Somebody from the street."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        yield client


@pytest.fixture
async def staff(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A coordinator."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    transport = ASGITransport(app)
    async with AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
        yield client


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A coordinator who signed in with a browser: a cookie, and the Origin that browsers send."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        answer = await client.post(
            "/connexion", data={"token": ADMIN_TOKEN}, headers={"Origin": "http://testserver"}
        )
        assert answer.status_code == 303
        client.headers["Origin"] = "http://testserver"
        yield client


@pytest.fixture
async def venue_id(database: Database) -> UUID:
    """A library in Québec."""
    async with database.transaction() as db:
        return (await a_venue(db)).id


async def said(database: Database, topic: str | None = None) -> list[Said]:
    """What the service announced so far, in its order."""
    async with database.reading() as db:
        rows = (await db.execute(sa.text("select topic, key, headers, value from outbox order by id"))).all()
    messages = [
        Said(
            row.topic,
            row.key,
            int(row.headers["ce_epoch"]),
            int(row.headers["ce_version"]),
            orjson.loads(row.value),
        )
        for row in rows
    ]
    return [message for message in messages if topic in (None, message.topic)]
