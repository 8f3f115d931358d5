"""Many people at once: the last seat is never given twice, whatever the order of events."""

import asyncio
import random
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from libs.messaging import topics
from libs.messaging.bus import Received
from libs.messaging.contracts import SeatCounts
from libs.messaging.envelope import pack
from services.registrations.consumer import inbox
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, bearer, session_state


async def test_sixty_people_on_ten_seats_get_ten_seats_and_fifty_places_in_line(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=10))
    await instance.hear(session)

    answers = await asyncio.gather(*(instance.register(session.id, number) for number in range(60)))

    found = [answer.json() for answer in answers]
    assert sorted(answer["status"] for answer in found) == ["confirmed"] * 10 + ["waitlisted"] * 50
    places = [answer["position"] for answer in found if answer["status"] == "waitlisted"]
    assert sorted(places) == list(range(1, 51))


async def test_one_form_sent_ten_times_at_once_is_one_registration(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)

    answers = await asyncio.gather(
        *(instance.register(session.id, headers={"Idempotency-Key": "one"}) for _ in range(10))
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_storm_of_cancellations_answers_and_newcomers_breaks_no_rule(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=5))
    await instance.hear(session)
    people = [(await instance.register(session.id, number)).json() for number in range(15)]
    chance = random.Random(7)

    async def act(number: int) -> int:
        person = chance.choice(people)
        path = f"/api/registrations/v1/registrations/{person['id']}"
        match chance.randrange(5):
            case 0:
                answer = await instance.client.delete(path, headers=bearer(person))
            case 1 | 2:
                answer = await instance.client.post(f"{path}/accept", headers=bearer(person))
            case 3:
                answer = await instance.client.post(f"{path}/decline", headers=bearer(person))
            case _:
                answer = await instance.register(session.id, 100 + number)
        return answer.status_code

    statuses = await asyncio.gather(*(act(number) for number in range(60)), _announce_seats(instance))

    assert set(statuses) <= {200, 201, 409, None}
    seats = await instance.seats(session.id)
    assert seats["confirmed"] + seats["offered"] <= seats["capacity"] == 5
    rows = await _count_by_status(instance)
    assert (rows.get("confirmed", 0), rows.get("offered", 0)) == (seats["confirmed"], seats["offered"])
    assert seats["available"] == 0 or seats["waitlisted"] == 0, "no free seat while somebody waits"


async def test_a_batch_about_several_sessions_waits_for_the_first_without_holding_the_last(
    instance: Instance,
) -> None:
    """Whatever the order of its messages: who accepts locks the sessions of a wait one after the other."""
    first, last = [session_state(id=UUID(int=number)) for number in (1, 2)]
    await instance.hear(first, last)
    batch = [
        Received(
            pack(
                topics.SESSIONS,
                instance="test",
                key=str(session.id),
                partition_key=str(session.id),
                epoch=1,
                version=2,
                time=datetime.now(UTC),
                payload=session.model_copy(update={"title": "Le nuage, pas à pas"}),
            ),
            0,
            offset,
        )
        for offset, session in enumerate((last, first))
    ]
    somebody, watcher = [await asyncpg.connect(instance.database.url) for _ in range(2)]
    try:
        async with somebody.transaction():
            await somebody.execute(f"{_LOCK} for no key update", first.id)
            heard = asyncio.create_task(inbox(instance.database, instance.settings).handle(batch))
            while not await watcher.fetchval(_SOMEBODY_WAITS):
                assert not heard.done(), "the batch must wait for the first session"
                await asyncio.sleep(0.01)
            # Where the batch holds this one, both would wait for ever: PostgreSQL ends one of them.
            await somebody.execute(f"{_LOCK} for no key update nowait", last.id)
    finally:
        await somebody.close()
        await watcher.close()
    await heard

    for session in (first, last):
        page = await instance.client.get(f"/inscription/{session.id}")
        assert "Le nuage" in page.text


_LOCK = "select from session where id = $1"
_SOMEBODY_WAITS = """
select exists (
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
)
"""


async def _announce_seats(instance: Instance) -> None:
    await Timers(instance.database, instance.settings).announce_seats()


async def _count_by_status(instance: Instance) -> dict[str, int]:
    connection = await asyncpg.connect(instance.database.url)
    try:
        rows = await connection.fetch("select status, count(*) from registration group by status")
    finally:
        await connection.close()
    return {row["status"]: row["count"] for row in rows}
