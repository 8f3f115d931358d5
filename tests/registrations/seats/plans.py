"""What a coordinator may plan and change: the sessions that the state machine draws."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from libs.messaging.contracts import (
    DrawRule,
    HeldSeats,
    PartyRule,
    Release,
    SeatCounts,
    SessionState,
    WaitlistRule,
)
from tests.registrations.conftest import session_state
from tests.registrations.seats.model import Pool

Ladder = list[tuple[float, Pool, int]]
"""Releases: in how many hours, of which pool, how many seats."""
Change = tuple[str, Any]
"""Which of a session's facts, and its new value."""
Newcomer = tuple[str, str, int]
"""The kind of seat asked for, the channel, and how many come together."""
BEGINNING = datetime(2027, 1, 10, 14, 0, tzinfo=UTC)

kinds = st.sampled_from(("on_site", "on_site", "online"))
newcomers = st.tuples(
    kinds, st.sampled_from(("web", "phone", "web", "phone", "desk")), st.sampled_from((1, 1, 2, 1, 2, 3))
)
hours_ahead = st.sampled_from((240, 60, 40, 30, 23, 6, 0.1))
pools = st.sampled_from(
    (("on_site", "phone"), ("on_site", "desk"), ("on_site", "phone"), ("online", "phone"))
)
held_seats = st.lists(st.tuples(pools, st.sampled_from((1, 2, 3))), min_size=1, max_size=3).map(
    lambda held: tuple(
        HeldSeats(seat_kind=kind, channel=channel, seats=seats)
        for (kind, channel), seats in dict(held).items()
    )
)
ladders = st.lists(st.tuples(hours_ahead, pools, st.sampled_from((1, 2))), max_size=4)
modalities = st.sampled_from(("on_site", "hybrid", "online"))
capacities = st.builds(
    SeatCounts, on_site=st.sampled_from((2, 3, 1, 4, 0)), online=st.sampled_from((1, 2, 0))
)
draws = st.tuples(st.sampled_from((0.5, 3, 25, 100)), st.integers(0, 9), st.sampled_from((1, 2, 3))).map(
    lambda drawn: DrawRule(
        closes_at=BEGINNING + timedelta(hours=drawn[0], minutes=drawn[1]), first_time_lots=drawn[2]
    )
)
rules = st.one_of(
    *(st.just({"policy": "first_come"}),) * 2,
    draws.map(lambda drawn: {"policy": "draw", "draw": drawn}),
)
"""How seats are given: it is planned once, and what is said of it later changes nothing."""
waitlists = st.builds(
    lambda rule, **waitlist: WaitlistRule(**rule, **waitlist),
    rule=rules,
    limit=st.sampled_from((None, 3, None, 1, None, 0)),
    offer_hours=st.sampled_from((0.1, 1, 24, 72)),
)
parties = st.builds(PartyRule, limit=st.sampled_from((4, 4, 2, 1)), gather_hours=st.sampled_from((24, 2, 0)))
jumps = st.sampled_from(
    (
        1,
        15,
        720,
        *("end of an offer",) * 2,
        "end of a gathering",
        *("release",) * 2,
        "opening",
        "closing",
        "draw",
        "day before",
        "start",
    )
)
"""Minutes, or to the very instant at which something changes."""


plans = st.fixed_dictionaries(
    {
        "hours": hours_ahead,
        "modality": modalities,
        "capacity": capacities,
        "held_seats": st.just(()) | held_seats,
        "releases": ladders,
        "waitlist": waitlists,
        "party": parties,
        "opens": st.sampled_from((*(None,) * 7, 0.5)),
    }
)


def planned(hours: float, releases: Ladder, opens: float | None = None, **facts: Any) -> SessionState:
    return session_state(
        timezone="UTC",
        **_times(BEGINNING, hours),
        releases=_ladder(BEGINNING, releases),
        opens_at=None if opens is None else BEGINNING + timedelta(hours=opens),
        **facts,
    )


changes = st.one_of(
    st.tuples(st.just("capacity"), capacities),
    st.tuples(st.just("held_seats"), held_seats),
    st.tuples(st.just("releases"), ladders),
    st.tuples(st.just("modality"), modalities),
    st.tuples(st.just("start"), hours_ahead),
    st.tuples(st.just("waitlist"), waitlists),
    st.tuples(st.just("party"), parties),
    st.tuples(st.just("opens_at"), st.sampled_from((None, -1, 0.5))),
    st.tuples(st.just("closes_at"), st.sampled_from((None, None, 5, -0.1))),
    st.tuples(st.just("status"), st.sampled_from(("published", "cancelled", "held"))),
)
"""What a coordinator may change of a session; instants are hours from then."""


def changed(facts: SessionState, change: Change, now: datetime) -> SessionState:
    name, value = change
    match name:
        case "releases":
            values = {name: _ladder(now, value)}
        case "start":
            values = _instants(now, value)
        case "opens_at" | "closes_at":
            values = {name: None if value is None else now + timedelta(hours=value)}
        case _:
            values = {name: value}
    return facts.model_copy(update=values)


def _instants(now: datetime, hours: float) -> dict[str, datetime]:
    start = now + timedelta(hours=hours)
    return _times(now, hours) | {"starts_at_utc": start, "ends_at_utc": start + timedelta(hours=2)}


def _times(now: datetime, hours: float) -> dict[str, datetime]:
    start = (now + timedelta(hours=hours)).replace(tzinfo=None)
    return {"starts_at": start, "ends_at": start + timedelta(hours=2)}


def _ladder(now: datetime, steps: Ladder) -> tuple[Release, ...]:
    return tuple(
        Release(at=now + timedelta(hours=hours), seat_kind=kind, channel=channel, seats=seats)
        for hours, (kind, channel), seats in steps
    )
