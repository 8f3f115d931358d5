"""The seat book of one session: who has which seat, who waits, and what each command changes.

It knows nothing of databases, batches or messages. The service runs it on what it has loaded under the
session's lock, the auditor on what the ledger says, the tests on what they invent: one set of rules.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.registrations import draw, offers, waitlist
from services.registrations.draw import Stage
from services.registrations.pools import GENERAL, PoolKey
from services.registrations.seat_commands import (
    KEEPS_SHARES,
    Accept,
    Attend,
    Cancel,
    CancelDraw,
    Command,
    Decline,
    Draw,
    Grant,
    Lapse,
    Move,
    NoAnswer,
    Prioritise,
    Release,
    Replan,
    Request,
    Shrink,
    Split,
)
from services.registrations.seat_counts import SeatCounts
from services.registrations.seat_refusals import (
    AlreadyOver,
    DrawCancelled,
    DrawOver,
    Full,
    NoSeat,
    NotBegun,
    NotSmaller,
    NotWaiting,
    OfferOver,
    PartyTooLarge,
    Refused,
    TooEarly,
)
from services.registrations.seats import LIVE, SEATED, Person, Pool, Terms, terms_of

# One door: what is asked of a book, what it answers and what it refuses.
__all__ = (
    "KEEPS_SHARES", "LIVE", "SEATED", "Accept", "AlreadyOver", "Attend", "Cancel", "CancelDraw",
    "Command", "Decline", "Draw", "DrawCancelled", "DrawOver", "Full", "Grant", "Lapse", "Move", "NoAnswer",
    "NoSeat", "NotBegun", "NotSmaller", "NotWaiting", "OfferOver", "PartyTooLarge", "Person", "Pool",
    "Prioritise", "Refused", "Release", "Replan", "Request", "SeatBook", "Shrink", "Split", "Terms",
    "TooEarly", "terms_of",
)  # fmt: skip


@dataclass(slots=True)
class SeatBook(SeatCounts):
    """One session's seats, and the one way to change them: `do`."""

    def do(self, command: Command, now: datetime) -> tuple[Person, ...]:
        """Carry out `command`: the people whose standing has changed, each as it is now, in order.

        Raises a `Refused` and changes nothing when the rules don't allow it.
        """
        match command:
            case Request():
                return (self._request(command, now),)
            case Replan():
                touched = self._replan(command.terms, now)
            case Cancel():
                touched = [self._end(self._live(command.ref), "cancelled")]
            case Accept():
                return (self._accept(self._offered(command.ref)),)
            case Decline():
                touched = [self._end(self._offered(command.ref), "declined")]
            case Lapse():
                late = [person for person in self._all("offered") if _is_late(person, now)]
                touched = [self._end(person, "expired") for person in late]
                touched += [self._stop_gathering(one) for one in self._gatherers() if _is_late(one, now)]
            case NoAnswer():
                touched = [self._no_answer(command.ref, now)]
            case Release():
                touched = []
            case Grant():
                touched = [self._grant(self._waiting(command.ref))]
            case Move():
                return (self._move(self._waiting(command.ref), command.before),)
            case Prioritise():
                return (self._prioritise(self._waiting(command.ref), command.priority),)
            case Attend():
                return (self._attend(self._seated(command.ref), command.outcome, now),)
            case Draw():
                touched = self._draw(command, now)
            case CancelDraw():
                touched = self._cancel_draw()
            case Split():
                touched = self._split(self._waiting(command.ref), command)
            case Shrink():
                touched = [self._shrink(self._live(command.ref), command.size)]
        return _once_each([*touched, *self._settle(now)])

    def is_over(self, now: datetime) -> bool:
        """Whether no seat of this session can change hands any more."""
        return self.terms.status != "published" or now >= self.terms.starts_at

    def seat_for(self, kind: str, channel: str, size: int = 1) -> PoolKey | None:
        """The pool that gives a newcomer their seats, if any (rule S2).

        Nobody who waits fits into the seats that are free, or they would have been offered them; what
        gathers for a party is not there for anybody else. While a draw is to come nobody gets a seat by
        being early.
        """
        if self.stage is Stage.TO_COME:
            return None
        return waitlist.pool_for(self._unkept(), kind, channel, size)

    def room(self) -> dict[PoolKey, int]:
        """How many seats a party may get at best, where none gather yet. A granted seat frees none."""
        if self.terms.gather_hours <= 0:
            return {}
        taken = {key.seat_kind for key, pool in self.pools.items() if pool.gathering}
        return {
            key: pool.effective - pool.granted
            for key, pool in self.pools.items()
            if key.seat_kind not in taken
        }

    # Coming, and going.

    def _request(self, asked: Request, now: datetime) -> Person:
        if asked.size > self.terms.party_limit:
            raise PartyTooLarge
        if self.stage is Stage.CANCELLED:
            raise DrawCancelled
        if self.stage is Stage.TO_COME:
            return self._ticket(asked)
        key = self.seat_for(asked.kind, asked.channel, asked.size)
        if key is None and self.terms.limit is not None and self.waiting >= self.terms.limit:
            raise Full
        person = self._newcomer(asked)
        if key is None:
            self._wait(person, now)
        elif asked.on_offer:
            self._offer(person, key, now)
        else:
            self._become(person, "confirmed", key.channel)
        return person

    def _ticket(self, asked: Request) -> Person:
        """The number of the request is its ticket. Who waits for many sessions takes no part in a draw."""
        assert not asked.on_offer, "they join the line that the draw leaves behind"
        return self._newcomer(asked)

    def _newcomer(self, asked: Request) -> Person:
        self.last_seq += 1
        person = Person(
            asked.ref,
            self.last_seq,
            asked.kind,
            asked.channel,
            on_offer=asked.on_offer,
            by_hand=asked.by_hand,
            size=asked.size,
        )
        self.people[person.ref] = person
        return person

    def _wait(self, person: Person, now: datetime) -> None:
        """Last of the line; a party for which some seats are free, and not enough, gathers at once."""
        self._become(person, "waitlisted")
        if not self.is_over(now) and waitlist.may_gather(person, self._unkept(), self.room()):
            self._gather(person, now)

    def _accept(self, person: Person) -> Person:
        self._become(person, "confirmed", person.pool)
        return person

    def _end(self, person: Person, status: str) -> Person:
        self._become(person, status)
        return person

    def _no_answer(self, ref: UUID, now: datetime) -> Person:
        person = self._offered(ref)
        if self.terms.starts_at - now > offers.LAST_DAY:
            raise TooEarly
        return self._end(person, "expired")

    def _attend(self, person: Person, outcome: str, now: datetime) -> Person:
        """The seat stays theirs, and stays counted."""
        if outcome not in SEATED:
            raise ValueError(f"{outcome!r} is no outcome")
        if now < self.terms.starts_at:
            raise NotBegun
        if self.terms.status == "cancelled":
            raise AlreadyOver
        self._become(person, outcome, person.pool)
        return person

    # Staff leave the usual order.

    def _grant(self, person: Person) -> Person:
        self._become(person, "confirmed", GENERAL, granted=True)
        return person

    def _move(self, person: Person, before: UUID | None) -> Person:
        if before == person.ref:
            return person
        if before is None:
            self.last_seq += 1
            person.priority, person.place = 0, Decimal(self.last_seq)
            return person
        anchor = self._waiting(before)
        others = [one for one in self.line() if one.ref != person.ref and one.priority == anchor.priority]
        ahead = others[: others.index(anchor)]
        person.priority = anchor.priority
        person.place = waitlist.between(ahead[-1] if ahead else None, anchor)
        return person

    def _prioritise(self, person: Person, priority: int) -> Person:
        person.priority, person.place = priority, None
        return person

    # The draw.

    def _draw(self, command: Draw, now: datetime) -> list[Person]:
        """In the order of the ranks each gets a seat who fits; the others wait, in the same order.

        Whoever asked after the closing has no rank, and a higher number than any rank: they come last.
        """
        if self.stage is not Stage.TO_COME:
            raise DrawOver
        if self.is_over(now):
            raise AlreadyOver
        self.stage = Stage.DRAWN
        self._share_out(now)
        drawn = draw.ranks(command.seed, command.tickets)
        for person in self._all("pending"):
            person.rank = drawn.get(person.seq)
        people = waitlist.in_order(self._all("pending"))
        for person in people:
            key = self.seat_for(person.kind, person.channel, person.size)
            if key is None:
                self._wait(person, now)
            else:
                self._become(person, "confirmed", key.channel)
        return people

    def _cancel_draw(self) -> list[Person]:
        if self.stage is not Stage.TO_COME:
            raise DrawOver
        self.stage = Stage.CANCELLED
        return [self._end(person, "cancelled") for person in self._all("pending")]

    # Parties that become smaller.

    def _split(self, person: Person, asked: Split) -> list[Person]:
        """The new part has no more claim to a gathering than the party that it leaves."""
        if not 0 < asked.size < person.size:
            raise NotSmaller
        rest = [one for one in self.line() if one.priority == person.priority]
        behind = rest[rest.index(person) + 1 :]
        self.last_seq += 1
        new = Person(
            asked.new_ref,
            self.last_seq,
            person.kind,
            person.channel,
            priority=person.priority,
            place=waitlist.between(person, behind[0]) if behind else None,
            size=asked.size,
            gathered=person.gathered or person.gather is not None,
            by_hand=person.by_hand,
        )
        self._resize(person, person.size - asked.size)
        self.people[new.ref] = new
        self._become(new, "waitlisted")
        return [person, new]

    def _shrink(self, person: Person, size: int) -> Person:
        if not 0 < size < person.size:
            raise NotSmaller
        return self._resize(person, size)

    def _resize(self, person: Person, size: int) -> Person:
        """One person alone needs no gathering: any seat will do."""
        self._count(person, -1)
        person.size = size
        if size == 1 and person.gather is not None:
            person.gather, person.gathered = None, True
        self._count(person, +1)
        return person

    # The session changes.

    def _replan(self, terms: Terms, now: datetime) -> list[Person]:
        earlier = terms.starts_at < self.terms.starts_at
        # What was committed to before the first request stays, whatever is planned later.
        self.terms = replace(terms, draw=self.terms.draw)
        if terms.status == "cancelled":
            return [self._end(person, "cancelled") for person in self._all(*LIVE)]
        touched = [self._change_kind(one, terms.kinds[0]) for one in self._strangers(terms.kinds)]
        if earlier:
            for person in self._all("offered"):
                latest = self._end_of_offer(person, now)
                if person.offer_until is not None and person.offer_until > latest:
                    person.offer_until = latest
                    touched.append(person)
            latest = offers.expires_at(now, terms.starts_at, terms.gather_hours)
            for person in self._gatherers():
                if person.gather is not None and person.gather > latest:
                    person.gather = latest
                    touched.append(person)
        return touched

    def _strangers(self, kinds: tuple[str, ...]) -> list[Person]:
        return [person for person in self._all(*LIVE) if person.kind not in kinds]

    def _change_kind(self, person: Person, kind: str) -> Person:
        """The session moved online, or into a room: everybody keeps what they had, seat or place."""
        self._count(person, -1)
        person.kind = kind
        if person.gather is not None:
            person.gather, person.gathered = None, True
        if person.pool is not None:
            person.pool = GENERAL
        self._count(person, +1)
        return person

    # Seats that change hands.

    def _settle(self, now: datetime) -> Iterator[Person]:
        """Share the seats out anew, then offer free ones to the first who fit, or gather them (S2, S3).

        What gathers is promised, as an offer is: its party comes first, and then the line.
        """
        self._share_out(now)
        if self.is_over(now):
            return
        for person in self._gatherers():
            key = waitlist.pool_for(self._free(), person.kind, person.channel, person.size)
            if key is not None:
                yield self._offer(person, key, now)
            elif not self._could_fit(person):
                yield self._stop_gathering(person)
        for called in waitlist.promotions(self._unkept(), self._all("waitlisted"), self.room()):
            if called.pool is not None:
                yield self._offer(called.waiter, called.pool, now)
            else:
                yield self._gather(called.waiter, now)

    def _offer(self, person: Person, key: PoolKey, now: datetime) -> Person:
        self._become(person, "offered", key.channel, until=self._end_of_offer(person, now))
        return person

    def _end_of_offer(self, person: Person, now: datetime) -> datetime:
        """Until when a seat offered `now` is kept for this person."""
        terms = self.terms
        office = terms.office if person.by_hand else None
        return offers.expires_at(now, terms.starts_at, terms.offer_hours, office)

    def _could_fit(self, person: Person) -> bool:
        """Whether a pool that this party may use is large enough."""
        pools_ = [self.pools.get(key) for key in waitlist.pools_of(person.kind, person.channel)]
        return any(pool is not None and pool.effective - pool.granted >= person.size for pool in pools_)

    def _gather(self, person: Person, now: datetime) -> Person:
        self._count(person, -1)
        person.gather = offers.expires_at(now, self.terms.starts_at, self.terms.gather_hours)
        self._count(person, +1)
        return person

    def _stop_gathering(self, person: Person) -> Person:
        """The party keeps its place, and gets seats as soon as enough of them are free."""
        self._count(person, -1)
        person.gather, person.gathered = None, True
        self._count(person, +1)
        return person


def _is_late(person: Person, now: datetime) -> bool:
    until = person.gather if person.status == "waitlisted" else person.offer_until
    return until is not None and until <= now


def _once_each(people: Iterable[Person]) -> tuple[Person, ...]:
    return tuple({person.ref: person for person in people}.values())
