"""Sessions whose seats are drawn: planned, frozen by the publication, announced and shown."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient

from libs.database import Database
from libs.messaging import topics
from libs.messaging.contracts import SeatsState
from libs.messaging.envelope import Envelope
from services.events.consumer import keep_seats
from services.events.models import SessionSeats
from tests.builders import session_fields
from tests.events.conftest import said
from tests.events.coordinating import id_in, session_row
from tests.events.html_forms import form_of, send
from tests.events.public_calendar import save, seats, session, venue, words
from tests.events.test_api import SESSIONS, create, fields_of, published

FORMS = "/coordination/seances"
DRAW = {"policy": "draw", "draw": {"closes_at": "2027-01-31T17:00", "first_time_lots": 2}}


async def patch(staff: AsyncClient, body: dict[str, Any], **changes: Any) -> Any:
    headers = {"If-Match": f'"{body["version"]}"'}
    return await staff.patch(f"{SESSIONS}/{body['id']}", json=changes, headers=headers)


async def test_a_draw_is_planned_and_announced(
    staff: AsyncClient, database: Database, venue_id: UUID
) -> None:
    body = await published(staff, venue_id, waitlist=DRAW)

    assert body["waitlist"] == {
        "policy": "draw",
        "offer_hours": 24,
        "limit": None,
        "draw": {"closes_at": "2027-01-31T17:00:00-05:00", "first_time_lots": 2},
    }
    announced = [message for message in await said(database) if message.topic == topics.SESSIONS.name][-1]
    assert announced.payload["waitlist"]["policy"] == "draw"
    assert announced.payload["waitlist"]["draw"]["first_time_lots"] == 2
    closes_at = datetime.fromisoformat(announced.payload["waitlist"]["draw"]["closes_at"])
    assert closes_at == datetime(2027, 1, 31, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"waitlist": {"policy": "draw"}}, "waitlist/draw"),
        (
            {"waitlist": {"policy": "draw", "draw": {"closes_at": "2027-02-03T13:25"}}},
            "waitlist/draw/closes_at",
        ),
        ({"waitlist": DRAW, "opens_at": "2027-02-01T09:00"}, "waitlist/draw/closes_at"),
        ({"waitlist": DRAW, "registration_modes": ["drop_in"]}, "waitlist/draw/closes_at"),
        (
            {"waitlist": {"policy": "draw", "draw": {"closes_at": "2027-01-31T17:00", "first_time_lots": 4}}},
            "waitlist/draw/first_time_lots",
        ),
    ],
)
async def test_a_draw_that_cannot_be_held_is_refused(
    staff: AsyncClient, venue_id: UUID, changes: dict[str, Any], field: str
) -> None:
    answer = await staff.post(SESSIONS, json=session_fields(venue_id, **changes))

    assert field in fields_of(answer)


async def test_a_draft_may_still_change_its_mind(staff: AsyncClient, venue_id: UUID) -> None:
    body = await create(staff, venue_id, waitlist=DRAW)

    changed = await patch(staff, body, waitlist={"policy": "first_come"})

    assert changed.status_code == 200
    assert changed.json()["waitlist"]["draw"] is None


@pytest.mark.parametrize(
    ("planned", "changes"),
    [
        (DRAW, {"policy": "first_come"}),
        (DRAW, {"draw": {"closes_at": "2027-01-31T17:01", "first_time_lots": 2}}),
        (DRAW, {"draw": {"closes_at": "2027-01-31T17:00", "first_time_lots": 1}}),
        ({"policy": "first_come"}, DRAW),
    ],
)
async def test_once_published_how_seats_are_given_stays(
    staff: AsyncClient, venue_id: UUID, planned: dict[str, Any], changes: dict[str, Any]
) -> None:
    body = await published(staff, venue_id, waitlist=planned)

    refused = await patch(staff, body, waitlist=changes)
    other = await patch(staff, body, title="Un autre titre", waitlist={"offer_hours": 12})

    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "draw-committed")
    assert other.status_code == 200
    assert other.json()["waitlist"]["policy"] == planned["policy"]


async def test_a_session_is_not_moved_before_its_draw(staff: AsyncClient, venue_id: UUID) -> None:
    body = await published(staff, venue_id, waitlist=DRAW)

    early = await staff.post(
        f"{SESSIONS}/{body['id']}/reschedule",
        json={"starts_at": "2027-01-31T17:05", "ends_at": "2027-01-31T19:00"},
    )
    later = await staff.post(
        f"{SESSIONS}/{body['id']}/reschedule",
        json={"starts_at": "2027-02-05T13:30", "ends_at": "2027-02-05T15:30"},
    )

    assert "waitlist/draw/closes_at" in fields_of(early)
    assert later.status_code == 200
    assert later.json()["waitlist"] == body["waitlist"]


async def test_a_draw_that_is_past_is_not_published(
    staff: AsyncClient, database: Database, venue_id: UUID
) -> None:
    soon = datetime.now(UTC) - timedelta(hours=1)
    waitlist = {"policy": "draw", "draw": {"closes_at": soon.isoformat()}}
    body = await create(staff, venue_id, waitlist=waitlist)

    answer = await staff.post(f"{SESSIONS}/{body['id']}/publish", json={})

    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "draw-past")
    assert (await session_row(database, body["id"])).status == "draft"


async def test_a_coordinator_plans_a_draw_with_the_form(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    form = form_of(await browser.get(f"{FORMS}/nouvelle"), "/nouvelle")
    typed = {
        "title": "La tablette",
        "venue_id": str(venue_id),
        "theme": "tablette",
        "date": "2027-02-03",
        "waitlist/policy": "draw",
        "waitlist/draw/first_time_lots": "3",
        "action": "publish",
    }
    unsaid = await send(browser, form, **typed)
    done = await send(browser, form, **typed, **{"waitlist/draw/closes_at": "2027-01-31T17:00"})

    assert unsaid.status_code == 422
    assert "Dites quand le tirage au sort se ferme." in unsaid.text
    assert done.status_code == 303, done.text
    row = await session_row(database, id_in(done))
    assert (row.waitlist_policy, row.draw_first_time_lots) == ("draw", 3)
    assert row.draw_closes_at == datetime(2027, 1, 31, 22, 0, tzinfo=UTC)
    page = await browser.get(f"{FORMS}/{row.id}/modifier")
    assert "Les règles sont publiques et ne changent plus." in words(page.text)
    again = await send(browser, form_of(page, "/modifier"), title="La tablette, un peu plus", action="save")
    assert again.status_code == 303, again.text
    assert (await session_row(database, row.id)).draw_closes_at == row.draw_closes_at
    shown = await browser.get(f"{FORMS}/{row.id}")
    assert "Tirage au sort le" in words(shown.text)


async def test_the_public_page_says_that_nobody_needs_to_hurry(
    public: AsyncClient, database: Database
) -> None:
    library = venue()
    drawn, cancelled, held = session(library), session(library), session(library)
    for one in (drawn, cancelled, held):
        one.waitlist_policy, one.draw_closes_at = "draw", one.starts_at_utc - timedelta(days=2)
    counts = [seats(drawn, 0), seats(cancelled, 0), seats(held, 4)]
    for count, stage in zip(counts, ("to_come", "cancelled", "drawn"), strict=True):
        count.draw = stage
    await save(database, library, drawn, cancelled, held, *counts)

    first, second, third = [
        words((await public.get(f"/seances/{one.id}")).text) for one in (drawn, cancelled, held)
    ]

    assert "Tirage au sort le" in first
    assert "faire sa demande tôt ou tard avant ce moment donne la même chance." in first
    assert "Participer au tirage" in first
    assert "Le tirage au sort de cet atelier a été annulé." in second
    assert "Participer" not in second
    assert "4 places libres" in third
    assert "Tirage au sort" not in third
    calendar = words((await public.get("/")).text)
    assert "Tirage au sort à venir" in calendar
    assert "Tirage annulé" in calendar


async def test_how_far_a_draw_has_come_is_kept_with_its_seats(database: Database) -> None:
    library = venue()
    one = session(library)
    await save(database, library, one)
    now = datetime.now(UTC)
    counts = dict.fromkeys(("capacity", "confirmed", "offered", "held", "available", "waitlisted"), 0)
    state = SeatsState(session_id=one.id, by_kind={}, updated_at=now, draw="to_come", **counts)
    envelope = Envelope("1", "test", "seats", str(one.id), now, 1, 1)
    async with database.transaction() as db:
        await keep_seats(db, envelope, state)

    async with database.reading() as db:
        assert (await db.get_one(SessionSeats, one.id)).draw == "to_come"
