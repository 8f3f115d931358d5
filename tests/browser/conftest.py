"""A real browser on a demonstration instance: Debian's Chromium through Playwright, judged by axe-core."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.conftest import open_folder
from tests.flows.country import run
from tests.flows.running import ADMIN_TOKEN, RunningInstance
from tests.waiting import eventually

CHROMIUM = Path("/usr/bin/chromium")
assert CHROMIUM.exists(), "Chromium is missing: `make test` installs it (apt-get install chromium)"
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""A folder to keep the README's screenshots in; unset, none are kept."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser and the instance outlive a test, so these tests share the package's event loop."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


@pytest.fixture(scope="package")
def demo_folder() -> Iterator[Path]:
    folder = open_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def demo(demo_folder: Path) -> AsyncIterator[RunningInstance]:
    """The demonstration instance of an empty `make run`, shared by the browser tests."""
    running = RunningInstance(demo_folder / "data", DEMO="1")
    try:
        await running.start()
        await eventually(lambda: "Tournée est prête" in running.log())
        await running.settled("lag")
        # The notices of the moved session wait for a minute of quiet.
        for service in ("registrations", "notifications"):
            await running.shift_clock(service, 90)
        await running.settled()
        # What is counted each night, now.
        await run("deploy.tallies", running.environment)
        yield running
    finally:
        await running.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        yield chromium
        await chromium.close()


class Visitor:
    """Somebody at a browser. `width` is the window's, in CSS pixels: 320 is also 1280 at 400 % zoom."""

    def __init__(self, page: Page, instance: RunningInstance, *, javascript: bool) -> None:
        self.page, self.instance, self.javascript = page, instance, javascript

    async def goto(self, path: str) -> None:
        answer = await self.page.goto(self.instance.base_url + path)
        assert answer is not None

    async def sign_in(self) -> None:
        """As staff do, with the link that `make run` prints."""
        await self.goto(f"/connexion/{ADMIN_TOKEN}")
        await self.page.get_by_role("button").last.press("Enter")
        await self.page.wait_for_url("**/coordination**")

    async def tab_to(self, name: str) -> None:
        """Move the focus with the keyboard alone, as far as the control of this name; it must be visible."""
        for _ in range(250):
            await self.page.keyboard.press("Tab")
            if name in await self.page.evaluate(_FOCUSED_NAMES):
                assert await self.page.evaluate(_FOCUS_IS_SHOWN), f"the focus on « {name} » can't be seen"
                return
        raise AssertionError(f"« {name} » can't be reached by keyboard on {self.page.url}")

    async def follow(self, key: str = "Enter") -> None:
        """Press a key on what has the focus, and wait for the page that it leads to."""
        async with self.page.expect_navigation():
            await self.page.keyboard.press(key)

    async def check_page(self) -> None:
        """No violation found by axe-core, nothing wider than the window. Needs JavaScript."""
        where = self.page.url.replace(self.instance.base_url, "")
        await self.page.evaluate(AXE)
        found: dict[str, Any] = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        violations = [
            f"{item['id']}: {item['help']} – {node['html'][:200]}"
            for item in found["violations"]
            for node in item["nodes"]
        ]
        assert violations == [], where
        wide = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{where} scrolls sideways by {wide} px"

    async def screenshot(self, name: str) -> None:
        """Keep what a wide window shows, for the README: `SCREENSHOTS=docs/images pytest tests/browser`."""
        if SCREENSHOTS and self.javascript and await self.page.evaluate("innerWidth") > 1000:
            await self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


# The accessible names as far as they are needed to find a control: its labels, or its own text.
_FOCUSED_NAMES = """() => {
    const e = document.activeElement;
    if (e === document.body) return [];
    const labels = [...(e.labels || [])].map(label => label.innerText);
    const names = [...labels, e.getAttribute('aria-label') || '', e.innerText];
    return names.map(name => name.replace(/\\s+/g, ' ').trim());
}"""
_FOCUS_IS_SHOWN = """() => {
    const e = document.activeElement;
    const visible = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    const box = e.getBoundingClientRect();
    return visible(getComputedStyle(e)) && box.bottom > 0 && box.top < innerHeight;
}"""


@pytest_asyncio.fixture(loop_scope="package")
async def visit(browser: Browser, demo: RunningInstance) -> AsyncIterator[Any]:
    """`await visit(width=320, javascript=False, dark=True)`: a fresh `Visitor`."""
    contexts: list[BrowserContext] = []

    async def make(*, width: int = 1100, javascript: bool = True, dark: bool = False) -> Visitor:
        context = await browser.new_context(
            viewport={"width": width, "height": 900},
            # The checks themselves need scripts; without them pages are judged by what they show.
            java_script_enabled=javascript,
            color_scheme="dark" if dark else "light",
            locale="fr-CA",
            timezone_id="America/Toronto",
        )
        contexts.append(context)
        page = await context.new_page()
        return Visitor(page, demo, javascript=javascript)

    yield make
    for context in contexts:
        await context.close()
