"""Every page, as axe-core and a narrow window see it: no violation, nothing wider than the screen."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.browser.conftest import Visitor
from tests.flows.running import RunningInstance, text_of

PUBLIC = ("/", "/programme", "/vie-privee", "/accessibilite", "/connexion", "/nulle-part", "/?theme=tablette")
SHARING = ("/partage", "/partage/public", "/partage/messages")
STAFF = ("/coordination", "/guichet", "/guichet/appels", "/guichet/equite", "/boite-envoi", *SHARING)


async def visit_all(visitor: Visitor, paths: list[str]) -> None:
    for path in paths:
        await visitor.goto(path)
        await visitor.check_page()


async def sessions(demo: RunningInstance) -> list[dict[str, Any]]:
    """The demonstration's sessions: with room, full, moved, cancelled, online, hybrid."""
    return list((await demo.client.get("/api/events/v1/sessions?limit=100")).json()["items"])


async def one_of_each(demo: RunningInstance) -> list[str]:
    """The pages of one session of each kind, and its form."""
    found: dict[tuple[object, ...], str] = {}
    for session in await sessions(demo):
        kind = (session["status"], session["modality"], session["stream"], session["seats"]["available"] > 0)
        found.setdefault(kind, session["id"])
    return [f"/{page}/{id_}" for id_ in found.values() for page in ("seances", "inscription")]


async def own_pages(demo: RunningInstance) -> list[str]:
    """The own page of one person in each state, by the link of their last mail."""
    found: dict[str, str] = {}
    for mail in await demo.mails():
        link = re.search(r"/mon-inscription/[\w-]+", text_of(mail))
        if link:
            found[str(mail["Subject"]).partition("\u00a0:")[0]] = link.group()
    assert len(found) >= 4, "the demonstration shows people in several states"
    return [*found.values(), *(f"{link}/presence" for link in found.values())]


@pytest.mark.parametrize(
    ("width", "dark", "language"), [(1100, False, "fr"), (320, True, "fr"), (320, False, "en")]
)
async def test_the_public_pages(
    demo: RunningInstance, visit: Any, width: int, dark: bool, language: str
) -> None:
    visitor = await visit(width=width, dark=dark)
    await visitor.goto(f"/?lang={language}")
    assert await visitor.page.locator("html").get_attribute("lang") == language
    await visit_all(visitor, [*PUBLIC, *await one_of_each(demo), *await own_pages(demo)])


@pytest.mark.parametrize(("width", "hour"), [(1100, 10), (320, 13)])
async def test_the_staff_pages(demo: RunningInstance, visit: Any, width: int, hour: int) -> None:
    visitor = await visit(width=width)
    await visitor.sign_in()
    paths = await linked(visitor, await a_line(demo, hour), *STAFF)
    assert {"rang", "priorite", "place-en-plus", "transfert"} <= {path.rpartition("/")[2] for path in paths}
    await visit_all(visitor, [*STAFF, *paths])


@pytest.mark.parametrize(("width", "language"), [(1100, "fr"), (320, "en")])
async def test_the_pages_of_a_wait(demo: RunningInstance, visit: Any, width: int, language: str) -> None:
    today = datetime.now(UTC).date()
    body = {
        "channel": "web",
        "name": f"Odile Bouchard {width}",
        "contact": {"email": f"odile{width}@example.org"},
        "theme": "courriel",
        "first_day": today.isoformat(),
        "last_day": (today + timedelta(days=90)).isoformat(),
    }
    wait = await demo.post("/api/registrations/v1/waits", body)
    own, desk = f"/mon-attente/{wait['manage_token']}", f"/guichet/attentes/{wait['id']}"
    visitor = await visit(width=width)
    await visitor.goto(f"/?lang={language}")
    await visit_all(visitor, ["/attendre?sujet=courriel", "/attendre/deja-note", own, f"{own}/terminer"])
    await visitor.sign_in()
    await visit_all(visitor, ["/guichet/attentes", "/guichet/attentes/nouvelle", desk, f"{desk}/terminer"])


@pytest.mark.parametrize(("width", "language", "hour"), [(1100, "fr", 9), (320, "en", 15)])
async def test_the_pages_of_a_draw_and_of_a_party(
    demo: RunningInstance, visit: Any, width: int, language: str, hour: int
) -> None:
    times = {"starts_at": f"2027-03-03T{hour:02d}:30", "ends_at": f"2027-03-03T{hour + 1:02d}:30"}
    party = {"limit": 3, "gather_hours": 24, "companion_takes_seat": False}
    rule = {"policy": "draw", "draw": {"closes_at": "2027-02-20T12:00", "first_time_lots": 2}}
    drawn = await demo.published(capacity=4, party=party, waitlist=rule, **times)
    full = await demo.published(
        capacity=2, party=party, **(times | {"starts_at": f"2027-03-03T{hour:02d}:45"})
    )
    own = []
    for session, size in ((drawn, 2), (full, 1), (full, 3)):
        body = {"channel": "phone", "name": f"Marthe Roy {size}", "contact": {"phone": "418 555-0178"}}
        asked = f"/api/registrations/v1/sessions/{session['id']}/registrations"
        made = await demo.post(asked, body | {"party_size": size, "support_companion": size == 3})
        own.append(f"/mon-inscription/{made['manage_token']}")
    visitor = await visit(width=width)
    await visitor.goto(f"/?lang={language}")
    public = [f"/{page}/{one['id']}" for one in (drawn, full) for page in ("seances", "inscription")]
    await visit_all(visitor, [*public, f"/tirage/{drawn['id']}", *own])
    await visit_all(visitor, [f"{own[2]}/groupe/moins", f"{own[2]}/groupe/separer"])
    await visitor.sign_in()
    await visit_all(
        visitor,
        [
            f"/guichet/seances/{drawn['id']}",
            f"/guichet/seances/{drawn['id']}/tirage",
            f"/guichet/seances/{full['id']}/attente",
        ],
    )


async def test_by_keyboard_through_the_equity_report_without_scripts(visit: Any) -> None:
    visitor = await visit(width=320, javascript=False)
    await visitor.sign_in()
    await visitor.goto("/guichet")
    await visitor.tab_to("Rapport d’équité")
    await visitor.follow()
    await visitor.tab_to("Mois")
    await visitor.page.locator(".equity .table-wrap").focus()
    await visitor.page.keyboard.press("Tab")
    await visitor.page.keyboard.press("Enter")
    assert visitor.page.url.endswith("#definition-registrations")
    assert await visitor.page.locator("#definition-registrations").is_visible()


async def a_line(demo: RunningInstance, hour: int) -> str:
    """The page of a new session's line in which somebody waits, with what staff can do about it."""
    session = await demo.published(
        capacity=1, starts_at=f"2027-03-02T{hour:02d}:30", ends_at=f"2027-03-02T{hour + 1:02d}:30"
    )
    for name in ("Rose Gagné", "Paul Roy"):
        body = {"channel": "phone", "name": name, "contact": {"phone": "418 555-0177"}}
        await demo.post(f"/api/registrations/v1/sessions/{session['id']}/registrations", body)
    return f"/guichet/seances/{session['id']}/attente"


_STAFF_PAGE = re.compile(r"/(coordination|guichet|boite-envoi)(?!.*\.(eml|html)$)")
"""A letter's own HTML is the letter's: it is shown in a frame where no script runs, not even axe."""
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{20,}")


async def linked(visitor: Visitor, *starts: str) -> list[str]:
    """One page of each shape that these pages link to, and one step further: ids and queries don't count."""
    found: dict[str, str] = {}
    ahead = list(starts)
    for _step in range(3):
        following = []
        for path in ahead:
            await visitor.goto(path)
            links = await visitor.page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
            for link in links:
                path = link.removeprefix(visitor.instance.base_url)
                if not _STAFF_PAGE.match(path):
                    continue
                shape = _IDS.sub("*", path.partition("?")[0].partition("#")[0])
                if shape not in found:
                    found[shape] = path
                    following.append(path)
        ahead = following
    assert len(found) >= 15, f"staff have more pages than {sorted(found)}"
    return list(found.values())


async def test_no_page_asks_a_third_party_for_anything(demo: RunningInstance, visit: Any) -> None:
    visitor = await visit()
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))

    for path in ["/", *await one_of_each(demo)]:
        await visitor.goto(path)

    assert asked
    assert {url for url in asked if not url.startswith(demo.base_url)} == set()


async def test_a_page_is_light(demo: RunningInstance, visit: Any) -> None:
    """PAGES.md: at most 50 kB with styles, fonts aside."""
    visitor = await visit()
    sizes: dict[str, int] = {}

    async def weigh(response: Any) -> None:
        if response.request.resource_type != "font" and response.ok:
            sizes[response.url] = len(await response.body())

    for path in ["/", *(await one_of_each(demo))[:2]]:
        sizes.clear()
        visitor.page.on("response", weigh)
        await visitor.goto(path)
        await visitor.page.wait_for_load_state("networkidle")
        visitor.page.remove_listener("response", weigh)
        assert 0 < sum(sizes.values()) <= 50_000, (path, sizes)
