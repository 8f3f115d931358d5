"""Every route of every service refuses in the one shape: whatever it is sent, and with the database away."""

import importlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from libs.database import Database
from libs.messaging.bus import Bus, BusUnavailable
from libs.settings import Settings
from libs.web.app import Service
from tests.conftest import ADMIN_TOKEN, DatabaseFactory

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/main.py"))
SOMETHING = str(UUID(int=7))
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
MEMBERS = {"type", "title", "status", "instance"}

Sent = dict[str, Any]
NOTHING: Sent = {}
GARBAGE: Sequence[Sent] = (
    NOTHING,
    {"headers": BEARER},
    {"headers": BEARER, "json": {}},
    {"headers": BEARER | {"If-Match": '"1"'}, "json": {"name": {"deep": [1]}, "starts_at": "never"}},
    {"headers": BEARER | {"Content-Type": "application/json"}, "content": b"{not json"},
    {"headers": BEARER, "data": {"name": "a\0b", "version": "many"}},
    {"headers": BEARER, "data": {}},
    {"headers": {"Origin": "https://evil.example"}, "data": {"name": "a"}},
    {"params": {"limit": "-1", "cursor": "'", "from": "x", "lang": "xx"}},
)


class SilentBus:
    """A broker that nobody answers for: the routes must do without it."""

    def __getattr__(self, name: str) -> Any:
        async def away(*_arguments: object, **_named: object) -> None:
            raise BusUnavailable

        return away


def create(name: str, settings: Settings, database: Database) -> FastAPI:
    main = importlib.import_module(f"services.{name}.main")
    app: FastAPI = main.create(Service(name, settings, database, cast(Bus, SilentBus())))
    return app


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, address) of every route, with something that doesn't exist in the place of each id."""
    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or ()):
            path = route.path or "/"
            for name in route.param_convertors or ():
                path = path.replace(f"{{{name}}}", SOMETHING).replace(f"{{{name}:path}}", SOMETHING)
            yield method, path


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


def shape(response: httpx.Response) -> str | None:
    """What is wrong with an answer, if anything is."""
    if response.status_code < 400:
        return None
    path = response.request.url.path
    if path.startswith("/api/"):
        return document_fault(response)
    if path.startswith(("/health", "/metrics")) or path.endswith((".json", ".ics")):
        return None
    kind = response.headers.get("content-type", "")
    is_page = kind.startswith("text/html") and "<h1" in response.text
    return None if is_page else f"is {kind} without a heading"


def document_fault(response: httpx.Response) -> str | None:
    """What RFC 9457 or a reader would miss in an answer to a program."""
    if response.headers.get("content-type") != "application/problem+json":
        return f"is {response.headers.get('content-type')}"
    body = response.json()
    if not body.keys() >= MEMBERS or body["status"] != response.status_code:
        return f"has {sorted(body)}"
    if response.status_code == 422 and not (body.get("errors") or body.get("detail")):
        return "doesn't say what to correct"
    return None


async def wrong_answers(app: FastAPI, sent: Sent, forbidden: int) -> list[str]:
    """Answers of another shape, or with the status that must not happen."""
    found = []
    async with client_of(app) as client:
        for method, path in routes(app):
            headers = {"Accept": "text/html"} if not path.startswith("/api/") else {}
            options = sent | {"headers": headers | sent.get("headers", {})}
            if method in {"GET", "HEAD"}:
                options = {key: value for key, value in options.items() if key in {"headers", "params"}}
            response = await client.request(method, path, **options)
            fault = None if method == "HEAD" else shape(response)
            if response.status_code == forbidden:
                fault = f"must not be {forbidden}"
            if fault:
                found.append(f"{method} {path} with {sent}: {response.status_code} {fault}")
    return found


@pytest.mark.parametrize("name", SERVICES)
async def test_whatever_a_route_is_sent_it_refuses_in_one_shape(
    name: str, settings: Settings, database_factory: DatabaseFactory
) -> None:
    app = create(name, settings, await database_factory(name))
    wrong = [fault for sent in GARBAGE for fault in await wrong_answers(app, sent, forbidden=500)]
    assert wrong == []


@pytest.mark.parametrize("name", SERVICES)
async def test_with_the_database_away_no_route_breaks(name: str, settings: Settings) -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    app = create(name, settings, database)
    wrong = [fault for sent in GARBAGE[:3] for fault in await wrong_answers(app, sent, forbidden=500)]
    assert wrong == []
    await database.close()


@pytest.mark.parametrize("name", SERVICES)
async def test_an_unknown_address_and_a_wrong_method_are_refused_like_the_rest(
    name: str, settings: Settings
) -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    app = create(name, settings, database)
    async with client_of(app) as client:
        for path, status in (
            ("/rien", 404),
            (f"/api/{name}/rien", 404),
            ("/api", 404),
        ):
            response = await client.get(path, headers={"Accept": "text/html"})
            assert response.status_code == status
            assert shape(response) is None
        response = await client.request("PURGE", f"/health/{name}")
        assert response.status_code == 405
        assert response.json().keys() >= MEMBERS
    await database.close()
