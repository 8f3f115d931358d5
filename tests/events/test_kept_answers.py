"""The public list and the calendar's feed are kept for a moment: for everybody, and for nobody's drafts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from libs.database import Database
from libs.messaging.bus import Bus
from libs.settings import Settings
from libs.web.app import Service
from services.events import api, feeds, main
from tests.conftest import ADMIN_TOKEN
from tests.events.public_calendar import save, seats, session, venue

LIST, FEED = api.KEPT.path, feeds.KEPT.path
STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


class Time:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def app(database: Database, settings: Settings, time: Time) -> FastAPI:
    return main.create(Service("events", settings, database, cast(Bus, None)), clock=time)


@pytest.fixture
async def anybody(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with client_of(app) as client:
        yield client


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        yield client


async def titles(client: AsyncClient, query: str = "", **headers: str) -> list[str]:
    answer = await client.get(f"{LIST}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return [item["title"] for item in answer.json()["items"]]


async def available(client: AsyncClient) -> int:
    (item,) = (await client.get(LIST)).json()["items"]
    return int(item["seats"]["available"])


async def test_seats_in_the_list_are_less_than_a_second_old(
    anybody: AsyncClient, database: Database, time: Time
) -> None:
    library = venue()
    one = session(library)
    await save(database, library, one, seats(one, 4))
    assert await available(anybody) == 4

    async with database.transaction() as db:
        await db.execute(sa.text("update session_seats set available = 3, confirmed = confirmed + 1"))
    assert await available(anybody) == 4, "kept"
    time.now += api.KEPT.seconds
    assert await available(anybody) == 3
    assert api.KEPT.seconds < 1


async def test_drafts_are_neither_served_from_what_is_kept_nor_kept(
    anybody: AsyncClient, database: Database
) -> None:
    library = venue()
    draft = session(library, title="Brouillon", status="draft", published_at=None)
    await save(database, library, session(library, title="Annoncé"), draft)
    drafts = "?status=draft&status=published"

    # Both start at the same time: either may come first.
    assert sorted(await titles(anybody, drafts, **STAFF)) == ["Annoncé", "Brouillon"]
    assert (await anybody.get(LIST + drafts)).status_code == 401
    assert await titles(anybody) == ["Annoncé"]
    assert sorted(await titles(anybody, drafts, **STAFF)) == ["Annoncé", "Brouillon"]
    assert "staff_notes" in (await anybody.get(LIST, headers=STAFF)).json()["items"][0]
    assert "staff_notes" not in (await anybody.get(LIST)).json()["items"][0]


async def test_a_coordinator_who_publishes_finds_it_published(
    anybody: AsyncClient, database: Database
) -> None:
    library = venue()
    draft = session(library, title="Brouillon", status="draft", published_at=None)
    await save(database, library, draft)
    assert await titles(anybody) == []
    before = (await anybody.get(FEED)).headers["etag"]
    published = await anybody.post(f"{LIST}/{draft.id}/publish", json={}, headers=STAFF)
    assert published.status_code == 200
    assert await titles(anybody) == ["Brouillon"]
    assert (await anybody.get(FEED)).headers["etag"] != before


async def test_filters_and_languages_are_never_mixed(anybody: AsyncClient, database: Database) -> None:
    library = venue()
    tablet = session(library, title="Tablette", theme="tablette", status="cancelled")
    await save(database, library, session(library, title="Courriel"), tablet)
    for _round in range(2):
        assert sorted(await titles(anybody)) == ["Courriel", "Tablette"]
        assert await titles(anybody, "?theme=tablette") == ["Tablette"]
        assert await titles(anybody, "?limit=1&theme=courriel") == ["Courriel"]
        assert (await anybody.get(f"{LIST}?theme=jardinage")).status_code == 422
        assert "Annulé" in (await anybody.get(FEED)).text
        assert "Cancelled" in (await anybody.get(f"{FEED}?lang=en")).text
        anybody.cookies.clear()
        assert "Cancelled" in (await anybody.get(FEED, headers={"Cookie": "langue=en"})).text


async def test_what_a_stranger_adds_to_an_address_stays_out_of_the_feed(anybody: AsyncClient) -> None:
    feed = await anybody.get(f"{FEED}?utm_source=evil&theme=courriel&theme=x&near=nulle-part")
    (source,) = [line for line in feed.text.replace("\r\n ", "").splitlines() if line.startswith("SOURCE")]
    assert source.endswith("http://testserver/calendrier.ics?near=nulle-part&theme=courriel")


CHANGES = {
    "a session": "update session set title = 'Autre'",
    "a place": "update venue set name = 'Ailleurs'",
    "a cancellation": "update session set status = 'cancelled', cancelled_at = now()",
    "one that leaves": "update session set starts_at = starts_at - interval '90 days',"
    " ends_at = ends_at - interval '90 days', starts_at_utc = starts_at_utc - interval '90 days',"
    " ends_at_utc = ends_at_utc - interval '90 days'",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_the_feeds_tag_changes_with_all_that_it_shows(
    anybody: AsyncClient, database: Database, time: Time, change: str
) -> None:
    """Even where somebody changed the tables by hand."""
    library = venue()
    one = session(library)
    await save(database, library, one)
    before = await anybody.get(FEED)
    known = {"If-None-Match": before.headers["etag"]}
    time.now += 1
    assert (await anybody.get(FEED, headers=known)).status_code == 304

    async with database.transaction() as db:
        await db.execute(sa.text(change))
    time.now += 1
    after = await anybody.get(FEED, headers=known)
    assert after.status_code == 200
    assert after.text != before.text


async def test_a_reader_who_has_the_feed_is_told_so_without_reading_the_sessions(
    anybody: AsyncClient, database: Database, time: Time
) -> None:
    library = venue()
    await save(database, library, *(session(library) for _ in range(3)))
    feed = await anybody.get(FEED)
    time.now += 1
    read: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        read.append(statement)

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    again = await anybody.get(FEED, headers={"If-None-Match": feed.headers["etag"]})
    assert again.status_code == 304
    assert not any("description" in statement for statement in read)
    assert any("xmin" in statement for statement in read)
