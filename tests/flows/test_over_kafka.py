"""The same instance with Kafka as its bus: the same life, the same end state after kills and replays."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.messaging import topics
from libs.messaging.kafka.provision import provision_kafka
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.topics import Topic
from tests.flows.running import RunningInstance
from tests.flows.test_faults import check_answers, check_mails, crowd, seated
from tests.waiting import eventually


@pytest.fixture
async def instance(data_dir: Path, kafka_bootstrap: str) -> AsyncIterator[RunningInstance]:
    """An empty instance whose streams lie on a Kafka that others may share."""
    name = f"k{secrets.token_hex(4)}"
    running = RunningInstance(data_dir, BUS_URL=f"kafka://{kafka_bootstrap}", INSTANCE=name)
    await running.start()
    yield running
    await running.close()


async def test_from_the_last_seat_to_the_next_person_in_line(instance: RunningInstance) -> None:
    session = await instance.published(capacity=1)
    aline = await instance.register(session["id"], "Aline")
    bruno = await instance.register(session["id"], "Bruno")
    await instance.mails_to("Aline", 1)
    await instance.act(aline, "cancel")
    await instance.mails_to("Bruno", 2)
    assert (await instance.act(bruno, "accept"))["status"] == "confirmed"
    await instance.mails_to("Bruno", 3)

    async def seats_are_public() -> bool:
        seats = (await instance.public(session["id"]))["seats"]
        return bool((seats["confirmed"], seats["available"], seats["waitlisted"]) == (1, 0, 0))

    await eventually(seats_are_public)


async def test_a_crowd_with_everything_killed_in_the_middle(instance: RunningInstance) -> None:
    session = await instance.published(capacity=20)
    rush = asyncio.create_task(crowd(instance.base_url, session["id"]))
    await eventually(lambda: seated(instance, session["id"]))
    instance.kill()
    await instance.start()
    check_answers(await rush)
    await check_mails(instance)


async def test_a_replay_of_every_stream_sends_nothing(
    instance: RunningInstance, kafka_bootstrap: str
) -> None:
    session = await instance.published(capacity=1)
    for name in ("Aline", "Bruno"):
        await instance.register(session["id"], name)
    await instance.mails_to("Bruno", 1)
    await instance.settled()
    before = len(await instance.mails())
    for service, read in (
        ("events", [topics.SEATS, topics.REACH]),
        ("registrations", [topics.SESSIONS, topics.SESSION_ACCESS, topics.REACHED]),
        ("notifications", [topics.REGISTRATIONS]),
    ):
        bus = KafkaBus(
            f"kafka://{kafka_bootstrap}", instance=instance.environment["INSTANCE"], service=service
        )
        await bus.rewind(service, read)
        await bus.close()
    await instance.settled()
    assert len(await instance.mails()) == before


async def test_a_stream_that_is_other_than_declared_stops_the_start(
    data_dir: Path, kafka_bootstrap: str
) -> None:
    name, url = f"k{secrets.token_hex(4)}", f"kafka://{kafka_bootstrap}"
    await provision_kafka(url, name, [Topic("sessions", "events", (), partitions=2)])
    running = RunningInstance(data_dir, BUS_URL=url, INSTANCE=name)
    process = running._launch()
    assert await asyncio.to_thread(process.wait) == 2
    assert f"BUS_URL : le sujet {name}.sessions a 2 partitions au lieu de 8." in running.log()
    await running.close()
