"""The pure rules of seats and lines, by examples and properties."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.contracts import HeldSeats, Release
from services.registrations import offers, reminders
from services.registrations.pools import GENERAL, Plan, PoolKey, effective_seats, next_release
from services.registrations.waitlist import Waiter, in_order, pool_for, promotions

NOW = datetime(2027, 1, 10, 14, 0, tzinfo=UTC)
CHANNELS = ("phone", "desk")
counts = st.integers(0, 12)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    held = tuple(
        HeldSeats(seat_kind="on_site", channel=channel, seats=draw(counts))
        for channel in CHANNELS
        if draw(st.booleans())
    )
    releases = tuple(
        Release(
            at=NOW + timedelta(hours=draw(st.integers(-48, 48))),
            seat_kind="on_site",
            channel=item.channel,
            seats=draw(counts),
        )
        for item in held
        if draw(st.booleans())
    )
    return Plan({"on_site": draw(counts), "online": draw(counts)}, held, releases)


used_seats = st.dictionaries(
    st.builds(PoolKey, st.just("on_site"), st.sampled_from((GENERAL, *CHANNELS))), counts, max_size=3
)


@given(plans(), used_seats)
def test_every_pool_holds_who_it_seats_and_the_total_is_the_plan_or_those_seated(
    plan: Plan, used: dict[PoolKey, int]
) -> None:
    seats = effective_seats(plan, used, NOW)

    assert all(seats[key] >= count for key, count in used.items())
    for kind, planned in plan.capacity.items():
        total = sum(count for key, count in seats.items() if key.seat_kind == kind)
        assert total == max(planned, sum(count for key, count in used.items() if key.seat_kind == kind))


@given(plans(), used_seats)
def test_sharing_out_seats_again_changes_nothing(plan: Plan, used: dict[PoolKey, int]) -> None:
    once = effective_seats(plan, used, NOW)
    assert effective_seats(plan, used | dict.fromkeys(once.keys() - used.keys(), 0), NOW) == once


def test_a_release_moves_free_seats_at_once_and_the_rest_as_they_empty() -> None:
    plan = Plan(
        {"on_site": 10},
        (HeldSeats(seat_kind="on_site", channel="phone", seats=4),),
        (Release(at=NOW, seat_kind="on_site", channel="phone", seats=4),),
    )
    phone, general = PoolKey("on_site", "phone"), PoolKey("on_site")

    before = effective_seats(plan, {phone: 3}, NOW - timedelta(seconds=1))
    after = effective_seats(plan, {phone: 3}, NOW)
    emptied = effective_seats(plan, {phone: 2}, NOW)

    assert before == {phone: 4, general: 6}
    assert after == {phone: 3, general: 7}
    assert emptied == {phone: 2, general: 8}
    assert next_release(plan, NOW - timedelta(hours=1)) == NOW
    assert next_release(plan, NOW) is None


def test_a_shrinking_plan_takes_from_the_pool_with_the_latest_release() -> None:
    plan = Plan(
        {"on_site": 3},
        tuple(HeldSeats(seat_kind="on_site", channel=channel, seats=2) for channel in CHANNELS),
        (
            Release(at=NOW + timedelta(days=2), seat_kind="on_site", channel="phone", seats=2),
            Release(at=NOW + timedelta(days=1), seat_kind="on_site", channel="desk", seats=2),
        ),
    )

    assert effective_seats(plan, {}, NOW) == {
        PoolKey("on_site", "desk"): 2,
        PoolKey("on_site", "phone"): 1,
        PoolKey("on_site"): 0,
    }


waiters = st.lists(
    st.builds(
        Waiter,
        id=st.uuids(),
        seat_kind=st.sampled_from(("on_site", "online")),
        channel=st.sampled_from(("web", *CHANNELS)),
        seq=st.integers(1, 1000),
    ),
    max_size=20,
    unique_by=lambda waiter: waiter.seq,
)
free_seats = st.dictionaries(
    st.builds(PoolKey, st.sampled_from(("on_site", "online")), st.sampled_from((GENERAL, *CHANNELS))),
    st.integers(0, 5),
)


@given(free_seats, waiters, st.randoms())
def test_the_line_is_called_in_order_and_nobody_is_left_whom_a_free_seat_fits(
    free: dict[PoolKey, int], line: list[Waiter], chance: object
) -> None:
    called = promotions(free, line)

    left = dict(free)
    for promotion in called:
        left[promotion.pool] -= 1
        assert promotion.pool.seat_kind == promotion.waiter.seat_kind
        assert promotion.pool.channel in (GENERAL, promotion.waiter.channel)
    assert all(count >= 0 for count in left.values()), "no seat is offered twice"
    chosen = {promotion.waiter.id for promotion in called}
    assert len(chosen) == len(called), "nobody is offered two seats"
    for waiter in line:
        if waiter.id not in chosen:
            assert pool_for(left, waiter.seat_kind, waiter.channel) is None
    shuffled = list(line)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert promotions(free, shuffled) == called, "the order in which rows were read doesn't matter"


@given(waiters)
def test_who_asked_first_within_a_channel_is_called_first(line: list[Waiter]) -> None:
    same = [waiter for waiter in line if (waiter.seat_kind, waiter.channel) == ("on_site", "web")]
    called = [promotion.waiter.seq for promotion in promotions({PoolKey("on_site"): 3}, same)]
    assert called == sorted(waiter.seq for waiter in same)[:3]
    assert [waiter.seq for waiter in in_order(line)] == sorted(waiter.seq for waiter in line)


@given(st.integers(1, 60 * 24 * 60), st.floats(0.25, 72))
def test_an_offer_lasts_its_hours_or_half_of_what_is_left_but_fifteen_minutes(
    minutes: int, hours: float
) -> None:
    starts_at = NOW + timedelta(minutes=minutes)
    length = offers.expires_at(NOW, starts_at, hours) - NOW

    assert length >= timedelta(minutes=15)
    assert length == timedelta(minutes=15) or length <= min(timedelta(hours=hours), (starts_at - NOW) / 2)


def test_a_far_session_gives_the_whole_day_to_answer() -> None:
    assert offers.expires_at(NOW, NOW + timedelta(days=9), 24) == NOW + timedelta(hours=24)


def test_after_an_outage_only_the_latest_reminder_is_due() -> None:
    starts_at = NOW + timedelta(hours=20)
    due = {"now": NOW, "starts_at": starts_at, "days": (7, 1)}
    long_ago, yesterday = NOW - timedelta(days=30), NOW - timedelta(days=2)

    mark = reminders.due(**due, confirmed_at=long_ago, already=())  # type: ignore[arg-type]

    assert mark == f"1d@{starts_at.isoformat()}"
    assert reminders.cause_of(mark) == "reminder_1d"
    assert reminders.due(**due, confirmed_at=long_ago, already=[mark]) is None  # type: ignore[arg-type]
    assert reminders.due(**due, confirmed_at=NOW, already=()) is None  # type: ignore[arg-type]
    assert reminders.due(**due, confirmed_at=yesterday, already=()) == mark  # type: ignore[arg-type]
