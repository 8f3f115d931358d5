"""Random lives of a session: a state machine gives the model and a driven system the same commands.

After each step both must say the same of everybody, and what was seen must obey S1-S7 by itself.
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.messaging.contracts import HeldSeats, Release, SeatCounts, SessionState, WaitlistRule
from tests.registrations.conftest import session_state
from tests.registrations.seats import laws
from tests.registrations.seats.agreement import agrees
from tests.registrations.seats.drivers import Driver, Observed, Refusal
from tests.registrations.seats.model import LIVE, Model, No, Pool

Ladder = list[tuple[float, Pool, int]]
"""Releases: in how many hours, of which pool, how many seats."""
Change = tuple[str, Any]
"""Which of a session's facts, and its new value."""

Newcomer = tuple[str, str]
"""The kind of seat asked for, and the channel."""

BEGINNING = datetime(2027, 1, 10, 14, 0, tzinfo=UTC)

kinds = st.sampled_from(("on_site", "on_site", "online"))
newcomers = st.tuples(kinds, st.sampled_from(("web", "web", "phone", "desk")))
hours_ahead = st.sampled_from((240, 60, 40, 30, 23, 6, 0.1))
pools = st.sampled_from((("on_site", "phone"), ("on_site", "desk"), ("online", "phone")))
held_seats = st.dictionaries(pools, st.sampled_from((1, 2, 3)), max_size=2).map(
    lambda held: tuple(
        HeldSeats(seat_kind=kind, channel=channel, seats=seats) for (kind, channel), seats in held.items()
    )
)
ladders = st.lists(st.tuples(hours_ahead, pools, st.sampled_from((1, 2))), max_size=3)
modalities = st.sampled_from(("on_site", "hybrid", "online"))
capacities = st.builds(
    SeatCounts, on_site=st.sampled_from((3, 2, 4, 1, 0)), online=st.sampled_from((2, 1, 0))
)
waitlists = st.builds(
    WaitlistRule,
    limit=st.sampled_from((None, 3, 1, None, 0)),
    offer_hours=st.sampled_from((0.1, 1, 24, 72)),
)
jumps = st.sampled_from(
    (
        0,
        1,
        15,
        "end of an offer",
        "end of an offer",
        "release",
        "release",
        "opening",
        720,
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
        "held_seats": held_seats,
        "releases": ladders,
        "waitlist": waitlists,
        "opens": st.sampled_from((None, None, None, 0.5)),
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


class SeatMachine(RuleBasedStateMachine):
    """Subclasses say what is driven, and until when."""

    def driven(self) -> Driver:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.driver = self.driven()
        self.now = BEGINNING
        self.requests = 0

    @initialize(plan=plans, already=st.lists(newcomers, max_size=2), crowd=st.lists(newcomers, max_size=9))
    def a_session_is_published(
        self, plan: dict[str, Any], already: list[Newcomer], crowd: list[Newcomer]
    ) -> None:
        """`already`: people found waiting, seats free or not, where a book may begin in the middle."""
        self.driver.clock(self.now)
        self.model = Model(planned(**plan))
        self.model.deal(self.now)
        line = []
        for kind, channel in already if self.driver.begins_anywhere else ():
            line.append((self.next_name(), self.possible(kind), channel))
            self.model.wait(*line[-1])
        self.driver.announce(self.model.facts, line)
        self.seen = self.driver.state()
        self.driver.told()
        self.people_register(crowd)

    def teardown(self) -> None:
        """Nothing of this life is left to do when the next one begins."""
        if hasattr(self, "seen"):
            self.driver.announce(self.model.facts.model_copy(update={"status": "cancelled", "releases": ()}))

    # What happens.

    @precondition(lambda self: self.takes_requests() and len(self.model.people) < 30)
    @rule(
        crowd=st.lists(newcomers, min_size=1, max_size=4),
        jump=st.sampled_from((0, "opening", "release")),
    )
    def people_register(self, crowd: list[Newcomer], jump: int | str = 0) -> None:
        """At any time, or at the very instant from which on they may, or others' seats are released."""
        self.time_passes(jump)
        for kind, channel in crowd if self.takes_requests() else ():
            self.somebody_registers(self.next_name(), self.possible(kind), channel)

    def somebody_registers(self, name: str, kind: str, channel: str) -> None:
        self.step(
            lambda: self.driver.request(name, kind, channel),
            lambda _: self.model.request(name, kind, channel, self.now),
            first=self.release_what_is_due,
        )

    @precondition(lambda self: self.driver.answers_again and self.model.people)
    @rule(data=st.data())
    def a_request_is_sent_again(self, data: st.DataObject) -> None:
        name = self.anybody(data)
        self.step(lambda: self.driver.request_again(name), lambda _: None, first=self.release_what_is_due)

    @precondition(lambda self: self.those(*LIVE))
    @rule(data=st.data())
    def somebody_cancels(self, data: st.DataObject) -> None:
        name = self.one_of(data, *LIVE)
        self.step(lambda: self.driver.cancel(name), lambda _: self.model.cancel(name, self.now))

    @precondition(lambda self: self.those("confirmed"))
    @rule(data=st.data(), seats=st.integers(1, 3))
    def seats_are_given_back(self, data: st.DataObject, seats: int) -> None:
        for _ in range(min(seats, len(self.those("confirmed")))):
            name = self.one_of(data, "confirmed")
            self.step(
                lambda name=name: self.driver.cancel(name),
                lambda _, name=name: self.model.cancel(name, self.now),
            )

    @precondition(lambda self: self.those("offered"))
    @rule(data=st.data())
    def somebody_accepts(self, data: st.DataObject) -> None:
        name = self.one_of(data, "offered")
        self.step(lambda: self.driver.accept(name), lambda _: self.model.accept(name))

    @precondition(lambda self: self.those("offered"))
    @rule(data=st.data())
    def somebody_declines(self, data: st.DataObject) -> None:
        name = self.one_of(data, "offered")
        self.step(lambda: self.driver.decline(name), lambda _: self.model.decline(name, self.now))

    @precondition(lambda self: self.those("offered"))
    @rule(data=st.data(), jump=st.sampled_from((0, "day before")))
    def nobody_picks_up(self, data: st.DataObject, jump: int | str) -> None:
        self.time_passes(jump)
        name = self.one_of(data, "offered")
        self.step(lambda: self.driver.no_answer(name), lambda _: self.model.no_answer(name, self.now))

    @precondition(lambda self: self.those("waitlisted"))
    @rule(data=st.data())
    def staff_grant_a_seat(self, data: st.DataObject) -> None:
        name = self.one_of(data, "waitlisted")
        self.step(lambda: self.driver.grant(name), lambda _: self.grant(name), more_seats=True)

    @precondition(lambda self: self.model.line)
    @rule(
        data=st.data(), deeds=st.lists(st.sampled_from(("move", "move", 0, 0, 1, 9)), min_size=1, max_size=5)
    )
    def staff_rearrange_the_line(self, data: st.DataObject, deeds: list[int | str]) -> None:
        for deed in deeds:
            name = self.one_of(data, "waitlisted")
            if isinstance(deed, int):
                self.staff_prefer(name, deed)
            else:
                self.staff_move(name, data.draw(st.sampled_from([*self.those("waitlisted"), None])))

    def staff_move(self, name: str, before: str | None) -> None:
        self.step(
            lambda: self.driver.move(name, before), lambda _: self.model.move(name, before), touched=name
        )

    def staff_prefer(self, name: str, priority: int) -> None:
        self.step(
            lambda: self.driver.prioritise(name, priority),
            lambda seen: self.model.prioritise(name, priority, seen.line),
            touched=name,
        )

    @precondition(lambda self: self.model.people)
    @rule(data=st.data(), deed=st.sampled_from(("accept", "decline", "cancel", "no_answer", "grant", "move")))
    def somebody_does_what_they_may_not(self, data: st.DataObject, deed: str) -> None:
        name = self.anybody(data)
        model, driver = self.model, self.driver
        if driver.answers_again and (deed, model.people[name].status) in REPEATED:
            self.step(lambda: getattr(driver, deed)(name), lambda _: None)
            return
        deeds: dict[str, tuple[Callable[[], None], Callable[[Observed], None]]] = {
            "accept": (lambda: driver.accept(name), lambda _: model.accept(name)),
            "decline": (lambda: driver.decline(name), lambda _: model.decline(name, self.now)),
            "cancel": (lambda: driver.cancel(name), lambda _: model.cancel(name, self.now)),
            "no_answer": (lambda: driver.no_answer(name), lambda _: model.no_answer(name, self.now)),
            "grant": (lambda: driver.grant(name), lambda _: self.grant(name)),
            "move": (lambda: driver.move(name, None), lambda _: model.move(name, None)),
        }
        self.step(*deeds[deed], touched=name, more_seats=deed == "grant")

    @rule(edits=st.lists(changes, min_size=1, max_size=2))
    def the_coordinator_changes_the_session(self, edits: list[Change]) -> None:
        self.coordinator_says(edits)

    @precondition(lambda self: self.model.line)
    @rule(capacity=capacities)
    def the_coordinator_finds_another_room(self, capacity: SeatCounts) -> None:
        self.coordinator_says([("capacity", capacity)])

    @precondition(lambda self: self.those("offered"))
    @rule(hours=hours_ahead)
    def the_session_moves(self, hours: float) -> None:
        self.coordinator_says([("start", hours)])

    @precondition(lambda self: not self.model.live(self.now))
    @rule(hours=hours_ahead)
    def a_session_that_was_over_is_held_again(self, hours: float) -> None:
        self.coordinator_says([("start", hours), ("status", "published")])

    def coordinator_says(self, edits: list[Change]) -> None:
        facts = self.model.facts
        for edit in edits:
            facts = changed(facts, edit, self.now)
        self.step(
            lambda: self.driver.announce(facts),
            lambda _: self.model.replan(facts, self.now),
            more_seats=True,
        )

    @precondition(lambda self: self.model.live(self.now))
    @rule(jump=jumps)
    def time_passes(self, jump: int | str) -> None:
        """Nobody has looked yet: nothing changes by itself."""
        self.now = self.after(jump)
        self.step(lambda: self.driver.clock(self.now), lambda _: None)

    @rule(jump=jumps)
    def time_passes_and_is_noticed(self, jump: int | str) -> None:
        """Late offers are recorded, due releases carried out."""
        self.now = self.after(jump)
        self.driver.clock(self.now)
        self.step(self.driver.time_is_up, lambda _: self.model.time_is_up(self.now))
        self.noticed_elsewhere()

    def noticed_elsewhere(self) -> None:
        """Where there are other sessions, their time has passed too."""

    @precondition(lambda self: self.those("offered"))
    @rule()
    def an_offer_runs_out(self) -> None:
        self.time_passes_and_is_noticed("end of an offer")

    @precondition(lambda self: self.after("release") > self.now)
    @rule(first=st.sampled_from(("noticed", "preferred")))
    def held_seats_are_released(self, first: str) -> None:
        if first == "preferred" and self.model.line:
            self.time_passes("release")
            self.staff_prefer(self.model.line[-1].name, 1)
            self.time_passes_and_is_noticed(0)
        else:
            self.time_passes_and_is_noticed("release")

    @invariant()
    def the_model_is_sane(self) -> None:
        if hasattr(self, "model"):
            assert all(self.model.free(pool) >= 0 for pool in self.model.seats)

    def grant(self, name: str) -> None:
        """The service gives no seat in a session that is over; a book doesn't mind."""
        if self.driver.knows_opening and not self.model.live(self.now):
            raise No("already-over")
        self.model.grant(name, self.now)

    def release_what_is_due(self) -> bool:
        """A service lets due seats go before it looks at a newcomer; a book is told to."""
        due = self.driver.knows_opening and self.model.release_is_due(self.now)
        if due:
            self.model.settle(self.now)
        return due

    # How a step is judged.

    def step(
        self,
        drive: Callable[[], None],
        say: Callable[[Observed], None],
        *,
        first: Callable[[], bool] | None = None,
        touched: str | None = None,
        more_seats: bool = False,
    ) -> None:
        """Carry out one command; `say` tells the model, given what was seen after it.

        `first` says to the model what the system does before the command, whatever comes of it.
        """
        before, self.model.told = self.seen, []
        prepared = first is not None and first()
        refused = reason(drive, Refusal)
        after = self.seen = self.driver.state()
        expected = reason(lambda: say(after), No)
        assert refused == expected, f"refused: {refused}; by the rules: {expected}"
        if refused is not None and not prepared:
            assert after == before, "a refused command changes nothing"
        laws.hold(before, after, self.now, self.model, touched=touched, more_seats=more_seats)
        agrees(self.model, after)
        told = self.driver.told()
        if told is not None:
            assert Counter(told) == Counter(self.model.told), "each cause is told once (rule S7)"

    # When, and whom it is about.

    def next_name(self) -> str:
        self.requests += 1
        return f"p{self.requests}"

    def possible(self, kind: str) -> str:
        """This kind of seat, if the session has it."""
        return kind if kind in self.model.kinds() else self.model.kinds()[0]

    def after(self, jump: int | str) -> datetime:
        if isinstance(jump, int):
            return self.now + timedelta(minutes=jump)
        facts = self.model.facts
        instants = {
            "start": [facts.starts_at_utc],
            "day before": [facts.starts_at_utc - timedelta(days=1)],
            "release": [step.at for step in facts.releases],
            "end of an offer": [one.until for one in self.model.people.values() if one.until],
            "opening": [at for at in (facts.opens_at, facts.closes_at) if at],
        }
        return min((at for at in instants[jump] if at > self.now), default=self.now)

    def takes_requests(self) -> bool:
        return self.driver.knows_opening or self.model.closed(self.now) is None

    def those(self, *statuses: str) -> list[str]:
        return [one.name for one in self.model.people.values() if one.status in statuses]

    def one_of(self, data: st.DataObject, *statuses: str) -> str:
        return data.draw(st.sampled_from(self.those(*statuses)))

    def anybody(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(list(self.model.people)))


REPEATED = {("accept", "confirmed"), ("decline", "declined"), ("cancel", "cancelled")}
"""What the API answers again when it was done before."""


def reason(act: Callable[[], None], refusals: type[Exception]) -> str | None:
    """Why it was refused; None if it wasn't."""
    try:
        act()
    except refusals as refusal:
        return str(refusal)
    return None


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
