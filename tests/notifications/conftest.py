"""What the tests of notifications need: a real database, a mail server that misbehaves on demand, a clock."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import sqlalchemy as sa

from libs.database import Database
from libs.messaging.inbox import Inbox
from libs.messaging.postgres import PostgresBus
from libs.messaging.topics import REGISTRATIONS
from libs.settings import Settings
from libs.web.app import Service
from services.notifications.consumer import registrations_handler
from services.notifications.main import create
from tests.conftest import ADMIN_TOKEN, DatabaseFactory
from tests.notifications.facts import Person
from tests.notifications.sink import Sink

STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@dataclass
class Office:
    """The service's database and inbox, without its loops: tests take one step at a time."""

    database: Database
    settings: Settings
    inbox: Inbox

    async def hear(self, *people: Person) -> None:
        """What `registrations` says of these people, as one batch."""
        await self.inbox.handle([person.message() for person in people])

    async def rows(self, query: str, **values: object) -> list[Any]:
        async with self.database.reading() as session:
            return list((await session.execute(sa.text(query), values)).all())

    async def notices(self, person: Person) -> list[tuple[str, str]]:
        """(cause, status) of each notice to a person, in their order."""
        found = await self.rows(
            "select cause, status from delivery where registration_id = :id order by epoch, version, cause",
            id=person.id,
        )
        return [tuple(row) for row in found]


@pytest.fixture
async def office(database_factory: DatabaseFactory, settings: Settings) -> Office:
    database = await database_factory("notifications", pool_size=8)
    return Office(database, settings, Inbox(database, {REGISTRATIONS: registrations_handler(settings)}))


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """A real mail server on a free loopback port."""
    async with Sink().running() as server:
        yield server


@pytest.fixture
async def client(office: Office) -> AsyncIterator[httpx.AsyncClient]:
    """The pages and API, as staff see them."""
    service = Service("notifications", office.settings, office.database, PostgresBus(office.database.url))
    transport = httpx.ASGITransport(create(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=STAFF) as client:
        yield client


ShiftClock = Callable[[timedelta], Awaitable[None]]


@pytest.fixture
def shift_clock(office: Office, postgres_url: str) -> ShiftClock:
    """Move the decision clock, as only the database's administrator can."""

    async def shift(by: timedelta) -> None:
        path = urlsplit(office.database.url).path
        admin = await asyncpg.connect(urlsplit(postgres_url)._replace(path=path).geturl())
        try:
            await admin.execute("update clock.shift set by = by + $1", by)
        finally:
            await admin.close()

    return shift
