"""Pools: how a session's seats are shared between channels and everybody."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.contracts import HeldSeats, Release
from services.registrations.pools import GENERAL, Plan, PoolKey, effective_seats, next_release

NOW = datetime(2027, 1, 10, 14, 0, tzinfo=UTC)
CHANNELS = ("phone", "desk")
ROOM, PHONE, DESK = PoolKey("on_site"), PoolKey("on_site", "phone"), PoolKey("on_site", "desk")
Used = dict[PoolKey, int]
counts = st.integers(0, 12)


def held(channel: str, seats: int) -> HeldSeats:
    return HeldSeats(seat_kind="on_site", channel=channel, seats=seats)


def release(channel: str, seats: int, hours: float = 0) -> Release:
    return Release(at=NOW + timedelta(hours=hours), seat_kind="on_site", channel=channel, seats=seats)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    kept = tuple(held(channel, draw(counts)) for channel in CHANNELS if draw(st.booleans()))
    ladder = st.builds(release, st.sampled_from(CHANNELS), counts, st.integers(-48, 48))
    return Plan(
        {"on_site": draw(counts), "online": draw(counts)}, kept, tuple(draw(st.lists(ladder, max_size=4)))
    )


used_seats = st.dictionaries(
    st.builds(PoolKey, st.just("on_site"), st.sampled_from((GENERAL, *CHANNELS))), counts, max_size=3
)


def total(seats: Used, kind: str = "on_site") -> int:
    return sum(count for key, count in seats.items() if key.seat_kind == kind)


def free(seats: Used, used: Used) -> Used:
    return {key: count - used.get(key, 0) for key, count in seats.items()}


def test_seats_nobody_holds_are_everybodys() -> None:
    assert effective_seats(Plan({"on_site": 5}), {}, NOW) == {ROOM: 5}


def test_a_channel_has_the_seats_held_for_it() -> None:
    assert effective_seats(Plan({"on_site": 5}, (held("phone", 2),)), {}, NOW) == {PHONE: 2, ROOM: 3}


def test_a_freed_seat_returns_to_its_pool_until_the_release() -> None:
    plan = Plan({"on_site": 5}, (held("phone", 2),), (release("phone", 2, hours=1),))
    assert effective_seats(plan, {PHONE: 2, ROOM: 3}, NOW) == {PHONE: 2, ROOM: 3}
    assert effective_seats(plan, {PHONE: 1, ROOM: 3}, NOW) == {PHONE: 2, ROOM: 3}


def test_a_release_moves_free_seats_at_once_and_the_rest_as_they_empty() -> None:
    plan = Plan({"on_site": 10}, (held("phone", 4),), (release("phone", 4),))

    before = effective_seats(plan, {PHONE: 3}, NOW - timedelta(seconds=1))
    after = effective_seats(plan, {PHONE: 3}, NOW)
    emptied = effective_seats(plan, {PHONE: 2}, NOW)

    assert (before, after, emptied) == ({PHONE: 4, ROOM: 6}, {PHONE: 3, ROOM: 7}, {PHONE: 2, ROOM: 8})


def test_a_ladder_is_climbed_down_step_by_step() -> None:
    plan = Plan(
        {"on_site": 6}, (held("phone", 3),), tuple(release("phone", 1, hours) for hours in (24, 48, 72))
    )
    moments = [NOW + timedelta(hours=hours) for hours in (0, 24, 48, 72)]

    assert [effective_seats(plan, {}, at)[PHONE] for at in moments] == [3, 2, 1, 0]
    assert [next_release(plan, at) for at in moments] == [*moments[1:], None]


def test_a_release_of_more_than_is_held_makes_no_seat() -> None:
    plan = Plan({"on_site": 3}, (held("phone", 1),), (release("phone", 5),))
    assert effective_seats(plan, {}, NOW) == {PHONE: 0, ROOM: 3}


def test_a_shrinking_plan_takes_from_the_pool_with_the_latest_release() -> None:
    plan = Plan(
        {"on_site": 3},
        (held("phone", 2), held("desk", 2)),
        (release("phone", 2, hours=48), release("desk", 2, hours=24)),
    )
    assert effective_seats(plan, {}, NOW) == {DESK: 2, PHONE: 1, ROOM: 0}


def test_of_a_ladder_the_last_step_counts() -> None:
    """The telephone's first step comes before the desk's, its last one after it."""
    plan = Plan(
        {"on_site": 3},
        (held("phone", 2), held("desk", 2)),
        (release("phone", 1, hours=12), release("desk", 2, hours=24), release("phone", 1, hours=48)),
    )
    assert effective_seats(plan, {}, NOW) == {DESK: 2, PHONE: 1, ROOM: 0}


def test_a_lower_plan_takes_nobodys_seat() -> None:
    plan = Plan({"on_site": 1}, (held("phone", 1),))
    assert effective_seats(plan, {ROOM: 3, PHONE: 0}, NOW) == {ROOM: 3, PHONE: 0}


@given(plans(), used_seats)
def test_every_pool_holds_who_it_seats_and_the_total_is_the_plan_or_those_seated(
    plan: Plan, used: Used
) -> None:
    seats = effective_seats(plan, used, NOW)

    assert all(seats[key] >= count for key, count in used.items())
    for kind, planned in plan.capacity.items():
        assert total(seats, kind) == max(planned, total(used, kind))


@given(plans(), used_seats)
def test_sharing_out_seats_again_changes_nothing(plan: Plan, used: Used) -> None:
    once = effective_seats(plan, used, NOW)
    assert effective_seats(plan, used | dict.fromkeys(once.keys() - used.keys(), 0), NOW) == once


@given(plans(), used_seats, st.data())
def test_who_takes_a_free_seat_makes_no_pool_larger_or_smaller(
    plan: Plan, used: Used, data: st.DataObject
) -> None:
    """So an admission needn't share the seats out anew."""
    seats = effective_seats(plan, used, NOW)
    takers = [key for key, count in free(seats, used).items() if count > 0]
    for taken in data.draw(st.lists(st.sampled_from(takers), max_size=3)) if takers else []:
        if free(seats, used)[taken] > 0:
            used = used | {taken: used.get(taken, 0) + 1}
            assert effective_seats(plan, used, NOW) == seats


@given(plans(), used_seats, st.integers(0, 96))
def test_time_moves_seats_to_everybody_and_makes_none(plan: Plan, used: Used, hours: int) -> None:
    before = effective_seats(plan, used, NOW)
    after = effective_seats(plan, used, NOW + timedelta(hours=hours))

    assert total(after) == total(before)
    assert after[ROOM] >= before[ROOM]


@given(plans(), used_seats)
def test_no_channel_gets_more_than_is_held_for_it_and_those_who_sit_there(plan: Plan, used: Used) -> None:
    kept = {PoolKey("on_site", item.channel): item.seats for item in plan.held}
    for key, seats in effective_seats(plan, used, NOW).items():
        if key.channel:
            assert seats <= max(kept.get(key, 0), used.get(key, 0))


@given(plans(), used_seats, st.integers(1, 5))
def test_a_larger_plan_makes_no_pool_smaller(plan: Plan, used: Used, more: int) -> None:
    larger = replace(plan, capacity={"on_site": plan.capacity["on_site"] + more})
    seats, grown = effective_seats(plan, used, NOW), effective_seats(larger, used, NOW)
    assert all(grown[key] >= count for key, count in seats.items() if key.seat_kind == "on_site")
