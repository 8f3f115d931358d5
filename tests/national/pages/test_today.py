"""The first page: its figures are those that were said, and silence is never a zero."""

from datetime import timedelta

import sqlalchemy as sa

from libs.web.assets import FOLDER
from libs.web.formats import number, percent
from tests.national.pages.conftest import Land

ATTENDED = "select sum((registrations->>'attended')::int) from tally where month > now() - interval '1 year'"


def spoken(value: int) -> str:
    return number(value, "fr").replace("\u00a0", " ")


async def test_the_big_figures_are_the_sum_of_what_was_said(land: Land) -> None:
    page = await land.page("/national")
    coming = land.coming()
    taken = sum(row["confirmed"] + row["offered"] for row in coming)
    share = percent(round(100 * taken / sum(row["capacity"] for row in coming)), "fr")
    assert page.figures == [
        spoken(len(coming)),
        spoken(sum(row["confirmed"] for row in coming)),
        spoken(sum(row["waitlisted"] for row in coming)),
        share.replace("\u00a0", " "),
    ]


FILTERS: list[dict[str, str]] = [
    {"stream": "pro"},
    {"theme": "courriel"},
    {"modality": "online"},
    {"region": "13"},
    {"language": "fr"},
    {"region": "05", "stream": "public"},
    {"instance": "centre"},
]


async def test_filters_count_what_is_like_them(land: Land) -> None:
    for wanted in FILTERS:
        page = await land.page("/national", **wanted)
        coming = land.coming(**wanted)
        assert page.figures[:3] == [
            spoken(len(coming)),
            spoken(sum(row["confirmed"] for row in coming)),
            spoken(sum(row["waitlisted"] for row in coming)),
        ], wanted


async def test_a_period_counts_its_own_months_from_the_cells(land: Land) -> None:
    (month,) = {max(row["month"] for row in land.country.sessions if row["status"] == "held")}
    page = await land.page("/national", period=f"{month:%Y-%m}", stream="public")
    mine = [
        row
        for row in land.country.sessions
        if row["month"] == month and row["status"] != "cancelled" and row["stream"] == "public"
    ]
    assert page.figures[:2] == [spoken(len(mine)), spoken(sum(row["confirmed"] for row in mine))]


async def test_sessions_and_cells_count_the_same(land: Land) -> None:
    """A place isn't in the cells; asking for one where all sessions are must change nothing."""
    await land.run("insert into search_text (text) values ('partout')")
    await land.run("update session set search = 'partout'")
    for language in ("", "en"):
        by_cells = await land.page("/national", period="year", language=language)
        by_sessions = await land.page("/national", period="year", language=language, place="partout")
        assert by_cells.figures == by_sessions.figures


async def test_a_region_that_is_down_is_hatched_and_never_zero(land: Land) -> None:
    await land.heard("nord-du-quebec", timedelta(hours=2, minutes=10))
    page = await land.page("/national")
    assert "11 réseaux sur 12 répondent." in page.text
    assert "Nord-du-Québec : hors ligne depuis 2 h 10" in page.text
    assert "Derniers chiffres connus seulement : Nord-du-Québec." in page.text
    assert "Ce n’est pas zéro." in page.text
    assert page.tile("10").endswith("?")
    assert 'fill="url(#motif-hatched)"' in page.html


async def test_a_last_known_nought_isnt_shown(land: Land) -> None:
    await land.run("update session set waitlisted = 0 where region = '10'")
    await land.heard("nord-du-quebec", timedelta(minutes=3))
    assert (await land.page("/national")).tile("10") == "?"


async def test_an_instance_that_was_never_heard_is_no_zero(land: Land) -> None:
    await land.heard("laurentides", None)
    page = await land.page("/national")
    assert "Laurentides : jamais entendu" in page.text
    assert page.tile("15") == "?"
    row = (await land.page("/national/regions")).row("Laurentides")
    assert row[1:3] == ["Laurentides jamais entendu, ce n’est pas zéro", "–"]


async def test_what_isnt_shared_is_said_so(land: Land) -> None:
    await land.shares("laurentides", "nothing", "nothing")
    await land.shares("saguenay", "profile", "nothing")
    page = await land.page("/national")
    assert "Non partagé : Laurentides." in page.text
    assert "Volet « Espace pro » non partagé : Saguenay–Lac-Saint-Jean." in page.text
    assert page.tile("15") == "–"
    assert page.tile("02") != "–"
    assert (await land.page("/national", stream="pro")).tile("02") == "–"
    row = (await land.page("/national/regions")).row("Laurentides")
    assert row[1:] == ["Laurentides non partagé", "–", "–", "–", "–"]


async def test_a_territory_that_nobody_speaks_for_is_no_zero_either(land: Land) -> None:
    assert (await land.page("/national")).tile("NU") == "–"
    assert "aucun réseau relié" in (await land.page("/national/regions")).text


async def test_an_empty_country_says_so_without_figures(land: Land) -> None:
    for table in (
        "session",
        "session_cell",
        "tally",
        "pulse",
        "instance_key",
        "instance_region",
        "session_owner",
    ):
        await land.run(f"delete from {table}")
    await land.run("delete from instance")
    page = await land.page("/national")
    assert "Aucun réseau n’est encore inscrit au registre." in page.text
    assert page.figures == ["–"] * 4


async def test_without_a_generation_that_serves_there_is_a_page_all_the_same(land: Land) -> None:
    await land.run("update generation set state = 'building'")
    for path in ("/national", "/national/regions", "/national/calendrier", "/national/instances"):
        await land.page(path)


async def test_the_table_sorts_by_its_address(land: Land) -> None:
    for sort in ("waiting", "-waiting", "code", "name", "-sessions", "registered", "-taken"):
        page = await land.page("/national/regions", sort=sort)
        assert len(page.rows()) == 29
        # Of Nunavut nothing can be said: it stands last in every order.
        assert page.rows()[-1] == "Nunavut"
        if sort in {"waiting", "-waiting"}:
            waiting = [int(page.row(name)[2].replace(" ", "")) for name in page.rows()[:-1]]
            assert waiting == sorted(waiting, reverse=sort.startswith("-"))


async def test_every_figure_of_the_map_is_in_the_table(land: Land) -> None:
    page, table = await land.page("/national"), await land.page("/national/regions", sort="code")
    for name in table.rows():
        row = table.row(name)
        assert page.tile(row[0]) == row[2]


async def test_a_region_leads_to_its_sessions(land: Land) -> None:
    page = await land.page("/national", region="13", theme="courriel")
    assert 'href="/national/seances?theme=courriel&amp;region=13"' in page.html
    coming = land.coming(region="13", theme="courriel")
    listed = await land.page("/national/seances", region="13", theme="courriel")
    assert all(row["title"] in listed.text for row in coming)


async def test_outcomes_are_those_of_the_tallies(land: Land) -> None:
    page = await land.page("/national", period="year")
    (attended,) = page.html.split("Présences<td>")[1:]
    shown = int(attended.split("<")[0].replace("\u00a0", ""))
    async with land.database.reading() as session:
        told = await session.scalar(sa.text(ATTENDED))
    assert shown == told > 0
    assert "Décomptes reçus chaque jour" in page.text


async def test_every_figure_leads_to_its_definition(land: Land) -> None:
    page = await land.page("/national")
    for indicator in ("I1", "I4", "I9", "I8", "I6"):
        assert f'href="/national/indicateurs/{indicator}"' in page.html


async def test_a_mistaken_choice_is_named_and_the_rest_applied(land: Land) -> None:
    page = await land.page("/national", period="demain", theme="courriel")
    assert "Nous ne connaissons pas cette période." in page.text
    assert page.figures[0] == spoken(len(land.coming(theme="courriel")))


async def test_the_page_speaks_english(land: Land) -> None:
    await land.heard("nord-du-quebec", timedelta(hours=2, minutes=10))
    page = await land.page("/national", lang="en")
    assert "11 networks out of 12 answer." in page.text
    assert "Nord-du-Québec: offline for 2 h 10 min" in page.text
    assert "Where is another stop needed?" in page.text


async def test_the_page_is_light(land: Land) -> None:
    """PAGES.md: at most 50 kB with styles, fonts aside."""
    files = ("main.css", "national.css", "national.js")
    for query in ({}, {"period": "year", "stream": "public", "theme": "courriel", "modality": "on_site"}):
        html = (await land.staff.get("/national", params=query)).content
        assert len(html) + sum((FOLDER / name).stat().st_size for name in files) <= 50_000


async def test_only_national_staff_see_it(land: Land) -> None:
    for page in ("", "/regions", "/seances", "/instances", "/calendrier"):
        answer = await land.stranger.get(f"/national{page}", headers={"Accept": "text/html"})
        assert answer.status_code == 303
        assert (await land.staff.get(f"/national{page}")).headers["cache-control"] == "no-store"
