"""Planning a tour: the road between two places, trainers needed twice, weeks shifted and seen."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.geography import Point
from services.events.planning import (
    Booking,
    PlannedSession,
    PlannedStop,
    clashes,
    shifted_instant,
    shifted_times,
    stop_distances,
    tour_view,
    travel_time,
)
from services.events.schedule import BadTime, moment, times

QUEBEC = (UUID(int=1), Point(46.8139, -71.2080))
BAIE_SAINT_PAUL = (UUID(int=2), Point(47.4410, -70.4983))
TRAINER = UUID(int=9)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def booking(start: str, end: str, place: tuple[UUID, Point] | None, trainer: UUID = TRAINER) -> Booking:
    at, to = (datetime.fromisoformat(f"2027-02-03T{text}").replace(tzinfo=UTC) for text in (start, end))
    return Booking(uuid4(), trainer, at, to, *(place or (None, None)))


def test_overlapping_sessions_of_one_trainer_clash() -> None:
    first, second = booking("13:00", "15:00", QUEBEC), booking("14:30", "16:00", QUEBEC)
    (clash,) = clashes([second, first])
    assert (clash.first, clash.second, clash.overlapping) == (first, second, True)
    assert clash.missing == timedelta(minutes=30)
    assert clashes([first, booking("14:30", "16:00", QUEBEC, trainer=UUID(int=8))]) == []


def test_sessions_that_follow_in_one_place_do_not_clash() -> None:
    assert clashes([booking("13:00", "15:00", QUEBEC), booking("15:00", "16:00", QUEBEC)]) == []
    assert clashes([booking("13:00", "15:00", QUEBEC), booking("15:00", "16:00", None)]) == []


def test_the_road_takes_time() -> None:
    first, soon = booking("09:00", "11:00", QUEBEC), booking("12:00", "13:00", BAIE_SAINT_PAUL)
    (clash,) = clashes([first, soon])
    assert not clash.overlapping
    assert clash.distance_km == pytest.approx(88, abs=5)
    assert timedelta() < clash.missing < timedelta(hours=2)
    assert clashes([first, booking("14:00", "15:00", BAIE_SAINT_PAUL)]) == []


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 300), st.integers(0, 2)), max_size=12))
def test_clashes_are_exactly_the_pairs_that_overlap_or_lack_the_road(
    drawn: list[tuple[int, int, int]],
) -> None:
    places = [QUEBEC, BAIE_SAINT_PAUL, None]
    zero = datetime(2027, 2, 1, tzinfo=UTC)
    bookings = [
        Booking(
            UUID(int=number + 100),
            TRAINER,
            zero + timedelta(minutes=start),
            zero + timedelta(minutes=start + length),
            *(places[place] or (None, None)),
        )
        for number, (start, length, place) in enumerate(drawn)
    ]
    found = {frozenset((c.first.session_id, c.second.session_id)) for c in clashes(bookings)}
    road = travel_time(stop_distances([QUEBEC[1], BAIE_SAINT_PAUL[1]])[0] or 0)
    expected = set()
    for i, a in enumerate(bookings):
        for b in bookings[i + 1 :]:
            first, second = sorted((a, b), key=lambda x: (x.starts_at_utc, x.session_id))
            apart = None not in (a.place, b.place) and a.place != b.place
            if first.ends_at_utc + (road if apart else timedelta()) > second.starts_at_utc:
                expected.add(frozenset((a.session_id, b.session_id)))
    assert found == expected


@given(st.integers(-60, 60), st.sampled_from(["America/Toronto", "America/St_Johns", "America/Winnipeg"]))
def test_shifting_by_weeks_keeps_the_wall_time(weeks: int, timezone: str) -> None:
    found, _errors = times(wall("2027-02-03T13:30"), wall("2027-02-03T15:30"), timezone)
    assert found is not None
    moved = shifted_times(found, weeks)
    assert moved.starts.wall == found.starts.wall + timedelta(weeks=weeks)
    assert moved.starts == moment(moved.starts.wall, timezone)
    assert shifted_instant(found.starts.utc, timezone, weeks) == moved.starts.utc


def test_shifting_over_a_clock_change_moves_the_instant() -> None:
    found, _errors = times(wall("2027-03-10T13:30"), wall("2027-03-10T15:30"), "America/Toronto")
    assert found is not None
    assert shifted_times(found, 1).starts.utc - found.starts.utc == timedelta(weeks=1, hours=-1)


def test_a_shift_onto_a_time_that_does_not_exist_is_refused() -> None:
    found, _errors = times(wall("2027-03-07T02:30"), wall("2027-03-07T04:00"), "America/Toronto")
    assert found is not None
    with pytest.raises(BadTime):
        shifted_times(found, 1)
    assert shifted_instant(found.starts.utc, "America/Toronto", 1) == found.starts.utc + timedelta(weeks=1)


def test_distances_from_stop_to_stop() -> None:
    near, unknown, again = stop_distances([QUEBEC[1], BAIE_SAINT_PAUL[1], None, QUEBEC[1]])
    assert near == pytest.approx(88, abs=5)
    assert (unknown, again) == (None, None)


def test_a_tour_is_seen_week_by_week_with_its_gaps() -> None:
    first = PlannedStop(UUID(int=1), date(2027, 2, 2), date(2027, 2, 3))
    last = PlannedStop(UUID(int=2), date(2027, 2, 8), date(2027, 2, 8))
    session = PlannedSession(UUID(int=5), first.id, date(2027, 2, 3), wall("2027-02-03T13:00"))
    view = tour_view([first, last], [session])
    assert [week.monday for week in view.weeks] == [date(2027, 2, 1), date(2027, 2, 8)]
    days = {day.date: day for week in view.weeks for day in week.days}
    assert days[date(2027, 2, 3)].sessions == (session.id,)
    assert [day.date.day for day in days.values() if day.is_gap] == [4, 5]
    assert view.empty_stops == (last.id,)
    assert tour_view([], []).weeks == ()
