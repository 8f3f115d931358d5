"""What the state machine drives: the book of seats alone here, the whole service in `service_driver.py`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid5

from libs.messaging.contracts import SessionState
from services.registrations import seatbook
from services.registrations.draw import Ticket
from services.registrations.office_hours import office_hours
from services.registrations.seatbook import Command, Person, SeatBook, terms_of
from tests.registrations.seats.model import CALLED, Pool, Published

_PEOPLE = UUID(int=0x7EA7)


class Refusal(Exception):
    """The rules refused; the text is the reason, as the JSON API spells it."""


@dataclass(frozen=True)
class Standing:
    """Where somebody stands, as the driven system says. `number` is theirs for good."""

    kind: str
    channel: str
    number: int
    status: str
    pool: str | None
    priority: int
    rank: int | None
    granted: bool
    until: datetime | None
    on_offer: bool = False
    size: int = 1
    gathers_until: datetime | None = None
    has_gathered: bool = False


@dataclass(frozen=True)
class Seats:
    """One pool, as the driven system counts it."""

    effective: int
    confirmed: int
    offered: int
    waiting: int
    gathering: int = 0


@dataclass(frozen=True)
class Observed:
    """All that can be seen of a session's seats. Pools that are empty in every respect are left out."""

    people: dict[str, Standing]
    line: list[str]
    pools: dict[Pool, Seats]
    draw: Published | None = None


Line = Sequence[tuple[str, str, str, int]]
"""Name, kind of seat, channel and size of the parties that wait."""


class Driver(Protocol):
    """A system that keeps the seats of one session. Every command raises `Refusal` when the rules do."""

    knows_opening: bool
    """Whether it refuses by itself those who come too early or too late (rule S6)."""
    answers_again: bool
    """Whether a command that was already carried out is answered again, and not refused."""
    begins_anywhere: bool
    """Whether it can be given people who already wait when the session is first announced."""
    takes_waits: bool
    """Whether it can be asked for a seat by somebody who waits for many sessions."""

    def announce(self, facts: SessionState, line: Line = ()) -> None: ...
    def clock(self, now: datetime) -> None: ...
    def time_is_up(self) -> None: ...
    def request(self, name: str, kind: str, channel: str, size: int, *, on_offer: bool = False) -> None: ...
    def request_again(self, name: str) -> None: ...
    def cancel(self, name: str) -> None: ...
    def accept(self, name: str) -> None: ...
    def decline(self, name: str) -> None: ...
    def no_answer(self, name: str) -> None: ...
    def grant(self, name: str) -> None: ...
    def move(self, name: str, before: str | None) -> None: ...
    def prioritise(self, name: str, priority: int) -> None: ...
    def attend(self, name: str, outcome: str) -> None: ...
    def cancel_draw(self) -> None: ...
    def split(self, name: str, new_name: str, size: int) -> None: ...
    def shrink(self, name: str, size: int) -> None: ...
    def state(self) -> Observed: ...
    def told(self) -> list[tuple[str, str]] | None:
        """Who was told what since the last time this was asked; None where nobody is told anything."""


REASONS = {
    seatbook.Full: "session-full",
    seatbook.OfferOver: "offer-over",
    seatbook.NotWaiting: "not-waiting",
    seatbook.AlreadyOver: "already-over",
    seatbook.TooEarly: "too-early",
    seatbook.NotBegun: "not-begun",
    seatbook.NoSeat: "no-seat",
    seatbook.DrawOver: "draw-over",
    seatbook.DrawCancelled: "draw-cancelled",
    seatbook.PartyTooLarge: "party-too-large",
    seatbook.NotSmaller: "not-smaller",
}


class PureDriver:
    """A `SeatBook`, and beside it two others that are given each command too and must agree.

    One is opened anew from the people alone before every command. The other holds only those whom the
    command names and the front of the line, as a service would load them.
    """

    knows_opening = False
    answers_again = False
    begins_anywhere = True
    takes_waits = True

    def __init__(self) -> None:
        self.now = self._shared_out = datetime(2000, 1, 1, tzinfo=UTC)
        self._book: SeatBook | None = None
        self._names: dict[UUID, str] = {}
        self._asked_at: dict[UUID, datetime] = {}
        self._closed_at: datetime | None = None
        self._tickets: tuple[Ticket, ...] | None = None
        self._lots = 1

    @property
    def book(self) -> SeatBook:
        assert self._book is not None, "a session is announced before anything else"
        return self._book

    def announce(self, facts: SessionState, line: Line = ()) -> None:
        terms = terms_of(facts, office_hours("mo-fr 09:00-16:00", facts))
        if self._book is None:
            self._lots = facts.waitlist.draw.first_time_lots if facts.waitlist.draw else 1
            people = [
                Person(_ref(name), number, kind, channel, "waitlisted", by_hand=channel == CALLED, size=size)
                for number, (name, kind, channel, size) in enumerate(line, start=1)
            ]
            self._names |= {_ref(name): name for name, *_ in line}
            self._book = SeatBook.opened(terms, self.now, people, len(people))
            self._shared_out = self.now
            self._do(seatbook.Release())
        else:
            self._do(seatbook.Replan(terms))

    def clock(self, now: datetime) -> None:
        self.now = now

    def time_is_up(self) -> None:
        """What is late, or else what is due: each shares the seats out, so no work is left for the other."""
        ends = [one.offer_until or one.gather for one in self.book.people.values()]
        late = [end for end in ends if end is not None]
        expired = bool(late) and min(late) <= self.now
        self._do(seatbook.Lapse() if expired else seatbook.Release())
        idle = self._do(seatbook.Release() if expired else seatbook.Lapse())
        assert idle == (), "nothing is left to do"
        self._hold_the_draw()

    def _hold_the_draw(self) -> None:
        """What a service does for the book: close in time, wait, draw."""
        draw = self.book.terms.draw
        if draw is None or self.book.stage != "to_come" or self.book.is_over(self.now):
            return
        if self._closed_at is None and self.now >= draw.closes_at:
            self._closed_at = self.now
            self._tickets = tuple(
                # Every other person has had no seat yet.
                Ticket(one.seq, self._lots if one.seq % 2 else 1)
                for one in sorted(self.book.people.values(), key=lambda one: one.seq)
                if one.status == "pending" and self._asked_at[one.ref] < draw.closes_at
            )
        elif self._closed_at is not None and self.now >= self._closed_at + timedelta(minutes=10):
            assert self._tickets is not None
            self._do(seatbook.Draw(self._seed, self._tickets))

    @property
    def _seed(self) -> bytes:
        """Another one for each closing."""
        assert self.book.terms.draw is not None
        return self.book.terms.draw.closes_at.isoformat().encode()

    def cancel_draw(self) -> None:
        self._do(seatbook.CancelDraw())

    def request(self, name: str, kind: str, channel: str, size: int, *, on_offer: bool = False) -> None:
        ref = _ref(name)
        self._names[ref] = name
        self._asked_at[ref] = self.now
        by_hand = channel == CALLED
        self._do(seatbook.Request(ref, kind, channel, size, on_offer=on_offer, by_hand=by_hand))

    def request_again(self, name: str) -> None:
        raise NotImplementedError("the book is asked once per person")

    def cancel(self, name: str) -> None:
        self._do(seatbook.Cancel(_ref(name)))

    def accept(self, name: str) -> None:
        self._do(seatbook.Accept(_ref(name)))

    def decline(self, name: str) -> None:
        self._do(seatbook.Decline(_ref(name)))

    def no_answer(self, name: str) -> None:
        self._do(seatbook.NoAnswer(_ref(name)))

    def grant(self, name: str) -> None:
        self._do(seatbook.Grant(_ref(name)))

    def move(self, name: str, before: str | None) -> None:
        self._do(seatbook.Move(_ref(name), None if before is None else _ref(before)))

    def prioritise(self, name: str, priority: int) -> None:
        self._do(seatbook.Prioritise(_ref(name), priority))

    def attend(self, name: str, outcome: str) -> None:
        self._do(seatbook.Attend(_ref(name), outcome))

    def split(self, name: str, new_name: str, size: int) -> None:
        self._names[_ref(new_name)] = new_name
        self._do(seatbook.Split(_ref(name), _ref(new_name), size))

    def shrink(self, name: str, size: int) -> None:
        self._do(seatbook.Shrink(_ref(name), size))

    def told(self) -> None:
        return None

    def state(self) -> Observed:
        return Observed(
            people={
                self._names[one.ref]: Standing(
                    one.kind,
                    one.channel,
                    one.seq,
                    one.status,
                    one.pool,
                    one.priority,
                    one.rank,
                    one.granted,
                    one.offer_until,
                    one.on_offer,
                    one.size,
                    one.gather,
                    one.gathered,
                )
                for one in self.book.people.values()
            },
            line=[self._names[one.ref] for one in self.book.line()],
            pools=seats_of(self.book),
            draw=self._published(),
        )

    def _published(self) -> Published | None:
        if self.book.stage is None:
            return None
        drawn = self.book.stage == "drawn"
        return Published(str(self.book.stage), self._tickets, self._seed if drawn else None)

    def _do(self, command: Command) -> tuple[Person, ...]:
        before = {person.ref: replace(person) for person in self.book.people.values()}
        numbers = self.book.last_seq
        twins = {"a reloaded book": self._reloaded(), "a partial book": self._partial(command)}
        outcome = _outcome(self.book, command, self.now)
        for name, twin in twins.items():
            assert _outcome(twin, command, self.now) == outcome, f"{name} decides otherwise"
            assert seats_of(twin) == seats_of(self.book), f"{name} counts otherwise"
            assert twin.last_seq == self.book.last_seq, f"{name} numbers otherwise"
        touched = {person.ref for person in outcome} if isinstance(outcome, tuple) else set()
        changed = {ref for ref, person in self.book.people.items() if before.get(ref) != person}
        assert changed <= touched, "whoever changed is named in what the command gave back"
        if isinstance(outcome, str):
            assert self.book.last_seq == numbers, "who is refused gets no number"
            raise Refusal(outcome)
        if isinstance(command, SHARING):
            self._shared_out = self.now
        return outcome

    def _reloaded(self) -> SeatBook:
        """From the people alone, the seats shared out as of the last command that did so."""
        people = [replace(person) for person in self.book.people.values()]
        return SeatBook.opened(self.book.terms, self._shared_out, people, self.book.last_seq, self.book.stage)

    def _partial(self, command: Command) -> SeatBook:
        """With whom the command names, and of those alike as many who wait as seats may be free.

        The first of the line by themselves wouldn't do: a seat kept for the telephone passes over all who
        came by web, two seats pass over a party of three. A plan, a move within the line and a split need
        everybody that they are about.
        """
        match command:
            case seatbook.Replan():
                wanted = set(self.book.people)
            case seatbook.Move() | seatbook.Split():
                wanted = {person.ref for person in self.book.line()}
            case seatbook.Lapse():
                wanted = {ref for ref, person in self.book.people.items() if person.status == "offered"}
                wanted |= {person.ref for person in self.book.line() if person.gather}
            case seatbook.Draw() | seatbook.CancelDraw():
                wanted = {ref for ref, person in self.book.people.items() if person.status == "pending"}
            case _:
                wanted = set()
        wanted |= {ref for name in ("ref", "before") if (ref := getattr(command, name, None)) is not None}
        free = sum(max(0, pool.free) for pool in self.book.pools.values())
        enough = free + sum(self.book.people[ref].size for ref in wanted if ref in self.book.people)
        wanted |= {person.ref for person in self.book.line() if person.gather}
        ahead: dict[tuple[object, ...], int] = {}
        for person in self.book.line():
            group = (person.kind, person.channel, person.size, person.gathered)
            ahead[group] = ahead.get(group, 0) + 1
            if ahead[group] <= enough:
                wanted.add(person.ref)
        return SeatBook(
            self.book.terms,
            {key: replace(pool) for key, pool in self.book.pools.items()},
            {ref: replace(self.book.people[ref]) for ref in wanted if ref in self.book.people},
            self.book.last_seq,
            self.book.stage,
        )


SHARING = (
    seatbook.Replan,
    seatbook.Cancel,
    seatbook.Decline,
    seatbook.Lapse,
    seatbook.NoAnswer,
    seatbook.Release,
    seatbook.Grant,
    seatbook.Draw,
    seatbook.CancelDraw,
    seatbook.Split,
    seatbook.Shrink,
)
"""The commands that share the seats out anew; the others leave every pool as large as it was."""


def seats_of(book: SeatBook) -> dict[Pool, Seats]:
    """The pools of a book that have anything in them."""
    found = {
        (key.seat_kind, key.channel): Seats(
            pool.effective, pool.confirmed, pool.offered, pool.waiting, pool.gathering
        )
        for key, pool in book.pools.items()
        if pool.effective or pool.used
    }
    return dict(sorted(found.items()))


def _outcome(book: SeatBook, command: Command, now: datetime) -> tuple[Person, ...] | str:
    """Who was touched, each as they are now, or why the command was refused."""
    try:
        return tuple(replace(person) for person in book.do(command, now))
    except seatbook.Refused as refused:
        return REASONS[type(refused)]


def _ref(name: str) -> UUID:
    return uuid5(_PEOPLE, name)
