"""A figure once reported can be found again, whatever happens afterwards."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import IntegrityError

from services.national import snapshots
from services.national.models import Snapshot
from services.national.periods import month_after
from tests.national.indicators.conftest import Ask
from tests.national.indicators.seeding import NOVEMBER, OCTOBER, Country


@pytest.fixture(autouse=True)
async def a_month(country: Country) -> None:
    await country.instance("nord", "03", "12")
    await country.instance("sud", "16")
    await country.session()
    await country.session(month=NOVEMBER)
    await country.tally({"attended": 8, "absent": 3})
    await country.tally({"attended": 4}, channel="phone", region="12")
    await country.tally({"attended": 5}, instance="sud", region="16")


def without_ages(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what changes by itself."""
    return [item for item in items if item["indicator"] != "I24"]


async def take(country: Country, reason: str = "") -> Snapshot | None:
    async with country.database.transaction() as session:
        return await snapshots.take(session, OCTOBER, reason)


async def test_a_snapshot_keeps_what_the_indicators_say(country: Country, ask: Ask) -> None:
    now = {
        by: (await ask(by=by, from_="2026-10", to="2026-10"))["items"]
        for by in ("", "region", "channel,region", "theme,stream", "month,region", "instance")
    }

    kept = await take(country)
    await country.change_tally({"attended": 1}, region="03")

    assert kept is not None
    assert (kept.version, kept.reason) == (1, snapshots.FIRST_REASON)
    for by, items in now.items():
        then = (await ask(by=by, snapshot="2026-10"))["items"]
        assert [i for i in then if i["indicator"] != "I24"] == [
            i for i in items if i["indicator"] != "I24"
        ], by
    filtered = await ask(by="channel", region="03", snapshot="2026-10", indicator="I6")
    assert [(i["channel"], i["value"]) for i in filtered["items"]] == [("web", 8)]


async def test_a_late_correction_is_a_new_version_with_its_reason(country: Country, ask: Ask) -> None:
    await take(country)
    assert await take(country) is None, "nothing has changed"
    await country.change_tally({"attended": 9, "absent": 2}, region="03")

    second = await take(country)

    assert second is not None
    assert (second.version, second.reason) == (2, "Corrections reçues après la version 1 : nord.")
    asked = {"indicator": "I6", "snapshot": "2026-10"}
    assert (await ask(**asked, version="1"))["items"][0]["value"] == 17
    assert (await ask(**asked))["items"][0]["value"] == 18
    async with country.database.reading() as session:
        changed = await snapshots.changes(session, OCTOBER, 2)
    assert {(one.indicator, one.measure, *one.cell.values()) for one in changed} >= {
        ("I6", ""), ("I6", "", "03"), ("I6", "", "nord"), ("I7", ""),
    }  # fmt: skip
    assert not any("16" in one.cell.values() or "sud" in one.cell.values() for one in changed)


async def test_a_person_may_say_why(country: Country) -> None:
    await take(country)
    await country.change_tally({"attended": 9}, region="03")

    second = await take(country, "La feuille de Charlesbourg est arrivée en retard.")

    assert second is not None
    assert second.reason == "La feuille de Charlesbourg est arrivée en retard."


@pytest.mark.parametrize(
    "statement",
    [
        "update snapshot set reason = 'autre'",
        "delete from snapshot_figure",
        "delete from snapshot",
        "truncate snapshot, snapshot_figure",
        "update snapshot_figure set value = '{}'",
        "insert into snapshot_figure (month, version, indicator, cell, value)"
        " values ('2026-10-01', 1, 'I1', '{}', '{}')",
    ],
)
async def test_what_was_reported_never_changes(country: Country, statement: str) -> None:
    kept = await take(country)
    assert kept is not None

    with pytest.raises(IntegrityError, match=r"once reported|after it was taken"):
        await country.run(statement)

    async with country.database.reading() as session:
        assert await snapshots.is_intact(session, kept)


async def test_the_digest_tells_when_somebody_with_the_keys_to_the_house_has_changed_a_figure(
    country: Country,
) -> None:
    kept = await take(country)
    assert kept is not None

    await country.run("alter table snapshot_figure disable trigger never_changes")
    await country.run(
        "update snapshot_figure set value = jsonb_set(value, '{counts,held,0}', '99')"
        " where indicator = 'I1' and cell = '{}'"
    )

    async with country.database.reading() as session:
        assert not await snapshots.is_intact(session, kept)


async def test_a_snapshot_says_who_was_missing(country: Country, ask: Ask) -> None:
    await country.instance("ouest", "07", silent_for=None)
    await take(country)
    await country.run("update instance set status = 'retired' where slug = 'ouest'")

    then = await ask(by="region", indicator="I6", snapshot="2026-10")

    assert [(m["instance"], m["why"]) for m in then["missing"]] == [("ouest", "never-heard")]
    assert {i["region"]: i["value"] for i in then["items"]}["07"] is None


async def test_what_is_due_is_taken_once_a_day_whoever_takes_it(country: Country) -> None:
    today = datetime.now(UTC).date()
    finished = month_after(today, -2)
    await country.session(month=finished)
    await country.session(month=today.replace(day=1))
    keepers = [snapshots.Keeper(country.database) for _ in range(3)]

    async with country.database.reading() as session:
        due = await snapshots.due(session)
    await asyncio.gather(*(keeper.keep(asyncio.Event()) for keeper in keepers))

    assert finished in due
    assert today.replace(day=1) not in due
    async with country.database.reading() as session:
        kept = await snapshots.every(session)
    assert [one.version for one in kept if one.month == finished] == [1]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("snapshot=2026-09", 404),
        ("snapshot=2026-10&version=7", 404),
        ("snapshot=2026-10&by=region,theme,stream", 422),
        ("snapshot=2026-10&from=2026-10", 422),
    ],
)
async def test_what_was_not_kept_is_said(
    country: Country, client: httpx.AsyncClient, query: str, status: int
) -> None:
    await take(country)

    answer = await client.get(f"/api/national/v1/indicators?indicator=I1&{query}")

    assert answer.status_code == status, answer.text


def by_cell(answer: dict[str, Any]) -> dict[str, Any]:
    return {str(sorted(item.items())): item["value"] for item in answer["items"]}


async def test_a_snapshot_is_published_as_the_same_figures_were(country: Country, ask: Ask) -> None:
    before = await ask(by="region", rounded="true", from_="2026-10", to="2026-10")
    await take(country)

    then = await ask(by="region", rounded="true", snapshot="2026-10")

    assert by_cell(then) == by_cell(before)
