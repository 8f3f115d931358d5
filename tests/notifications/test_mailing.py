"""Which notices a registration's causes call for, which are overtaken, and when each is due."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.contracts import Cause, ContactDetails
from services.notifications import mailing
from services.notifications.mailing import Known, Notice, Plan
from tests.notifications.facts import cause_of, moved, session_facts

NOW = datetime.now(UTC)
NEVER_MERGED = (
    "pending",
    "draw_cancelled",
    "confirmed",
    "waitlisted",
    "offer_expired",
    "declined",
    "cancelled_by_person",
    "session_cancelled",
    "volunteers_asked",
    "transferred",
    "released_unanswered",
)
ALL = (
    *NEVER_MERGED,
    "cancelled_by_staff",
    "offered",
    "session_changed",
    "reminder_7d",
    "reminder_1d",
    "reconfirm_asked",
)


def causes(*names: str, at: datetime = NOW) -> list[Cause]:
    return [cause_of(name, version, at=at) for version, name in enumerate(names, start=1)]


def planned(*names: str, route: str = "email", now: datetime = NOW) -> Plan:
    return mailing.plan(causes(*names), [], route, now)


def told(plan: Plan) -> list[str]:
    return [notice.cause.cause for notice in plan.new if not notice.superseded]


def known(notice: Notice, **changes: object) -> Known:
    given: dict[str, object] = {
        "key": notice.key,
        "open": True,
        "by_hand": notice.by_hand,
        "waits_since": notice.waits_since,
        "due_at": notice.due_at,
    }
    return Known(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in ALL if name != "session_changed"])
def test_what_concerns_a_seat_is_told_at_once(name: str) -> None:
    (notice,) = planned(name).new
    assert notice.due_at == NOW
    assert not notice.superseded


@pytest.mark.parametrize("name", ["restored", "a_cause_of_next_year"])
def test_a_silent_or_unknown_cause_tells_nobody(name: str) -> None:
    assert planned(name) == Plan()


def test_a_change_waits_for_a_minute_of_quiet() -> None:
    (notice,) = planned("session_changed").new
    assert notice.due_at == NOW + timedelta(seconds=60)


def test_three_changes_in_a_row_make_one_notice_that_waits_from_the_last() -> None:
    first = causes("session_changed")
    one = mailing.plan(first, [], "email", NOW).new[0]
    later = cause_of("session_changed", 2, at=NOW + timedelta(seconds=40))
    plan = mailing.plan([*first, later], [known(one)], "email", NOW + timedelta(seconds=40))
    assert plan.superseded == (one.key,)
    assert [(n.cause.version, n.due_at, n.waits_since) for n in plan.new] == [
        (2, NOW + timedelta(seconds=100), one.waits_since)
    ]


def test_a_session_that_never_stops_changing_is_told_of_after_five_minutes() -> None:
    past: list[Known] = []
    happened: list[Cause] = []
    due_at = NOW
    for version in range(1, 9):
        moment = NOW + timedelta(seconds=45 * (version - 1))
        happened.append(cause_of("session_changed", version, at=moment))
        plan = mailing.plan(happened, past, "email", moment)
        past = [replace(item, open=item.open and item.key not in plan.superseded) for item in past]
        past += [known(notice) for notice in plan.new]
        due_at = plan.new[0].due_at
    assert due_at == NOW + timedelta(minutes=5)


def test_a_clock_that_runs_ahead_elsewhere_makes_nobody_wait_longer() -> None:
    ahead = cause_of("session_changed", at=NOW + timedelta(days=7))
    assert mailing.plan([ahead], [], "email", NOW).new[0].due_at == NOW + timedelta(seconds=60)


def test_after_an_outage_a_change_has_waited_long_enough() -> None:
    old = cause_of("session_changed", at=NOW - timedelta(hours=3))
    assert mailing.plan([old], [], "email", NOW).new[0].due_at < NOW


@pytest.mark.parametrize("end", ["cancelled_by_person", "cancelled_by_staff", "session_cancelled"])
@pytest.mark.parametrize("waiting", ["session_changed", "reminder_7d", "offered"])
def test_a_cancellation_overtakes_what_was_still_to_be_said(waiting: str, end: str) -> None:
    assert told(planned(waiting, end)) == [end]


@pytest.mark.parametrize("answer", ["confirmed", "declined", "offer_expired"])
def test_an_offer_that_was_answered_before_it_left_is_not_sent(answer: str) -> None:
    assert told(planned("waitlisted", "offered", answer)) == ["waitlisted", answer]


def test_an_offer_that_ended_before_it_left_is_not_sent() -> None:
    late = cause_of("offered", offer_expires_at=NOW - timedelta(minutes=1))
    assert mailing.plan([late], [], "email", NOW).new[0].superseded


def test_a_reminder_is_overtaken_by_a_change_by_the_next_reminder_and_by_the_start() -> None:
    assert told(planned("reminder_7d", "reminder_1d")) == ["reminder_1d"]
    assert told(planned("reconfirm_asked", "reminder_1d")) == ["reminder_1d"]
    assert told(planned("reminder_7d", "reconfirm_asked")) == ["reconfirm_asked"]
    assert told(planned("reconfirm_asked", "cancelled_by_person")) == ["cancelled_by_person"]
    assert told(planned("reminder_7d", "session_changed")) == ["session_changed"]
    begun = cause_of("reminder_1d", session=session_facts(days=-1))
    assert mailing.plan([begun], [], "email", NOW).new[0].superseded


def test_a_change_of_a_session_that_is_over_is_not_told() -> None:
    over = cause_of("session_changed", session=session_facts(days=-1))
    assert mailing.plan([over], [], "email", NOW).new[0].superseded


def test_what_comes_after_a_waiting_change_is_not_held_back_by_it() -> None:
    change = mailing.plan(causes("session_changed"), [], "email", NOW).new[0]
    plan = mailing.plan(causes("session_changed", "offered"), [known(change)], "email", NOW)
    assert plan.hurried == (change.key,)
    assert plan.superseded == ()
    # The same when both are seen for the first time.
    both = planned("session_changed", "offered")
    assert [notice.due_at for notice in both.new] == [NOW, NOW]


def test_a_registration_that_ends_without_a_word_has_nothing_to_say_any_more() -> None:
    waiting = causes("waitlisted", "confirmed", "session_changed", "reminder_7d", "offered")
    past = [known(notice) for notice in mailing.plan(waiting, [], "email", NOW).new]
    open_ones = {item.key for item in past if item.open}
    ended = mailing.plan(waiting, past, "email", NOW, status="cancelled")
    assert set(ended.superseded) == open_ones
    assert ended.new == ()
    # The same when its causes are first seen then, or late.
    at_once = mailing.plan(waiting, [], "email", NOW, status="cancelled")
    assert told(at_once) == []
    assert len(at_once.new) == len(waiting)


@pytest.mark.parametrize("end", ["cancelled_by_person", "cancelled_by_staff", "session_cancelled"])
def test_an_end_that_is_told_leaves_the_news_before_it(end: str) -> None:
    everything = causes("confirmed", end)
    plan = mailing.plan(everything, [], "email", NOW, status="cancelled")
    assert told(plan) == ["confirmed", end]
    # Weeks later its causes have left the message, and somebody still has to call.
    past = [known(notice, by_hand=True) for notice in plan.new]
    assert mailing.plan([], past[1:], "phone", NOW, status="cancelled") == Plan()


def test_a_call_about_a_transfer_is_left_out_for_another_call_but_not_for_a_mail() -> None:
    assert told(planned("transferred", "reminder_1d", route="phone")) == ["reminder_1d"]
    call = mailing.plan(causes("transferred"), [], "phone", NOW).new[0]
    plan = mailing.plan(causes("transferred", "reminder_1d"), [known(call)], "email", NOW)
    assert plan.superseded == ()


def test_what_was_sent_is_never_overtaken() -> None:
    change = mailing.plan(causes("session_changed"), [], "email", NOW).new[0]
    plan = mailing.plan(
        causes("session_changed", "session_cancelled"), [known(change, open=False)], "email", NOW
    )
    assert plan.superseded == ()


def test_on_the_telephone_only_the_latest_news_counts() -> None:
    assert told(planned("waitlisted", "offered", "confirmed", "session_changed", route="phone")) == [
        "session_changed"
    ]


def test_whom_no_mail_reaches_is_told_the_latest_news_only() -> None:
    failed = mailing.plan(causes("waitlisted"), [], "email", NOW).new[0]
    plan = mailing.plan(causes("waitlisted", "confirmed"), [known(failed, by_hand=True)], "email", NOW)
    assert plan.superseded == (failed.key,)


def test_every_person_has_their_own_first_route() -> None:
    contact = ContactDetails(mobile="+14185550101", postal="12, rue du Pont")
    assert mailing.next_route(contact) == "mobile"
    assert mailing.next_route(contact, {"mobile"}) == "postal"
    assert mailing.next_route(contact, {"mobile", "postal"}) is None


def test_a_call_is_of_use_until_the_offer_ends_or_the_session_starts_or_would_have_started() -> None:
    offer = cause_of("offered")
    assert mailing.call_before(offer) == offer.offer_expires_at
    before = session_facts(days=5)
    change = cause_of("session_changed", previous=before, session=moved(before, days=9))
    assert mailing.call_before(change) == before.starts_at_utc


@given(st.lists(st.sampled_from(ALL), min_size=1, max_size=7), st.data())
def test_the_end_is_the_same_however_the_causes_arrive(names: Sequence[str], data: st.DataObject) -> None:
    """Batches, copies and repeats of one stream leave the same notices open; none exists twice."""
    everything = causes(*names)
    at_once = mailing.plan(everything, [], "email", NOW)
    cuts = sorted({*data.draw(st.lists(st.integers(1, len(names)), max_size=4)), len(names)})
    notices: dict[mailing.Key, Known] = {}
    for end in [*cuts, len(names)]:
        plan = mailing.plan(everything[:end], list(notices.values()), "email", NOW)
        for notice in plan.new:
            assert notice.key not in notices
            notices[notice.key] = known(notice, open=not notice.superseded)
        for key in plan.superseded:
            notices[key] = known(at_once_notice(at_once, key), open=False)
    assert {key for key, notice in notices.items() if notice.open} == {
        notice.key for notice in at_once.new if not notice.superseded
    }
    assert len(notices) == len(names)


def at_once_notice(plan: Plan, key: mailing.Key) -> Notice:
    return next(notice for notice in plan.new if notice.key == key)


@given(st.lists(st.sampled_from(NEVER_MERGED), min_size=1, max_size=7))
def test_news_of_a_seat_is_never_merged_in_writing(names: Sequence[str]) -> None:
    plan = planned(*names)
    assert told(plan) == list(names)
    assert all(a.cause.version < b.cause.version for a, b in pairwise(plan.new))


@pytest.mark.parametrize("route", ["email", "phone"])
def test_who_has_said_that_they_come_is_asked_no_more(route: str) -> None:
    asked = planned("confirmed", "reconfirm_asked", route=route)
    waiting = [known(notice, open=notice.key[2] == "reconfirm_asked") for notice in asked.new]
    again = mailing.plan([], waiting, route, NOW, reconfirmed=True)
    assert [key[2] for key in again.superseded] == ["reconfirm_asked"]
    assert mailing.plan([], waiting, route, NOW).superseded == ()
