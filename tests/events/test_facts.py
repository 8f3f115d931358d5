"""What a session says of itself to the others: the region of its day, and when it was called off."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from libs.database import Database
from services.events import commands
from services.events.facts import session_state
from services.events.models import Session, Venue
from tests.builders import session_fields
from tests.events.conftest import said


def held_on(day: str, **changes: object) -> Session:
    start = datetime.fromisoformat(f"{day}T13:30")
    fields = {
        "id": uuid4(),
        "title": "Le courriel, pas à pas",
        "stream": "public",
        "modality": "on_site",
        "region": "05",
        "status": "held",
        "timezone": "America/Toronto",
        "starts_at": start,
        "ends_at": start + timedelta(hours=2),
        "starts_at_utc": start.replace(tzinfo=UTC),
        "ends_at_utc": start.replace(tzinfo=UTC) + timedelta(hours=2),
    }
    return Session(**(fields | changes))


@pytest.mark.parametrize("municipality", ["Granby", "Cowansville"])
@pytest.mark.parametrize(
    ("day", "region"), [("2021-07-27", "16"), ("2021-07-28", "05"), ("2027-02-03", "05")]
)
def test_a_session_counts_in_the_region_that_its_place_belonged_to_on_that_day(
    municipality: str, day: str, region: str
) -> None:
    venue = Venue(name="Bibliothèque", municipality=municipality, region="05")

    assert session_state(held_on(day), venue, None).region == region


def test_without_a_place_the_region_is_the_one_that_was_named() -> None:
    online = held_on("2021-07-27", modality="online", region="05")

    assert session_state(online, None, None).region == "05"


async def test_a_cancelled_session_says_when_it_was_called_off(database: Database, venue_id: UUID) -> None:
    async with database.transaction() as db:
        session = await commands.create_session(db, session_fields(venue_id))
        await commands.publish_session(db, "test", session.id)
    async with database.transaction() as db:
        cancelled = await commands.cancel_session(db, "test", session.id, {"reason": "Tempête"})
        instant = cancelled.cancelled_at

    states = [message.payload for message in await said(database) if message.topic == "sessions"]
    assert states[0]["cancelled_at"] is None
    assert instant is not None
    assert datetime.fromisoformat(states[-1]["cancelled_at"]) == instant
