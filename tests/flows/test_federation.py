"""From a region to the country: what happens in an instance stands in the national view, and only that."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import icalendar
import pytest

from libs.messaging.signing import new_secret, read_key
from tests.conftest import open_folder
from tests.flows.running import ROOT, RunningInstance
from tests.waiting import eventually


async def command(instance: RunningInstance, *arguments: str) -> str:
    """What an operator's command prints, on the machine of `instance`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        cwd=ROOT,
        env={**os.environ, **instance.environment},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, arguments
    return out.decode().strip()


@pytest.fixture
async def country(data_dir: Path) -> AsyncIterator[tuple[RunningInstance, RunningInstance]]:
    """A region and a national instance, which know each other as their teams would have it."""
    async with AsyncExitStack() as stack:
        national = RunningInstance(data_dir, INSTANCE="national", INSTANCE_NAME="Pays")
        stack.push_async_callback(national.close)
        await national.start()
        way = (await command(national, "deploy.guest", "estrie")).splitlines()[-1]
        folder = open_folder()
        stack.callback(shutil.rmtree, folder)
        region = RunningInstance(
            folder / "region",
            INSTANCE="estrie",
            INSTANCE_NAME="BIBLIO Estrie",
            NATIONAL_BUS_URL=way,
            SIGNING_KEY=new_secret(),
        )
        stack.push_async_callback(region.close)
        await region.start()
        yield national, region


async def introduce(national: RunningInstance, region: RunningInstance) -> None:
    """The region sends its public key; national staff register it."""
    key = (await region.client.get("/api/exporter/v1/key", headers=region.staff)).json()
    assert len(read_key(key["public_key"])) == 32
    await command(
        national, "deploy.registry", "register", "estrie", "BIBLIO Estrie",
        "--key", key["public_key"], "--from", "2026-01-01T00:00:00+00:00", "--reason", "Convention 12",
    )  # fmt: skip


async def seen(national: RunningInstance, session_id: str) -> dict[str, Any]:
    """A session as the country sees it; nothing while it doesn't."""
    answer = await national.client.get(f"/api/national/v1/sessions/{session_id}", headers=national.staff)
    return dict(answer.json()) if answer.is_success else {}


async def counted(national: RunningInstance, session_id: str, confirmed: int, waitlisted: int = 0) -> None:
    async def as_said() -> bool:
        seats = (await seen(national, session_id)).get("seats") or {}
        return bool((seats.get("confirmed"), seats.get("waitlisted")) == (confirmed, waitlisted))

    await eventually(as_said)


async def test_an_instance_feeds_its_own_national_view(instance: RunningInstance) -> None:
    session = await instance.published(capacity=1)
    first = await instance.register(session["id"], "Aline Tremblay")
    await instance.register(session["id"], "Bruno Roy")
    await counted(instance, session["id"], confirmed=1, waitlisted=1)
    await instance.act(first, "cancel")
    await counted(instance, session["id"], confirmed=0)
    shown = await seen(instance, session["id"])
    assert shown["instance"] == "demo"
    assert shown["url"] == f"{instance.base_url}/seances/{session['id']}"
    (own,) = (await instance.client.get("/api/national/v1/instances", headers=instance.staff)).json()["items"]
    assert (own["instance"], own["own"], own["quarantined"]) == ("demo", True, 0)


async def test_the_calendars_of_an_instance_and_of_the_country_hold_one_entry(data_dir: Path) -> None:
    instance = RunningInstance(data_dir, CALENDAR_DOMAIN="agenda.example.org")
    try:
        await instance.start()
        moved, called_off = await instance.published(), await instance.published(title="Sauvegarder")
        path = f"/api/events/v1/sessions/{moved['id']}"
        for day in (4, 5):
            await instance.post(
                f"{path}/reschedule",
                {"starts_at": f"2027-02-0{day}T14:00", "ends_at": f"2027-02-0{day}T16:00"},
            )
        await instance.post(f"/api/events/v1/sessions/{called_off['id']}/cancel", {"reason": "Tempête"})
        await instance.settled()

        own = await entries(instance, "/calendrier.ics")
        assert {uid: entry["SEQUENCE"] for uid, entry in own.items()} == {
            f"{moved['id']}@agenda.example.org": 2,
            f"{called_off['id']}@agenda.example.org": 1,
        }

        async def alike() -> bool:
            return await entries(instance, "/national/calendrier.ics") == own

        await eventually(alike)
    finally:
        await instance.close()


async def entries(instance: RunningInstance, path: str) -> dict[str, dict[str, Any]]:
    """What makes two entries one and the same in a calendar program, by UID."""
    answer = await instance.client.get(path, headers=instance.staff)
    assert answer.status_code == 200
    said = ("SEQUENCE", "STATUS", "LAST-MODIFIED", "DTSTART", "DTEND")
    return {
        str(event["UID"]): {name: event.decoded(name) for name in said}
        for event in icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
    }


async def test_a_region_is_believed_once_it_is_registered_and_cut_off_without_loss(
    country: tuple[RunningInstance, RunningInstance],
) -> None:
    national, region = country
    session = await region.published(capacity=3)
    await region.register(session["id"], "Aline Tremblay")
    await region.settled("lag", "queued", "bridge_lag")

    async def doubted() -> bool:
        answer = await national.client.get("/api/national/v1/quarantine", headers=national.staff)
        return {item["reason"] for item in answer.json()["items"]} == {"unknown-instance"}

    await eventually(doubted)
    assert await seen(national, session["id"]) == {}

    await introduce(national, region)
    await counted(national, session["id"], confirmed=1)

    # The national instance is away; the region goes on, and nobody there notices.
    national.stop()
    await region.register(session["id"], "Bruno Roy")
    later = await region.published(title="Publiée pendant la coupure")

    async def waits() -> bool:
        health = (await region.client.get("/health/exporter")).json()
        return bool(health["ready"] and health["queued"] == 0 and health["bridge_lag"] >= 3)

    await eventually(waits)
    await national.start()
    await counted(national, session["id"], confirmed=2)
    await eventually(lambda: seen(national, later["id"]))
    await region.settled("bridge_lag")


async def test_what_a_region_no_longer_shares_leaves_the_national_view(
    country: tuple[RunningInstance, RunningInstance],
) -> None:
    national, region = country
    await introduce(national, region)
    session = await region.published()
    await counted(national, session["id"], confirmed=0)

    async def share(level: str) -> None:
        answer = await region.client.put(
            "/api/exporter/v1/sharing",
            json={"volet": "public", "level": level, "reason": "Décision du comité"},
            headers=region.staff,
        )
        assert answer.is_success, answer.text

    async def told() -> dict[str, str]:
        answer = await national.client.get("/api/national/v1/instances/estrie", headers=national.staff)
        return dict(answer.json()["shares"])

    await share("nothing")
    await eventually(lambda: gone(national, session["id"]))
    assert (await told())["public"] == "nothing", "« non partagé », never zero"

    await share("counts")
    await counted(national, session["id"], confirmed=0)
    assert (await told())["public"] == "counts"


async def gone(national: RunningInstance, session_id: str) -> bool:
    return await seen(national, session_id) == {}
