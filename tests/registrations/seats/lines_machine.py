"""Random lives of several sessions, and of people who wait at many of them, against the model."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from libs.messaging.contracts import SeatCounts, SessionState, WaitlistRule
from tests.registrations.seats import laws
from tests.registrations.seats.agreement import agrees
from tests.registrations.seats.drivers import Observed, Refusal
from tests.registrations.seats.lines_driver import LinesDriver
from tests.registrations.seats.machine import reason
from tests.registrations.seats.model import LIVE, No
from tests.registrations.seats.plans import BEGINNING, changed, planned
from tests.registrations.seats.wait_model import Lines, Waiting

Seen = Mapping[UUID, Observed]
LIVES = count(1)

themes = st.sampled_from(("courriel", "courriel", "tablette"))
sessions = st.fixed_dictionaries(
    {
        "hours": st.sampled_from((60, 240, 720, 30)),
        "theme": themes,
        "region": st.sampled_from(("03", "03", "12")),
        "modality": st.sampled_from(("on_site", "on_site", "hybrid")),
        "capacity": st.builds(SeatCounts, on_site=st.sampled_from((1, 2, 0)), online=st.sampled_from((1, 0))),
        "waitlist": st.builds(WaitlistRule, offer_hours=st.sampled_from((1, 24))),
        "opens": st.sampled_from((None, None, 0.5)),
    }
)
wishes = st.tuples(
    st.sampled_from(("web", "phone")),
    themes,
    st.sampled_from((("03",), (), ("03", "12"), ("12",))),
    st.booleans(),
)
newcomers = st.tuples(st.sampled_from(("on_site", "on_site", "online")), st.sampled_from(("web", "phone")))

DEEDS = {
    "accept": ("offered", "accept"),
    "decline": ("offered", "decline"),
    "leave": ("confirmed", "cancel"),
    "cancel": ("waitlisted", "cancel"),
    "grant": ("waitlisted", "grant"),
    "try": ("waitlisted", "accept"),
}
"""Who does it, by their state, and what: « try » is a yes to an offer that is none."""


class LinesMachine(RuleBasedStateMachine):
    """`new_driver` gives one on the service that runs; each life has sessions and waits of its own."""

    new_driver: Callable[[], LinesDriver]

    def __init__(self) -> None:
        super().__init__()
        self.driver = type(self).new_driver()
        self.lines = Lines()
        self.now = BEGINNING
        self.life = next(LIVES)
        self.requests = 0
        self.seen: Seen = {}
        self.waits: Mapping[str, tuple[str, Counter[str]]] = {}

    @initialize(
        plans=st.lists(sessions, min_size=3, max_size=4),
        crowd=st.lists(newcomers, min_size=3, max_size=6),
        wished=st.lists(wishes, min_size=1, max_size=2),
    )
    def sessions_are_published(
        self, plans: list[dict[str, Any]], crowd: list[tuple[str, str]], wished: list[Any]
    ) -> None:
        self.driver.clock(self.now)
        for plan in plans:
            self.another_session_is_published(plan)
        for place, newcomer in enumerate(crowd):
            self.people_come([newcomer], place, "stay")
        for wish in wished:
            self.somebody_waits(wish)

    def teardown(self) -> None:
        """Nothing of this life is left to do when the next one begins; it was counted as it ended."""
        assert self.driver.counted() == by_hand(self.driver.rows())
        for name, wait in self.lines.waits.items():
            if wait.status == "open":
                self.driver.give_up(name)
        for model in self.lines.sessions.values():
            self.driver.announce(model.facts.model_copy(update={"status": "cancelled"}))

    # What happens.

    @precondition(lambda self: len(self.lines.sessions) < 5)
    @rule(plan=sessions)
    def another_session_is_published(self, plan: dict[str, Any]) -> None:
        number = len(self.lines.sessions)
        opens, hours = plan["opens"], plan["hours"] + number / 60
        facts = planned(
            **(plan | {"hours": hours, "opens": None, "releases": []}),
            # In an order that is the same in each run of this life.
            id=UUID(int=(self.life << 64) + number),
        )
        facts = changed(changed(facts, ("start", hours), self.now), ("opens_at", opens), self.now)
        self.events_say(facts)

    @precondition(lambda self: len(self.lines.waits) < 5)
    @rule(wish=wishes)
    def somebody_waits(self, wish: tuple[str, str, tuple[str, ...], bool]) -> None:
        self.time_passes(1)  # Each began at a moment of its own.
        channel, theme, regions, online = wish
        wait = Waiting(f"w{len(self.lines.waits) + 1}", channel, theme, frozenset(regions), online)
        self.step(lambda: self.driver.begin(wait), lambda: self.lines.begin(wait, self.now))

    @rule(
        crowd=st.lists(newcomers, min_size=1, max_size=3),
        where=st.integers(0, 4),
        jump=st.sampled_from(("stay", "stay", "opening")),
    )
    def people_come(self, crowd: list[tuple[str, str]], where: int, jump: str) -> None:
        if jump == "opening":
            self.time_passes(self.until_the_next(*(one.facts.opens_at for one in self.models())))
        id_ = list(self.lines.sessions)[where % len(self.lines.sessions)]
        model, driver = self.lines.sessions[id_], self.driver.sessions[id_]
        for kind, channel in crowd:
            self.requests += 1
            self.ask(id_, driver, f"p{self.requests}", kind if kind in model.kinds() else "on_site", channel)

    def ask(self, id_: UUID, driver: Any, name: str, kind: str, channel: str) -> None:
        self.step(
            lambda: driver.request(name, kind, channel, 1),
            lambda: self.lines.request(id_, name, kind, channel, self.now),
        )

    @rule(
        data=st.data(),
        deeds=st.lists(
            st.sampled_from((*("accept", "leave") * 2, "decline", "grant", "cancel", "give up", "try")),
            min_size=1,
            max_size=4,
        ),
    )
    def people_decide(self, data: st.DataObject, deeds: list[str]) -> None:
        """Whoever can: one rule for all, so that no life is without a deed that matters."""
        for deed in deeds:
            if deed == "give up":
                self.one_gives_up(data)
                continue
            whose, command = DEEDS[deed]
            if self.those(whose):
                self.do(command, *data.draw(st.sampled_from(self.those(whose))))

    def one_gives_up(self, data: st.DataObject) -> None:
        if self.open_waits():
            name = data.draw(st.sampled_from(self.open_waits()))
            self.step(lambda: self.driver.give_up(name), lambda: self.lines.give_up(name, self.now))

    @rule(
        where=st.integers(0, 4),
        edit=st.one_of(
            st.tuples(st.just("status"), st.sampled_from(("cancelled", "published"))),
            st.tuples(st.just("region"), st.sampled_from(("03", "12"))),
            st.tuples(st.just("theme"), themes),
            st.tuples(st.just("capacity"), st.builds(SeatCounts, on_site=st.integers(0, 3))),
            st.tuples(st.just("start"), st.sampled_from((20, 100))),
            st.tuples(st.just("opens_at"), st.sampled_from((None, 0.5))),
        ),
    )
    def the_coordinator_changes_a_session(self, where: int, edit: tuple[str, Any]) -> None:
        model = self.models()[where % len(self.lines.sessions)]
        self.events_say(changed(model.facts, edit, self.now))

    @rule(
        jump=st.sampled_from(("stay", "stay", "offer", "opening", "start")),
        late_first=st.booleans(),
        is_counted=st.booleans(),
    )
    def those_who_wait_look(self, jump: str, late_first: bool, is_counted: bool) -> None:
        """The timers record what is late and join what is new or changed, in one order or the other."""
        until = {
            "stay": [],
            "offer": [one.until for model in self.models() for one in model.people.values()],
            "opening": [model.facts.opens_at for model in self.models()],
            "start": [model.facts.starts_at_utc for model in self.models()],
        }
        self.time_passes(self.until_the_next(*until[jump]))
        if late_first:
            self.step(self.driver.time_is_up, lambda: self.lines.time_is_up(self.now))
            self.step(self.driver.look, lambda: self.lines.look(self.now))
        else:
            self.step(self.driver.look, lambda: self.lines.look(self.now))
            self.step(self.driver.time_is_up, lambda: self.lines.time_is_up(self.now))
        if is_counted:
            assert self.driver.counted() == by_hand(self.driver.rows())

    # One command at a time.

    def events_say(self, facts: SessionState) -> None:
        self.step(
            lambda: self.driver.announce(facts),
            lambda: self.lines.announce(facts, self.now),
            more_seats=True,
        )

    def do(self, deed: str, id_: UUID, name: str) -> None:
        driver = self.driver.sessions[id_]

        def say() -> None:
            # The service gives no seat in a session that is over; the model of one session doesn't mind.
            if deed == "grant" and not self.lines.sessions[id_].live(self.now):
                raise No("already-over")
            getattr(self.lines, deed)(id_, name, self.now)

        self.step(lambda: getattr(driver, deed)(name), say, more_seats=deed == "grant")

    def time_passes(self, minutes: float) -> None:
        """Nobody has looked yet: nothing changes by itself."""
        self.now += timedelta(minutes=minutes)
        self.driver.clock(self.now)

    def step(self, drive: Callable[[], None], say: Callable[[], None], *, more_seats: bool = False) -> None:
        for model in self.models():
            model.told = []
        refused, expected = reason(drive, Refusal), reason(say, No)
        assert refused == expected, f"refused: {refused}; by the rules: {expected}"
        before, self.seen, self.waits = self.seen, self.driver.state(), self.driver.waits()
        for id_, seen in self.seen.items():
            model = self.lines.sessions[id_]
            if id_ in before:
                a_session_keeps_the_laws(before[id_], seen, more_seats=more_seats)
            if model.live(self.now):
                laws.no_free_seat_is_kept_from_those_who_wait(seen)
            agrees(model, seen)
            told = self.driver.sessions[id_].told()
            assert Counter(told) == Counter(model.told), "each cause is told once (rule S7)"
        self.waits_agree(before)

    def waits_agree(self, before: Seen) -> None:
        for name, (status, told) in self.waits.items():
            assert status == self.lines.waits[name].status
            one_seat_comes_of_a_wait(name, status, before, self.seen)
            assert set(told.values()) <= {1}, "of the wait itself each cause is told once (rule S7)"
            assert ("wait_ended" in told) == (status == "ended")

    # When, and whom it is about.

    def models(self) -> list[Any]:
        return list(self.lines.sessions.values())

    def open_waits(self) -> list[str]:
        return [name for name, wait in self.lines.waits.items() if wait.status == "open"]

    def those(self, status: str) -> list[tuple[UUID, str]]:
        return [
            (id_, one.name)
            for id_, model in self.lines.sessions.items()
            for one in model.people.values()
            if one.status == status
        ]

    def until_the_next(self, *instants: Any) -> float:
        """In minutes."""
        ahead = [at - self.now for at in instants if at is not None and at > self.now]
        return min(ahead, default=timedelta()) / timedelta(minutes=1)


def a_session_keeps_the_laws(before: Observed, after: Observed, *, more_seats: bool) -> None:
    """S1-S4 on what was seen, without any model; several people may have come in one step."""
    laws.no_seat_is_given_twice(after)
    laws.everybody_who_may_use_a_pool_is_counted(after)
    laws.nobody_vanishes(before, after)
    laws.nobody_is_overtaken(before, after, None)
    if not more_seats:
        laws.no_capacity_comes_from_nowhere(before, after)
    numbers = [after.people[name].number for name in after.line]
    assert numbers == sorted(numbers), "staff moved nobody: first come, first served"


def one_seat_comes_of_a_wait(name: str, status: str, before: Seen, after: Seen) -> None:
    """And no seat is given unasked, nor two kept because both were free."""
    now = {id_: seen.people[name].status for id_, seen in after.items() if name in seen.people}
    then = {id_: seen.people[name].status for id_, seen in before.items() if name in seen.people}
    live = [state for state in now.values() if state in LIVE]
    if status == "open":
        assert "confirmed" not in live
    else:
        assert live in ([], ["confirmed"]), "the first yes, and giving up, end every other stop"
    kept = sum(then.get(id_) == state == "offered" for id_, state in now.items())
    new = sum(state == "offered" for id_, state in now.items() if id_ not in then)
    assert new <= (0 if kept else 1), "one free seat is kept at a time"


def by_hand(rows: list[dict[str, Any]]) -> Counter[str]:
    """What counts, told a second time: who asked once is counted once."""
    counted: Counter[str] = Counter()
    waits: dict[UUID, list[dict[str, Any]]] = {}
    for row in rows:
        if row["wait_id"] is None:
            counted[row["status"]] += row["party_size"]
        else:
            waits.setdefault(row["wait_id"], []).append(row)
    for stops in waits.values():
        came_to_something = [
            stop
            for stop in stops
            if stop["confirmed_at"] or stop["status"] not in ("waitlisted", "cancelled")
        ]
        one = min(
            stops,
            key=lambda stop: (
                stop["status"] != "waitlisted",
                stop["session"] == "cancelled",
                stop["created_at"],
                stop["session_id"],
            ),
        )
        counted.update(stop["status"] for stop in came_to_something or [one])
    return +counted
