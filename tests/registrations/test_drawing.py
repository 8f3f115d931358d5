"""A session's draw from its opening to its result, on the real service."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from libs.messaging.contracts import DrawRule, HeldSeats, SeatCounts, SessionState, WaitlistRule
from services.registrations.audit import audit
from services.registrations.draw import Ticket, commitment, ranks, tickets_hash
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, bearer, problem, session_state

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FIRST_TIME = {"consents": ["first_time_draw"]}


def drawn_session(*, seats: int = 2, lots: int = 1, **changes: Any) -> SessionState:
    """A session whose draw closes in an hour."""
    closes_at = datetime.now(UTC).replace(microsecond=0) + HOUR
    rule = WaitlistRule(policy="draw", draw=DrawRule(closes_at=closes_at, first_time_lots=lots))
    return session_state(capacity=SeatCounts(on_site=seats), waitlist=rule, **changes)


async def draw_of(instance: Instance, session: SessionState) -> dict[str, Any]:
    """As anybody may read it."""
    answer = await instance.client.get(f"/api/registrations/v1/sessions/{session.id}/draw")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def look(instance: Instance) -> None:
    """The timers pass once."""
    await Timers(instance.database, instance.settings).act_on_what_is_due()


async def hold(instance: Instance, shift_clock: ShiftClock) -> None:
    """The draw closes, and is held after the pause."""
    for wait in (HOUR, 10 * MINUTE):
        await shift_clock(instance.database, wait)
        await look(instance)


async def crowd(instance: Instance, session: SessionState, count: int, **changes: Any) -> list[Any]:
    answers = [await instance.register(session.id, number, **changes) for number in range(1, count + 1)]
    assert {answer.status_code for answer in answers} <= {201}
    return [answer.json() for answer in answers]


async def test_whoever_asks_before_the_closing_has_a_ticket_and_no_seat(instance: Instance) -> None:
    session = drawn_session()
    await instance.hear(session)

    people = await crowd(instance, session, 3)

    assert [(one["status"], one["position"]) for one in people] == [("pending", None)] * 3
    assert await instance.causes() == ["pending"] * 3
    told = [state["causes"][0]["draw"] for state in await instance.announced()]
    assert [facts["ticket"] for facts in told] == [1, 2, 3]
    assert told[0] == {
        "ticket": 1,
        "closes_at": session.waitlist.draw.closes_at.isoformat(),  # type: ignore[union-attr]
        "url": f"{instance.settings.base_url}/tirage/{session.id}",
        "rank": None,
        "tickets": None,
    }
    seats = await instance.seats(session.id)
    assert (seats["confirmed"], seats["waitlisted"]) == (0, 0)


async def test_the_commitment_is_public_before_anybody_asks_and_the_seed_is_not(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = drawn_session(lots=2)
    await instance.hear(session)

    opened = await draw_of(instance, session)
    await crowd(instance, session, 5)
    await shift_clock(instance.database, HOUR)
    await look(instance)
    closed = await draw_of(instance, session)
    await shift_clock(instance.database, 9 * MINUTE)
    await look(instance)
    waiting = await draw_of(instance, session)
    await shift_clock(instance.database, MINUTE)
    await look(instance)
    drawn = await draw_of(instance, session)

    assert [step["stage"] for step in (opened, closed, waiting, drawn)] == [
        "to_come",
        "closed",
        "closed",
        "drawn",
    ]
    assert [step["seed"] for step in (opened, closed, waiting)] == [None] * 3
    assert (opened["tickets"], opened["tickets_hash"]) == (None, None)
    assert closed["tickets"] == [[number, 1] for number in range(1, 6)]
    assert (closed["last_ticket"], closed["result"]) == (5, None)
    assert {step["commitment"] for step in (opened, closed, drawn)} == {opened["commitment"]}
    assert commitment(bytes.fromhex(drawn["seed"]), drawn["rules"]) == drawn["commitment"]
    assert tickets_hash(Ticket(*one) for one in drawn["tickets"]) == closed["tickets_hash"]


async def test_the_seats_go_by_rank_and_each_person_hears_once(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = drawn_session(seats=2)
    await instance.hear(session)
    people = await crowd(instance, session, 5)

    await hold(instance, shift_clock)
    await look(instance)

    drawn = await draw_of(instance, session)
    expected = ranks(bytes.fromhex(drawn["seed"]), [Ticket(number) for number in range(1, 6)])
    assert [tuple(row) for row in drawn["result"]] == [
        (ticket, rank, "confirmed" if rank <= 2 else "waitlisted") for ticket, rank in expected.items()
    ]
    shown = {number: await instance.show(person) for number, person in enumerate(people, start=1)}
    assert {number: one["position"] for number, one in shown.items() if one["position"]} == {
        ticket: rank - 2 for ticket, rank in expected.items() if rank > 2
    }
    assert sorted((await instance.causes())[5:]) == ["confirmed"] * 2 + ["waitlisted"] * 3
    last = {state["id"]: state["causes"][-1] for state in await instance.announced()}
    for number, person in enumerate(people, start=1):
        told = last[person["id"]]["draw"]
        assert (told["ticket"], told["rank"], told["tickets"]) == (number, expected[number], 5)
        assert last[person["id"]]["position"] == shown[number]["position"]
    assert (await audit(instance.database.url)).differences == ()


async def test_the_instant_of_the_closing_is_too_late(instance: Instance, shift_clock: ShiftClock) -> None:
    session = drawn_session(seats=1)
    await instance.hear(session)
    await crowd(instance, session, 2)
    await shift_clock(instance.database, HOUR)

    late = (await instance.register(session.id, 9)).json()
    await look(instance)
    await shift_clock(instance.database, 10 * MINUTE)
    await look(instance)

    drawn = await draw_of(instance, session)
    assert late["status"] == "pending"
    assert drawn["tickets"] == [[1, 1], [2, 1]]
    assert drawn["last_ticket"] == 2
    seen = await instance.show(late)
    assert (seen["status"], seen["position"]) == ("waitlisted", 2), "behind all who were drawn"
    assert (await audit(instance.database.url)).differences == ()


async def test_who_comes_after_the_draw_comes_first_come_first_served(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = drawn_session(seats=2)
    await instance.hear(session)
    await crowd(instance, session, 1)
    await hold(instance, shift_clock)

    statuses = [(await instance.register(session.id, number)).json()["status"] for number in (7, 8)]

    assert statuses == ["confirmed", "waitlisted"]


async def test_a_freed_seat_is_offered_in_the_order_of_the_draw(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = drawn_session(seats=1)
    await instance.hear(session)
    people = await crowd(instance, session, 4)
    await hold(instance, shift_clock)
    by_rank = [people[ticket - 1] for ticket, _, _ in (await draw_of(instance, session))["result"]]

    for person, following in itertools.pairwise(by_rank):
        path = f"/api/registrations/v1/registrations/{person['id']}"
        assert (await instance.client.delete(path, headers=bearer(person))).status_code == 200
        assert (await instance.show(following))["status"] == "offered"
    assert (await audit(instance.database.url)).differences == ()


async def test_a_seat_held_for_the_telephone_goes_to_the_first_rank_of_it(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    held = (HeldSeats(seat_kind="on_site", channel="phone", seats=1),)
    session = drawn_session(seats=1, held_seats=held)
    await instance.hear(session)
    await crowd(instance, session, 4)
    callers = [(await instance.register(session.id, number, channel="phone")).json() for number in (5, 6)]

    await hold(instance, shift_clock)

    statuses = [(await instance.show(caller))["status"] for caller in callers]
    assert sorted(statuses) == ["confirmed", "waitlisted"]


async def test_a_draw_without_anybody_is_held_too(instance: Instance, shift_clock: ShiftClock) -> None:
    session = drawn_session()
    await instance.hear(session)

    await hold(instance, shift_clock)

    drawn = await draw_of(instance, session)
    assert (drawn["stage"], drawn["tickets"], drawn["result"]) == ("drawn", [], [])
    assert (await instance.register(session.id, 1)).json()["status"] == "confirmed"


# What was committed to.


async def test_a_draw_stays_as_it_was_committed_to(instance: Instance) -> None:
    session = drawn_session()
    await instance.hear(session)
    before = await draw_of(instance, session)

    for version, waitlist in enumerate(
        (
            WaitlistRule(limit=7),
            WaitlistRule(policy="draw", draw=DrawRule(closes_at=session.starts_at_utc - HOUR)),
        ),
        start=2,
    ):
        await instance.hear(session.model_copy(update={"waitlist": waitlist}), version=version)

        assert await draw_of(instance, session) == before
        assert (await instance.register(session.id, version)).json()["status"] == "pending"


async def test_a_session_that_began_without_a_draw_gets_none(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)

    await instance.hear(session.model_copy(update={"waitlist": drawn_session().waitlist}), version=2)

    answer = await instance.client.get(f"/api/registrations/v1/sessions/{session.id}/draw")
    assert problem(answer) == "draw-unknown"
    assert (await instance.register(session.id, 1)).json()["status"] == "confirmed"


async def test_a_moved_session_keeps_its_tickets_and_tells_everybody(instance: Instance) -> None:
    session = drawn_session()
    await instance.hear(session)
    await crowd(instance, session, 2)

    later = session_state(id=session.id, in_days=12, capacity=session.capacity, waitlist=session.waitlist)
    await instance.hear(later, version=2)

    assert await instance.causes() == ["pending"] * 2 + ["session_changed"] * 2
    told = (await instance.announced())[-1]["causes"][-1]
    assert (told["draw"]["ticket"], told["status"]) == (2, "pending")


@pytest.mark.parametrize(
    "statement",
    [
        "update draw set seed = decode(repeat('00', 32), 'hex')",
        "update draw set rules = '{}'",
        "update draw set commitment = ''",
        "update draw set closes_at = closes_at + interval '1 hour'",
        "update draw set tickets = '[]'",
        "update draw set tickets_hash = ''",
        "delete from draw",
    ],
)
async def test_the_database_lets_nobody_take_back_what_was_published(
    instance: Instance, shift_clock: ShiftClock, statement: str
) -> None:
    session = drawn_session()
    await instance.hear(session)
    await crowd(instance, session, 2)
    await shift_clock(instance.database, HOUR)
    await look(instance)

    with pytest.raises(asyncpg.CheckViolationError, match="a draw keeps"):
        await typed(instance, statement)


async def typed(instance: Instance, statement: str) -> None:
    connection = await asyncpg.connect(instance.database.url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("statement", "seen"),
    [
        ("update draw set seed = decode(repeat('00', 32), 'hex')", "the commitment is not of its seed"),
        ("update draw set tickets = '[[1, 3], [2, 1], [3, 1]]'", "the hash is not of its tickets"),
        ("update draw set result = '[]'", "the ranks don't follow"),
        ("update draw set drawn_at = null, result = null", "to_come, by the ledger drawn"),
        ("delete from draw", "what its draw commits to is missing"),
        ("update session set draw_stage = 'to_come'", "the draw is to_come, by the ledger drawn"),
        ("update registration set draw_rank = 7 where draw_rank = 1", "by the ledger"),
    ],
)
async def test_the_audit_sees_a_draw_that_was_changed_afterwards(
    instance: Instance, shift_clock: ShiftClock, postgres_url: str, statement: str, seen: str
) -> None:
    session = drawn_session()
    await instance.hear(session)
    await crowd(instance, session, 3)
    await hold(instance, shift_clock)
    assert (await audit(instance.database.url)).differences == ()

    await behind_the_rules(instance, postgres_url, statement)

    differences = (await audit(instance.database.url)).differences
    assert any(seen in str(difference) for difference in differences), differences


async def behind_the_rules(instance: Instance, postgres_url: str, statement: str) -> None:
    """As the server's administrator, without any trigger."""
    path = instance.database.url.rpartition("/")[2]
    admin = await asyncpg.connect(f"{postgres_url.rpartition('/')[0]}/{path}")
    try:
        await admin.execute("set session_replication_role = replica")
        await admin.execute(statement)
    finally:
        await admin.close()


# Giving it up.


async def cancel_draw(instance: Instance, session: SessionState, **changes: Any) -> Any:
    options = {"headers": instance.staff, "json": {"reason": "La formatrice est malade"}} | changes
    return await instance.client.post(f"/api/registrations/v1/sessions/{session.id}/draw/cancel", **options)


async def test_a_cancelled_draw_tells_everybody_why_and_takes_nobody_more(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = drawn_session()
    await instance.hear(session)
    people = await crowd(instance, session, 2)
    await shift_clock(instance.database, HOUR)
    await look(instance)

    answer = await cancel_draw(instance, session)

    assert (answer.status_code, answer.json()["stage"]) == (200, "cancelled")
    assert answer.json()["seed"] is None
    assert (await instance.causes())[2:] == ["draw_cancelled"] * 2
    told = (await instance.announced())[-1]["causes"][-1]
    assert (told["reason"], told["status"]) == ("La formatrice est malade", "cancelled")
    assert [(await instance.show(person))["status"] for person in people] == ["cancelled"] * 2
    assert problem(await instance.register(session.id, 9)) == "draw-cancelled"
    await shift_clock(instance.database, HOUR)
    await look(instance)
    assert (await draw_of(instance, session))["stage"] == "cancelled"
    assert (await audit(instance.database.url)).differences == ()


async def test_only_a_draw_that_is_to_come_is_cancelled_and_by_staff_alone(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, other = drawn_session(), session_state()
    await instance.hear(session, other)
    await crowd(instance, session, 2)

    assert (await cancel_draw(instance, session, headers={})).status_code == 401
    assert (await cancel_draw(instance, session, json={"reason": " "})).status_code == 422
    assert problem(await cancel_draw(instance, other)) == "draw-unknown"
    await hold(instance, shift_clock)
    assert problem(await cancel_draw(instance, session)) == "draw-over"


async def test_a_cancelled_session_holds_no_draw(instance: Instance, shift_clock: ShiftClock) -> None:
    session = drawn_session()
    await instance.hear(session)
    await crowd(instance, session, 2)

    await instance.hear(session.model_copy(update={"status": "cancelled"}), version=2)
    await hold(instance, shift_clock)

    assert await instance.causes() == ["pending"] * 2 + ["session_cancelled"] * 2
    drawn = await draw_of(instance, session)
    assert (drawn["stage"], drawn["tickets"]) == ("not_held", None)


async def test_who_is_transferred_to_a_draw_waits_for_it_like_everybody(instance: Instance) -> None:
    here, there = session_state(), drawn_session()
    await instance.hear(here, there)
    person = (await instance.register(here.id, 1)).json()
    path = f"/api/registrations/v1/registrations/{person['id']}/transfer"
    body = {"session_id": str(there.id), "reason": "Plus près"}

    refused = await instance.client.post(path, headers=instance.staff, json=body)
    moved = await instance.client.post(path, headers=instance.staff, json=body | {"may_wait": True})

    assert problem(refused) == "session-full"
    assert moved.json()["status"] == "pending"
    (said,) = [said for said in await instance.announced() if said["id"] == moved.json()["id"]]
    told = said["causes"][-1]
    assert (told["cause"], told["draw"]["ticket"]) == ("transferred", 1)


# First times.


async def test_who_has_had_no_seat_this_year_is_in_more_lots_if_they_wish(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = drawn_session(lots=3)
    await instance.hear(session)
    await instance.register(session.id, 1, **FIRST_TIME)
    await instance.register(session.id, 2)

    await hold(instance, shift_clock)

    assert (await draw_of(instance, session))["tickets"] == [[1, 3], [2, 1]]
    assert (await audit(instance.database.url)).differences == ()


async def served(instance: Instance) -> int:
    async with instance.database.reading() as tx:
        return int(await tx.scalar(sa.text("select count(*) from served")) or 0)


async def attend(instance: Instance, person: dict[str, Any], outcome: str) -> None:
    path = f"/api/registrations/v1/registrations/{person['id']}/attendance"
    answer = await instance.client.post(path, headers=instance.staff, json={"outcome": outcome})
    assert answer.status_code == 200, answer.text


async def came_once(instance: Instance, shift_clock: ShiftClock, **person: Any) -> dict[str, Any]:
    """Somebody who asked for a first time's lots had a seat, and came."""
    session = drawn_session(in_days=1, lots=2)
    await instance.hear(session)
    registered = (await instance.register(session.id, **person)).json()
    await hold(instance, shift_clock)
    await shift_clock(instance.database, timedelta(days=1))
    await attend(instance, registered, "attended")
    return dict(registered)


async def lots_of(instance: Instance, shift_clock: ShiftClock, **person: Any) -> int:
    """How many lots somebody has in the next draw."""
    session = drawn_session(lots=2, in_days=60)
    rule = session.waitlist.draw
    assert rule is not None
    later = session.waitlist.model_copy(
        update={"draw": rule.model_copy(update={"closes_at": rule.closes_at + timedelta(days=20)})}
    )
    await instance.hear(session.model_copy(update={"waitlist": later}))
    await instance.register(session.id, **person)
    await shift_clock(instance.database, timedelta(days=21))
    await look(instance)
    ((_, lots),) = (await draw_of(instance, session))["tickets"]
    return int(lots)


async def test_who_came_is_known_again_by_any_way_to_reach_them(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    both = {"contact": {"email": "Aline@example.org", "mobile": "418 555-0142"}}
    await came_once(instance, shift_clock, **FIRST_TIME, **both)
    assert await served(instance) == 2

    by_mobile = {"contact": {"mobile": "(418) 555-0142"}}
    assert await lots_of(instance, shift_clock, **FIRST_TIME, **by_mobile) == 1


async def test_another_person_at_the_same_address_has_their_own_first_time(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    await came_once(instance, shift_clock, **FIRST_TIME)

    spouse = {"name": "Paul Tremblay", "contact": {"email": "aline1@example.org"}}
    assert await lots_of(instance, shift_clock, **FIRST_TIME, **spouse) == 2


async def test_nothing_is_kept_of_who_did_not_ask_for_it(instance: Instance, shift_clock: ShiftClock) -> None:
    await came_once(instance, shift_clock)

    assert await served(instance) == 0


async def test_a_presence_noted_by_mistake_is_taken_back(instance: Instance, shift_clock: ShiftClock) -> None:
    person = await came_once(instance, shift_clock, **FIRST_TIME)

    await attend(instance, person, "absent")

    assert await served(instance) == 0


async def test_no_name_and_no_address_is_in_what_is_kept_and_it_ends_with_the_year(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    await came_once(instance, shift_clock, **FIRST_TIME)
    async with instance.database.reading() as tx:
        rows = (await tx.execute(sa.text("select * from served"))).all()
        ledger = str((await tx.execute(sa.text("select inputs, touched from seat_ledger"))).all())
    assert [len(row.pseudonym) for row in rows] == [32]
    assert b"aline" not in rows[0].pseudonym
    assert rows[0].pseudonym.hex() not in ledger

    await shift_clock(instance.database, timedelta(days=366))
    await Timers(instance.database, instance.settings)._prune()

    assert await served(instance) == 0
