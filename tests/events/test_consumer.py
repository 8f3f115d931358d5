"""The copies of seats and reach: the newest wins, whatever the order and however often it comes."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.database import Database
from libs.messaging.bus import Message, Received
from libs.messaging.contracts import ReachState, SeatsOfKind, SeatsState
from libs.messaging.envelope import pack
from libs.messaging.inbox import Inbox
from libs.messaging.topics import REACH, SEATS, Topic
from services.events import commands, queries
from services.events.consumer import HANDLERS
from services.events.views import seats_view
from tests.builders import session_fields

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def message(
    topic: Topic, session_id: UUID, epoch: int, version: int, payload: SeatsState | ReachState | None
) -> Message:
    return pack(
        topic,
        instance="demo",
        key=str(session_id),
        partition_key=str(session_id),
        epoch=epoch,
        version=version,
        time=NOW,
        payload=payload,
    )


def seats(session_id: UUID, epoch: int, version: int, confirmed: int) -> Message:
    of_kind = SeatsOfKind(
        capacity=12, confirmed=confirmed, offered=0, held=0, available=12 - confirmed, waitlisted=0
    )
    state = SeatsState(
        **of_kind.model_dump(), session_id=session_id, by_kind={"on_site": of_kind}, updated_at=NOW
    )
    return message(SEATS, session_id, epoch, version, state)


async def deliver(database: Database, messages: Sequence[Message]) -> None:
    await Inbox(database, HANDLERS).handle([Received(m, 0, offset) for offset, m in enumerate(messages)])


@pytest.fixture
async def session_id(database: Database, venue_id: UUID) -> UUID:
    async with database.transaction() as db:
        session = await commands.create_session(db, session_fields(venue_id, held_seats={"phone": 2}))
        await commands.publish_session(db, "demo", session.id)
        return session.id


async def confirmed(database: Database, session_id: UUID) -> int:
    async with database.reading() as db:
        record = await queries.record(db, session_id)
        assert record is not None
        return seats_view(record.session, record.seats).confirmed


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_newest_count_wins_in_any_order(
    database: Database, session_id: UUID, order: tuple[int, ...]
) -> None:
    states = [seats(session_id, 1, 9, 5), seats(session_id, 2, 1, 6), seats(session_id, 2, 2, 7)]
    for index in order:
        await deliver(database, [states[index]])
        await deliver(database, [states[index]])
    assert await confirmed(database, session_id) == 7


async def test_before_the_first_count_the_plan_is_shown(database: Database, session_id: UUID) -> None:
    async with database.reading() as db:
        record = await queries.record(db, session_id)
        assert record is not None
        view = seats_view(record.session, record.seats)
    assert (view.capacity, view.held, view.available) == (12, 2, 10)


async def test_reach_is_kept_and_forgotten(database: Database, session_id: UUID) -> None:
    reach = ReachState(session_id=session_id, by_route={"email": 8, "phone": 3}, updated_at=NOW)
    await deliver(database, [message(REACH, session_id, 1, 1, reach)])
    async with database.reading() as db:
        record = await queries.record(db, session_id)
        assert record is not None
        assert record.reach is not None
        assert record.reach.by_route == {"email": 8, "phone": 3}
    await deliver(database, [message(REACH, session_id, 1, 2, None)])
    async with database.reading() as db:
        record = await queries.record(db, session_id)
        assert record is not None
        assert record.reach is None


async def test_seats_of_an_unknown_session_do_no_harm(database: Database) -> None:
    await deliver(database, [seats(UUID(int=7), 1, 1, 3)])
    async with database.reading() as db:
        assert await queries.record(db, UUID(int=7)) is None
