"""When a session is: the rules of time and of seat plans, by hand and at random."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from libs.clock import zone
from services.events.schedule import (
    KINDS,
    BadTime,
    Held,
    Release,
    SeatPlan,
    Times,
    Window,
    check_plan,
    check_windows,
    instant,
    local,
    moment,
    moved_releases,
    offsets,
    times,
)

ZONES = [
    "America/Toronto", "America/Halifax", "America/Moncton", "America/St_Johns", "America/Blanc-Sablon",
    "America/Winnipeg", "America/Regina", "America/Edmonton", "America/Vancouver", "America/Whitehorse",
    "America/Iqaluit", "America/Goose_Bay", "Europe/Paris", "Australia/Lord_Howe",
]  # fmt: skip
FIRST, LAST = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2029-12-31")
WALLS = st.datetimes(FIRST, LAST)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def when(starts: str, ends: str, timezone: str = "America/Toronto") -> Times:
    found, errors = times(wall(starts), wall(ends), timezone)
    assert found is not None, errors
    return found


@pytest.mark.parametrize(
    ("place", "timezone", "utc"),
    [
        # tzdata 2026f: Manitoba stays on UTC-5 from November 2026 on; Debian 12's says -6.
        ("Winnipeg", "America/Winnipeg", "2027-01-20T18:30"),
        ("St. John’s", "America/St_Johns", "2027-01-20T17:00"),
        ("Blanc-Sablon", "America/Blanc-Sablon", "2027-01-20T17:30"),
        ("Îles-de-la-Madeleine", "America/Halifax", "2027-01-20T17:30"),
        ("Québec", "America/Toronto", "2027-01-20T18:30"),
        ("Vancouver", "America/Vancouver", "2027-01-20T20:30"),
        ("Regina", "America/Regina", "2027-01-20T19:30"),
    ],
)
def test_half_past_one_in_january_2027_is_right_to_the_minute(place: str, timezone: str, utc: str) -> None:
    assert moment(wall("2027-01-20T13:30"), timezone).utc == wall(utc).replace(tzinfo=UTC), place


@pytest.mark.parametrize(
    ("timezone", "time"),
    [
        ("America/Toronto", "2027-03-14T02:30"),
        ("America/St_Johns", "2027-03-14T02:00"),
        ("Europe/Paris", "2027-03-28T02:59"),
    ],
)
def test_a_time_that_a_clock_change_skips_is_refused(timezone: str, time: str) -> None:
    assert offsets(wall(time), timezone) == ()
    with pytest.raises(BadTime, match="n’existe pas"):
        moment(wall(time), timezone)
    with pytest.raises(BadTime, match="n’existe pas"):
        moment(wall(time + "-05:00"), timezone)


def test_a_time_that_comes_twice_needs_its_offset() -> None:
    with pytest.raises(BadTime, match="-04:00 ou -05:00"):
        moment(wall("2026-11-01T01:30"), "America/Toronto")
    first = moment(wall("2026-11-01T01:30-04:00"), "America/Toronto")
    second = moment(wall("2026-11-01T01:30-05:00"), "America/Toronto")
    assert first.wall == second.wall == wall("2026-11-01T01:30")
    assert second.utc - first.utc == timedelta(hours=1)
    assert first.utc == wall("2026-11-01T05:30").replace(tzinfo=UTC)


def test_an_offset_that_contradicts_the_zone_is_refused() -> None:
    with pytest.raises(BadTime, match="-05:00"):
        moment(wall("2027-01-20T13:30-06:00"), "America/Winnipeg")
    assert moment(wall("2027-01-20T13:30-05:00"), "America/Winnipeg").utc.hour == 18
    with pytest.raises(BadTime, match=r"\+00:00"):
        moment(wall("2027-01-20T13:30Z"), "America/Toronto")


def test_an_unknown_zone_is_refused() -> None:
    for name in ("America/Gotham", "", "../../etc/localtime", "/etc/localtime", "America", "a" * 300):
        with pytest.raises(BadTime):
            moment(wall("2027-01-20T13:30"), name)


@given(WALLS, st.sampled_from(ZONES))
def test_a_moment_returns_to_the_wall_time_it_came_from(value: datetime, timezone: str) -> None:
    possible = offsets(value, timezone)
    assert len(possible) in {0, 1, 2}
    if len(possible) == 1:
        placed = moment(value, timezone)
        assert local(placed.utc, timezone).replace(tzinfo=None) == value
        assert moment(local(placed.utc, timezone), timezone) == placed
    else:
        with pytest.raises(BadTime):
            moment(value, timezone)


@given(st.datetimes(FIRST, LAST, timezones=st.just(UTC)), st.sampled_from(ZONES))
def test_every_instant_can_be_written_and_read_back(value: datetime, timezone: str) -> None:
    written = value.astimezone(zone(timezone)).isoformat()
    read = datetime.fromisoformat(written)
    if value.astimezone(zone(timezone)).utcoffset() in offsets(read.replace(tzinfo=None), timezone):
        assert moment(read, timezone).utc == value
    assert instant(read, timezone) == value


@given(WALLS, st.integers(-48 * 60, 48 * 60), st.sampled_from(ZONES))
def test_times_are_in_order_and_at_most_a_day(start: datetime, minutes: int, timezone: str) -> None:
    found, errors = times(start, start + timedelta(minutes=minutes), timezone)
    assert (found is None) == bool(errors)
    if found is not None:
        assert timedelta() < found.ends.utc - found.starts.utc <= timedelta(hours=24)
        assert (found.starts.wall, found.ends.wall) == (start, start + timedelta(minutes=minutes))


def test_a_session_over_a_clock_change_lasts_what_it_lasts() -> None:
    night = when("2027-03-13T23:00", "2027-03-14T05:00")
    assert night.ends.utc - night.starts.utc == timedelta(hours=5)


def test_a_day_at_the_end_of_the_calendar_is_refused_not_raised() -> None:
    for value in ("9999-12-31T23:00", "0001-01-01T00:30"):
        found, errors = times(wall(value), wall(value), "America/Toronto")
        assert found is None
        assert errors


PLAN = when("2027-02-03T13:30", "2027-02-03T15:30")


def fields(plan: SeatPlan) -> list[str]:
    return [error.field for error in check_plan(plan, PLAN)]


def test_a_plan_that_holds_together_passes() -> None:
    plan = SeatPlan(
        modality="hybrid",
        capacity={"on_site": 10, "online": 5},
        held=[Held("on_site", "phone", 4), Held("on_site", "desk", 6), Held("online", "phone", 5)],
        releases=[
            Release(PLAN.starts.utc, "on_site", "phone", 3),
            Release(PLAN.starts.utc - timedelta(days=3), "on_site", "phone", 1),
        ],
        opens_at=PLAN.starts.utc - timedelta(days=20),
        closes_at=PLAN.starts.utc,
    )
    assert fields(plan) == []


def test_held_seats_fit_their_kind() -> None:
    plan = SeatPlan("hybrid", {"on_site": 3, "online": 9}, held=[Held("on_site", "phone", 4)])
    assert fields(plan) == ["held_seats/on_site"]
    assert fields(SeatPlan("on_site", {"on_site": 3}, held=[Held("on_site", "phone", 4)])) == ["held_seats"]
    assert fields(SeatPlan("on_site", {"on_site": 3}, held=[Held("online", "phone", 1)])) == [
        "held_seats/online"
    ]
    # Too few for one channel doesn't make room for too many of another.
    balanced = [Held("on_site", "phone", 4), Held("on_site", "desk", -2)]
    assert fields(SeatPlan("on_site", {"on_site": 3}, held=balanced)) == ["held_seats/on_site/desk"]


def test_online_seats_need_an_online_session() -> None:
    assert fields(SeatPlan("on_site", {"on_site": 3, "online": 1})) == ["capacity/online"]
    assert fields(SeatPlan("online", {"on_site": 3, "online": 1})) == ["capacity/on_site"]


def released(*releases: Release, **changes: Any) -> list[str]:
    plan = SeatPlan("on_site", {"on_site": 5}, held=[Held("on_site", "phone", 2)], releases=releases)
    return fields(replace(plan, **changes))


def test_only_what_is_held_is_released_and_before_the_start() -> None:
    start = PLAN.starts.utc
    late = Release(start + timedelta(seconds=1), "on_site", "phone", 1)
    assert released(late, Release(start, "on_site", "phone", 2)) == ["releases/0/at", "releases/1/seats"]
    assert released(Release(start, "on_site", "desk", 1)) == ["releases/0/channel"]
    assert released(Release(start, "online", "phone", 1)) == ["releases/0/seat_kind"]
    assert released(Release(start, "on_site", "phone", 0)) == ["releases/0/seats"]


def test_a_step_stands_once() -> None:
    one = Release(PLAN.starts.utc, "on_site", "phone", 1)
    assert released(one, one) == ["releases/1/at"]
    assert released(one, replace(one, at=one.at - timedelta(days=1))) == []


def test_seats_are_not_released_before_anybody_can_register() -> None:
    opens = PLAN.starts.utc - timedelta(days=5)
    before = Release(opens - timedelta(minutes=1), "on_site", "phone", 2)
    assert released(before) == []
    assert released(before, opens_at=opens) == ["releases/0/at"]
    assert released(replace(before, at=opens), opens_at=opens) == []


KINDS_OF_SEAT, CHANNELS = st.sampled_from(["on_site", "online"]), st.sampled_from(["phone", "desk", "web"])
MOMENTS = st.integers(-40, 3).map(lambda hours: PLAN.starts.utc + timedelta(hours=hours))


@st.composite
def ladders(draw: st.DrawFn, held: Held) -> list[Release]:
    """Steps that release at most what is held for a channel, each at its own moment before the start."""
    left, steps = held.seats, []
    for hours in draw(st.lists(st.integers(-40, 0), max_size=3, unique=True)):
        if left > 0:
            seats = draw(st.integers(1, left))
            left -= seats
            at = PLAN.starts.utc + timedelta(hours=hours)
            steps.append(Release(at, held.seat_kind, held.channel, seats))
    return steps


@st.composite
def seat_plans(draw: st.DrawFn) -> SeatPlan:
    """Plans that hold together but for what may be drawn over one of their parts."""
    pools = draw(st.sets(st.tuples(KINDS_OF_SEAT, CHANNELS)))
    held = [Held(*pool, draw(st.integers(1, 5))) for pool in sorted(pools)]
    plan = SeatPlan(
        modality="hybrid",
        capacity={kind: draw(st.integers(8, 16)) for kind in ("on_site", "online")},
        held=held,
        releases=draw(st.permutations([step for item in held for step in draw(ladders(item))])),
    )
    spoilt: dict[str, st.SearchStrategy[Any]] = {
        "modality": st.sampled_from(["on_site", "online"]),
        "capacity": st.dictionaries(KINDS_OF_SEAT, st.integers(-1, 12)),
        "held": st.lists(st.builds(Held, KINDS_OF_SEAT, CHANNELS, st.integers(-1, 5))),
        "releases": st.lists(st.builds(Release, MOMENTS, KINDS_OF_SEAT, CHANNELS, st.integers(0, 3))).map(
            lambda more: [*plan.releases, *more]
        ),
        "opens_at": MOMENTS,
    }
    part = draw(st.sampled_from(["", *spoilt]))
    return replace(plan, **{part: draw(spoilt[part])}) if part else plan


def held_at(plan: SeatPlan, pool: tuple[str, str], at: datetime) -> int:
    """What the plan keeps for a channel at an instant, after the steps until then."""
    kept = sum(item.seats for item in plan.held if (item.seat_kind, item.channel) == pool)
    return kept - sum(r.seats for r in plan.releases if (r.seat_kind, r.channel) == pool and r.at <= at)


@given(seat_plans())
def test_a_plan_that_passes_keeps_its_promise_at_every_instant(plan: SeatPlan) -> None:
    if check_plan(plan, PLAN):
        return
    event("passes with releases" if plan.releases else "passes")
    pools = {(item.seat_kind, item.channel) for item in plan.held} | {
        (r.seat_kind, r.channel) for r in plan.releases
    }
    instants = [PLAN.starts.utc - timedelta(days=90), *(r.at for r in plan.releases), PLAN.starts.utc]
    for at in instants:
        for kind, capacity in plan.capacity.items():
            kept = [held_at(plan, pool, at) for pool in pools if pool[0] == kind]
            assert all(seats >= 0 for seats in kept), "more is released than was held"
            assert 0 <= sum(kept) <= capacity, "more is held than there is"
            assert capacity == 0 or kind in KINDS[plan.modality]
    for release in plan.releases:
        assert release.at <= PLAN.starts.utc
        assert plan.opens_at is None or release.at >= plan.opens_at
        assert release.seats > 0
    steps = [(r.at, r.seat_kind, r.channel) for r in plan.releases]
    assert len(steps) == len(set(steps))


@given(seat_plans(), st.integers(-60, 60))
def test_a_plan_that_passes_still_does_when_its_session_moves(plan: SeatPlan, hours: int) -> None:
    if plan.opens_at is not None or check_plan(plan, PLAN):
        return
    start, end = (wall_of.wall + timedelta(hours=hours) for wall_of in (PLAN.starts, PLAN.ends))
    there, errors = times(start, end, "America/Toronto")
    assert there is not None, errors
    releases = moved_releases(plan.releases, there.starts.utc)
    assert check_plan(replace(plan, releases=releases), there) == []
    assert sum(r.seats for r in releases) == sum(r.seats for r in plan.releases)


def test_a_drop_in_plans_no_seat() -> None:
    assert fields(SeatPlan("on_site", {"on_site": 0}, registration_modes=["drop_in"])) == []
    assert fields(SeatPlan("on_site", {"on_site": 0}, registration_modes=["drop_in", "phone"])) == [
        "capacity"
    ]


def test_registration_opens_and_closes_in_order() -> None:
    start, end = PLAN.starts.utc, PLAN.ends.utc
    assert fields(SeatPlan("on_site", {"on_site": 1}, opens_at=end)) == ["opens_at"]
    assert fields(SeatPlan("on_site", {"on_site": 1}, closes_at=end + timedelta(1))) == ["closes_at"]
    assert fields(SeatPlan("on_site", {"on_site": 1}, opens_at=start, closes_at=start)) == ["closes_at"]


def test_a_session_stands_within_its_tours_window_for_its_stream() -> None:
    tour = {"public": Window(date(2027, 2, 3), date(2027, 2, 5))}
    inside = when("2027-02-05T22:00", "2027-02-06T00:00")
    outside = when("2027-02-05T22:00", "2027-02-06T00:01")
    assert check_windows(inside, "public", tour, None) == []
    assert [e.field for e in check_windows(outside, "public", tour, None)] == ["starts_at"]
    assert check_windows(outside, "pro", tour, None) == []
    assert check_windows(outside, "public", {}, None) == []
    stop = Window(date(2027, 2, 4), date(2027, 2, 4))
    assert [e.field for e in check_windows(inside, "public", tour, stop)] == ["starts_at"]


@given(st.lists(st.integers(-500, 500), max_size=5))
def test_moved_releases_never_come_after_the_new_start(hours: list[int]) -> None:
    releases = [Release(PLAN.starts.utc + timedelta(hours=h), "on_site", "phone", 1) for h in hours]
    moved = moved_releases(releases, PLAN.starts.utc)
    assert {r.at for r in moved} == {min(r.at, PLAN.starts.utc) for r in releases}
    assert sum(r.seats for r in moved) == len(releases)
    assert len({r.at for r in moved}) == len(moved)
