"""A country, and the pages and API that speak of its indicators."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from libs.messaging.postgres import PostgresBus
from libs.settings import Settings
from libs.web.app import Service
from services.national.main import create
from tests.conftest import ADMIN_TOKEN, DatabaseFactory
from tests.national.indicators.seeding import Country

STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture
async def country(database_factory: DatabaseFactory) -> Country:
    """A database with a generation that serves, and nothing in it."""
    country = Country(await database_factory("national"))
    await country.begin()
    return country


@pytest.fixture
async def client(country: Country, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The API and pages, as national staff see them."""
    service = Service("national", settings, country.database, PostgresBus(country.database.url))
    transport = httpx.ASGITransport(create(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=STAFF) as client:
        yield client


Ask = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def ask(client: httpx.AsyncClient) -> Ask:
    """`await ask(indicator="I4", by="region")`: the answer of the API."""

    async def asking(**query: str) -> dict[str, Any]:
        answer = await client.get(
            "/api/national/v1/indicators", params={name.rstrip("_"): value for name, value in query.items()}
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return asking
