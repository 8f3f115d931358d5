"""What every answer tells browsers, and bodies that are too large to be honest."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, Request
from starlette.responses import Response

from libs.web.security import MAX_BODY
from tests.libs.web.conftest import BEARER, AppFactory, client_of

ALLOWED = {
    "default-src 'none'", "style-src 'self'", "script-src 'self'", "img-src 'self' data:", "font-src 'self'",
    "connect-src 'self'", "manifest-src 'self'", "form-action 'self'", "base-uri 'none'",
    "frame-ancestors 'none'",
}  # fmt: skip


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/seances")
    @routes.get("/guichet/appels")
    @routes.get("/mon-inscription/{token}")
    async def show() -> str:
        return "shown"

    @routes.get("/calendrier.ics")
    async def feed() -> Response:
        return Response("feed", headers={"Cache-Control": "public, max-age=60"})

    @routes.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    @routes.post("/api/events/v1/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    return routes


@pytest.fixture
async def client(make_app: AppFactory):
    async with client_of(make_app(router())) as client:
        yield client


@pytest.mark.parametrize("path", ["/seances", "/nothing", "/broken", "/health/events", "/static/main.css"])
async def test_every_answer_carries_the_headers_even_an_error(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert set(headers["content-security-policy"].split("; ")) == ALLOWED
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "geolocation=()" in headers["permissions-policy"]
    assert headers["x-request-id"]
    assert "strict-transport-security" not in headers


async def test_pages_of_staff_and_persons_are_never_stored(client: httpx.AsyncClient) -> None:
    for path in ("/guichet/appels", "/mon-inscription/abc"):
        assert (await client.get(path)).headers["cache-control"] == "no-store"
    assert (await client.get("/seances", headers=BEARER)).headers["cache-control"] == "no-store"
    public = (await client.get("/seances")).headers
    assert (public["cache-control"], public["vary"]) == ("no-cache", "Cookie")
    assert (await client.get("/calendrier.ics")).headers["cache-control"] == "public, max-age=60"
    client.cookies.set("equipe", "a-session")
    assert (await client.get("/seances")).headers["cache-control"] == "no-store"


class Counted:
    """A body of 10 MB in small pieces, which remembers how much of it was taken."""

    def __init__(self) -> None:
        self.taken = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        for _piece in range(1000):
            self.taken += 10_000
            yield b"x" * 10_000


async def post(client: httpx.AsyncClient, content: object, headers: dict[str, str]) -> httpx.Response:
    return await client.post("/api/events/v1/echo", content=content, headers=headers)  # type: ignore[arg-type]


async def test_a_body_that_announces_too_much_is_refused_unread(client: httpx.AsyncClient) -> None:
    body = Counted()
    response = await post(client, body.pieces(), {"Content-Length": "10000000"})
    assert response.status_code == 413
    assert response.json()["type"] == "urn:tournee:problem:too-large"
    assert body.taken == 0


async def test_a_body_that_announces_nothing_is_read_up_to_the_limit(client: httpx.AsyncClient) -> None:
    body = Counted()
    response = await post(client, body.pieces(), {})
    assert response.status_code == 413
    assert body.taken <= MAX_BODY + 10_000


async def test_a_body_at_the_limit_is_taken(client: httpx.AsyncClient) -> None:
    assert (await post(client, b"x" * MAX_BODY, {})).json() == MAX_BODY
    assert (await post(client, b"x" * (MAX_BODY + 1), {})).status_code == 413
