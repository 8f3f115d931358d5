"""A participant's whole journey in a real browser, by keyboard alone, with and without JavaScript."""

import re
from typing import Any

import pytest

from tests.browser.conftest import Visitor
from tests.flows.running import RunningInstance, calendar_part, text_of


async def open_session(demo: RunningInstance, title: str) -> dict[str, Any]:
    """A session of its own with two seats, so that the tests don't get in each other's way."""
    return await demo.published(title=title, capacity=2, registration_modes=["web", "phone", "desk"])


async def focused(visitor: Visitor) -> str:
    text: str = await visitor.page.evaluate("document.activeElement.textContent")
    return " ".join(text.split())


async def heading(visitor: Visitor) -> str:
    return " ".join((await visitor.page.locator("h1").inner_text()).split())


@pytest.mark.parametrize(("width", "javascript"), [(1100, True), (320, True), (1100, False)])
async def test_find_a_session_register_and_give_it_up(
    demo: RunningInstance, visit: Any, width: int, javascript: bool
) -> None:
    title = f"Essai du clavier {width} {javascript}"
    session = await open_session(demo, title)
    visitor = await visit(width=width, javascript=javascript)
    keyboard = visitor.page.keyboard

    # The calendar: look for the words of the session, then open it.
    await visitor.goto("/")
    await visitor.screenshot("calendrier")
    await visitor.tab_to("Ville ou code postal")
    await keyboard.type("Québec")
    await visitor.tab_to("Voir les ateliers")
    await visitor.follow()
    await visitor.page.wait_for_url("**near=*")
    await visitor.goto(f"/?q={title.replace(' ', '+')}")
    await visitor.tab_to(title)
    await visitor.follow()
    await visitor.page.wait_for_url(f"**/seances/{session['id']}")
    assert "2 places" in await visitor.page.locator("main").inner_text()
    await visitor.tab_to("Je m’inscris")
    await visitor.follow()
    await visitor.page.wait_for_url("**/inscription/*")
    await visitor.screenshot("inscription")

    # The form, first with a mistake: what was typed stays, and the summary has the focus.
    await visitor.tab_to("Votre nom")
    await keyboard.type("Aline Tremblay")
    await visitor.tab_to("Par courriel")
    await keyboard.press("Space")
    await visitor.tab_to("Courriel")
    await keyboard.type("aline.tremblay@")
    await visitor.tab_to("Je m’inscris")
    await visitor.follow()
    assert "aline@exemple.ca" in await focused(visitor)
    assert await visitor.page.get_by_label("Votre nom").input_value() == "Aline Tremblay"
    if javascript:
        await visitor.check_page()
    address = f"aline.{width}.{javascript}@example.org".lower()
    await visitor.tab_to("Écrivez une adresse comme aline@exemple.ca.")
    await keyboard.press("Enter")
    await keyboard.press("Control+A")
    await keyboard.type(address)
    await visitor.tab_to("Je m’inscris")
    await visitor.follow()
    await visitor.page.wait_for_url("**/mon-inscription/*")

    # Her own page, and the mail that leads back to it.
    assert "Vous avez une place" in await visitor.page.locator("main").inner_text()
    own_page = visitor.page.url
    (mail,) = await mails_to(demo, address, 1)
    link = re.search(r"http\S+/mon-inscription/[\w-]+", text_of(mail))
    assert link is not None
    assert link.group() == own_page
    assert calendar_part(mail)["METHOD"] == "REQUEST"

    # She can't come any more: asked once, done by a button.
    await visitor.tab_to("Je ne peux plus venir")
    await visitor.follow()
    await visitor.page.wait_for_url("**/annuler")
    if javascript:
        await visitor.check_page()
    before = (await demo.public(session["id"]))["seats"]
    await visitor.tab_to("Oui, j’annule")
    await visitor.follow()
    await visitor.page.wait_for_url(own_page)
    assert "annul" in (await visitor.page.locator("main").inner_text()).lower()
    assert before["capacity"] == 2
    assert calendar_part((await mails_to(demo, address, 2))[1])["METHOD"] == "CANCEL"


async def test_a_full_session_offers_the_wait_and_then_the_seat(demo: RunningInstance, visit: Any) -> None:
    session = await open_session(demo, "Essai de la liste d’attente")
    first, _second = [await demo.register(session["id"], name) for name in ("Premier Venu", "Seconde Venue")]
    visitor = await visit()
    await visitor.goto(f"/inscription/{session['id']}")
    assert "Attendre une place" in await heading(visitor)
    links = await visitor.page.locator("main a[href*='/seances/'], main a[href*='/inscription/']").count()
    assert links >= 3, "three other dates are proposed"

    await visitor.page.get_by_label("Votre nom").fill("Zoé Patiente")
    await visitor.page.get_by_label("Par courriel").check()
    await visitor.page.get_by_label("Courriel", exact=True).fill("zoe.patiente@example.org")
    await visitor.page.get_by_role("button", name="J’attends une place").click()
    await visitor.page.wait_for_url("**/mon-inscription/*")
    assert "en attente" in await visitor.page.locator("main").inner_text()
    await demo.act(first, "cancel")
    await visitor.page.reload()
    assert "Une place s’est libérée pour vous" in await visitor.page.locator("main").inner_text()
    await visitor.check_page()
    async with visitor.page.expect_navigation():
        await visitor.page.get_by_role("button", name="Je prends la place").click()

    assert "Vous avez une place" in await visitor.page.locator("main").inner_text()


async def test_a_double_click_is_one_registration_and_a_spouse_is_another(
    demo: RunningInstance, visit: Any
) -> None:
    session = await open_session(demo, "Essai du double clic")
    visitor = await visit(javascript=False)
    await fill_form(visitor, session, "Luc Roy")
    await visitor.page.get_by_role("button", name="Je m’inscris").dblclick()
    await visitor.page.wait_for_url("**/mon-inscription/*")
    assert await people(demo, session) == ["Luc Roy"]

    await fill_form(visitor, session, "Luc Roy")
    await visitor.page.get_by_role("button", name="Je m’inscris").click()
    assert "autre personne" in await visitor.page.locator("main").inner_text()
    await fill_form(visitor, session, "Anne Roy")
    await visitor.page.get_by_role("button", name="Je m’inscris").click()
    await visitor.page.wait_for_url("**/mon-inscription/*")

    assert await people(demo, session) == ["Anne Roy", "Luc Roy"]


async def fill_form(visitor: Visitor, session: dict[str, Any], name: str) -> None:
    await visitor.goto(f"/inscription/{session['id']}")
    await visitor.page.get_by_label("Votre nom").fill(name)
    await visitor.page.get_by_label("Par courriel").check()
    await visitor.page.get_by_label("Courriel", exact=True).fill("roy@example.org")


async def people(demo: RunningInstance, session: dict[str, Any]) -> list[str]:
    path = f"/api/registrations/v1/sessions/{session['id']}/roster"
    return [entry["name"] for entry in (await demo.client.get(path, headers=demo.staff)).json()["items"]]


async def mails_to(demo: RunningInstance, address: str, count: int) -> list[Any]:
    return await demo.mails_to(address.partition("@")[0], count)
