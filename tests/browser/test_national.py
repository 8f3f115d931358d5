"""The national pages in a real browser: judged by axe, at 320 px, in the dark, on paper, and alive."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import asyncpg
import pytest
import pytest_asyncio
import uvicorn

from libs.database import Database, provision
from libs.messaging.bus import Bus
from libs.migrations import migrate
from libs.settings import Settings
from libs.web.app import Service
from services.national import main
from tests.browser.conftest import Visitor
from tests.conftest import SECRET, open_folder
from tests.flows.running import ADMIN_TOKEN, free_port
from tests.national.country import filled, heard, shares
from tests.waiting import eventually

PAGES = (
    "/national",
    "/national?period=year&stream=public&region=13",
    "/national?period=rien",
    "/national/regions?sort=name",
    "/national/seances?sort=-waiting",
    "/national/seances?place=introuvable",
    "/national/calendrier",
    "/national/equite",
    "/national/equite?period=2026&region=13",
    "/national/instances",
    "/national/instances/nord-du-quebec",
    "/national/instances/capitale",
    "/national/instances/capitale/restauration",
    "/national/instances/capitale/cles/capitale-1/revoquer",
)


@dataclass
class View:
    """The national service on a port of its own."""

    base_url: str
    url: str

    async def run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def view(postgres_url: str) -> AsyncIterator[View]:
    """A country with an instance that is down and two that don't share all."""
    url = await provision(postgres_url, "browser", "national", SECRET)
    await migrate(url, "services.national")
    await filled(url)
    await heard(url, "nord-du-quebec", timedelta(hours=2, minutes=10))
    await shares(url, "laurentides", "nothing", "nothing")
    await shares(url, "saguenay", "profile", "nothing")
    await waits_for_confirmation(url, "capitale")
    folder, port = open_folder(), free_port()
    base_url = f"http://127.0.0.1:{port}"
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    chosen = {
        "data_dir": folder,
        "public_url": base_url,
        "secret_key": SECRET,
        "admin_token": ADMIN_TOKEN,
        "smtp_url": "smtp://127.0.0.1:9",
    }
    database = Database(url)
    app = main.create(Service("national", Settings(**(defaults | chosen)), database, cast(Bus, None)))
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", log_config=None))
    serving = asyncio.create_task(server._serve())
    await eventually(lambda: server.started)
    yield View(base_url, url)
    app.state.ending.set()
    server.should_exit = True
    await serving
    await database.close()
    shutil.rmtree(folder, ignore_errors=True)


async def waits_for_confirmation(url: str, instance: str) -> None:
    """The instance says something in a new epoch."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "insert into quarantined"
            " (topic, instance, position, key, headers, digest, reason, detail, received_at)"
            " values ($1::text || '.federated.heartbeat', $1::text, 1, $1::text, '{\"ce_epoch\": \"2\"}', $2,"
            " 'unconfirmed-epoch', '', now())",
            instance,
            bytes(32),
        )
    finally:
        await connection.close()


async def look(visit: Any, view: View, **how: Any) -> Visitor:
    """Somebody of the national team at a browser."""
    visitor: Visitor = await visit(**how)
    visitor.instance = view  # type: ignore[assignment]  # it needs its address only
    await visitor.goto(f"/connexion/{ADMIN_TOKEN}")
    await visitor.page.get_by_role("button").last.press("Enter")
    await visitor.page.wait_for_url("**/coordination")
    return visitor


@pytest.mark.parametrize(
    ("width", "dark", "language"), [(1100, False, "fr"), (320, True, "fr"), (320, False, "en")]
)
async def test_every_page(view: View, visit: Any, width: int, dark: bool, language: str) -> None:
    visitor = await look(visit, view, width=width, dark=dark)
    await visitor.goto(f"/national/seances?lang={language}")
    session = await visitor.page.locator("tbody a").first.get_attribute("href")
    for path in (*PAGES, session):
        await visitor.goto(str(path))
        await visitor.check_page()
        if path == "/national/calendrier":
            await visitor.screenshot("calendrier-du-pays")
    await visitor.goto("/national")
    # With its tables open too.
    await visitor.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    await visitor.check_page()
    await visitor.screenshot("national")


async def test_the_texts_of_the_drawings_fit(view: View, visit: Any) -> None:
    """In the browser's own measure: no figure leaves its tile, no text its chart."""
    for width in (320, 1100):
        visitor = await look(visit, view, width=width)
        for path in ("/national", "/national/equite"):
            await visitor.goto(path)
            assert await visitor.page.evaluate(_OUTSIDE) == [], path


_OUTSIDE = """() => {
    const wrong = [];
    for (const tile of document.querySelectorAll('#carte > svg > g')) {
        const box = tile.querySelector('use').getBoundingClientRect();
        for (const text of tile.querySelectorAll('text')) {
            const b = text.getBoundingClientRect();
            if (b.left < box.left - .5 || b.right > box.right + .5) wrong.push(text.textContent);
        }
    }
    for (const chart of document.querySelectorAll('svg.chart:not(.swatch)')) {
        const box = chart.getBoundingClientRect(), texts = [...chart.querySelectorAll('text')];
        const boxes = texts.map(text => text.getBoundingClientRect());
        texts.forEach((text, n) => { if (boxes[n].right > box.right + 1) wrong.push(text.textContent); });
        boxes.forEach((a, n) => boxes.slice(n + 1).forEach(b => {
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const along = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (across > 1 && along > 4) wrong.push(texts[n].textContent + ' meets another');
        }));
    }
    return wrong;
}"""


async def test_by_keyboard_from_the_country_to_a_session_without_scripts(view: View, visit: Any) -> None:
    visitor = await look(visit, view, width=320, javascript=False)
    await visitor.goto("/national")
    assert await visitor.page.locator("#pause").is_hidden()
    assert await visitor.page.locator("svg.tiles title").first.text_content()
    first = (await visitor.page.locator("#regions tbody a").first.inner_text()).strip()
    await visitor.page.locator("#regions tbody a").first.focus()
    await visitor.follow()
    assert await visitor.page.locator("#region option[selected]").inner_text() == first
    await visitor.page.get_by_role("link", name="Voir les séances").first.focus()
    await visitor.follow()
    await visitor.page.locator("tbody a").first.focus()
    await visitor.follow()
    assert await visitor.page.locator("h2").first.inner_text() == "Places"


async def test_by_keyboard_through_the_equity_report_without_scripts(view: View, visit: Any) -> None:
    visitor = await look(visit, view, width=320, javascript=False)
    await visitor.goto("/national")
    await visitor.tab_to("Équité")
    await visitor.follow()
    assert await visitor.page.locator("h1").inner_text() == "Rapport d’équité"
    # A wide table is moved by keyboard: its frame takes the focus.
    await visitor.page.locator(".equity .table-wrap").focus()
    await visitor.page.keyboard.press("Tab")
    await visitor.follow()
    assert "/national/indicateurs/I4" in visitor.page.url


async def test_the_page_lives_without_moving_the_focus(view: View, visit: Any) -> None:
    visitor = await look(visit, view)
    page = visitor.page
    await visitor.goto("/national")
    waiting = page.locator("#chiffres strong").nth(2)
    before = await waiting.inner_text()
    await page.locator("details").first.evaluate("d => d.open = true")
    await page.locator("#regions tbody a").first.focus()
    await page.evaluate("window.focused = document.activeElement")
    await view.run(
        "update session set waitlisted = waitlisted + 7 where starts_at_utc > now() and status = 'published'"
        " and region = '13'"
    )
    # Months to come are counted from their cells, which the ingest keeps by the sessions.
    await view.run(
        "update session_cell set waitlisted = waitlisted + 7"
        " where month >= date_trunc('month', now()) and status = 'published' and region = '13'"
    )
    await view.run("update pulse set received_at = now(), version = version + 1 where instance = 'metropole'")

    async def changed() -> bool:
        return await waiting.inner_text() != before

    await eventually(changed)
    assert await page.evaluate("document.activeElement === window.focused")
    assert await page.locator("details").first.evaluate("d => d.open")
    # Said politely, once, for who can't see it.
    assert re.search(r"\d+ demandes? en attente d’une place", await page.locator("#annonce").inner_text())
    await visitor.check_page()


async def test_updates_can_be_paused(view: View, visit: Any) -> None:
    visitor = await look(visit, view)
    page = visitor.page
    await visitor.goto("/national")
    await visitor.tab_to("Suspendre la mise à jour")
    await page.keyboard.press("Enter")
    assert await page.locator("#pause").get_attribute("aria-pressed") == "true"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await view.run("update pulse set version = version + 1 where instance = 'metropole'")
    # Somebody else's page has been told by then.
    other = await look(visit, view)
    await other.goto("/national")
    version = await other.page.locator("#chiffres").get_attribute("data-version")
    await view.run("update pulse set version = version + 1 where instance = 'metropole'")

    async def told() -> bool:
        return await other.page.locator("#chiffres").get_attribute("data-version") != version

    await eventually(told)
    assert asked == []
    await page.keyboard.press("Enter")
    await eventually(lambda: asked != [])


async def test_a_tile_leads_where_its_region_does(view: View, visit: Any) -> None:
    visitor = await look(visit, view)
    await visitor.goto("/national?theme=courriel")
    async with visitor.page.expect_navigation():
        await visitor.page.locator("#carte > svg > g", has_text="BC").click()
    assert "region=CA-BC" in visitor.page.url
    assert "theme=courriel" in visitor.page.url


async def test_on_paper(view: View, visit: Any) -> None:
    visitor = await look(visit, view)
    await visitor.goto("/national")
    await visitor.page.emulate_media(media="print")
    for hidden in ("nav", "form.filter-bar", "#pause", "summary"):
        assert await visitor.page.locator(hidden).first.is_hidden()
    for shown in ("svg.tiles", "svg.chart", "#regions table", ".incomplete", ".print-only"):
        assert await visitor.page.locator(shown).first.is_visible()
    paper = await visitor.page.pdf(format="Letter")
    assert len(re.findall(rb"/Type\s*/Page[^s]", paper)) <= 3
