"""What the tests of the exporter need: a real database, the streams inside the instance, what goes out."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from libs.database import Database
from libs.messaging import topics
from libs.messaging.bus import Message, Received
from libs.messaging.contracts import (
    Payload,
    SeatCounts,
    SeatsOfKind,
    SeatsState,
    SessionState,
    VenueFacts,
)
from libs.messaging.envelope import Envelope, pack, unpack
from libs.messaging.federated import FederatedTally, OperationalCounts, ProfileCounts, cell_key
from libs.messaging.inbox import Inbox
from libs.messaging.postgres import PostgresBus
from libs.messaging.signing import verify
from libs.messaging.topics import Topic
from libs.settings import Settings
from libs.web.app import Service
from services.exporter import commands, heartbeat
from services.exporter.commands import Decision
from services.exporter.consumer import inbox
from services.exporter.main import create
from services.exporter.restating import Restating
from services.exporter.saying import Voice
from tests.conftest import ADMIN_TOKEN, DatabaseFactory

STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
NOW = datetime(2027, 1, 5, 14, 0, tzinfo=UTC)
SESSION = UUID("5e55104e-0000-4000-8000-000000000001")


def session_state(id_: UUID = SESSION, **changes: Any) -> SessionState:
    """A session as `events` says it, with every field filled in."""
    return SessionState.model_validate(
        {
            "id": id_,
            "status": "published",
            "title": "Le courriel, pas à pas",
            "description": "On apprend à écrire.",
            "bring": "Votre tablette",
            "stream": "public",
            "theme": "courriel",
            "level": "beginner",
            "modality": "hybrid",
            "delivered_by": "library_staff",
            "region": "03",
            "tour_id": UUID(int=5),
            "tour_title": "Tournée d’hiver",
            "venue": VenueFacts(
                id=UUID(int=7),
                name="Bibliothèque Monique-Corriveau",
                street="1100, route de l’Église",
                municipality="Québec",
                postal_code="G1V3V9",
                phone="+14186416686",
                latitude=46.77,
                longitude=-71.3,
                accessibility=("step_free",),
            ),
            "starts_at": "2027-02-03T13:30",
            "ends_at": "2027-02-03T15:30",
            "timezone": "America/Toronto",
            "starts_at_utc": "2027-02-03T18:30Z",
            "ends_at_utc": "2027-02-03T20:30Z",
            "capacity": SeatCounts(on_site=12, online=8),
            "opens_at": "2027-01-02T14:00Z",
            "change_reason": "Panne de courant",
            "cancel_reason": "Tempête",
            "updated_at": NOW,
        }
        | changes
    )


def seats_state(id_: UUID = SESSION, confirmed: int = 3, **changes: Any) -> SeatsState:
    """A session's seats as `registrations` says them."""
    counts = {"capacity": 20, "confirmed": confirmed, "offered": 1, "held": 2, "available": 14 - confirmed}
    counts |= {"waitlisted": 4}
    of_kind = {"on_site": SeatsOfKind.model_validate(counts)}
    return SeatsState.model_validate(
        counts | {"session_id": id_, "by_kind": of_kind, "updated_at": NOW} | changes
    )


def counts(confirmed: int = 3, **changes: Any) -> FederatedTally:
    """A cell of operational counts."""
    cell = {"month": "2027-02", "region": "03", "stream": "public", "theme": "courriel", "channel": "web"}
    cell |= {"modality": "on_site", "as_of": NOW, "registrations": {"confirmed": confirmed}}
    return FederatedTally(cell=OperationalCounts.model_validate(cell | changes))


def profile(rounded: int = 15, **changes: Any) -> FederatedTally:
    """One figure about people."""
    cell = {"month": "2027-02", "region": "03", "stream": "public", "dimension": "people", "as_of": NOW}
    return FederatedTally(cell=ProfileCounts.model_validate(cell | {"rounded": rounded} | changes))


def said(payload: Payload, version: int, epoch: int = 1) -> Message:
    """`payload` as its service says it inside the instance."""
    match payload:
        case SessionState():
            return message(topics.SESSIONS, str(payload.id), version, payload, epoch)
        case SeatsState():
            return message(topics.SEATS, str(payload.session_id), version, payload, epoch)
        case FederatedTally():
            return message(topics.TALLIES, cell_key(payload.cell), version, payload, epoch)
    raise TypeError(type(payload).__name__)


def message(topic: Topic, key: str, version: int, payload: Payload | None, epoch: int = 1) -> Message:
    return pack(
        topic,
        instance="demo",
        key=key,
        partition_key=key,
        epoch=epoch,
        version=version,
        time=NOW,
        payload=payload,
    )


@dataclass
class Region:
    """An instance's exporter without its loops: tests take one step at a time."""

    database: Database
    settings: Settings
    voice: Voice
    inbox: Inbox
    _position: int = field(default=0)

    async def hear(self, *messages: Message) -> None:
        """These messages as one batch."""
        self._position += 1
        await self.inbox.handle([Received(one, 0, self._position) for one in messages])

    async def decide(self, level: str, volet: str = "public", seen: str | None = None) -> None:
        """The team's decision, and everything brought in line with it."""
        async with self.database.transaction() as tx:
            decision = Decision(volet, level, "Le comité l’a décidé", "AB", seen)
            await commands.decide(tx, self.settings, self.voice, decision)
        await self.restate()

    async def restate(self) -> None:
        await Restating(self.database, self.voice).look(asyncio.Event())

    async def beat(self) -> None:
        async with self.database.transaction() as tx:
            await heartbeat.beat(tx, self.settings, self.voice, unread=0)

    async def raw(self) -> list[Message]:
        """What waits to be carried out, signed by this instance every one of them; it is taken away."""
        async with self.database.transaction() as tx:
            rows = (await tx.execute(sa.text("delete from outbox returning *"))).all()
        found = [
            Message(topics.named(row.topic), row.key, row.value, row.partition_key, row.headers)
            for row in sorted(rows, key=lambda row: row.id)
        ]
        assert all(verify(one, self.voice.signer.public_key) for one in found)
        return found

    async def out(self, *streams: str) -> list[tuple[str, Envelope, Payload | None]]:
        """`raw` as (stream, envelope, payload); of these streams only, if any are named."""
        found = [(one.topic.logical.removeprefix("federated."), *unpack(one)) for one in await self.raw()]
        return [item for item in found if not streams or item[0] in streams]

    async def parked(self) -> list[str]:
        async with self.database.reading() as session:
            return list((await session.execute(sa.text("select reason from parked order by id"))).scalars())

    async def execute(self, statement: str) -> None:
        async with self.database.transaction() as tx:
            await tx.execute(sa.text(statement))


@pytest.fixture
async def region(database_factory: DatabaseFactory, settings: Settings) -> Region:
    database = await database_factory("exporter", pool_size=8)
    voice = Voice.of(settings)
    return Region(database, settings, voice, inbox(database, voice, settings.base_url))


@pytest.fixture
async def client(region: Region) -> AsyncIterator[httpx.AsyncClient]:
    """The pages and API, as staff see them."""
    service = Service("exporter", region.settings, region.database, PostgresBus(region.database.url))
    transport = httpx.ASGITransport(create(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=STAFF) as client:
        yield client
