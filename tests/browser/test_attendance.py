"""Noting who came, in a real browser, by keyboard alone, with and without JavaScript."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.clock import zone
from tests.flows.running import RunningInstance
from tests.waiting import eventually

PEOPLE = ("Paul Roy", "Rose Gagné", "Zoé Tremblay")


async def begun(demo: RunningInstance, venue: str) -> tuple[dict[str, Any], list[str]]:
    """A session that began half an hour ago, with three people who have a seat; their ids."""
    session = await demo.published(capacity=5, venue_id=venue)
    ids = []
    for name in PEOPLE:
        body = {"channel": "phone", "name": name, "contact": {"phone": "418 555-0177"}}
        answer = await demo.post(f"/api/registrations/v1/sessions/{session['id']}/registrations", body)
        ids.append(str(answer["id"]))
    start = (datetime.now(UTC) - timedelta(minutes=30)).astimezone(zone("America/Toronto"))
    times = {"starts_at": start, "ends_at": start + timedelta(hours=2)}
    body = {name: f"{time:%Y-%m-%dT%H:%M}" for name, time in times.items()} | {"reason": "Essai"}
    await demo.post(f"/api/events/v1/sessions/{session['id']}/reschedule", body)

    async def is_known() -> bool:
        page = await demo.client.get(f"/guichet/seances/{session['id']}", headers=demo.staff)
        return "presences" in page.text

    await eventually(is_known)
    return session, ids


@pytest.mark.parametrize(("width", "javascript"), [(1100, True), (320, True), (1100, False)])
async def test_the_desk_notes_who_came(
    demo: RunningInstance, visit: Any, width: int, javascript: bool
) -> None:
    session, ids = await begun(demo, (await demo.venue())["id"])
    visitor = await visit(width=width, javascript=javascript)
    keyboard = visitor.page.keyboard
    await visitor.sign_in()
    await visitor.goto(f"/guichet/seances/{session['id']}")
    await visitor.screenshot("presences")
    if javascript:
        await visitor.check_page()

    # The first came, the second excused herself, the third isn't noted yet; two more came.
    await visitor.tab_to("Pas noté")
    await keyboard.press("ArrowRight")
    await visitor.tab_to("Pas noté")
    await keyboard.press("ArrowLeft")
    await visitor.tab_to("Combien de personnes sont venues sans inscription\u00a0?".replace("\u00a0", " "))
    await keyboard.press("Control+A")
    await keyboard.type("2")
    await visitor.tab_to("Noter")
    await visitor.follow()

    assert "C’est noté." in await visitor.page.locator("main").inner_text()
    if javascript:
        await visitor.check_page()
    assert await statuses(demo, ids) == ["attended", "excused", "confirmed"]
    await visitor.tab_to("Noter, et « venue » pour les autres".replace("\u00a0", " "))
    await visitor.follow()
    assert await statuses(demo, ids) == ["attended", "excused", "attended"]
    assert await visitor.page.get_by_role("textbox").last.input_value() == "2"


async def statuses(demo: RunningInstance, ids: list[str]) -> list[str]:
    found = []
    for id_ in ids:
        answer = await demo.client.get(f"/api/registrations/v1/registrations/{id_}", headers=demo.staff)
        found.append(answer.json()["status"])
    return found
