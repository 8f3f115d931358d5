"""The indicators as national staff read them."""

import re

import httpx
import pytest

from services.national import snapshots
from services.national.indicators.definitions import FED, INDICATORS, WAITING
from tests.national.indicators.seeding import Country, buckets
from tests.national.indicators.test_snapshots import a_month as a_month  # a fixture
from tests.national.indicators.test_snapshots import take

NBSP = "\u00a0"


def text_of(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text).replace(NBSP, " "))


async def test_every_indicator_has_its_figure_and_its_definition(
    country: Country, client: httpx.AsyncClient
) -> None:
    page = await client.get("/national/indicateurs?period=2026-10")

    shown = text_of(page)
    for one in INDICATORS.values():
        assert str(one.name).replace(NBSP, " ") in shown, one.id
        assert str(one.formula).replace(NBSP, " ") in shown, one.id
        assert f'href="/national/indicateurs/{one.id}' in page.text
    for one in WAITING:
        assert str(one.waits_for) in shown
    assert "85 %" in shown.replace("85,0", "85"), "I7: 17 of 20"
    assert "17 sur 20" in shown


@pytest.mark.parametrize("id_", INDICATORS)
@pytest.mark.parametrize("language", ["fr", "en"])
async def test_each_indicator_has_its_page(
    country: Country, client: httpx.AsyncClient, id_: str, language: str
) -> None:
    page = await client.get(f"/national/indicateurs/{id_}?period=2026-10&lang={language}")

    assert "definition" in page.text
    shown = text_of(page)
    assert ("Définition" if language == "fr" else "Definition") in shown


async def test_an_indicator_is_told_apart_by_month_and_region(
    country: Country, client: httpx.AsyncClient
) -> None:
    shown = text_of(await client.get("/national/indicateurs/I6?period=tout"))

    assert "Par mois" in shown
    assert "Octobre 2026 17" in shown
    assert "Capitale-Nationale 8" in shown
    assert "Montérégie 5" in shown


async def test_a_median_beyond_the_last_bucket_is_not_one_of_too_few(
    country: Country, client: httpx.AsyncClient
) -> None:
    await country.tally({}, theme="tablette", minutes_from_opening=buckets(b13=12))

    shown = text_of(await client.get("/national/indicateurs/I20?period=tout&theme=tablette"))

    assert "plus de 14 jours , sur 12" in shown
    assert "Délai par le Web – plus de 14 jours" in shown


async def test_who_does_not_share_is_no_zero(country: Country, client: httpx.AsyncClient) -> None:
    await country.instance("ouest", "07", shares={"public": "sessions", "pro": "sessions"})

    shown = text_of(await client.get("/national/indicateurs/I6?period=tout"))

    assert "Outaouais – non partagé" in shown


@pytest.mark.parametrize(
    "path",
    ["/national/indicateurs/I99", "/national/instantanes/2026-13/1", "/national/instantanes/2026-10/9"],
)
async def test_what_is_not_there_is_said(country: Country, client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_snapshots_are_listed_with_their_reasons_and_what_they_changed(
    country: Country, client: httpx.AsyncClient
) -> None:
    assert "Aucun mois n’a encore été relevé." in text_of(await client.get("/national/instantanes"))
    await take(country)
    await country.change_tally({"attended": 10}, region="03")
    await take(country, "Feuille reçue en retard.")

    listed = text_of(await client.get("/national/instantanes"))
    second = text_of(await client.get("/national/instantanes/2026-10/2"))

    assert snapshots.FIRST_REASON in listed
    assert "Feuille reçue en retard." in listed
    assert "Vérifiée : rien n’a changé" in second
    assert "Participations Tout le pays 17" in second
    assert "Participations Capitale-Nationale 8" in second
    assert "Montérégie" not in second.partition("Les totaux du mois")[0]


async def test_exports_are_always_rounded(country: Country, client: httpx.AsyncClient) -> None:
    await take(country)

    sheet = await client.get("/national/exports/indicateurs.csv?snapshot=2026-10&by=region&by=&rounded=false")
    data = await client.get("/national/exports/indicateurs.json?snapshot=2026-10&by=region")
    page = text_of(await client.get("/national/exports"))

    assert sheet.content.startswith(b"\xef\xbb\xbfindicator;measure;region;value")
    assert sheet.headers["content-disposition"] == 'attachment; filename="indicateurs-2026-10-region.csv"'
    figures = [item for item in data.json()["items"] if item["rounded"] and item["unit"] == "count"]
    assert figures
    assert all(item["value"] % 5 == 0 for item in figures)
    assert "I24" not in {item["indicator"] for item in data.json()["items"]}
    assert "Octobre 2026" in page


async def test_a_publication_crosses_little(country: Country, client: httpx.AsyncClient) -> None:
    answer = await client.get("/national/exports/indicateurs.json?by=region,theme,channel")

    assert answer.status_code == 422


def test_the_indicators_are_those_of_the_programme() -> None:
    assert {one.id for one in FED} == {
        "I1", "I2", "I3", "I4", "I6", "I7", "I8", "I9", "I10", "I11", "I19", "I20", "I23", "I24",
    }  # fmt: skip
    assert set(INDICATORS) == {f"I{number}" for number in range(1, 26)}
    counts = [count for one in FED for measure in one.measures for count in measure.counts]
    assert len({count.name for count in counts}) == len(set(counts)), "a name means one count"
