"""A service as an application: transactions, languages, HEAD, static files, operations pages."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from fastapi import APIRouter
from sqlalchemy import text
from starlette.responses import RedirectResponse, Response
from starlette.types import Message

from libs.database import Database
from libs.messaging import asyncapi, schemas
from libs.web.app import Reading, Transaction, overall_health, overall_metrics
from libs.web.assets import static_url
from tests.libs.web.conftest import AppFactory, client_of, cookie_names

TABLES = (
    "create table seat (number int primary key)",
    # Deferred, so that only the commit notices.
    "create table taken (number int references seat deferrable initially deferred)",
)


def router() -> APIRouter:
    routes = APIRouter()

    @routes.post("/prendre/{number}")
    async def take(number: int, session: Transaction) -> Response:
        await session.execute(text("insert into taken values (:number)"), {"number": number})
        return RedirectResponse("/merci", 303)

    @routes.post("/puis-casser/{number}")
    async def take_then_fail(number: int, session: Transaction) -> Response:
        await session.execute(text("insert into taken values (:number)"), {"number": number})
        raise RuntimeError

    @routes.get("/lire")
    async def read(session: Reading) -> list[int]:
        await session.execute(text("insert into seat values (99)"))
        return list((await session.execute(text("select number from taken"))).scalars())

    @routes.get("/page")
    async def page() -> dict[str, str]:
        return {"hello": "you"}

    return routes


@pytest.fixture
async def seats(provisioned: Database) -> Database:
    async with provisioned.transaction() as session:
        for statement in (*TABLES, "insert into seat values (1)"):
            await session.execute(text(statement))
    return provisioned


async def test_a_change_is_committed_before_its_answer(make_app: AppFactory, seats: Database) -> None:
    async with client_of(make_app(router(), database=seats)) as client:
        assert (await client.post("/prendre/1")).status_code == 303
        assert (await client.get("/lire")).json() == [1]


async def test_a_commit_that_fails_is_an_error_page_and_never_a_303(
    make_app: AppFactory, seats: Database
) -> None:
    async with client_of(make_app(router(), database=seats)) as client:
        response = await client.post("/prendre/2")
        assert response.status_code == 500
        assert "location" not in response.headers
        assert (await client.get("/lire")).json() == []


async def test_what_a_failed_request_did_is_rolled_back(make_app: AppFactory, seats: Database) -> None:
    async with client_of(make_app(router(), database=seats)) as client:
        assert (await client.post("/puis-casser/1")).status_code == 500
        assert (await client.get("/lire")).json() == []


async def test_a_row_that_others_hold_too_long_is_503_and_not_an_error(
    make_app: AppFactory, seats: Database
) -> None:
    routes = APIRouter()

    @routes.post("/prendre")
    async def take(session: Transaction) -> None:
        await session.execute(text("set local lock_timeout = '1ms'"))
        await session.execute(text("select * from seat for update"))

    async with client_of(make_app(routes, database=seats)) as client, seats.transaction() as other:
        await other.execute(text("select * from seat for update"))
        response = await client.post("/prendre")
    assert response.status_code == 503
    assert "retry-after" in response.headers


async def test_reading_never_changes_anything(make_app: AppFactory, seats: Database) -> None:
    async with client_of(make_app(router(), database=seats)) as client:
        await client.get("/lire")
        assert (await client.get("/lire")).status_code == 200  # the same row could be inserted again


async def test_health_says_what_works_and_what_the_service_adds(
    make_app: AppFactory, provisioned: Database
) -> None:
    async def more() -> dict[str, object]:
        return {"parked": 0, "lag": 3}

    app = make_app(database=provisioned, health=more)
    async with client_of(app) as client:
        response = await client.get("/health/events")
        assert response.status_code == 200
        assert response.json() == {
            "service": "events",
            "ready": True,
            "database": "up",
            "leaving": False,
            "loops": {},
            "parked": 0,
            "lag": 3,
        }
        assert (await client.get("/health")).json()["services"].keys() == {"events"}


async def test_health_is_503_when_the_database_is_away(make_app: AppFactory) -> None:
    app = make_app()
    async with client_of(app) as client:
        response = await client.get("/health/events")
        assert response.status_code == 503
        assert response.json()["database"] == "down"
    assert (await overall_health([app])).status_code == 503


async def test_metrics_count_requests_by_template_never_by_address(make_app: AppFactory) -> None:
    outer, inner = APIRouter(prefix="/mon-inscription"), APIRouter(prefix="/{token}")

    @inner.get("/place")
    async def personal(token: str) -> str:
        return "yours"

    outer.include_router(inner)
    app = make_app(outer)
    async with client_of(app) as client:
        await client.get("/mon-inscription/secret-token/place")
        await client.get("/unknown/secret-token")
        figures = (await client.get("/metrics")).text
    labels = 'method="GET",route="/mon-inscription/{token}/place",service="events",status="200"'
    assert f"tournee_requests_total{{{labels}}} 1.0" in figures
    assert "secret-token" not in figures
    assert "tournee_request_seconds_bucket" in figures


async def test_a_process_with_several_services_shows_one_page_of_metrics(make_app: AppFactory) -> None:
    body = bytes((await overall_metrics([make_app(), make_app()])).body).decode()
    assert body.count("# TYPE tournee_health gauge") == 1


async def test_every_service_says_what_streams_there_are(make_app: AppFactory) -> None:
    async with client_of(make_app()) as client:
        answer = await client.get("/asyncapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == asyncapi.published()


async def test_a_message_s_schema_is_where_the_message_says(make_app: AppFactory) -> None:
    async with client_of(make_app()) as client:
        for stream, schema in schemas.published().items():
            answer = await client.get(f"/schemas/{stream}.json")
            assert answer.headers["content-type"] == "application/schema+json"
            assert answer.json() == schema
            assert schema["$id"] == f"/schemas/{stream}.json"
        assert (await client.get("/schemas/unknown.json")).status_code == 404


async def test_the_language_switch_is_remembered(make_app: AppFactory) -> None:
    async with client_of(make_app(router())) as client:
        first = await client.get("/connexion?lang=en")
        assert cookie_names(first) == ["langue"]
        assert '<html lang="en"' in first.text
        assert '<html lang="en"' in (await client.get("/connexion")).text
        assert '<html lang="fr"' in (await client.get("/connexion?lang=fr")).text
        assert cookie_names(await client.get("/page?lang=xx")) == []


async def test_the_language_link_keeps_the_filters(make_app: AppFactory) -> None:
    async with client_of(make_app()) as client:
        page = (await client.get("/connexion?suite=/a%26b&lang=fr")).text
    assert 'href="?suite=%2Fa%26b&amp;lang=en"' in page


async def test_head_answers_like_get_without_a_body(make_app: AppFactory) -> None:
    async with client_of(make_app(router())) as client:
        response = await client.head("/page")
    assert response.status_code == 200
    assert response.content == b""
    assert response.headers["content-length"] == "15"


async def test_static_files_are_kept_for_a_year_under_their_hash(make_app: AppFactory) -> None:
    address = static_url("main.css")
    assert "?v=" in address
    async with client_of(make_app()) as client:
        hashed = await client.get(address)
        assert hashed.status_code == 200
        assert "immutable" in hashed.headers["cache-control"]
        assert "immutable" not in (await client.get("/static/main.css")).headers["cache-control"]
        other = await client.get("/static/main.css?v=other")
        assert other.headers["cache-control"] == "no-cache", "another release's, met during an upgrade"
        for missing in ("/static/nothing.css", "/static/../app.py", "/static/%2e%2e/app.py"):
            assert (await client.get(missing)).status_code == 404


async def test_the_api_is_described_without_the_pages_and_with_one_error_shape(make_app: AppFactory) -> None:
    api = APIRouter(prefix="/api/events/v1")

    @api.get("/sessions")
    async def sessions(limit: int = 20) -> list[str]:
        """Published sessions."""
        return []

    async with client_of(make_app(api, router())) as client:
        document = (await client.get("/api/events/openapi.json")).json()
        page = await client.get("/api/events/docs")
    assert document["openapi"].startswith("3.1")
    assert list(document["paths"]) == ["/api/events/v1/sessions"]
    responses = document["paths"]["/api/events/v1/sessions"]["get"]["responses"]
    assert responses.keys() == {"200", "default"}
    assert page.status_code == 200
    assert "GET /api/events/v1/sessions" in page.text
    assert "<script" not in page.text


async def test_a_crowd_beyond_the_pool_is_told_to_come_back(
    make_app: AppFactory, provisioned: Database
) -> None:
    small = Database(provisioned.url, pool_size=1)
    small.engine.pool._timeout = 0.0  # type: ignore[attr-defined]  # what the longest wait ends in
    async with client_of(make_app(router(), database=small)) as client, AsyncExitStack() as others:
        for _other in range(2):  # the pool and its overflow
            await others.enter_async_context(small.engine.connect())
        assert (await client.get("/lire")).status_code == 503
    await small.close()


async def test_a_request_that_the_end_of_the_process_cuts_off_is_put_off_and_no_fault(
    make_app: AppFactory,
) -> None:
    """The web server cancels what is left when it has waited long enough."""
    at_work, routes = asyncio.Event(), APIRouter()

    @routes.get("/api/lent")
    async def slow() -> None:
        at_work.set()
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    sent: list[Message] = []
    scope = {"type": "http", "method": "GET", "path": "/api/lent", "query_string": b"", "headers": []}
    request = asyncio.create_task(make_app(routes)(scope, receive, send))
    await at_work.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert sent[0]["status"] == 503
    assert b"retry-after" in dict(sent[0]["headers"])
