"""What the tests of national need: its database with one generation that serves, and instances that speak."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from libs.database import Database
from libs.messaging.bus import Message
from libs.messaging.postgres import PostgresBus
from libs.settings import Settings
from libs.web.app import Service
from services.national import registry
from services.national.believing import Region
from services.national.generations import ensure
from services.national.ingest import Ingest
from services.national.main import create
from services.national.registry import BEFORE_ALL, By
from tests.conftest import ADMIN_TOKEN, DatabaseFactory
from tests.national.speaking import Speaker, received

STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
US = By("tests", "Parce qu’il le faut")


@dataclass
class Nation:
    """The national service's database, without its loops: tests take one step at a time."""

    database: Database
    settings: Settings
    generation: int = 1
    positions: dict[str, int] = field(default_factory=dict)

    async def register(self, speaker: Speaker, *regions: Region) -> Speaker:
        """Make an instance known with its key, which is believed whatever it signed before."""
        async with self.database.transaction() as session:
            await registry.register(session, US, speaker.slug, speaker.slug.title(), regions)
            await registry.add_key(session, US, speaker.slug, speaker.signer.public_key, BEFORE_ALL)
        return speaker

    async def hear(self, *messages: Message, generation: int | None = None) -> None:
        """These arrive in this order; what belongs to one stream and comes together is one batch."""
        ingest = Ingest(self.database, generation or self.generation)
        for name, group in groupby(messages, key=lambda message: message.topic.name):
            batch = received(list(group), self.positions.get(name, 0))
            self.positions[name] = batch[-1].offset + 1
            await ingest.handle(batch)

    async def rows(self, query: str, **values: object) -> list[Any]:
        async with self.database.reading() as session:
            return list((await session.execute(sa.text(query), values)).all())

    async def one(self, query: str, **values: object) -> Any:
        (row,) = await self.rows(query, **values)
        return row

    async def doubted(self) -> list[str]:
        """The reasons in quarantine, in the order of arrival."""
        return [row.reason for row in await self.rows("select reason from quarantined order by id")]

    async def state(self, generation: int | None = None) -> dict[str, list[Any]]:
        """Everything that the pages are made from, without the moments at which it came."""
        number = generation or self.generation
        found = {}
        for table in ("session", "session_cell", "tally", "profile", "pulse"):
            rows = await self.rows(
                f"select to_jsonb({table}) - 'generation' - 'received_at' as row from {table}"
                " where generation = :number order by 1",
                number=number,
            )
            # A cell that has become empty counts nothing, as one that never was.
            found[table] = [row.row for row in rows if row.row.get("sessions") != 0 or table == "pulse"]
        return found


@pytest.fixture
async def nation(database_factory: DatabaseFactory, settings: Settings) -> Nation:
    database = await database_factory("national", pool_size=8)
    await ensure(database)
    return Nation(database, settings)


@pytest.fixture
async def estrie(nation: Nation) -> Speaker:
    """An instance that is registered for every region."""
    return await nation.register(Speaker("estrie"))


@pytest.fixture
async def client(nation: Nation) -> AsyncIterator[httpx.AsyncClient]:
    """The pages and API, as national staff see them."""
    service = Service("national", nation.settings, nation.database, PostgresBus(nation.database.url))
    transport = httpx.ASGITransport(create(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=STAFF) as client:
        yield client
