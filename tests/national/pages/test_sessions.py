"""From a figure to its sessions, page by page, to one of them with its seats, and to its instance."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from services.national.listing import PAGE, SORTS
from tests.national.pages.conftest import Land

LINK = re.compile(r'href="/national/seances/([0-9a-f-]{36})"')


async def walk(land: Land, path: str, **query: str) -> list[str]:
    """The sessions of every page of a list, in order."""
    found: list[str] = []
    while True:
        page = await land.page(path, **query)
        found += LINK.findall(page.html)
        following = re.search(r'rel="next" href="[^"]*cursor=([^"&]+)', page.html)
        if following is None:
            return found
        query["cursor"] = following[1].replace("%3D", "=")


async def test_every_session_is_listed_once_in_order(land: Land) -> None:
    by_id = {str(row["id"]): row for row in land.country.sessions if row["starts_at_utc"] > datetime.now(UTC)}
    keys = {
        "date": lambda row: row["starts_at"],
        "waiting": lambda row: row["waitlisted"],
        "free": lambda row: row["available"],
        "taken": lambda row: row["confirmed"] + row["offered"],
    }
    assert keys.keys() == SORTS.keys()
    for sort in [*SORTS, *(f"-{name}" for name in SORTS)]:
        found = await walk(land, "/national/seances", sort=sort)
        assert sorted(found) == sorted(by_id)
        assert len(found) > PAGE
        values = [keys[sort.removeprefix("-")](by_id[id_]) for id_ in found]
        assert values == sorted(values, reverse=sort.startswith("-"))


async def test_a_cursor_that_cant_be_read_starts_again(land: Land) -> None:
    for cursor in ("x", "AAAA", "MjAyNi0xMS0yOHx4", "OTk5OTk5OTk5OTk5fDAwMDAwMDAwLTAwMDA="):
        page = await land.page("/national/seances", cursor=cursor)
        assert "Voici le début de la liste." in page.text


async def test_words_are_found_without_accents_or_signs(land: Land) -> None:
    await land.run("insert into search_text (text) values ('bibliotheque felix leclerc')")
    await land.run("update session set search = 'bibliotheque felix leclerc' where region = '03'")
    places = ("felix leclerc", "Félix-Leclerc", "LECLERC, bibliothèque".replace(",", ""))
    found = [LINK.findall((await land.page("/national/seances", place=place)).html) for place in places]
    assert found[0] == found[1] == found[2] != []
    # What means something in a LIKE is a sign as any other.
    assert not LINK.findall((await land.page("/national/seances", place="%_%")).html)


async def test_a_session_shows_its_seats_by_kind_and_leads_home(land: Land) -> None:
    row = land.coming(modality="hybrid")[0]
    page = await land.page(f"/national/seances/{row['id']}")
    assert f'href="{row["url"]}"' in page.html
    assert "Sur place" in page.text
    assert f"En tout {row['capacity']} {row['confirmed']}" in page.text


async def test_a_session_whose_seats_werent_said_has_none_yet(land: Land) -> None:
    row = land.coming()[0]
    await land.run("update session set seats_updated_at = null, confirmed = 0 where id = :id", id=row["id"])
    page = await land.page(f"/national/seances/{row['id']}")
    assert "Le réseau n’a pas encore dit combien de places sont prises." in page.text


async def test_a_session_of_a_silent_instance_says_how_old_it_is(land: Land) -> None:
    row = land.coming(instance="estrie")[0]
    await land.heard("estrie", timedelta(minutes=40))
    page = await land.page(f"/national/seances/{row['id']}")
    assert "hors ligne depuis 40 min" in page.text


async def test_an_unknown_session_is_no_page(land: Land) -> None:
    for id_ in (str(uuid4()), "rien", "%00"):
        answer = await land.staff.get(f"/national/seances/{id_}", headers={"Accept": "text/html"})
        assert answer.status_code == 404
