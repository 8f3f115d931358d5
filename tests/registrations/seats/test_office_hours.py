"""The clock of offers made by hand: it runs while the team is there, and holidays are not worked."""

from datetime import UTC, date, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.clock import zone
from libs.opening_hours import week_of
from services.registrations.offers import SHORTEST, expires_at, is_by_hand
from services.registrations.office_hours import OfficeHours, office_hours, office_json, office_of_json
from tests.registrations.conftest import VENUE, session_state
from tests.registrations.seats.model import office_has_been_open

QUEBEC = "America/Toronto"


def naive(*parts: int) -> datetime:
    """A wall time, as a session has it."""
    year, month, day, hour, minute = (*parts, 0, 0)[:5]
    return datetime(year, month, day, hour, minute, tzinfo=UTC).replace(tzinfo=None)


def hours(
    starts_at: datetime, opening: str = "mo-fr 09:00-16:00", timezone: str = QUEBEC, province: str = "CA-QC"
) -> OfficeHours:
    venue = VENUE.model_copy(update={"province": province})
    facts = session_state(starts_at=starts_at, timezone=timezone, venue=venue)
    found = office_hours(opening, facts)
    assert found is not None
    return found


def wall(text: str, timezone: str = QUEBEC) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone(timezone)).astimezone(UTC)


SESSION = naive(2027, 1, 28, 13, 30)


@pytest.mark.parametrize(
    ("now", "span", "end"),
    [
        ("2027-01-11T10:00", 4, "2027-01-11T14:00"),
        ("2027-01-11T15:00", 4, "2027-01-12T12:00"),  # an hour on Monday, three on Tuesday
        ("2027-01-11T20:00", 7, "2027-01-12T16:00"),
        ("2027-01-15T15:00", 2, "2027-01-18T10:00"),  # over the week-end
        ("2026-12-24T15:00", 2, "2026-12-28T10:00"),  # Christmas is a Friday
        ("2026-12-31T15:30", 1, "2027-01-04T09:30"),  # New Year too
    ],
)
def test_an_offer_lasts_so_many_hours_in_which_the_team_is_there(now: str, span: float, end: str) -> None:
    assert hours(SESSION).after(wall(now), timedelta(hours=span)) == wall(end)


def test_each_province_keeps_its_own_holidays() -> None:
    """Saint-Jean-Baptiste is Quebec's, Family Day (15 February 2027) New Brunswick's."""
    quebec = hours(naive(2027, 7, 10, 13, 30))
    brunswick = hours(naive(2027, 7, 10, 13, 30), timezone="America/Moncton", province="CA-NB")
    assert date(2027, 6, 24) in quebec.closed
    assert date(2027, 6, 24) not in brunswick.closed
    assert date(2027, 2, 15) in brunswick.closed
    assert date(2027, 2, 15) not in quebec.closed


def test_a_place_that_the_library_does_not_know_has_the_holidays_of_the_country() -> None:
    assert date(2027, 7, 1) in hours(naive(2027, 7, 10, 13, 30), province="FR-75").closed


def test_the_clock_changes_in_the_middle_of_an_offer() -> None:
    """On Sunday 14 March 2027 Quebec's clocks go forward."""
    office = hours(naive(2027, 3, 25, 13, 30))
    assert office.after(wall("2027-03-12T15:00"), timedelta(hours=2)) == wall("2027-03-15T10:00")
    assert len([change for change in office.offsets if change[0] > wall("2027-01-01T00:00")]) == 1


def test_a_clock_that_changes_by_no_rule_of_ours_is_in_the_ledger_as_it_was_known() -> None:
    """Read back from its JSON the clock is the same, whatever the library and `tzdata` say by then."""
    office = hours(SESSION, "mo-th 08:30-12:00,13:00-16:30; sa 10:00-12:00")
    assert office_of_json(orjson.loads(orjson.dumps(office_json(office)))) == office


def test_a_network_that_is_always_there_has_no_clock_of_its_own() -> None:
    assert office_hours("24/7", session_state()) is None


@given(
    st.datetimes(naive(2027, 1, 5), naive(2027, 1, 25), timezones=st.just(UTC)),
    st.timedeltas(timedelta(), timedelta(hours=80)),
)
def test_it_is_what_counting_from_opening_to_closing_gives(now: datetime, span: timedelta) -> None:
    office = hours(naive(2027, 2, 10, 13, 30), timezone="UTC")
    assert office.after(now, span) == office_has_been_open(span, now)


@given(
    st.datetimes(naive(2026, 6, 1), naive(2027, 1, 25), timezones=st.just(UTC)),
    st.timedeltas(timedelta(minutes=1), timedelta(hours=80)),
    st.timedeltas(timedelta(minutes=1), timedelta(hours=80)),
)
def test_the_clock_only_goes_forward_and_can_be_stopped_in_between(
    now: datetime, one: timedelta, other: timedelta
) -> None:
    office = hours(SESSION)
    end = office.after(now, one)
    assert end >= now + one
    assert office.after(end, other) == office.after(now, one + other)
    local = end.astimezone(zone(QUEBEC))
    assert local.weekday() < 5
    assert 9 * 60 <= local.hour * 60 + local.minute <= 16 * 60
    assert local.date() not in office.closed


@given(st.datetimes(naive(2026, 12, 1), naive(2027, 1, 28), timezones=st.just(UTC)), st.floats(0.01, 720))
def test_an_offer_made_by_hand_is_never_shorter_than_one_by_machine(
    now: datetime, offer_hours: float
) -> None:
    start = wall("2027-01-28T13:30")
    by_hand = expires_at(now, start, offer_hours, hours(SESSION))
    assert by_hand >= expires_at(now, start, offer_hours)
    assert by_hand <= max(now + SHORTEST, now + (start - now) / 2)


@pytest.mark.parametrize(
    ("email", "mobile", "texts", "by_hand"),
    [
        ("aline@exemple.ca", None, False, False),
        (None, "+14185550142", False, True),
        (None, "+14185550142", True, False),
        (None, None, True, True),
    ],
)
def test_by_hand_is_who_gets_neither_mail_nor_text(
    email: str | None, mobile: str | None, texts: bool, by_hand: bool
) -> None:
    assert is_by_hand(email, mobile, texts=texts) is by_hand


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mo-fr",
        "lu-ve 09:00-16:00",
        "fr-mo 09:00-16:00",
        "mo 16:00-09:00",
        "mo 09:00-25:00",
        "mo 09:70-10:00",
        "mo 09:00-12:00,11:00-16:00",
    ],
)
def test_hours_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        week_of(text)
