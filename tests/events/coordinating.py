"""What the tests of the coordinators' pages share: sessions with people, and a browser that signed in."""

from typing import Any
from uuid import UUID

from httpx import Response

from libs.database import Database
from services.events import commands
from services.events.models import Session, SessionReach, SessionSeats
from tests.builders import session_fields


async def session_row(database: Database, session_id: UUID | str) -> Session:
    async with database.reading() as db:
        return await db.get_one(Session, UUID(str(session_id)))


def id_in(answer: Response) -> UUID:
    """The session that a 303 leads to."""
    return UUID(answer.headers["location"].partition("?")[0].rsplit("/", 1)[1])


async def a_session(
    database: Database, venue_id: UUID | None, *, publish: bool = True, **changes: Any
) -> UUID:
    async with database.transaction() as db:
        session = await commands.create_session(db, session_fields(venue_id, **changes))
        if publish:
            await commands.publish_session(db, "test", session.id)
        return session.id


async def with_people(database: Database, session_id: UUID, waitlisted: int = 0, **by_route: int) -> None:
    """What registrations would have said: who has a seat and how they are reached."""
    total = sum(by_route.values())
    row = await session_row(database, session_id)
    capacity = row.capacity_on_site + row.capacity_online
    async with database.transaction() as db:
        db.add(
            SessionSeats(
                session_id=session_id, epoch=1, version=1, capacity=capacity,
                confirmed=total - waitlisted, offered=0, held=0,
                available=max(capacity - total + waitlisted, 0), waitlisted=waitlisted,
            )
        )  # fmt: skip
        db.add(SessionReach(session_id=session_id, epoch=1, version=1, by_route=by_route))
