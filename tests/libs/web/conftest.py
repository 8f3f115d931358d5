"""A small service to try the shell with: a few routes, a table, no bus."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from libs.database import Database
from libs.messaging.bus import Bus
from libs.settings import Settings
from libs.web.app import Service, create_app
from tests.conftest import ADMIN_TOKEN

BASE_URL = "http://testserver"
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"

AppFactory = Callable[..., FastAPI]


@pytest.fixture
async def away() -> AsyncIterator[Database]:
    """A database that nobody answers for."""
    database = Database(NOWHERE)
    yield database
    await database.close()


@pytest.fixture
def make_app(settings: Settings, away: Database) -> AppFactory:
    """`make_app(router, …)`: the application of a service called `events`."""

    def make(
        *routers: APIRouter,
        database: Database = away,
        changed: dict[str, Any] | None = None,
        package: str = "services.events",
        **more: Any,
    ) -> FastAPI:
        chosen = settings.model_copy(update=changed or {})
        service = Service("events", chosen, database, cast(Bus, None))
        return create_app(service, package=package, routers=routers, **more)

    return make


@asynccontextmanager
async def client_of(app: FastAPI, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that talks to `app` without a network."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, **options) as client:
        yield client


def cookie_names(response: httpx.Response) -> Sequence[str]:
    """The cookies that an answer sets."""
    return [value.partition("=")[0] for value in response.headers.get_list("set-cookie")]
