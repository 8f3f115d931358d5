"""A country in a database of its own, and who looks at its pages."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any, cast

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from bench.national_country import Country
from libs.database import Database
from libs.messaging.bus import Bus
from libs.settings import Settings
from libs.web.app import Service
from services.national import main
from tests.conftest import ADMIN_TOKEN
from tests.national.country import filled, heard, shares

STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@dataclass
class Land:
    """Twelve networks, what they said, and national staff at a screen."""

    url: str
    database: Database
    app: FastAPI
    country: Country
    staff: httpx.AsyncClient
    stranger: httpx.AsyncClient

    async def heard(self, instance: str, ago: timedelta | None) -> None:
        await heard(self.url, instance, ago)

    async def shares(self, instance: str, public: str, pro: str) -> None:
        await shares(self.url, instance, public, pro)

    async def page(self, path: str, **query: str) -> "Page":
        answer = await self.staff.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return Page(answer.text)

    async def run(self, statement: str, **values: object) -> None:
        async with self.database.transaction() as session:
            await session.execute(sa.text(statement), values)

    def coming(self, **wanted: object) -> list[Mapping[str, Any]]:
        """The sessions that were made, are to come, aren't cancelled, and are like this."""
        return [
            row
            for row in self.country.sessions
            if row["starts_at_utc"] > datetime.now(UTC) and row["status"] == "published"
            if all(row[name] == value for name, value in wanted.items())
        ]


class Page:
    """A page as its reader sees it."""

    def __init__(self, html: str) -> None:
        self.html = html

    @property
    def text(self) -> str:
        """Its words; no-break spaces count as spaces."""
        shown = re.sub(r"<(script|style|title|desc)\b.*?</\1>", " ", self.html, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())

    @property
    def figures(self) -> list[str]:
        """The big figures, in their order."""
        return [
            " ".join(unescape(text).split()) for text in re.findall(r"<li><strong>(.*?)</strong>", self.html)
        ]

    def row(self, name: str) -> list[str]:
        """The cells of the row of a table that names `name`."""
        (found,) = [
            row
            for row in re.findall(r"<tr\b[^>]*>(.*?)(?=<tr|</tbody|</tfoot|</table)", self.html, re.DOTALL)
            if f">{name}</a>" in row
        ]
        cells = re.split(r"<t[dh]\b[^>]*>", found)[1:]
        return [" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in cells]

    def rows(self) -> list[str]:
        """The names of the regions in the table, in its order."""
        return [unescape(name) for name in re.findall(r'<th scope="row"><a [^>]*>(.*?)</a>', self.html)]

    def tile(self, mark: str) -> str:
        """The figure of a tile of the map."""
        (found,) = re.findall(rf'<text>{mark}</text><text class="f"[^>]*>(.*?)</text>', self.html)
        return " ".join(found.split())


@pytest.fixture
async def land(database_url: Callable[[str], Awaitable[str]], settings: Settings) -> AsyncIterator[Land]:
    url = await database_url("national")
    country = await filled(url)
    database = Database(url)
    app = main.create(Service("national", settings, database, cast(Bus, None)))
    transport, base = httpx.ASGITransport(app), "http://testserver"
    async with (
        httpx.AsyncClient(transport=transport, base_url=base, headers=STAFF) as staff,
        httpx.AsyncClient(transport=transport, base_url=base) as stranger,
    ):
        yield Land(url, database, app, country, staff, stranger)
    await database.close()
