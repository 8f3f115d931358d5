"""Somebody who waits for many sessions asked once, and is counted once."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from services.registrations.retention import erase_due
from tests.registrations.conftest import Instance, ShiftClock, bearer, session_state
from tests.registrations.test_tallying import count, current
from tests.registrations.test_waits import WAITS, answer, begin, close, full, leave, look, stops

COUNTS = ("confirmed_at_start", "waitlisted_at_start", "offers_made", "offers_accepted")


async def by_phone(instance: Instance, number: int = 1) -> dict[str, Any]:
    """Who waits asks by telephone here: their cells have nobody else in them."""
    return await begin(instance, number, channel="phone", contact={"phone": f"418 555-02{number:02}"})


async def counted(instance: Instance, channel: str = "phone") -> tuple[Counter[str], Counter[str]]:
    """Of one channel: registrations by state, then all other counts, over all cells."""
    await count(instance)
    states: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for cell in (await current(instance)).values():
        if cell["kind"] == "operational" and cell["channel"] == channel:
            states.update(cell["registrations"])
            others.update({name: cell[name] for name in COUNTS})
            others["delays"] += sum(cell["minutes_from_opening"])
    return +states, +others


async def test_who_waits_for_a_dozen_sessions_asked_once(instance: Instance) -> None:
    for day in range(5, 17):
        await full(instance, in_days=day)
    wait = await by_phone(instance)
    assert len(await stops(instance, wait)) == 12

    states, others = await counted(instance)

    assert states == {"waitlisted": 1}
    assert others["delays"] == 0, "a wait joins by itself: that says nothing of how fast anybody was"
    assert (await counted(instance, "web"))[0] == {"confirmed": 12}


async def test_what_ends_because_another_was_accepted_counts_nothing(instance: Instance) -> None:
    sessions = [await full(instance, in_days=day) for day in (5, 6, 7)]
    wait = await by_phone(instance)
    for _, seated in sessions[1:]:
        await leave(instance, seated)
    assert (await counted(instance))[0] == {"offered": 2}

    await answer(instance, wait, sessions[2][0], "accept")
    states, others = await counted(instance)

    assert states == {"confirmed": 1}
    assert (others["offers_made"], others["offers_accepted"]) == (2, 1), "both were made"


async def test_an_offer_that_was_answered_counts_where_it_was_made(instance: Instance) -> None:
    sessions = [session_state(in_days=day) for day in (5, 6)]
    await full(instance, in_days=7)
    await instance.hear(*sessions)
    wait = await by_phone(instance)
    for session in sessions:
        await answer(instance, wait, session, "decline")
        await look(instance)

    assert (await counted(instance))[0] == {"declined": 2}, "of the third they had only a place in line"


async def test_who_gives_up_before_any_seat_is_one_cancellation(instance: Instance) -> None:
    for day in (5, 6):
        await full(instance, in_days=day)
    wait = await by_phone(instance)
    await instance.client.delete(f"{WAITS}/{wait['id']}", headers=instance.staff)

    assert (await counted(instance))[0] == {"cancelled": 1}


async def test_a_line_that_still_stands_counts_before_one_that_has_ended(instance: Instance) -> None:
    (first, _), (second, _) = [await full(instance, in_days=day) for day in (5, 6)]
    await by_phone(instance)

    await close(instance, first)
    assert (await counted(instance))[0] == {"waitlisted": 1}
    await close(instance, second)
    assert (await counted(instance))[0] == {"cancelled": 1}


async def test_a_line_that_was_left_because_the_session_moved_away_counts_last(instance: Instance) -> None:
    first, _ = await full(instance, in_days=5)
    await full(instance, in_days=6)
    await by_phone(instance)

    await instance.hear(first.model_copy(update={"region": "12"}), version=2)
    await look(instance)

    assert (await counted(instance))[0] == {"waitlisted": 1}


async def test_who_waited_in_vain_was_not_served_once(instance: Instance, shift_clock: ShiftClock) -> None:
    for day in (5, 6, 7):
        await full(instance, in_days=day)
    wait = await by_phone(instance)
    await shift_clock(instance.database, timedelta(days=9))

    states, others = await counted(instance)
    assert (states, others["waitlisted_at_start"]) == ({"waitlisted": 1}, 1)

    await instance.client.delete(f"{WAITS}/{wait['id']}", headers=instance.staff)
    _, others = await counted(instance)
    assert others["waitlisted_at_start"] == 1, "what was true at the start stays true"


async def test_an_offer_in_one_month_changes_the_count_of_another(instance: Instance) -> None:
    """Though nothing has happened to any session of that month."""
    start = (datetime.now(UTC) + timedelta(days=40)).replace(day=20, hour=18, tzinfo=None)
    sooner, _ = await full(instance, starts_at=start)
    later, seated = await full(instance, starts_at=start + timedelta(days=30))
    await by_phone(instance)
    assert await months(instance) == {f"{sooner.starts_at:%Y-%m}": {"waitlisted": 1}}

    await leave(instance, seated)

    assert await months(instance) == {f"{later.starts_at:%Y-%m}": {"offered": 1}}
    assert await count(instance) == 0


async def months(instance: Instance) -> dict[str, dict[str, int]]:
    """Registrations by telephone, by month and state."""
    await count(instance)
    cells = await current(instance)
    return {cell["month"]: cell["registrations"] for key, cell in cells.items() if "/phone/" in key}


async def test_erasing_who_waited_changes_no_count(instance: Instance, shift_clock: ShiftClock) -> None:
    sessions = [await full(instance, in_days=day) for day in (5, 9)]
    found, in_vain = await by_phone(instance, 1), await by_phone(instance, 2)
    await leave(instance, sessions[1][1])
    await answer(instance, found, sessions[1][0], "accept")
    await shift_clock(instance.database, timedelta(days=12))
    await instance.client.delete(f"{WAITS}/{in_vain['id']}", headers=bearer(in_vain))
    whole = await counted(instance)

    await shift_clock(instance.database, timedelta(days=instance.settings.identity_days))
    assert await erase_due(instance.database, instance.settings) > 0

    assert await counted(instance) == whole
