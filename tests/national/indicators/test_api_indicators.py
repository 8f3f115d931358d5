"""The indicators as programs ask for them."""

import csv
import io
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.national.indicators.conftest import Ask
from tests.national.indicators.seeding import NOVEMBER, Country, buckets


@pytest.fixture(autouse=True)
async def two_networks(country: Country) -> None:
    await country.instance("nord", "03", "12")
    await country.instance("sud", "16")


def only(answer: dict[str, Any], **cell: Any) -> dict[str, Any]:
    """The one item that says all of this."""
    found = [item for item in answer["items"] if all(item.get(k) == v for k, v in cell.items())]
    assert len(found) == 1, answer["items"]
    return found[0]


async def test_registrations_follow_the_public_seats_at_once(country: Country, ask: Ask) -> None:
    await country.session(status="published", confirmed=9, offered=1, waitlisted=2)
    await country.session(status="published", region="12", confirmed=4)

    answer = await ask(indicator="I4", by="region")

    assert answer["items"] == [
        {"indicator": "I4", "region": "03", "value": 12, "unit": "count", "rounded": False},
        {"indicator": "I4", "region": "12", "value": 4, "unit": "count", "rounded": False},
    ]
    assert answer["next"] is None


async def test_registrations_by_state_and_by_channel_come_from_the_tallies(
    country: Country, ask: Ask
) -> None:
    await country.session(confirmed=9)
    await country.tally({"attended": 7, "absent": 2, "cancelled": 1})
    await country.tally({"attended": 3}, channel="phone")

    by_state = await ask(indicator="I4", by="state")
    by_channel = await ask(indicator="I4", by="channel")
    of_one = await ask(indicator="I4", by="channel", state="attended")

    assert {i["state"]: i["value"] for i in by_state["items"]} == {
        "attended": 10,
        "absent": 2,
        "cancelled": 1,
    }
    assert {i["channel"]: i["value"] for i in by_channel["items"]} == {"web": 10, "phone": 3}
    assert {i["channel"]: i["value"] for i in of_one["items"]} == {"web": 7, "phone": 3}
    assert (await ask(indicator="I4"))["items"][0]["value"] == 9


async def test_sessions_venues_regions_and_cancellations(country: Country, ask: Ask) -> None:
    for region in ("03", "12", "CA-NB"):
        await country.session(region=region)
    await country.session(status="published")
    cancelled = {"status": "cancelled", "confirmed": 0}
    for hours in range(1, 12):
        await country.session(**cancelled)
        await country.run(
            "update session set cancelled_at = starts_at_utc - make_interval(hours => :hours)"
            " where status = 'cancelled' and cancelled_at is null",
            hours=hours,
        )

    answer = await ask(by="")

    assert only(answer, indicator="I1")["value"] == 3
    assert only(answer, indicator="I2", measure="quebec")["numerator"] == 2
    assert only(answer, indicator="I2", measure="quebec")["value"] == 11.8
    assert only(answer, indicator="I2", measure="elsewhere")["value"] == 1
    assert only(answer, indicator="I3")["value"] == 3
    assert only(answer, indicator="I8") | {"value": 75.0, "numerator": 27, "denominator": 36} == only(
        answer, indicator="I8"
    )
    share = only(answer, indicator="I23", measure="share")
    assert (share["value"], share["numerator"], share["denominator"]) == (73.3, 11, 15)
    assert only(answer, indicator="I23", measure="notice")["value"] == 360


async def test_outcomes_come_as_ratios_with_their_parts(country: Country, ask: Ask) -> None:
    await country.session()
    await country.tally(
        {"attended": 12, "absent": 3, "excused": 1, "cancelled": 2},
        confirmed_at_start=16,
        waitlisted_at_start=4,
        attended_minutes=1440,
        offers_made=20,
        offers_accepted=12,
        answer_minutes=buckets(b3=2, b5=10),
        minutes_from_opening=buckets(b7=18),
    )
    await country.tally(
        {"attended": 9, "absent": 1},
        channel="phone",
        minutes_from_opening=buckets(b9=10),
        attended_minutes=1080,
    )
    await country.tally({}, channel="none", walk_ins=3, walk_in_minutes=180)

    answer = await ask()

    sixth = only(answer, indicator="I6")
    assert (sixth["value"], sixth["parts"]) == (24, {"attended": 21, "walk_ins": 3})
    assert only(answer, indicator="I7")["value"] == 84.0
    ninth = only(answer, indicator="I9")
    assert (ninth["value"], ninth["numerator"], ninth["denominator"]) == (20.0, 4, 20)
    assert only(answer, indicator="I10", measure="conversion")["value"] == 60.0
    median = only(answer, indicator="I10", measure="answer")
    assert (median["value"], median["interval"], median["n"]) == (84.0, [60, 120], 12)
    hours = only(answer, indicator="I11")
    assert (hours["value"], hours["unit"]) == (45.0, "hours")
    assert hours["parts"] == {"attended_hours": 42.0, "walk_in_hours": 3.0}
    share = only(answer, indicator="I19", measure="share")
    assert (share["value"], share["numerator"], share["denominator"]) == (35.7, 10, 28)
    assert only(answer, indicator="I19", measure="gap")["value"] == 10.0
    assert only(answer, indicator="I20", measure="assisted")["interval"] == [1440, 2880]
    assert only(answer, indicator="I20", measure="web")["interval"] == [240, 480]


async def test_too_few_make_no_percentage(country: Country, ask: Ask) -> None:
    await country.tally({"attended": 6, "absent": 3})

    found = only(await ask(indicator="I7"), indicator="I7")

    assert found["value"] is None
    assert (found["numerator"], found["denominator"]) == (6, 9)


async def test_filters_and_months_choose_what_is_counted(country: Country, ask: Ask) -> None:
    await country.session()
    await country.session(month=NOVEMBER, theme=None, region=None, stream="pro")

    assert [i["value"] for i in (await ask(indicator="I1"))["items"]] == [2]
    by_month = await ask(indicator="I1", by="month,stream")
    assert [(i["month"], i["stream"]) for i in by_month["items"]] == [
        ("2026-10", "public"),
        ("2026-11", "pro"),
    ]
    assert (await ask(indicator="I1", from_="2026-11-15", to="2026-11-20"))["items"][0]["value"] == 1
    assert (await ask(indicator="I1", region="03"))["items"][0]["value"] == 1
    assert (await ask(indicator="I1", region=""))["items"][0]["value"] == 2
    assert (await ask(indicator="I1", region=",03"))["items"][0]["value"] == 2
    assert (await ask(indicator="I1", by="theme"))["items"][1]["theme"] is None
    assert (await ask(indicator="I1", by="delivered_by"))["items"][0]["value"] == 2


async def test_only_the_generation_that_serves_is_counted(country: Country, ask: Ask) -> None:
    await country.session()
    await country.begin(2, "building")
    await country.session(generation=2)
    await country.tally({"attended": 5}, generation=2)

    assert (await ask(indicator="I1"))["items"][0]["value"] == 1
    assert (await ask(indicator="I6"))["items"][0]["value"] == 0


async def test_who_is_silent_or_shares_nothing_is_missing_and_never_zero(country: Country, ask: Ask) -> None:
    await country.instance("ouest", "07", silent_for=None)
    await country.instance("est", "11", shares={"public": "sessions", "pro": "nothing"})
    await country.instance("loin", "10", silent_for=timedelta(hours=2))
    await country.tally({"attended": 12})

    answer = await ask(indicator="I6", by="region")

    assert {(m["instance"], m["why"]) for m in answer["missing"]} == {
        ("ouest", "never-heard"),
        ("est", "not-shared"),
        ("loin", "offline"),
    }
    unheard = only(answer, region="07")
    assert (unheard["value"], unheard["missing"]) == (None, "never-heard")
    assert only(answer, region="11")["missing"] == "not-shared"
    by_instance = await ask(indicator="I6", by="instance")
    assert only(by_instance, instance="est")["value"] is None
    assert only(await ask(indicator="I6", instance="est"))["value"] is None
    assert only(await ask(indicator="I6", instance="sud"))["value"] == 0
    public = next(m for m in (await ask(indicator="I1"))["missing"] if m["instance"] == "est")
    assert public["streams"] == ["pro"]


async def test_freshness_is_said_of_each_instance(country: Country, ask: Ask) -> None:
    await country.instance("est", "11", silent_for=timedelta(minutes=5), declared=20, received=15)

    answer = await ask(indicator="I24")

    age = only(answer, instance="est", measure="age")
    assert 300 <= age["value"] < 360
    complete = only(answer, instance="est", measure="completeness")
    assert (complete["value"], complete["numerator"], complete["denominator"]) == (75.0, 15, 20)
    assert "I24" in {one["indicator"] for one in (await ask(by="region"))["left_out"]}


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("indicator=I99", "indicator", "Nous ne connaissons pas cet indicateur."),
        ("indicator=I5", "indicator", "n’est pas encore alimenté"),
        ("by=planet", "by", "Nous ne connaissons pas cette dimension."),
        ("indicator=I1&by=channel", "by", "ne se répartit pas ainsi"),
        ("by=channel,delivered_by", "by", "Aucun indicateur"),
        ("from=octobre", "from", "Écrivez un mois"),
        ("from=2026-11&to=2026-10", "to", "vient avant son début"),
        ("stream=autre", "stream", "Choisissez une des réponses"),
        ("regoin=03", "regoin", "n’existe pas"),
        ("region=%00", "region", "identifiant"),
        ("format=xml", "format", "json ou csv"),
        ("rounded=peut-etre", "rounded", "true ou false"),
        ("version=2", "version", "instantané"),
        ("cursor=zzz", "cursor", "n’existe pas"),
        ("rounded=true&by=region,theme,stream", "by", "au plus 2 dimensions"),
        ("rounded=true&region=03,12", "region", "une seule valeur"),
        ("rounded=true&from=2026-10&to=2026-11", "from", "un mois, une année"),
        ("rounded=true&from=2026-10", "from", "un mois, une année"),
    ],
)
async def test_what_cannot_be_understood_is_said(
    client: httpx.AsyncClient, query: str, field: str, words: str
) -> None:
    answer = await client.get(f"/api/national/v1/indicators?{query}")

    assert answer.status_code == 422
    [error] = [one for one in answer.json()["errors"] if one["field"] == field]
    assert words in error["message"]


async def test_only_national_staff_may_ask(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/national/v1/indicators", headers={"Authorization": "Bearer nobody"})

    assert answer.status_code == 401


async def test_csv_is_plain_and_runs_nothing_in_a_spreadsheet(
    country: Country, client: httpx.AsyncClient
) -> None:
    await country.session(theme="=cmd|' /C calc'!A0")
    await country.session(theme="courriel")

    answer = await client.get("/api/national/v1/indicators?indicator=I1&by=theme&format=csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["theme"], row["value"]) for row in rows] == [("'=cmd|' /C calc'!A0", "1"), ("courriel", "1")]


async def test_a_long_list_comes_in_pages(country: Country, ask: Ask) -> None:
    for theme in ("a", "b", "c"):
        await country.session(theme=theme)

    first = await ask(indicator="I1", by="theme", limit="2")
    second = await ask(indicator="I1", by="theme", limit="2", cursor=first["next"])

    assert [i["theme"] for i in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next"] is None


async def test_published_counts_are_multiples_of_five_and_public_facts_stay_exact(
    country: Country, ask: Ask
) -> None:
    await country.session(confirmed=7)
    await country.tally({"attended": 13, "absent": 4})

    answer = await ask(rounded="true", from_="2026-10", to="2026-10")

    assert only(answer, indicator="I4")["value"] == 7
    assert only(answer, indicator="I4")["rounded"] is False
    sixth = only(answer, indicator="I6")
    assert sixth["rounded"] is True
    assert sixth["value"] in (10, 15)
    assert sixth["margin"] == [sixth["value"] - 4, sixth["value"] + 4]
    seventh = only(answer, indicator="I7")
    assert seventh["denominator"] in (15, 20)
    low, high = seventh["margin"]
    assert low <= 100 * 13 / 17 <= high
    assert (await ask(rounded="true", from_="2026-10", to="2026-10"))["items"] == answer["items"]
