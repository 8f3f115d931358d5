"""An instance that is put back to a backup: a new epoch, nobody told, and calendars that still listen."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import icalendar
import pytest

from deploy.postgres import server_url
from libs.database import database_name, in_database
from libs.ical import LIFT
from tests.deploy.process import Runner
from tests.flows.running import RunningInstance, calendar_part
from tests.waiting import eventually

RESTORED = ("events", "registrations", "notifications", "exporter")


@pytest.fixture
async def instance(data_dir: Path) -> AsyncIterator[RunningInstance]:
    running = RunningInstance(data_dir / "data")
    running.data_dir.mkdir(mode=0o711)
    try:
        await running.start()
        yield running
    finally:
        await running.close()


async def epochs(instance: RunningInstance) -> set[int]:
    found = set()
    for service in RESTORED:
        url = in_database(server_url(instance.data_dir), database_name("demo", service))
        connection = await asyncpg.connect(url)
        try:
            found.add(await connection.fetchval("select epoch from epoch"))
        finally:
            await connection.close()
    return found


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def restore(instance: RunningInstance) -> Runner:
    return Runner(instance.data_dir, module=["deploy.restore"])


async def test_what_was_known_is_said_again_and_nobody_is_told(instance: RunningInstance) -> None:
    session = await instance.published(capacity=2)
    aline = await instance.register(session["id"], "Aline")
    bruno = await instance.register(session["id"], "Bruno")
    await instance.mails_to("Bruno", 1)
    await instance.settled()
    assert await epochs(instance) == {1}
    instance.stop()
    backup = instance.data_dir.with_name("backup")
    copy(instance.data_dir, backup)

    await instance.start()
    await instance.act(bruno, "cancel")
    (_, gone) = await instance.mails_to("Bruno", 2)
    sent = int(calendar_part(gone)["SEQUENCE"])
    published = await sequence_of(instance, session["id"])
    instance.stop()
    shutil.rmtree(instance.data_dir)
    copy(backup, instance.data_dir)
    command = restore(instance)
    assert command.end() == 0, command.errors

    await instance.start()
    await instance.settled()
    assert await epochs(instance) == {2}
    assert [(await instance.show(one))["status"] for one in (aline, bruno)] == ["confirmed", "confirmed"]
    assert len(await instance.mails()) == 2, "those of before the backup; of the backup nobody is told"

    assert await sequence_of(instance, session["id"]) == published + LIFT
    moved = {"starts_at": "2027-02-04T14:00", "ends_at": "2027-02-04T16:00", "timezone": "America/Toronto"}
    await instance.post(f"/api/events/v1/sessions/{session['id']}/reschedule", moved)
    await instance.shift_clock("notifications", 600)
    for name in ("Aline", "Bruno"):
        *_, told = await instance.mails_to(name, 2)
        assert int(calendar_part(told)["SEQUENCE"]) > LIFT > sent


async def sequence_of(instance: RunningInstance, session_id: str) -> int:
    """SEQUENCE in the session's public calendar file."""
    answer = await instance.client.get(f"/seances/{session_id}.ics")
    (event,) = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
    return int(event["SEQUENCE"])


async def test_an_instance_that_runs_is_not_restored(instance: RunningInstance) -> None:
    command = restore(instance)
    assert command.end() == 1
    assert "fonctionne déjà" in command.errors
    assert await epochs(instance) == {1}


async def test_a_second_restoration_begins_a_third_epoch(instance: RunningInstance) -> None:
    session = await instance.published(capacity=1)
    instance.stop()
    for epoch in (2, 3):
        command = restore(instance)
        assert command.end() == 0, command.errors
        await instance.start()
        assert await epochs(instance) == {epoch}
        await eventually(lambda: seats_said_in(instance, session["id"], epoch))  # noqa: B023  # awaited here
        instance.stop()


async def seats_said_in(instance: RunningInstance, session_id: str, epoch: int) -> bool:
    """Whether events has heard of the session's seats in this epoch."""
    connection = await asyncpg.connect(
        in_database(server_url(instance.data_dir), database_name("demo", "events"))
    )
    try:
        heard = await connection.fetchval("select epoch from session_seats where session_id = $1", session_id)
    finally:
        await connection.close()
    return bool(heard == epoch)
