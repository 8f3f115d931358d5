"""The course of one workshop under a policy: everything that happens to its seat book, in order of time.

The book, its pools, line, offers and draw are the service's own. What the service does around it, with a
database, is done here: when each command is given, and whose tickets are in a draw.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bench.fairness.assumptions import Assumptions
from bench.fairness.crowd import Somebody, Workshop
from bench.fairness.policies import Policy
from services.registrations import offers, opening, pools
from services.registrations.draw import PAUSE, Ticket
from services.registrations.seatbook import (
    Accept,
    Cancel,
    Command,
    Decline,
    Draw,
    Lapse,
    NoAnswer,
    Person,
    Release,
    Request,
    SeatBook,
    terms_of,
)

Watch = Callable[[SeatBook, datetime], None]
"""Looks at the book after each command."""


@dataclass(slots=True)
class Fate:
    """What became of somebody. `told_at`: they know that they have a seat or wait; `seated_at`: it is theirs.

    `waited`: they stood in the line first.
    """

    person: Somebody
    told_at: datetime | None = None
    seated_at: datetime | None = None
    waited: bool = False
    was_offered: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A workshop at its start: its book, and the fate of everybody who asked."""

    workshop: Workshop
    book: SeatBook
    fates: tuple[Fate, ...]

    @property
    def seats(self) -> int:
        return self.workshop.facts.capacity.on_site

    @property
    def taken(self) -> int:
        """Seats of those who come."""
        return sum(pool.confirmed for pool in self.book.pools.values())


def play(workshop: Workshop, policy: Policy, assumed: Assumptions, watch: Watch | None = None) -> Outcome:
    """From the opening to the start."""
    return _Course(workshop, policy, assumed, watch).run()


class _Course:
    def __init__(self, workshop: Workshop, policy: Policy, assumed: Assumptions, watch: Watch | None) -> None:
        self.workshop = workshop
        self.assumed = assumed
        self.watch = watch
        self.facts = policy.applied(workshop.facts, assumed)
        assert self.facts.opens_at is not None, "registration opens at an instant"
        self.now = self.facts.opens_at
        self.starts_at = self.facts.starts_at_utc
        self.book = SeatBook.opened(terms_of(self.facts, workshop.office), self.now)
        self.fates = {person.ref: Fate(person) for person in workshop.people}
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._number = 0

    def run(self) -> Outcome:
        self._await_release()
        if self.book.terms.draw is not None:
            self._at(self.book.terms.draw.closes_at, self._close_draw)
        for person in self.workshop.people:
            self._at(person.asks_at, partial(self._ask, person))
        while self._events and self._events[0][0] < self.starts_at:
            self.now, _, act = heapq.heappop(self._events)
            act()
        return Outcome(self.workshop, self.book, tuple(self.fates.values()))

    def _at(self, when: datetime, act: Callable[[], None]) -> None:
        """What was planned first comes first of what happens at one instant."""
        self._number += 1
        heapq.heappush(self._events, (when, self._number, act))

    def _do(self, command: Command) -> None:
        for person in self.book.do(command, self.now):
            self._note(person)
        if self.watch is not None:
            self.watch(self.book, self.now)

    def _note(self, person: Person) -> None:
        fate = self.fates[person.ref]
        if person.status != "pending" and fate.told_at is None:
            fate.told_at = self.now
        match person.status:
            case "waitlisted":
                fate.waited = True
            case "offered" if not fate.was_offered:
                fate.was_offered = fate.waited = True
                self._offered(fate.person, person)
            case "confirmed" if fate.seated_at is None:
                fate.seated_at = self.now
                if fate.person.cancels is not None:
                    left = self.starts_at - self.now
                    self._at(self.now + fate.person.cancels * left, partial(self._cancel, fate.person))

    # What people do.

    def _ask(self, person: Somebody) -> None:
        opening.check_open(self.facts, self.now, person.channel, has_link=False)
        kind = opening.seat_kind(self.facts, None)
        self._do(Request(person.ref, kind, person.channel, by_hand=_is_by_hand(person)))

    def _cancel(self, person: Somebody) -> None:
        self._do(Cancel(person.ref))

    def _offered(self, person: Somebody, standing: Person) -> None:
        assert standing.offer_until is not None, "an offer has an end"
        self._at(standing.offer_until, partial(self._lapse, person))
        if standing.by_hand:
            is_last = self.starts_at - self.now <= offers.LAST_DAY
            after = person.last_call_after if is_last else person.called_after
            self._at(self.workshop.office.after(self.now, after), partial(self._call, person, 0))
        elif person.reads_after is not None:
            self._at(self.now + person.reads_after, partial(self._answer, person))

    def _answer(self, person: Somebody) -> None:
        """Whoever answers too late is told so, and nothing changes."""
        if self._is_offered(person):
            self._do(Accept(person.ref) if person.accepts else Decline(person.ref))

    def _is_offered(self, person: Somebody) -> bool:
        return self.book.people[person.ref].status == "offered"

    # What the team and the timers do.

    def _call(self, person: Somebody, number: int) -> None:
        if not self._is_offered(person):
            return
        if person.picks_up[number]:
            self._answer(person)
        elif self.starts_at - self.now <= offers.LAST_DAY:
            self._do(NoAnswer(person.ref))
        elif number + 1 < len(person.picks_up):
            wait = self.assumed.again_hours * timedelta(hours=1)
            self._at(self.workshop.office.after(self.now, wait), partial(self._call, person, number + 1))

    def _lapse(self, person: Somebody) -> None:
        if self._is_offered(person):
            self._do(Lapse())

    def _await_release(self) -> None:
        at = pools.next_release(self.book.terms.plan, self.now)
        if at is not None:
            self._at(at, self._release)

    def _release(self) -> None:
        self._do(Release())
        self._await_release()

    def _close_draw(self) -> None:
        """The tickets of those who asked in time, as `drawing.py` reads them; the draw is after the pause."""
        drawn = self.facts.waitlist.drawn
        assert drawn is not None, "only a draw is closed"
        tickets = tuple(
            Ticket(person.seq, drawn.first_time_lots if self.fates[person.ref].person.is_new else 1)
            for person in self.book.people.values()
            if person.status == "pending"
        )
        self._at(self.now + PAUSE, partial(self._do, Draw(self.workshop.seed, tickets)))


def _is_by_hand(person: Somebody) -> bool:
    email = "email" if person.route == "email" else None
    mobile = "mobile" if person.route == "text" else None
    return offers.is_by_hand(email, mobile, texts=True)
