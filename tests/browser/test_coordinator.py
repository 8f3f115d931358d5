"""A coordinator's whole journey in a real browser, by keyboard alone: plan, publish, move, cancel."""

from datetime import date, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from tests.browser.conftest import Visitor
from tests.flows.running import RunningInstance, calendar_part, text_of
from tests.waiting import eventually

TITLE = "Tournée d’essai"


async def main_text(visitor: Visitor) -> str:
    return " ".join((await visitor.page.locator("main").inner_text()).replace("\u00a0", " ").split())


async def press(visitor: Visitor, name: str) -> None:
    """Reach a link or button with the Tab key and follow it; the page that comes is checked."""
    await visitor.tab_to(name)
    await visitor.follow()
    if visitor.javascript:
        await visitor.check_page()


async def type_into(visitor: Visitor, label: str, text: str) -> None:
    await visitor.tab_to(label)
    if await visitor.page.evaluate("document.activeElement.type") in ("date", "time"):
        # The order of a date's parts is the browser's own business.
        await visitor.page.locator(":focus").fill(text)
    else:
        await visitor.page.keyboard.press("Control+A")
        await visitor.page.keyboard.type(text)


@pytest.mark.parametrize(("width", "javascript"), [(1100, True), (320, False)])
async def test_plan_a_tour_publish_it_move_a_session_and_cancel_it(
    demo: RunningInstance, visit: Any, width: int, javascript: bool
) -> None:
    day = date.today() + timedelta(days=60)  # noqa: DTZ011  # any day two months ahead will do
    title = f"{TITLE} {width}"
    visitor = await visit(width=width, javascript=javascript)
    await visitor.sign_in()
    await visitor.screenshot("coordination")

    # A tour, its first stop, a session from a template.
    await press(visitor, "Nouvelle tournée")
    await type_into(visitor, "Titre", title)
    await press(visitor, "Créer la tournée")
    tour = visitor.page.url.partition("?")[0]
    await press(visitor, "Ajouter une étape")
    await type_into(visitor, "Chercher le lieu", "Gabrielle-Roy")
    await press(visitor, "Chercher")
    await visitor.page.get_by_role("radio").first.focus()
    await visitor.page.keyboard.press("Space")
    await type_into(visitor, "Premier jour", day.isoformat())
    await press(visitor, "Ajouter l’étape")
    await visitor.page.get_by_role("link", name="Ajouter des séances").first.focus()
    await visitor.follow()
    await visitor.page.get_by_label("Activité").first.focus()
    await visitor.page.keyboard.type("Le courriel")
    await type_into(visitor, "Début", "13:30")
    await press(visitor, "Ajouter ces brouillons")
    assert "Brouillon" in await main_text(visitor)

    # Published: the public sees it, and somebody registers.
    await visitor.page.goto(tour)
    await press(visitor, "Publier")
    await press(visitor, "Publier")
    sessions = (await demo.client.get("/api/events/v1/sessions", headers=demo.staff)).json()["items"]
    (session,) = [item for item in sessions if item["starts_at"].startswith(day.isoformat())]
    visitor_name = f"Paul Essai {width}"
    await demo.taking_registrations(session["id"])
    await demo.register(session["id"], visitor_name)
    await demo.taking_registrations(session["id"], taken=1)

    # Moved, after the page has said who will be told and how.
    path = f"{demo.base_url}/coordination/seances/{session['id']}"
    await visitor.page.goto(path)
    await press(visitor, "Déplacer")
    await type_into(visitor, "Date", (day + timedelta(days=1)).isoformat())
    await press(visitor, "Continuer")
    assert "1 personne sera avertie" in await main_text(visitor)
    assert "courriel" in await main_text(visitor)
    before = (await demo.public(session["id"]))["starts_at"]
    assert before.startswith(day.isoformat()), "nothing has happened before the answer"
    await press(visitor, "Confirmer le changement")
    assert "La séance est déplacée" in await main_text(visitor)

    # Cancelled: asked once, everybody told with the reason.
    await press(visitor, "Annuler")
    assert "1 personne sera avertie" in await main_text(visitor)
    await type_into(visitor, "Pourquoi ? (facultatif)", "Tempête de neige")
    await press(visitor, "Annuler la séance")
    assert "Cette séance est annulée" in await main_text(visitor)

    async def told() -> EmailMessage | None:
        # On a slow machine the move was told before; then the cancellation is the third mail.
        mail = (await demo.mails(visitor_name))[-1]
        return mail if "Tempête de neige" in text_of(mail) else None

    assert calendar_part(await eventually(told))["METHOD"] == "CANCEL"


async def test_two_coordinators_edit_the_same_session(demo: RunningInstance, visit: Any) -> None:
    session = await demo.published(title="Séance à deux mains")
    path = f"/coordination/seances/{session['id']}/modifier"
    slow, quick = await visit(), await visit(javascript=False)
    for visitor in (slow, quick):
        await visitor.sign_in()
        await visitor.goto(path)
    await quick.page.get_by_label("À apporter").fill("Un crayon")
    async with quick.page.expect_navigation():
        await quick.page.get_by_role("button", name="Enregistrer").first.click()

    await slow.page.get_by_label("Titre", exact=True).fill("Séance à quatre mains")
    async with slow.page.expect_navigation():
        await slow.page.get_by_role("button", name="Enregistrer").first.click()

    shown = await main_text(slow)
    assert "Un crayon" in shown
    assert "Séance à quatre mains" in shown
    await slow.check_page()
    assert (await demo.public(session["id"]))["title"] == "Séance à deux mains", "nothing is overwritten"
