"""The lane: requests that arrive together share a transaction, and nobody notices but the clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from libs.database import Database
from libs.messaging import topics
from libs.messaging.contracts import HeldSeats, RegistrationState, Release, SeatCounts, SessionAccess
from libs.messaging.envelope import pack, unpack
from services.registrations.audit import audit
from services.registrations.commands import cancel, release_seats
from services.registrations.consumer import apply_access
from services.registrations.inputs import RegistrationRequest
from services.registrations.known_sessions import KnownSessions
from services.registrations.lane import Lane
from services.registrations.models import Registration
from services.registrations.problems import TooManyAtOnce
from services.registrations.registering import Ask, register_all
from services.registrations.telling import causes_of, registration_state
from tests.registrations.conftest import Instance, ShiftClock, person, problem, session_state
from tests.waiting import eventually


@asynccontextmanager
async def locked(instance: Instance, session_id: UUID) -> AsyncIterator[None]:
    """Somebody else works on the session for as long as the block lasts."""
    connection = await asyncpg.connect(instance.database.url)
    try:
        async with connection.transaction():
            await connection.execute("select from session where id = $1 for update", session_id)
            yield
    finally:
        await connection.close()


async def rows(instance: Instance, query: str, *values: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(instance.database.url)
    try:
        return list(await connection.fetch(query, *values))
    finally:
        await connection.close()


async def waits_for_a_lock(instance: Instance) -> bool:
    return bool(
        await rows(
            instance,
            "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
    )


async def all_at_once(*requests: Any) -> list[httpx.Response]:
    return list(await asyncio.gather(*requests))


async def agree(instance: Instance) -> None:
    assert (await audit(instance.database.url)).differences == ()


async def test_a_crowd_shares_transactions_and_is_served_in_its_order(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=5))
    await instance.hear(session)

    answers = await all_at_once(*(instance.register(session.id, number) for number in range(60)))

    bodies = [answer.json() for answer in answers]
    assert [body["status"] for body in bodies] == ["confirmed"] * 5 + ["waitlisted"] * 55
    assert [body["position"] for body in bodies] == [None] * 5 + list(range(1, 56))
    written = await rows(instance, "select distinct xmin::text from registration")
    assert len(written) < 20
    await agree(instance)


async def test_a_message_says_what_the_contract_says(instance: Instance) -> None:
    """The lane writes messages without building the models: they must be the same to the letter."""
    session = session_state(
        modality="hybrid", capacity=SeatCounts(on_site=1, online=1), bring="Votre tablette"
    )
    link = SessionAccess(session_id=session.id, online_url="https://exemple.org/salle")
    await instance.hear(session, link)
    for number, kind in enumerate(("on_site", "online", "on_site", "online")):
        answer = await instance.register(
            session.id, number, seat_kind=kind, target_groups=["seniors"], consents=["statistics_profile"]
        )
        assert answer.status_code == 201

    said = {state["id"]: RegistrationState.model_validate(state) for state in await instance.announced()}

    assert len(said) == 4
    async with instance.database.reading() as tx:
        for id_, state in said.items():
            row = await tx.get_one(Registration, UUID(id_))
            causes = await causes_of(tx, [row.id], since=row.created_at - timedelta(days=1))
            assert state == registration_state(row, causes[row.id])
    links = [state.causes[0].session.online_url for state in said.values()]
    assert links == [None, "https://exemple.org/salle", None, None]


async def test_the_same_key_in_one_batch_registers_once(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    key = {"Idempotency-Key": "un seul"}

    answers = await all_at_once(
        *(instance.register(session.id, 1, headers=key) for _ in range(5)),
        instance.register(session.id, 2, headers=key),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201, 422]
    assert len({answer.json()["id"] for answer in answers[:5]}) == 1
    assert problem(answers[5]) == "idempotency-key-reused"
    assert len(await rows(instance, "select from registration")) == 1


async def test_the_same_person_twice_in_one_batch_is_asked_about(instance: Instance) -> None:
    """Others around them make the batches large: six in a row can't all be in batches of their own."""
    session = session_state(capacity=SeatCounts(on_site=100))
    await instance.hear(session)
    others = [instance.register(session.id, number) for number in range(10, 50)]

    answers = await all_at_once(
        *others[:20], *(instance.register(session.id, 1) for _ in range(6)), *others[20:]
    )

    same = answers[20:26]
    assert sorted(answer.status_code for answer in same) == [201, 409, 409, 409, 409, 409]
    assert {problem(answer) for answer in same if answer.status_code == 409} == {"maybe-duplicate"}
    assert len(await rows(instance, "select from registration")) == 41


async def test_one_that_cannot_be_written_does_not_spoil_the_others(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=3))
    await instance.hear(session)
    await rows(instance, "alter table registration add constraint poison check (name <> 'Poison')")

    answers = await all_at_once(
        *(instance.register(session.id, number) for number in range(3)),
        instance.register(session.id, 9, name="Poison"),
        *(instance.register(session.id, number) for number in range(3, 6)),
    )

    assert [answer.status_code for answer in answers] == [201, 201, 201, 500, 201, 201, 201]
    assert len(await rows(instance, "select from registration where status = 'confirmed'")) == 3
    await agree(instance)


async def test_a_locked_session_holds_up_nobody_else(instance: Instance) -> None:
    busy, free = session_state(), session_state()
    await instance.hear(busy, free)

    async with locked(instance, busy.id):
        waiting = asyncio.create_task(instance.register(busy.id, 1))
        for number in range(5):
            assert (await instance.register(free.id, number)).status_code == 201
        assert not waiting.done()

    assert (await waiting).status_code == 201


async def test_beyond_its_bound_the_queue_takes_nobody(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)

    async def settle(_session_id: UUID) -> None:
        raise AssertionError("nothing is due")

    lane = Lane(instance.database, instance.settings, settle, bound=3)
    instance.app.state.lane = lane
    async with locked(instance, session.id):
        waiting = [asyncio.create_task(instance.register(session.id, number)) for number in range(5)]

        async def refused_one() -> bool:
            return any(task.done() for task in waiting)

        await eventually(refused_one)
        with pytest.raises(TooManyAtOnce):
            lane.check_room()
        refused = await instance.client.post(
            f"/api/registrations/v1/sessions/{session.id}/registrations", content=b"not even JSON"
        )
    answers = await asyncio.gather(*waiting)

    assert (refused.status_code, problem(refused)) == (503, "too-many-at-once")
    assert int(refused.headers["Retry-After"]) > 0
    assert {answer.status_code for answer in answers} == {201, 503}
    assert (await instance.register(session.id, 99)).status_code == 201


async def test_a_connection_that_is_lost_is_replaced(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    async with locked(instance, session.id):
        waiting = [asyncio.create_task(instance.register(session.id, number)) for number in range(3)]

        async def killed() -> bool:
            return bool(
                await rows(
                    instance,
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and wait_event_type = 'Lock'",
                )
            )

        await eventually(killed)
    answers = await asyncio.gather(*waiting)

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len(await rows(instance, "select from registration")) == 3
    await agree(instance)


async def test_a_commit_whose_outcome_was_unknown_is_found_again(instance: Instance) -> None:
    """The connection died after the commit: the next try finds the registration, and it counts as made."""
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    known = KnownSessions(instance.settings)
    ask = Ask(session.id, RegistrationRequest.model_validate(person(1)), uuid4())

    async def once() -> Any:
        async with instance.database.plain_transaction() as connection:
            return (await register_all(connection, instance.settings, known, [ask])).outcomes[0]

    first = await once()
    ask.may_exist = ask.tried = True
    again = await once()

    assert again == first
    assert again.created
    assert len(await rows(instance, "select from registration")) == 1


async def test_what_happens_between_reading_and_writing_is_not_overwritten(instance: Instance) -> None:
    """The lane reads without a lock; whoever decides meanwhile makes it read again, with the lock."""
    session = session_state(capacity=SeatCounts(on_site=2))
    await instance.hear(session)
    first = (await instance.register(session.id, 1)).json()
    async with instance.database.transaction() as tx:
        # Not committed yet: the lane reads one free seat, then waits for this session at its writing.
        await cancel(tx, instance.settings, UUID(first["id"]), "staff")
        newcomers = [asyncio.create_task(instance.register(session.id, number)) for number in (2, 3, 4)]

        await eventually(lambda: waits_for_a_lock(instance))
    answers = await asyncio.gather(*newcomers)

    assert [answer.json()["status"] for answer in answers] == ["confirmed", "confirmed", "waitlisted"]
    await agree(instance)


async def decided_meanwhile(instance: Instance) -> bool:
    """Whether a batch has been read, and so decided, since the one before it waits to be written."""
    return bool(
        await rows(
            instance,
            "select from pg_stat_activity as writing join pg_stat_activity as reading using (datname)"
            " where datname = current_database() and writing.wait_event_type = 'Lock'"
            " and reading.state = 'idle' and reading.query like '%json_build_object%'"
            " and reading.query_start > writing.query_start",
        )
    )


@pytest.mark.parametrize(
    ("person_number", "key", "expected"),
    [(1, "un seul", (200, None)), (1, "autre", (409, None)), (2, "autre", (201, 1))],
    ids=["the same request", "the same person", "a stranger"],
)
async def test_a_batch_is_decided_on_what_the_one_before_it_will_leave(
    instance: Instance, person_number: int, key: str, expected: tuple[int, int | None]
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    async with locked(instance, session.id):
        first = asyncio.create_task(instance.register(session.id, 1, headers={"Idempotency-Key": "un seul"}))
        await eventually(lambda: waits_for_a_lock(instance))
        second = asyncio.create_task(
            instance.register(session.id, person_number, headers={"Idempotency-Key": key})
        )
        await eventually(lambda: decided_meanwhile(instance))
    before, after = await asyncio.gather(first, second)

    assert (before.status_code, before.json()["status"]) == (201, "confirmed")
    assert (after.status_code, after.json().get("position")) == expected
    assert (after.json().get("id") == before.json()["id"]) == (after.status_code == 200)
    await agree(instance)


async def test_a_batch_that_was_decided_on_one_that_failed_is_decided_again(instance: Instance) -> None:
    """The first can't be written at all: the seat that it would have taken is the second's."""
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    await rows(instance, "alter table registration add constraint poison check (name <> 'Poison')")
    async with locked(instance, session.id):
        first = asyncio.create_task(instance.register(session.id, 1, name="Poison"))
        await eventually(lambda: waits_for_a_lock(instance))
        second = asyncio.create_task(instance.register(session.id, 2))
        await eventually(lambda: decided_meanwhile(instance))
    before, after = await asyncio.gather(first, second)

    assert before.status_code == 500
    assert (after.status_code, after.json()["status"]) == (201, "confirmed")
    await agree(instance)


async def test_a_room_link_that_changes_meanwhile_is_the_one_that_is_told(instance: Instance) -> None:
    """A new link is no decision about seats, and yet nobody may be sent the old one."""
    session = session_state(modality="online", capacity=SeatCounts(online=5))
    old, new = (
        SessionAccess(session_id=session.id, online_url=f"https://exemple.org/{name}")
        for name in ("ancienne", "nouvelle")
    )
    await instance.hear(session, old)
    await instance.register(session.id, 1)
    message = pack(
        topics.SESSION_ACCESS,
        instance="test",
        key=str(session.id),
        partition_key=str(session.id),
        epoch=1,
        version=2,
        time=datetime.now(UTC),
        payload=new,
    )
    async with instance.database.transaction() as tx:
        await apply_access(tx, instance.settings, unpack(message)[0], new)
        newcomer = asyncio.create_task(instance.register(session.id, 2))

        await eventually(lambda: waits_for_a_lock(instance))
    id_ = (await newcomer).json()["id"]

    (said,) = [state for state in await instance.announced() if state["id"] == id_]
    assert said["causes"][0]["session"]["online_url"] == "https://exemple.org/nouvelle"


async def test_two_processes_decide_as_one(instance: Instance) -> None:
    """Another lane, with connections of its own, works on the same sessions."""
    sessions = [session_state(capacity=SeatCounts(on_site=10)) for _ in range(3)]
    await instance.hear(*sessions)
    other = Database(instance.database.url)

    async def settle(_session_id: UUID) -> None:
        raise AssertionError("nothing is due")

    lanes = [instance.app.state.lane, Lane(other, instance.settings, settle)]
    asks = [
        Ask(sessions[number % 3].id, RegistrationRequest.model_validate(person(number)), uuid4())
        for number in range(150)
    ]
    try:
        done = await asyncio.gather(*(lanes[number % 2].register(ask) for number, ask in enumerate(asks)))
    finally:
        await other.close()

    assert sum(answer.status == "confirmed" for answer in done) == 30
    for session in sessions:
        positions = [answer.position for answer in done if answer.session_id == session.id]
        assert sorted(position for position in positions if position) == list(range(1, 41))
    await agree(instance)


async def test_a_release_that_is_due_comes_before_a_newcomer(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = session_state(
        capacity=SeatCounts(on_site=1), held_seats=(HeldSeats(seat_kind="on_site", channel="phone", seats=1),)
    )
    at = session.starts_at_utc - timedelta(days=3)
    release = Release(at=at, seat_kind="on_site", channel="phone", seats=1)
    await instance.hear(session.model_copy(update={"releases": (release,)}))
    first = (await instance.register(session.id, 1)).json()
    assert first["status"] == "waitlisted"
    await shift_clock(instance.database, timedelta(days=8))

    newcomer = (await instance.register(session.id, 2)).json()

    assert (newcomer["status"], newcomer["position"]) == ("waitlisted", 1)
    assert (await instance.show(first))["status"] == "offered"
    await agree(instance)


async def test_a_session_from_before_the_ledger_gets_one(instance: Instance, postgres_url: str) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    for number in range(3):
        await instance.register(session.id, number)
    path = instance.database.url.rpartition("/")[2]
    admin = await asyncpg.connect(f"{postgres_url.rpartition('/')[0]}/{path}")
    try:
        await admin.execute("set session_replication_role = replica")
        await admin.execute("delete from seat_ledger")
        await admin.execute("update session set last_entry = 0")
    finally:
        await admin.close()

    assert (await instance.register(session.id, 7)).json()["position"] == 3
    (first, *_rest) = await rows(instance, "select command, touched from seat_ledger order by entry")

    assert first["command"] == "open"
    assert first["touched"].count('"ref"') == 3
    await agree(instance)
    async with instance.database.transaction() as tx:
        await release_seats(tx, instance.settings, session.id)
    await agree(instance)
