"""Random lives of a session: a state machine gives the model and a driven system the same commands.

After each step both must say the same of everybody, and what was seen must obey S1-S7 by itself.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.messaging.contracts import SeatCounts
from tests.registrations.seats import laws
from tests.registrations.seats.agreement import agrees
from tests.registrations.seats.drivers import Driver, Observed, Refusal
from tests.registrations.seats.model import LIVE, OUTCOMES, SEATED, Model, No
from tests.registrations.seats.plans import (
    BEGINNING,
    Change,
    Newcomer,
    capacities,
    changed,
    changes,
    hours_ahead,
    jumps,
    newcomers,
    planned,
    plans,
)


class SeatMachine(RuleBasedStateMachine):
    """Subclasses say what is driven, and until when."""

    def driven(self) -> Driver:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.driver = self.driven()
        self.now = BEGINNING
        self.requests = 0
        self.parts: set[str] = set()
        """Those who left a party: nobody asked for them."""

    @initialize(
        plan=plans, already=st.lists(newcomers, max_size=2), crowd=st.lists(newcomers, min_size=3, max_size=9)
    )
    def a_session_is_published(
        self, plan: dict[str, Any], already: list[Newcomer], crowd: list[Newcomer]
    ) -> None:
        """`already`: people found waiting, where a book may begin in the middle; seats may be free."""
        self.driver.clock(self.now)
        self.model = Model(planned(**plan))
        line = []
        # Nobody waits where a draw is to come.
        for kind, channel, size in (
            already if self.driver.begins_anywhere and self.model.stage is None else ()
        ):
            line.append((self.next_name(), self.possible(kind), channel, size))
            self.model.wait(*line[-1])
        self.model.settle(self.now)
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
        twice=st.booleans(),
    )
    def people_register(self, crowd: list[Newcomer], jump: int | str = 0, twice: bool = False) -> None:
        """At any time, or at the very instant from which on they may, or held seats are released."""
        self.time_passes(jump)
        for kind, channel, size in crowd if self.takes_requests() else ():
            self.request(self.next_name(), self.possible(kind), channel, size)
        asked = [name for name in self.model.people if name not in self.parts]
        if twice and self.driver.answers_again and asked:
            self.request_again(asked[-1])

    @precondition(
        lambda self: self.driver.takes_waits and self.takes_requests() and len(self.model.people) < 30
    )
    @rule(crowd=st.lists(newcomers, min_size=1, max_size=3), jump=st.sampled_from((0, "release")))
    def people_who_wait_for_many_sessions_join(self, crowd: list[Newcomer], jump: int | str) -> None:
        """A free seat is offered to them; they stand in the line like everybody if there is none."""
        self.time_passes(jump)
        # They take no part in a draw, and join the line that it leaves behind.
        for kind, channel, _size in crowd if self.takes_requests() and self.model.stage != "to_come" else ():
            self.request(self.next_name(), self.possible(kind), channel, 1, on_offer=True)

    @precondition(lambda self: self.those(*LIVE))
    @rule(data=st.data(), whose=st.sampled_from((("confirmed",), LIVE)), people=st.integers(1, 3))
    def people_leave(self, data: st.DataObject, whose: tuple[str, ...], people: int) -> None:
        for _ in range(people):
            if self.those(*whose):
                self.cancel(self.one_of(data, *whose))

    @precondition(lambda self: self.those("offered"))
    @rule(data=st.data(), how=st.sampled_from(("accept", "decline", "no_answer", "too late", "in the end")))
    def an_offer_is_answered(self, data: st.DataObject, how: str) -> None:
        name = self.one_of(data, "offered")
        if how == "too late":
            self.time_passes_and_is_noticed("end of an offer")
        elif how == "in the end":
            self.time_passes("end of an offer")
            self.accept(name)
        else:
            getattr(self, how)(name)

    @precondition(lambda self: self.model.line)
    @rule(
        data=st.data(),
        deeds=st.lists(st.sampled_from((*("move",) * 4, 0, 1, 9, "grant")), min_size=1, max_size=6),
    )
    def staff_rearrange_the_line(self, data: st.DataObject, deeds: list[int | str]) -> None:
        for deed in deeds:
            if not self.model.line:
                return
            name = self.one_of(data, "waitlisted")
            if isinstance(deed, int):
                self.prioritise(name, deed)
            elif deed == "grant":
                self.grant(name)
            else:
                self.move(name, data.draw(st.sampled_from([*self.those("waitlisted"), None])))

    @precondition(lambda self: self.parties() and len(self.model.people) < 30)
    @rule(data=st.data(), how=st.sampled_from(("split", "shrink")), whole=st.booleans())
    def a_party_changes(self, data: st.DataObject, how: str, whole: bool) -> None:
        """Some go on by themselves, or don't come; not all of them, which is refused."""
        name = data.draw(st.sampled_from(self.parties()))
        size = self.model.people[name].size - (0 if whole else 1)
        if how == "split":
            self.split(name, size)
        else:
            self.shrink(name, size)

    @precondition(lambda self: any(one.gathers_until for one in self.model.line))
    @rule(first=st.sampled_from(("leave", "noticed", "leave")), data=st.data())
    def seats_gather(self, first: str, data: st.DataObject) -> None:
        """Another one becomes free, or time is up."""
        if first == "leave" and self.those("confirmed"):
            self.cancel(self.one_of(data, "confirmed"))
        else:
            self.time_passes_and_is_noticed("end of a gathering")

    def parties(self) -> list[str]:
        return [one.name for one in self.model.people.values() if one.size > 1 and one.status in LIVE]

    @precondition(lambda self: self.model.people)
    @rule(
        data=st.data(),
        deed=st.sampled_from(
            ("accept", "decline", "cancel", "no_answer", "grant", "move", "attend", "split", "shrink")
        ),
        jump=st.sampled_from((0, 0, "day before")),
    )
    def somebody_does_what_they_may_not(self, data: st.DataObject, deed: str, jump: int | str) -> None:
        """Or may, just so; a call that nobody answers counts from the very instant of the day before."""
        self.time_passes(jump)
        name = data.draw(st.sampled_from(list(self.model.people)))
        if self.driver.answers_again and (deed, self.model.people[name].status) in REPEATED:
            self.step(lambda: getattr(self.driver, deed)(name), lambda _: None)
        elif deed == "move":
            self.move(name, None)
        elif deed == "attend":
            self.attend(name, data.draw(st.sampled_from(OUTCOMES)))
        elif deed in ("split", "shrink"):
            getattr(self, deed)(name, 1)
        else:
            getattr(self, deed)(name)

    @precondition(lambda self: self.those(*SEATED))
    @rule(
        data=st.data(),
        outcomes=st.lists(st.sampled_from((*OUTCOMES, "confirmed")), min_size=1, max_size=4),
        jump=st.sampled_from(("start", "start", 0, 1)),
    )
    def staff_note_who_came(self, data: st.DataObject, outcomes: list[str], jump: int | str) -> None:
        """From the start on, again and again as they learn more; before it, or for anybody, it is refused."""
        self.time_passes(jump)
        for outcome in outcomes:
            whom = self.those(*SEATED) or list(self.model.people)
            self.attend(data.draw(st.sampled_from(whom)), outcome)

    @rule(edits=st.lists(changes, min_size=1, max_size=2))
    def the_coordinator_changes_the_session(self, edits: list[Change]) -> None:
        self.coordinator_says(edits)

    @precondition(lambda self: self.model.line)
    @rule(capacity=capacities)
    def the_coordinator_finds_another_room(self, capacity: SeatCounts) -> None:
        self.coordinator_says([("capacity", capacity)])

    @precondition(lambda self: self.those("offered") or not self.model.live(self.now))
    @rule(hours=hours_ahead)
    def the_session_moves(self, hours: float) -> None:
        """While offers are out, or to be held again when it was over already."""
        self.coordinator_says([("start", hours), ("status", "published")])

    @rule(jump=jumps)
    def time_passes_and_is_noticed(self, jump: int | str) -> None:
        """Late offers are recorded, due releases carried out."""
        self.now = self.after(jump)
        self.driver.clock(self.now)
        self.step(self.driver.time_is_up, lambda seen: self.model.time_is_up(self.now, seen.draw))
        self.noticed_elsewhere()

    def noticed_elsewhere(self) -> None:
        """Where there are other sessions, their time has passed too."""

    @precondition(lambda self: self.after("release") > self.now)
    @rule(first=st.sampled_from(("noticed", "preferred")))
    def held_seats_are_released(self, first: str) -> None:
        if first == "preferred" and self.model.line:
            self.time_passes("release")
            self.prioritise(self.model.line[-1].name, 1)
            self.time_passes_and_is_noticed(0)
        else:
            self.time_passes_and_is_noticed("release")

    @precondition(lambda self: self.model.stage == "to_come" and self.model.live(self.now))
    @rule(late=st.lists(newcomers, max_size=2), data=st.data(), leaver=st.booleans())
    def the_draw_is_held(self, late: list[Newcomer], data: st.DataObject, leaver: bool) -> None:
        """Some come after it has closed, and somebody may leave before the seed is known."""
        self.time_passes_and_is_noticed("closing")
        self.time_passes_and_is_noticed(1)
        if late and self.takes_requests():
            self.people_register(late)
        if leaver and self.those("pending"):
            self.cancel(self.one_of(data, "pending"))
        self.time_passes_and_is_noticed("draw")

    @precondition(lambda self: self.model.stage is not None)
    @rule(sure=st.integers(0, 5))
    def the_draw_is_cancelled(self, sure: int) -> None:
        """Seldom while it is to come; afterwards it can't be."""
        if sure == 5 or self.model.stage != "to_come":
            self.step(self.driver.cancel_draw, lambda _: self.model.cancel_draw(self.now))

    @invariant()
    def the_model_is_sane(self) -> None:
        if hasattr(self, "model"):
            assert all(self.model.free(pool) >= 0 for pool in self.model.seats)

    # One command at a time.

    def request(self, name: str, kind: str, channel: str, size: int, *, on_offer: bool = False) -> None:
        self.step(
            lambda: self.driver.request(name, kind, channel, size, on_offer=on_offer),
            lambda _: self.model.request(name, kind, channel, self.now, size, on_offer=on_offer),
            first=self.release_what_is_due,
        )

    def request_again(self, name: str) -> None:
        self.step(lambda: self.driver.request_again(name), lambda _: None, first=self.release_what_is_due)

    def cancel(self, name: str) -> None:
        self.step(lambda: self.driver.cancel(name), lambda _: self.model.cancel(name, self.now))

    def accept(self, name: str) -> None:
        self.step(lambda: self.driver.accept(name), lambda _: self.model.accept(name))

    def decline(self, name: str) -> None:
        self.step(lambda: self.driver.decline(name), lambda _: self.model.decline(name, self.now))

    def no_answer(self, name: str) -> None:
        self.step(lambda: self.driver.no_answer(name), lambda _: self.model.no_answer(name, self.now))

    def move(self, name: str, before: str | None) -> None:
        self.step(
            lambda: self.driver.move(name, before), lambda _: self.model.move(name, before), touched=name
        )

    def prioritise(self, name: str, priority: int) -> None:
        self.step(
            lambda: self.driver.prioritise(name, priority),
            lambda seen: self.model.prioritise(name, priority, seen.line),
            touched=name,
        )

    def grant(self, name: str) -> None:
        def say(_: Observed) -> None:
            # The service gives no seat in a session that is over; a book doesn't mind.
            if self.driver.knows_opening and not self.model.live(self.now):
                raise No("already-over")
            self.model.grant(name, self.now)

        self.step(lambda: self.driver.grant(name), say, more_seats=True)

    def split(self, name: str, size: int) -> None:
        new_name = self.next_name()
        self.parts.add(new_name)

        def say(_: Observed) -> None:
            # In a session that is over there is nothing left to wait for; a book doesn't mind.
            if self.driver.knows_opening and not self.model.live(self.now):
                raise No("already-over")
            self.model.split(name, new_name, size, self.now)

        self.step(lambda: self.driver.split(name, new_name, size), say)

    def shrink(self, name: str, size: int) -> None:
        one = self.model.people[name]
        if self.driver.answers_again and one.size == size and one.status in LIVE:
            # So few are to come already.
            self.step(lambda: self.driver.shrink(name, size), lambda _: None)
            return
        self.step(lambda: self.driver.shrink(name, size), lambda _: self.model.shrink(name, size, self.now))

    def attend(self, name: str, outcome: str) -> None:
        if self.driver.answers_again and self.model.people[name].status == outcome:
            # Nothing is to be noted, so nothing is refused.
            self.step(lambda: self.driver.attend(name, outcome), lambda _: None)
        else:
            self.step(
                lambda: self.driver.attend(name, outcome),
                lambda _: self.model.attend(name, outcome, self.now),
            )

    def coordinator_says(self, edits: list[Change]) -> None:
        facts = self.model.facts
        for edit in edits:
            facts = changed(facts, edit, self.now)
        self.step(
            lambda: self.driver.announce(facts),
            lambda _: self.model.replan(facts, self.now),
            more_seats=True,
        )

    def time_passes(self, jump: int | str) -> None:
        """Nobody has looked yet: nothing changes by itself."""
        self.now = self.after(jump)
        self.step(lambda: self.driver.clock(self.now), lambda _: None)

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
            "end of a gathering": [one.gathers_until for one in self.model.line if one.gathers_until],
            "opening": [at for at in (facts.opens_at, facts.closes_at) if at],
            "closing": [facts.waitlist.draw.closes_at] if facts.waitlist.draw else [],
            "draw": [self.model.closed_at + timedelta(minutes=10)] if self.model.closed_at else [],
        }
        return min((at for at in instants[jump] if at > self.now), default=self.now)

    def takes_requests(self) -> bool:
        return self.driver.knows_opening or self.model.closed(self.now) is None

    def those(self, *statuses: str) -> list[str]:
        return [one.name for one in self.model.people.values() if one.status in statuses]

    def one_of(self, data: st.DataObject, *statuses: str) -> str:
        return data.draw(st.sampled_from(self.those(*statuses)))


REPEATED = {("accept", "confirmed"), ("decline", "declined"), ("cancel", "cancelled")}
"""What the API answers again when it was done before."""


def reason(act: Callable[[], None], refusals: type[Exception]) -> str | None:
    """Why it was refused; None if it wasn't."""
    try:
        act()
    except refusals as refusal:
        return str(refusal)
    return None
