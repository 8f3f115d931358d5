"""The same end state whatever happens on the way: kills, restarts, replays, a crowd on the last seats."""

import asyncio
import sys
from collections.abc import Sequence

import asyncpg
import orjson

from deploy.postgres import server_url
from libs.database import service_url
from libs.messaging import topics
from libs.messaging.postgres import PostgresBus, bus_url
from tests.flows.running import ROOT, RunningInstance
from tests.waiting import eventually

SEATS, PEOPLE, PROCESSES = 20, 200, 4


async def test_two_hundred_people_from_four_processes_on_twenty_seats(instance: RunningInstance) -> None:
    session = await instance.published(capacity=SEATS)

    answers = await crowd(instance.base_url, session["id"])

    check_answers(answers)
    await check_mails(instance)


async def test_the_same_crowd_with_everything_killed_in_the_middle(instance: RunningInstance) -> None:
    session = await instance.published(capacity=SEATS)

    rush = asyncio.create_task(crowd(instance.base_url, session["id"]))
    await eventually(lambda: seated(instance, session["id"]))
    instance.kill()
    await instance.start()
    answers = await rush

    check_answers(answers)
    await check_mails(instance)


async def test_a_replay_of_every_stream_sends_nothing_and_changes_nothing(instance: RunningInstance) -> None:
    session = await instance.published(capacity=1)
    people = [await instance.register(session["id"], name) for name in ("Aline", "Bruno", "Chloé")]
    await instance.act(people[0], "cancel")
    await instance.mails_to("Bruno", 2)
    await instance.settled()
    before = [await instance.show(person) for person in people], len(await instance.mails())

    await rewind_everything(instance)
    await instance.settled()

    assert ([await instance.show(person) for person in people], len(await instance.mails())) == before
    assert (await instance.client.get("/health")).json()["ready"]


async def seated(instance: RunningInstance, session_id: str) -> bool:
    answer = await instance.client.get(f"/api/registrations/v1/sessions/{session_id}/seats")
    return int(answer.json()["confirmed"]) > 5


async def crowd(base_url: str, session_id: str) -> list[dict[str, object]]:
    """What the people of four client processes were answered."""
    arguments = [
        [base_url, session_id, str(start), str(PEOPLE // PROCESSES)]
        for start in range(0, PEOPLE, PEOPLE // PROCESSES)
    ]
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.flows.client", *each, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        for each in arguments
    ]
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * PROCESSES
    return [answer for output, _ in outputs for answer in orjson.loads(output)]


def check_answers(answers: Sequence[dict[str, object]]) -> None:
    assert len(answers) == PEOPLE
    assert sum(answer["status"] == "confirmed" for answer in answers) == SEATS
    places = [answer["position"] for answer in answers if answer["status"] == "waitlisted"]
    assert sorted(places, key=str) == sorted(range(1, PEOPLE - SEATS + 1), key=str)


async def check_mails(instance: RunningInstance) -> None:
    """Everybody got one notice: a crash may repeat it with its Message-ID, never add another."""

    async def identities() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for mail in await instance.mails():
            found.setdefault(str(mail["To"]), set()).add(str(mail["Message-ID"]))
        return found if len(found) >= PEOPLE else {}

    await eventually(identities)
    await instance.settled()
    found = await identities()
    assert len(found) == PEOPLE
    assert all(len(ids) == 1 for ids in found.values())
    assert len(set.union(*found.values())) == PEOPLE


async def rewind_everything(instance: RunningInstance) -> None:
    """Have every group read every stream again from the start, as after the loss of a position."""
    admin = server_url(instance.data_dir)
    secret = (instance.data_dir / "secret-key").read_text().strip()
    for service, read in (
        ("events", [topics.SEATS, topics.REACH]),
        ("registrations", [topics.SESSIONS, topics.SESSION_ACCESS, topics.REACHED]),
        ("notifications", [topics.REGISTRATIONS]),
    ):
        bus = PostgresBus(bus_url(admin, "demo", service, secret))
        await bus.rewind(service, read)
        await bus.close()
        # The inbox would know them all; without it only the versions stand between a replay and a repeat.
        database = await asyncpg.connect(service_url(admin, "demo", service, secret))
        await database.execute("truncate inbox")
        await database.close()
