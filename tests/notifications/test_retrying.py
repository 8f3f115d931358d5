"""How long a notice waits for the next try, and when somebody calls instead."""

from datetime import UTC, datetime, timedelta

import pytest

from services.notifications.retrying import GIVE_UP, gives_up_at, wait_after
from tests.notifications.facts import cause_of, session_facts

NOW = datetime.now(UTC)


def test_the_wait_doubles_up_to_half_an_hour_and_is_never_exactly_the_same() -> None:
    waits = [wait_after(n, 0.999).total_seconds() for n in range(1, 40)]
    assert waits[:3] == pytest.approx([2, 4, 8], rel=0.01)
    assert waits[-1] == pytest.approx(1800, rel=0.01)
    assert wait_after(3, 0.0) == timedelta(seconds=6)


def test_an_offer_leaves_half_of_its_time_for_the_call() -> None:
    offer = cause_of("offered", offer_expires_at=NOW + timedelta(hours=4))
    assert gives_up_at(offer, NOW) == NOW + timedelta(hours=2)


def test_other_news_is_given_two_days_at_most_and_leaves_time_before_the_session() -> None:
    assert gives_up_at(cause_of("confirmed"), NOW) == NOW + GIVE_UP
    soon = session_facts(days=1)
    assert NOW < gives_up_at(cause_of("reminder_1d", session=soon), NOW) < soon.starts_at_utc


def test_news_of_a_session_that_is_over_is_still_tried_for_two_days() -> None:
    assert gives_up_at(cause_of("cancelled_by_staff", session=session_facts(days=-3)), NOW) == NOW + GIVE_UP
