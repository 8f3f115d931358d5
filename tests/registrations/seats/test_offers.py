"""Offers: how long a freed seat is kept for one person."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registrations.offers import expires_at

NOW = datetime(2027, 1, 10, 14, 0, tzinfo=UTC)
DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
times_left = st.timedeltas(timedelta(minutes=-60), timedelta(days=90))
hours = st.floats(0.01, 720)


def length(left: timedelta, offer_hours: float) -> timedelta:
    return expires_at(NOW, NOW + left, offer_hours) - NOW


@pytest.mark.parametrize(
    ("left", "offer_hours", "lasts"),
    [
        (timedelta(days=9), 24, timedelta(hours=24)),
        (timedelta(hours=30), 24, timedelta(hours=15)),
        (timedelta(hours=30), 2, timedelta(hours=2)),
        (DAY + timedelta(seconds=2), 24, timedelta(hours=12, seconds=1)),
        (DAY, 24, QUARTER),
        (timedelta(hours=1), 24, QUARTER),
        (timedelta(minutes=5), 24, QUARTER),
        (timedelta(days=9), 0.1, QUARTER),
    ],
)
def test_an_offer_lasts_its_hours_or_half_of_what_is_left_or_fifteen_minutes(
    left: timedelta, offer_hours: float, lasts: timedelta
) -> None:
    assert length(left, offer_hours) == lasts


@given(times_left, hours)
def test_nobody_is_asked_to_answer_in_less_than_a_quarter_of_an_hour(
    left: timedelta, offer_hours: float
) -> None:
    assert length(left, offer_hours) >= QUARTER


@given(st.timedeltas(timedelta(days=-1), DAY), hours)
def test_on_the_last_day_it_is_a_quarter_of_an_hour_for_everybody(
    left: timedelta, offer_hours: float
) -> None:
    assert length(left, offer_hours) == QUARTER


@given(st.timedeltas(DAY, timedelta(days=90)), hours)
def test_before_that_two_more_people_can_still_be_asked_and_no_offer_is_longer_than_the_session_says(
    left: timedelta, offer_hours: float
) -> None:
    lasts = length(left, offer_hours)
    assert lasts <= left / 2
    assert lasts <= max(QUARTER, timedelta(hours=offer_hours))


@given(times_left, times_left, hours)
def test_the_nearer_the_session_the_shorter_the_offer(
    one: timedelta, other: timedelta, offer_hours: float
) -> None:
    assert length(min(one, other), offer_hours) <= length(max(one, other), offer_hours)


@given(times_left, hours, hours)
def test_a_session_that_gives_more_hours_never_gives_less_time(
    left: timedelta, one: float, other: float
) -> None:
    assert length(left, min(one, other)) <= length(left, max(one, other))
