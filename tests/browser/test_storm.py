"""A storm calls off three stops of a tour; two desks work the call list, and nobody is called by both."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.conftest import Visitor
from tests.conftest import open_folder
from tests.flows.running import RunningInstance, calendar_part, text_of
from tests.notifications.gateway import PATH, TAKEN, TOKEN, Gateway, receipt, says
from tests.waiting import eventually

DAY, LATER = "2027-02-03", "2027-02-10"
WHY = "Tempête de neige"
REACHED, WRONG, GAVE_UP = "J’ai parlé à la personne", "Mauvais numéro", "Plusieurs essais sans succès"

BY_MAIL = ("Aline Caron", "Bruno Lavoie", "Chloé Roy")
BY_TEXT, NO_TEXT = "Léo Gauthier", "Zoé Martel"
HOUSEHOLD = "418 555-0101"
"""Where Rose, who had two seats, and Paul answer the same telephone."""
BY_PHONE = {
    "Rose Gagné": HOUSEHOLD,
    "Paul Gagné": HOUSEHOLD,
    "Marc Fortin": "418 555-0102",
    "Ida Côté": "418 555-0103",
    "Jean Bergeron": "418 555-0104",
    "Lise Paquet": "418 555-0105",
    "Yvon Simard": "418 555-0109",
}
IN_VAIN = {"Yvon Simard": WRONG, NO_TEXT: GAVE_UP}


@dataclass
class Storm:
    """An instance with a text message gateway, its three stops of one day, and one of a week later."""

    instance: RunningInstance
    gateway: Gateway
    stops: list[str] = field(default_factory=list)
    later: str = ""
    people: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def register(self, session: str, name: str, **how: Any) -> None:
        made = await self.instance.register(session, name, **how)
        self.people.setdefault(name, []).append(made)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def storm() -> AsyncIterator[Storm]:
    """A tour with people in it; those whose e-mail or telephone can hear of it know their seats already."""
    folder = open_folder()
    async with Gateway().running() as gateway:
        found = Storm(RunningInstance(folder / "data", SMS_URL=gateway.url, SMS_TOKEN=TOKEN), gateway)
        try:
            await found.instance.start()
            await plan_tour(found)
            await fill(found)
            await found.instance.settled()
            await tell_those_who_were_called(found.instance)
            yield found
        finally:
            await found.instance.close()
            shutil.rmtree(folder, ignore_errors=True)


async def plan_tour(storm: Storm) -> None:
    instance = storm.instance
    window = {"first": "2027-02-01", "last": "2027-02-28"}
    given = {"title": "Tournée d’hiver", "region": "03", "windows": {"public": window}}
    tour = await instance.post("/api/events/v1/tours", given)
    ids = []
    for number, (query, day) in enumerate(
        (("Monique-Corriveau", DAY), ("Gabrielle-Roy", DAY), ("Donnacona", DAY), ("Pont-Rouge", LATER))
    ):
        place = {"venue_id": (await instance.venue(query))["id"], "first_date": day}
        stop = await instance.post(f"/api/events/v1/tours/{tour['id']}/stops", place)
        session = {
            "stop_id": stop["id"], "title": f"Le courriel, étape {number + 1}", "stream": "public",
            "theme": "courriel", "modality": "on_site", "capacity": 2 if day == LATER else 8,
            "starts_at": f"{day}T13:30", "ends_at": f"{day}T15:30",
            "registration_modes": ["web", "phone", "desk"],
        }  # fmt: skip
        ids.append((await instance.post("/api/events/v1/sessions", session))["id"])
    await instance.post(f"/api/events/v1/tours/{tour['id']}/publish", {})
    *storm.stops, storm.later = ids
    for id_ in ids:
        await instance.taking_registrations(id_)


async def fill(storm: Storm) -> None:
    first, second, third = storm.stops
    for session, name in zip(storm.stops, BY_MAIL, strict=True):
        await storm.register(session, name)
    await storm.register(first, BY_TEXT, contact={"mobile": "418 555-0120"})
    await storm.register(second, NO_TEXT, contact={"mobile": "418 555-0121"})
    where = [first, second, third, third, first, second, third]
    for session, (name, phone) in zip(where, BY_PHONE.items(), strict=True):
        await storm.register(session, name, channel="phone", contact={"phone": phone})
    await storm.register(second, "Rose Gagné", channel="phone", contact={"phone": HOUSEHOLD})
    # Next week's stop is full, and three people wait: their line has nothing to do with how they are reached.
    for name in ("Odile Morin", "Guy Pelletier", "Nina Dubé"):
        await storm.register(storm.later, name)
    await storm.register(storm.later, "Rémi Bolduc", channel="phone", contact={"phone": "418 555-0130"})
    await storm.register(storm.later, "Luce Girard")


async def tell_those_who_were_called(instance: RunningInstance) -> None:
    """Before the storm everybody knows their seat, or their place in the line."""

    async def listed() -> list[tuple[str, str]]:
        calls = await calls_in(instance, "open")
        return calls if len(calls) == len(BY_PHONE) + 2 else []

    for _name, address in await eventually(listed):
        form = {"outcome": "reached", "initials": "AB", "number": "1"}
        answer = await instance.client.post(f"{address}/resultat", data=form, headers=instance.staff)
        assert answer.status_code == 303, answer.text


async def desk(browser: Browser, instance: RunningInstance, width: int) -> Visitor:
    """A browser of its own, signed in."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, locale="fr-CA", timezone_id="America/Toronto"
    )
    visitor = Visitor(await context.new_page(), instance, javascript=True)
    await visitor.sign_in()
    return visitor


async def main_text(visitor: Visitor) -> str:
    return " ".join((await visitor.page.locator("main").inner_text()).replace("\u00a0", " ").split())


async def press(visitor: Visitor, name: str) -> None:
    """Reach a link or button with the keyboard and follow it; the page that comes is checked."""
    await visitor.tab_to(name)
    await visitor.follow()
    await visitor.check_page()


async def test_the_storm_calls_off_a_day_and_everybody_is_told_once(storm: Storm, browser: Browser) -> None:
    instance = storm.instance
    storm.gateway.answer = lambda text: says(400, code="30003") if text.to.endswith("0121") else TAKEN
    coordinator = await desk(browser, instance, 1100)
    await call_off_the_day(coordinator)

    async def all_to_be_called() -> bool:
        calls = await calls_in(instance, "open")
        return len(calls) == len(BY_PHONE) + 2 and {name for name, _ in calls} == {*BY_PHONE, NO_TEXT}

    # Rose had two seats; the text message to Zoé was refused, so she is called like the others.
    await eventually(all_to_be_called)
    one, two = await desk(browser, instance, 1100), await desk(browser, instance, 320)
    await two_desks_reach_for_the_same_call(one, two)
    held: dict[str, list[str]] = {}
    await asyncio.gather(work_through(one, "MB", held), work_through(two, "JT", held))

    assert await calls_in(instance, "open") == []
    assert await calls_in(instance, "taken") == []
    assert set(held) == {*BY_PHONE, NO_TEXT}
    assert {name: len(set(desks)) for name, desks in held.items()} == dict.fromkeys(held, 1)
    assert set(held["Rose Gagné"]) == set(held["Paul Gagné"]), "one telephone, one desk"
    assert len(held["Rose Gagné"]) == 2, "each of her seats was told"
    await everybody_was_told_once_by_their_own_route(storm)
    await who_was_not_reached_is_listed_with_the_routes_that_were_tried(storm, one)
    await a_late_receipt_is_said_too(storm)


async def call_off_the_day(coordinator: Visitor) -> None:
    async def everybody_is_counted() -> bool:
        await coordinator.goto(f"/coordination/seances/annuler?from={DAY}&to={DAY}")
        await coordinator.check_page()
        await press(coordinator, "Continuer avec les séances cochées")
        # Twelve people, of whom one has two seats.
        return "13 personnes seront averties" in await main_text(coordinator)

    # How many a change would reach is said some seconds after they registered.
    await eventually(everybody_is_counted)
    await coordinator.tab_to("Pourquoi ? (facultatif)")
    await coordinator.page.keyboard.type(WHY)
    await press(coordinator, "Annuler ces 3 séances")
    assert "3 séances" in await main_text(coordinator)


async def calls_in(instance: RunningInstance, state: str) -> list[tuple[str, str]]:
    """(name, address) of each call in one state, as the API of the deliveries and the list have it."""
    page = await instance.client.get("/guichet/appels", params={"state": state}, headers=instance.staff)
    cells = page.text.split('<th scope="row"><a href="')[1:]
    return [(cell.split(">")[1].split("<")[0], cell.split('"')[0]) for cell in cells]


async def two_desks_reach_for_the_same_call(one: Visitor, two: Visitor) -> None:
    """Both have the same page before them and press in the same instant: one has the call, the other not."""
    name, address = (await calls_in(one.instance, "open"))[0]
    for visitor, initials in ((one, "MB"), (two, "JT")):
        await visitor.goto(address)
        assert name in await main_text(visitor)
        await visitor.tab_to("Vos initiales")
        await visitor.page.keyboard.type(initials)
        await visitor.tab_to("Je m’en occupe")
    await asyncio.gather(one.follow(), two.follow())
    shown = [await main_text(visitor) for visitor in (one, two)]
    refused = [text for text in shown if "Une autre personne de l’équipe a pris cet appel" in text]
    assert len(refused) == 1, shown
    loser = two if refused[0] == shown[1] else one
    await loser.check_page()
    winner = one if loser is two else two
    await press(winner, "Remettre dans la liste")


async def work_through(visitor: Visitor, initials: str, held: dict[str, list[str]]) -> None:
    """Take the first call of the list, tell everything that is to be told there, and again, until none is."""
    await visitor.goto("/guichet/appels")
    await visitor.check_page()
    while True:
        await visitor.goto("/guichet/appels")
        first = visitor.page.locator("tbody th a").first
        if not await visitor.page.locator("tbody th a").count():
            return
        await visitor.tab_to(await first.inner_text())
        await visitor.follow()
        if not await take(visitor, initials):
            continue
        others = visitor.page.get_by_role("region", name="À dire aussi").get_by_role("link")
        more = [await link.get_attribute("href") for link in await others.all()]
        await tell(visitor, initials, held)
        for address in more:
            await visitor.goto(address or "")
            await tell(visitor, initials, held)


async def take(visitor: Visitor, initials: str) -> bool:
    """« Je m’en occupe »; whether it is ours now."""
    if not await visitor.page.get_by_role("button", name="Je m’en occupe").count():
        return False  # the other desk has it
    await visitor.tab_to("Vos initiales")
    await visitor.page.keyboard.type(initials)
    await visitor.tab_to("Je m’en occupe")
    await visitor.follow()
    return f"Appel en cours par {initials}." in await main_text(visitor)


async def tell(visitor: Visitor, initials: str, held: dict[str, list[str]]) -> None:
    """Say the words of the page, and write down what came of it."""
    await visitor.check_page()
    name = await visitor.page.locator("dd").first.inner_text()
    held.setdefault(name, []).append(initials)
    words = await visitor.page.get_by_role("region", name="Ce que vous pouvez dire").inner_text()
    for said in (name, "annulé", WHY):
        assert said in words, words
    await visitor.tab_to("Vos initiales")
    await visitor.page.keyboard.press("Control+A")
    await visitor.page.keyboard.type(initials)
    await choose(visitor, IN_VAIN.get(name, REACHED))
    await visitor.tab_to("Enregistrer")
    await visitor.follow()
    assert urlsplit(visitor.page.url).path == "/guichet/appels", await main_text(visitor)


async def choose(visitor: Visitor, outcome: str) -> None:
    """A radio button by keyboard: into the group with Tab, then down to the one that is meant."""
    await visitor.tab_to(REACHED)
    await visitor.page.keyboard.press("Space")
    wanted = visitor.page.get_by_label(outcome, exact=True)
    while not await wanted.is_checked():
        await visitor.page.keyboard.press("ArrowDown")


async def everybody_was_told_once_by_their_own_route(storm: Storm) -> None:
    instance = storm.instance
    await instance.settled()
    for name in BY_MAIL:
        mails = await instance.mails(name)
        assert [WHY in text_of(mail) for mail in mails] == [False, True], name
        assert calendar_part(mails[1])["METHOD"] == "CANCEL"
    told = [text for text in storm.gateway.sent.values() if text.to.endswith("0120")]
    assert len(told) == 2, "one about the seat, one about the storm"
    routes: dict[str, list[tuple[str, str, bool]]] = {}
    for name, registrations in storm.people.items():
        for registration in registrations:
            for item in await instance.deliveries(registration):
                if item["cause"] == "session_cancelled":
                    routes.setdefault(name, []).append((item["status"], item["route"], item["told"]))
    assert routes == {
        **{name: [("sent", "email", True)] for name in BY_MAIL},
        BY_TEXT: [("sent", "sms", True)],
        NO_TEXT: [("failed", "mobile", False)],
        **{name: [("done", "phone", True)] for name in BY_PHONE},
        "Rose Gagné": [("done", "phone", True)] * 2,
        "Yvon Simard": [("failed", "phone", False)],
    }


async def who_was_not_reached_is_listed_with_the_routes_that_were_tried(
    storm: Storm, visitor: Visitor
) -> None:
    instance = storm.instance
    await visitor.goto("/guichet/appels?state=unreached")
    await visitor.check_page()
    text = await main_text(visitor)
    for name in storm.people:
        assert (name in text) == (name in IN_VAIN), name
    for tried in ("SMS, ", "Refusé", "Cellulaire, ", GAVE_UP, "Téléphone, ", WRONG):
        assert tried in text, text
    found: dict[str, list[str]] = {}
    for session in storm.stops:
        path = f"/api/registrations/v1/sessions/{session}/unreached"
        for entry in (await instance.client.get(path, headers=instance.staff)).json()["items"]:
            found[entry["name"]] = entry["routes"]
            assert [one["number"] for one in entry["tried"]] == list(range(1, len(entry["tried"]) + 1))
    assert found == {"Yvon Simard": ["phone"], NO_TEXT: ["sms", "mobile"]}
    for name in IN_VAIN:
        await visitor.goto("/guichet/appels?state=unreached")
        await press(visitor, name)
        (registration,) = storm.people[name]
        await visitor.goto(f"/guichet/inscriptions/{registration['id']}")
        await visitor.check_page()
        assert "Pas jointe." in await main_text(visitor)
    assert "Essayé par SMS, par cellulaire." in await main_text(visitor)


async def a_late_receipt_is_said_too(storm: Storm) -> None:
    """It changes nothing but what is known of the try, and that is news for the other service."""
    instance = storm.instance
    (registration,) = storm.people[BY_TEXT]
    (delivery,) = [
        item for item in await instance.deliveries(registration) if item["cause"] == "session_cancelled"
    ]
    body, headers = receipt(delivery["id"], "delivered")
    answer = await instance.client.post(PATH, content=body, headers=headers)
    assert answer.status_code == 204, answer.text

    async def known() -> bool:
        shown = await instance.show(registration)
        tried = [one for notice in shown["reached"] for one in notice["tried"]]
        return [one["result"] for one in tried] == ["sent", "delivered"]

    await eventually(known)


@pytest.mark.parametrize("width", [320])
async def test_seats_that_people_give_up_are_offered_in_the_order_of_the_line(
    storm: Storm, browser: Browser, width: int
) -> None:
    instance = storm.instance
    visitor = await desk(browser, instance, width)
    for name in ("Guy Pelletier", "Odile Morin"):
        (registration,) = storm.people[name]
        await visitor.goto(f"/guichet/inscriptions/{registration['id']}")
        await press(visitor, "La personne ne vient plus")
        await press(visitor, "Oui, annuler à sa demande")
    line = ("Nina Dubé", "Rémi Bolduc", "Luce Girard")
    states = [(await instance.show(storm.people[name][0]))["status"] for name in line]
    assert states == ["offered", "offered", "waitlisted"]
    _, offer = await instance.mails_to("Nina Dubé", 2)
    assert "Une place s’est libérée pour vous" in text_of(offer).replace("\u00a0", " ")

    await visitor.goto(f"/guichet/seances/{storm.later}/attente")
    await visitor.check_page()
    text = await main_text(visitor)
    # Who is called has hours in which somebody calls, and whoever looks at the line sees why it takes longer.
    hours = "du lundi au vendredi, de 9 h à 16 h, sauf les jours fériés."
    assert text.count(f"Ce délai compte seulement les heures où l’équipe est là : {hours}") == 1

    async def to_call() -> str:
        return dict(await calls_in(instance, "open")).get("Rémi Bolduc", "")

    await visitor.goto(await eventually(to_call))
    await visitor.check_page()
    words = await visitor.page.get_by_role("region", name="Ce que vous pouvez dire").inner_text()
    assert hours in words.replace("\u00a0", " ")
    await visitor.goto(urlsplit(storm.people["Rémi Bolduc"][0]["manage_url"]).path)
    await visitor.check_page()
    assert hours in await main_text(visitor)
