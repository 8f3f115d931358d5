"""The call list in a browser: two desks, one telephone, and what is seen of each try."""

from typing import Any

import pytest

from tests.flows.running import RunningInstance
from tests.waiting import eventually


@pytest.mark.parametrize(("width", "hour"), [(1100, 15), (320, 18)])
async def test_two_desks_one_telephone_and_the_list_of_the_unreached(
    demo: RunningInstance, visit: Any, width: int, hour: int
) -> None:
    session = await demo.published(starts_at=f"2027-03-02T{hour}:30", ends_at=f"2027-03-02T{hour + 1}:30")
    names = [f"Rose Gagné {hour}", f"Paul Roy {hour}"]
    for name in names:
        body = {"channel": "phone", "name": name, "contact": {"phone": f"418 555-01{hour}"}}
        await demo.post(f"/api/registrations/v1/sessions/{session['id']}/registrations", body)

    async def listed() -> bool:
        page = await demo.client.get("/guichet/appels", headers=demo.staff)
        return all(name in page.text for name in names)

    await eventually(listed)
    one, two = await visit(width=width), await visit(width=width)
    for visitor in (one, two):
        await visitor.sign_in()
        await visitor.goto("/guichet/appels")
    await one.page.get_by_role("link", name=names[0], exact=True).click()
    await two.page.get_by_role("link", name=names[1], exact=True).click()
    await one.page.get_by_label("Vos initiales").first.fill("MB")
    await one.page.get_by_role("button", name="Je m’en occupe").click()
    # The other desk has the other name before it: the same telephone is taken.
    await two.page.get_by_label("Vos initiales").first.fill("JT")
    await two.page.get_by_role("button", name="Je m’en occupe").click()
    assert "en cours par MB" in await two.page.content()
    await two.check_page()

    await one.check_page()
    assert names[1] in await one.page.get_by_role("region", name="À dire aussi").inner_text()
    await one.page.get_by_label("Vos initiales").last.fill("MB")
    await one.page.get_by_label("Plusieurs essais sans succès").check()
    await one.page.get_by_role("button", name="Enregistrer").click()
    await one.goto("/guichet/appels?state=unreached")
    assert names[0] in await one.page.content()
    assert "Plusieurs essais sans succès" in await one.page.content()
    await one.check_page()
    await one.page.get_by_role("link", name=names[0], exact=True).click()
    await one.check_page()
