"""A decision about sharing, by keyboard alone: what it will do is said first, and the page shows it after."""

from typing import Any

import pytest

from tests.browser.conftest import Visitor
from tests.flows.running import RunningInstance
from tests.waiting import eventually


async def main_text(visitor: Visitor) -> str:
    return " ".join((await visitor.page.locator("main").inner_text()).replace("\u00a0", " ").split())


@pytest.mark.parametrize(("width", "javascript"), [(1100, True), (320, True), (320, False)])
async def test_a_region_decides_what_it_shares(
    demo: RunningInstance, visit: Any, width: int, javascript: bool
) -> None:
    visitor = await visit(width=width, javascript=javascript)
    await visitor.sign_in()
    await visitor.goto("/partage/pro")
    await visitor.page.get_by_label("Rien", exact=True).focus()
    await visitor.page.keyboard.press("Space")
    await visitor.tab_to("Continuer")
    await visitor.follow()
    assert "Dites pourquoi, en une phrase" in await main_text(visitor)
    await check(visitor)

    await visitor.tab_to("Pourquoi ?")
    await visitor.page.keyboard.type("Le comité l’a décidé")
    await visitor.tab_to("Vos initiales")
    await visitor.page.keyboard.type("ab")
    await visitor.tab_to("Continuer")
    await visitor.follow()
    assert "« non partagé »" in await main_text(visitor)
    await check(visitor)

    await visitor.tab_to("Changer le partage")
    await visitor.follow()
    assert "Le comité l’a décidé" in await main_text(visitor)
    await check(visitor)
    await visitor.screenshot("partage")

    # Back to what the demonstration shares, for whoever comes next.
    answer = await demo.client.put(
        "/api/exporter/v1/sharing",
        json={"volet": "pro", "level": "counts", "reason": "Essai terminé"},
        headers=demo.staff,
    )
    assert answer.is_success, answer.text

    async def settled() -> bool:
        items = (await demo.client.get("/api/exporter/v1/sharing", headers=demo.staff)).json()["items"]
        return all(item["settled"] for item in items)

    await eventually(settled)


async def check(visitor: Visitor) -> None:
    if visitor.javascript:
        await visitor.check_page()
