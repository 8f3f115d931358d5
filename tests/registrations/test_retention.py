"""People are erased once their session is long over, here and in every service that heard of them."""

from datetime import timedelta

import asyncpg

from libs.messaging import topics
from services.registrations.retention import erase_due
from tests.registrations.conftest import Instance, ShiftClock, session_state

NEED = {"accommodations": ["large_print"], "consents": ["accommodation_data"]}


async def test_needs_go_first_then_who_the_people_were(instance: Instance, shift_clock: ShiftClock) -> None:
    session = session_state(in_days=1)
    await instance.hear(session)
    person = (await instance.register(session.id, **NEED)).json()

    assert await erase_due(instance.database, instance.settings) == 0
    assert await everything(instance, "accommodation_request") != ""
    await shift_clock(instance.database, timedelta(days=16))
    assert await erase_due(instance.database, instance.settings) == 0
    assert await everything(instance, "accommodation_request") == ""
    await shift_clock(instance.database, timedelta(days=76))
    assert await erase_due(instance.database, instance.settings) == 1
    assert await erase_due(instance.database, instance.settings) == 0, "once is enough"

    kept = await everything(instance, "registration")
    assert "aline" not in kept.lower()
    assert "confirmed" in kept, "the count stays"
    erased = (await instance.announced())[-1]
    assert (erased["name"], erased["contact"]["email"], erased["causes"]) == ("", None, [])
    assert await last_value(instance) is None, "a tombstone comes last"
    gone = await instance.client.get(
        f"/api/registrations/v1/registrations/{person['id']}",
        headers={"Authorization": f"Bearer {person['manage_token']}"},
    )
    assert gone.status_code == 410


async def everything(instance: Instance, table: str) -> str:
    connection = await asyncpg.connect(instance.database.url)
    try:
        return " ".join(str(row) for row in await connection.fetch(f"select * from {table}"))
    finally:
        await connection.close()


async def last_value(instance: Instance) -> bytes | None:
    connection = await asyncpg.connect(instance.database.url)
    try:
        value: bytes | None = await connection.fetchval(
            "select value from outbox where topic = $1 order by id desc limit 1", topics.REGISTRATIONS.name
        )
        return value
    finally:
        await connection.close()
