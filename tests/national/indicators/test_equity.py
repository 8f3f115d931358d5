"""The equity report of the country: the page, its twin for programs, and who is missing from both."""

import re
from html import unescape
from typing import Any

import httpx
import pytest

from services.national import pages_equity
from tests.national.indicators.seeding import NOVEMBER, Country, buckets

PATH, API = "/national/equite", "/api/national/v1/equity"


@pytest.fixture(autouse=True)
async def two_networks(country: Country) -> None:
    await country.instance("nord", "03", "12")
    await country.instance("sud", "16")


async def fill(country: Country) -> None:
    """The Web and the desk in the north, the telephone in the south, one of November."""
    await country.tally(
        {"attended": 12, "absent": 3, "cancelled": 5},
        confirmed_at_start=18,
        waitlisted_at_start=2,
        offers_made=20,
        offers_accepted=12,
        answer_minutes=buckets(b3=2, b5=10),
        minutes_from_opening=buckets(b2=20),
    )
    await country.tally({"attended": 4}, channel="desk", minutes_from_opening=buckets(b5=4))
    await country.tally(
        {"attended": 9, "absent": 1, "excused": 2},
        channel="phone",
        instance="sud",
        region="16",
        confirmed_at_start=12,
        minutes_from_opening=buckets(b5=12),
    )
    await country.tally({"waitlisted": 7}, channel="phone", month=NOVEMBER)
    await country.tally({}, channel="none", walk_ins=3, walk_in_minutes=180)


def text_of(page: httpx.Response) -> str:
    assert page.status_code == 200, page.text
    shown = re.sub(r"<(script|style|title|desc)\b.*?</\1>", " ", page.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())


def row_of(page: httpx.Response, label: str) -> list[str]:
    """The cells of the row that begins with `label`."""
    (found,) = [
        row
        for row in re.findall(r"<tr>(.*?)</tr>", page.text, re.DOTALL)
        if row.startswith(f'<th scope="row">{label}')
    ]
    cells = re.findall(r"<td\b[^>]*>(.*?)</td>", found, re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in cells]


async def ask(client: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    answer = await client.get(API, params={name.rstrip("_"): value for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_row_for_each_channel_with_the_sums(country: Country, client: httpx.AsyncClient) -> None:
    await fill(country)

    page = await client.get(f"{PATH}?period=2026-10")

    assert row_of(page, "Formulaire Web") == [
        "20",
        "55,6 % 20 sur 36",
        "10 min entre 5 min et 15 min, sur 20",
        "90,0 % 18 sur 20",
        "10,0 % 2 sur 20",
        "60,0 % 12 sur 20",
        "1 h 24 entre 1 h et 2 h, sur 12",
        "80,0 % 12 sur 15",
    ]
    at_the_desk = row_of(page, "Sur place / au comptoir")
    assert at_the_desk[2] == "– moins de 10 : trop peu"
    assert at_the_desk[7] == "4 sur 4 trop peu pour un pourcentage"
    assert row_of(page, "Avec de l’aide")[:2] == ["16", "44,4 % 16 sur 36"]
    assert row_of(page, "Tous les canaux")[0] == "36"
    assert "Avec de l’aide, la moitié des demandes arrivent en 2 h ou moins" in text_of(page)


async def test_each_column_leads_to_its_definition_and_the_picture_has_its_table(
    country: Country, client: httpx.AsyncClient
) -> None:
    await fill(country)

    page = await client.get(f"{PATH}?period=2026-10")

    for indicator in ("I4", "I7", "I9", "I10", "I19", "I20"):
        assert f'href="/national/indicateurs/{indicator}"' in page.text
    assert '<svg class="chart" role="img"' in page.text
    (twin,) = re.findall(r"<details>.*?</details>", page.text, re.DOTALL)
    assert "<th>Formulaire Web<td>10\u00a0min" in twin
    listed = await client.get("/national/indicateurs?region=03")
    assert 'href="/national/equite?region=03"' in listed.text


async def test_the_filters_stay_in_the_address_and_choose_what_is_counted(
    country: Country, client: httpx.AsyncClient
) -> None:
    await fill(country)

    south = await client.get(f"{PATH}?period=2026-10&region=16&stream=public&theme=courriel&modality=on_site")
    november = await client.get(f"{PATH}?period=2026-11")

    assert row_of(south, "Tous les canaux")[0] == "12"
    assert '<option value="16" selected>' in south.text
    assert "/api/national/v1/equity?stream=public&amp;theme=courriel&amp;modality=on_site&amp;region=16" in (
        south.text
    )
    assert row_of(november, "Téléphone")[0] == "7"


async def test_who_does_not_share_or_never_spoke_is_named(
    country: Country, client: httpx.AsyncClient
) -> None:
    await fill(country)
    await country.instance("ouest", "07", shares={"public": "sessions", "pro": "sessions"})
    await country.instance("est", "11", silent_for=None)

    shown = text_of(await client.get(f"{PATH}?period=2026-10"))
    found = await ask(client, from_="2026-10", to="2026-10")

    assert "Non partagé : Ouest." in shown
    assert "Rien n’est encore arrivé de : Est." in shown
    assert {(one["instance"], one["why"]) for one in found["missing"]} == {
        ("ouest", "not-shared"),
        ("est", "never-heard"),
    }


async def test_where_nobody_shares_there_is_no_table_of_zeros(
    country: Country, client: httpx.AsyncClient
) -> None:
    await country.instance("ouest", "07", shares={"public": "sessions", "pro": "nothing"})

    page = await client.get(f"{PATH}?region=07")
    found = await ask(client, region="07")

    assert "Aucun réseau ne partage ces décomptes" in text_of(page)
    assert '<th scope="row">' not in page.text
    assert (found["channels"], found["assisted"], found["all"]) == ([], None, None)


async def test_the_same_for_programs(country: Country, client: httpx.AsyncClient) -> None:
    await fill(country)

    found = await ask(client, from_="2026-10", to="2026-10")

    (web,) = [one for one in found["channels"] if one["channel"] == "web"]
    assert web == {
        "channel": "web",
        "registrations": 20,
        "share": {"value": 55.6, "numerator": 20, "denominator": 36},
        "seated_at_start": {"value": 90.0, "numerator": 18, "denominator": 20},
        "waiting_at_start": {"value": 10.0, "numerator": 2, "denominator": 20},
        "offers_accepted": {"value": 60.0, "numerator": 12, "denominator": 20},
        "answer_minutes": {"value": 84.0, "interval": [60, 120], "n": 12},
        "attendance": {"value": 80.0, "numerator": 12, "denominator": 15},
        "minutes_from_opening": {"value": 10.0, "interval": [5, 15], "n": 20},
    }
    assert found["assisted"]["minutes_from_opening"] == {"value": 90.0, "interval": [60, 120], "n": 16}
    assert found["all"]["registrations"] == 36
    assert (found["question"]["from"], found["question"]["to"]) == ("2026-10", "2026-10")
    assert (await ask(client))["all"]["registrations"] == 43, "without a period, all time"


@pytest.mark.parametrize("query", ["by=region", "rounded=true", "stream=broderie", "from=hier", "rien=1"])
async def test_what_cannot_be_asked_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{API}?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


async def test_the_report_is_for_national_staff(client: httpx.AsyncClient) -> None:
    client.headers.pop("Authorization")

    page, answer = await client.get(PATH), await client.get(API)

    assert (page.status_code, page.headers["location"].partition("?")[0]) == (303, "/connexion")
    assert answer.status_code == 401


async def test_the_description_of_the_api_names_it(client: httpx.AsyncClient) -> None:
    described = (await client.get("/api/national/openapi.json")).json()

    assert API in described["paths"]
    assert pages_equity.PATH not in described["paths"]


async def test_the_page_speaks_english(country: Country, client: httpx.AsyncClient) -> None:
    await fill(country)

    shown = text_of(await client.get(f"{PATH}?period=2026-10&lang=en"))

    assert "Equity report" in shown
    assert (
        "With help, half of the requests come within 2 h after opening; by the Web, within 15 min." in shown
    )
