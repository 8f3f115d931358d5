"""The state machine for a service, which knows of other sessions too: people are transferred between two."""

from collections import Counter
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from libs.messaging.contracts import HeldSeats, PartyRule, SeatCounts, WaitlistRule
from tests.registrations.seats import laws
from tests.registrations.seats.agreement import agrees
from tests.registrations.seats.drivers import Refusal
from tests.registrations.seats.machine import SeatMachine, reason
from tests.registrations.seats.model import LIVE, Model, No
from tests.registrations.seats.plans import planned
from tests.registrations.seats.service_driver import ServiceDriver


class ServiceMachine(SeatMachine):
    """`new_driver` gives one for a session of its own, on the service that runs."""

    new_driver: Callable[[], ServiceDriver]

    def driven(self) -> ServiceDriver:
        return type(self).new_driver()

    @initialize(seats=st.sampled_from((1, 2)), limit=st.sampled_from((None, 1)))
    def another_session_is_published(self, seats: int, limit: int | None) -> None:
        """In three weeks; one of its few seats is kept for the telephone, for six hours."""
        facts = planned(
            500,
            [(6, ("on_site", "phone"), 1)],
            modality="on_site",
            capacity=SeatCounts(on_site=seats),
            held_seats=(HeldSeats(seat_kind="on_site", channel="phone", seats=1),),
            waitlist=WaitlistRule(limit=limit),
            party=PartyRule(limit=2),
        )
        self.there, self.model_there = self.driven(), Model(facts)
        self.driver.clock(self.now)
        self.model_there.settle(self.now)
        self.there.announce(facts)
        self.seen_there = self.there.state()
        self.there.told()

    @precondition(lambda self: self.those(*LIVE))
    @rule(data=st.data(), may_wait=st.booleans(), jump=st.sampled_from((0, 360, 0, "start")))
    def somebody_is_transferred(self, data: st.DataObject, may_wait: bool, jump: int | str) -> None:
        self.time_passes(jump)
        name = self.one_of(data, *LIVE)
        new_name = f"{name} there"
        self.model_there.told = []

        def told_to_the_model(_: object) -> None:
            self.model_there = self.model.transfer(
                name, self.model_there, new_name, self.now, may_wait=may_wait
            )

        self.step(
            lambda: self.driver.transfer(name, self.there, new_name, may_wait=may_wait), told_to_the_model
        )
        self.judge_there()

    @precondition(lambda self: self.people_there())
    @rule(data=st.data(), deed=st.sampled_from(("cancel", "accept", "decline")))
    def something_happens_there(self, data: st.DataObject, deed: str) -> None:
        name = data.draw(st.sampled_from(self.people_there()))
        self.model_there.told = []
        drive = {"cancel": self.there.cancel, "accept": self.there.accept, "decline": self.there.decline}
        say = {
            "cancel": lambda: self.model_there.cancel(name, self.now),
            "accept": lambda: self.model_there.accept(name),
            "decline": lambda: self.model_there.decline(name, self.now),
        }
        if deed == "accept" and self.model_there.people[name].status == "confirmed":
            say[deed] = lambda: None
        assert reason(lambda: drive[deed](name), Refusal) == reason(say[deed], No)
        self.judge_there()

    def people_there(self) -> list[str]:
        return [one.name for one in self.model_there.people.values() if one.status in LIVE]

    def noticed_elsewhere(self) -> None:
        self.model_there.told = []
        self.model_there.time_is_up(self.now)
        self.judge_there()

    def judge_there(self) -> None:
        before, after = self.seen_there, self.there.state()
        self.seen_there = after
        laws.hold(before, after, self.now, self.model_there, touched=None, more_seats=False)
        agrees(self.model_there, after)
        assert Counter(self.there.told()) == Counter(self.model_there.told)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "there"):
            self.there.announce(self.model_there.facts.model_copy(update={"status": "cancelled"}))
