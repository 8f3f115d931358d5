"""Which sessions a wait is for: examples, and laws over drawn wishes and sessions."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.geography import Point, distance_km
from libs.messaging.contracts import SessionState
from services.registrations.wishing import Around, Wish, is_over, kind_wished
from tests.registrations.conftest import VENUE, session_state

DAY = date(2027, 3, 10)
AT = datetime.fromisoformat("2027-03-10T13:30")
QUEBEC = Point(46.8, -71.2)
"""Some eight kilometres from the venue."""
ANYWHERE = Wish("courriel", DAY, DAY)


def session(**changes: Any) -> SessionState:
    return session_state(starts_at=AT, **changes)


def wish(**changes: Any) -> Wish:
    return Wish(**{"theme": "courriel", "first_day": DAY, "last_day": DAY} | changes)


@pytest.mark.parametrize(
    ("wished", "facts"),
    [
        (ANYWHERE, session()),
        (wish(regions=frozenset({"03", "12"})), session()),
        (wish(around=Around(QUEBEC, 10)), session()),
        (wish(regions=frozenset({"12"}), around=Around(QUEBEC, 10)), session()),
        (wish(language="fr"), session()),
        (wish(first_day=DAY - timedelta(days=9), last_day=DAY + timedelta(days=9)), session()),
        (wish(online=True), session(modality="hybrid")),
        (ANYWHERE, session(region=None, venue=None)),
    ],
)
def test_a_session_that_is_wished_for_gives_a_seat_in_the_room(wished: Wish, facts: SessionState) -> None:
    assert kind_wished(wished, facts) == "on_site"


@pytest.mark.parametrize(
    ("wished", "facts"),
    [
        (wish(regions=frozenset({"12"})), session()),
        (wish(around=Around(QUEBEC, 5)), session()),
        (wish(around=Around(QUEBEC, 500)), session(venue=None)),
        (wish(around=Around(QUEBEC, 500)), session(venue=VENUE.model_copy(update={"latitude": None}))),
        (wish(language="en"), session()),
        (wish(theme="tablette"), session()),
        (wish(stream="pro"), session()),
        (ANYWHERE, session(theme=None)),
        (ANYWHERE, session(modality="online", venue=None)),
        (wish(first_day=DAY + timedelta(days=1), last_day=DAY + timedelta(days=9)), session()),
        (wish(first_day=DAY - timedelta(days=9), last_day=DAY - timedelta(days=1)), session()),
    ],
)
def test_any_other_session_gives_none(wished: Wish, facts: SessionState) -> None:
    assert kind_wished(wished, facts) is None


def test_who_takes_a_video_call_too_gets_one_from_anywhere() -> None:
    wished = wish(regions=frozenset({"12"}), online=True)
    assert kind_wished(wished, session(modality="online", venue=None)) == "online"
    assert kind_wished(wished, session(modality="hybrid")) == "online"
    assert kind_wished(wished, session()) is None


def test_the_day_is_the_one_on_the_wall_of_the_place() -> None:
    """Late in the evening in Vancouver it is the next day in UTC."""
    late = session_state(starts_at=AT.replace(hour=21), timezone="America/Vancouver")
    assert late.starts_at_utc.date() != DAY
    assert kind_wished(ANYWHERE, late) == "on_site"


def test_a_wait_is_over_after_its_last_day() -> None:
    assert not is_over(ANYWHERE, DAY)
    assert is_over(ANYWHERE, DAY + timedelta(days=1))


wishes = st.builds(
    wish,
    theme=st.sampled_from(("courriel", "tablette")),
    stream=st.sampled_from(("public", "public", "pro")),
    regions=st.frozensets(st.sampled_from(("03", "12", "CA-NB")), max_size=2),
    around=st.none()
    | st.builds(
        Around, st.builds(Point, st.floats(46, 47), st.floats(-72, -71)), st.sampled_from((1.0, 20.0, 90.0))
    ),
    online=st.booleans(),
    language=st.sampled_from((None, "fr", "en")),
    last_day=st.sampled_from((DAY, DAY + timedelta(days=3))),
)
sessions = st.builds(
    session,
    theme=st.sampled_from(("courriel", "tablette", None)),
    stream=st.sampled_from(("public", "public", "pro")),
    modality=st.sampled_from(("on_site", "hybrid", "online")),
    region=st.sampled_from(("03", "12", None)),
    language=st.sampled_from(("fr", "en")),
    venue=st.sampled_from((VENUE, None)),
)


@given(wishes, sessions)
def test_no_seat_is_one_that_was_not_wished_for(wished: Wish, facts: SessionState) -> None:
    kind = kind_wished(wished, facts)
    if kind is None:
        return
    assert facts.theme == wished.theme
    assert facts.stream == wished.stream
    assert wished.first_day <= facts.starts_at.date() <= wished.last_day
    assert wished.language in (None, facts.language)
    if kind == "online":
        assert wished.online
        assert facts.modality in ("online", "hybrid")
    elif wished.regions or wished.around:
        there = facts.venue and Point(facts.venue.latitude or 0, facts.venue.longitude or 0)
        near = wished.around and there and distance_km(wished.around.point, there) <= wished.around.km
        assert facts.region in wished.regions or near


@given(wishes, sessions, st.sampled_from(("regions", "online", "language", "first_day", "last_day")))
def test_who_asks_for_more_never_gets_less(wished: Wish, facts: SessionState, what: str) -> None:
    wider = {
        "regions": wished.regions | {"03", "12"} if wished.regions or wished.around else frozenset(),
        "online": True,
        "language": None,
        "first_day": wished.first_day - timedelta(days=30),
        "last_day": wished.last_day + timedelta(days=30),
    }
    values = {name: getattr(wished, name) for name in Wish.__slots__} | {what: wider[what]}
    if kind_wished(wished, facts) is not None:
        assert kind_wished(Wish(**values), facts) is not None
