"""The audit: it agrees with what really happened, and sees whatever was changed behind the rules' back."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.messaging.contracts import HeldSeats, Release, SeatCounts, SessionAccess, SessionState
from services.registrations.audit import audit
from services.registrations.retention import erase_due
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, bearer, session_state


async def act(instance: Instance, registration: dict[str, Any], action: str, **body: Any) -> Any:
    path = f"/api/registrations/v1/registrations/{registration['id']}"
    if action == "cancel":
        answer = await instance.client.delete(path, headers=bearer(registration))
    elif action in ("accept", "decline"):
        answer = await instance.client.post(f"{path}/{action}", headers=bearer(registration))
    else:
        answer = await instance.client.post(f"{path}/{action}", headers=instance.staff, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def a_life(instance: Instance, shift_clock: ShiftClock) -> SessionState:
    """A session with everything that can happen to its seats."""
    session = session_state(
        modality="hybrid",
        capacity=SeatCounts(on_site=3, online=2),
        held_seats=(HeldSeats(seat_kind="on_site", channel="phone", seats=1),),
    )
    release = session.starts_at_utc - timedelta(days=5)
    session = session.model_copy(
        update={"releases": (Release(at=release, seat_kind="on_site", channel="phone", seats=1),)}
    )
    other = session_state(capacity=SeatCounts(on_site=1))
    link = SessionAccess(session_id=session.id, online_url="https://exemple.org/salle")
    await instance.hear(session, other, link)
    people = [
        (await instance.register(session.id, number, seat_kind="on_site")).json() for number in range(1, 7)
    ]
    online = (await instance.register(session.id, 9, seat_kind="online")).json()
    caller = (await instance.register(session.id, 8, channel="phone", seat_kind="on_site")).json()
    waiting = people[2:]
    await act(instance, waiting[3], "move", before=waiting[1]["id"], reason="Arrivée en même temps")
    await act(instance, waiting[2], "priority", priority=2, reason="Recherche d’emploi")
    await act(instance, waiting[0], "grant", reason="Accompagne sa mère")
    await act(instance, people[0], "cancel")
    await act(instance, waiting[2], "accept")
    await act(instance, people[1], "transfer", session_id=str(other.id), reason="Plus près de chez elle")
    timers = Timers(instance.database, instance.settings)
    await shift_clock(instance.database, timedelta(hours=30))
    await timers.act_on_what_is_due()
    await act(instance, caller, "cancel")
    await shift_clock(instance.database, timedelta(days=5))
    await timers.act_on_what_is_due()
    await act(instance, online, "cancel")
    fewer = session.model_copy(update={"capacity": SeatCounts(on_site=1, online=2)})
    more = session.model_copy(update={"capacity": SeatCounts(on_site=5, online=1), "modality": "on_site"})
    await instance.hear(fewer, version=2)
    await instance.hear(more, version=3)
    return session


async def differences(instance: Instance) -> list[str]:
    return [found.what for found in (await audit(instance.database.url)).differences]


async def test_it_agrees_with_all_that_can_happen(instance: Instance, shift_clock: ShiftClock) -> None:
    await a_life(instance, shift_clock)

    report = await audit(instance.database.url)

    assert report.differences == ()
    assert (report.sessions, report.people) == (2, 9)
    assert report.entries >= 22


async def test_it_agrees_after_people_were_erased(instance: Instance, shift_clock: ShiftClock) -> None:
    await a_life(instance, shift_clock)
    await shift_clock(instance.database, timedelta(days=200))
    assert await erase_due(instance.database, instance.settings) == 9

    report = await audit(instance.database.url)

    assert report.differences == ()
    assert report.people == 0


async def test_it_agrees_after_somebody_who_waited_in_vain_was_erased(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    for number in (1, 2, 3):
        await instance.register(session.id, number)
    await shift_clock(instance.database, timedelta(days=200))
    assert await erase_due(instance.database, instance.settings) == 3

    assert (await audit(instance.database.url)).differences == ()


async def test_it_sees_an_outcome_that_was_not_noted_by_the_rules(
    instance: Instance, postgres_url: str
) -> None:
    session = session_state()
    await instance.hear(session)
    await instance.register(session.id)

    await as_if_no_trigger_were_there(
        instance, postgres_url, "update registration set status = 'attended' where status = 'confirmed'"
    )

    (found,) = await differences(instance)
    assert "'attended'" in found
    assert "'confirmed'" in found


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("update registration set priority = 1 where seq = 4", "stands"),
        ("update registration set place = 2 where status = 'waitlisted'", "stands"),
        (
            "update registration set status = 'cancelled', pool_channel = null where status = 'confirmed'",
            "stands",
        ),
        ("update registration set seq = seq + 100", "stands"),
        ("update seat_pool set effective = effective + 1 where seat_kind = 'on_site'", "pool"),
        ("update session set last_seq = last_seq + 1", "last number"),
        ("update session set last_entry = last_entry + 1", "the ledger ends"),
        ("delete from seat_ledger where entry = 3", "entry 3 is missing"),
        ("delete from registration where status = 'waitlisted'", "neither in the tables nor erased"),
        (
            "update seat_ledger set at = at - interval '1 hour' where command = 'cancel'",
            "cancel touched",
        ),
        (
            "update seat_ledger set touched = jsonb_set(touched::jsonb, '{0,status}', '\"confirmed\"')::json"
            " where command = 'request' and touched->0->>'status' = 'waitlisted'",
            "request touched",
        ),
        ("update seat_ledger set inputs = '{}' where command = 'request'", "can't be carried out again"),
    ],
)
async def test_it_sees_what_was_changed_behind_the_rules(
    instance: Instance, postgres_url: str, change: str, seen: str
) -> None:
    session = session_state(capacity=SeatCounts(on_site=2))
    await instance.hear(session)
    people = [(await instance.register(session.id, number)).json() for number in range(1, 6)]
    await act(instance, people[0], "cancel")
    assert await differences(instance) == []

    await as_if_no_trigger_were_there(instance, postgres_url, change)

    found = await differences(instance)
    assert found
    assert seen in " ".join(found)


async def as_if_no_trigger_were_there(instance: Instance, postgres_url: str, change: str) -> None:
    """What somebody with the administrator's rights could do, against every constraint but the CHECKs."""
    path = instance.database.url.rpartition("/")[2]
    admin = await asyncpg.connect(f"{postgres_url.rpartition('/')[0]}/{path}")
    try:
        await admin.execute("set session_replication_role = replica")
        assert (await admin.execute(change)).split()[-1] != "0"
    finally:
        await admin.close()


async def test_the_ledger_names_nobody(instance: Instance, shift_clock: ShiftClock) -> None:
    await a_life(instance, shift_clock)
    connection = await asyncpg.connect(instance.database.url)
    try:
        ledger = " ".join(
            str(dict(row)) for row in await connection.fetch("select * from seat_ledger order by entry")
        )
        people = await connection.fetch("select id, name, email, confirmation_number from registration")
    finally:
        await connection.close()

    for row in people:
        for value in (str(UUID(str(row["id"]))), row["name"], row["email"], row["confirmation_number"]):
            assert value not in ledger
    for reason in ("Arrivée", "emploi", "mère", "près"):
        assert reason not in ledger
