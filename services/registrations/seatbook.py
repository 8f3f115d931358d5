"""The seat book of one session: who has which seat, who waits, and what each command changes.

It knows nothing of databases, batches or messages. The service runs it on what it has loaded under the
session's lock, the auditor on what the ledger says, the tests on what they invent: one set of rules.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from libs.messaging.contracts import SessionState
from services.registrations import draw, gathering, offers, pools, waitlist
from services.registrations.draw import DrawTerms, Stage, Ticket
from services.registrations.office_hours import OfficeHours
from services.registrations.pools import GENERAL, Plan, PoolKey

LIVE = ("pending", "waitlisted", "offered", "confirmed")
"""The states of somebody who has a seat or may still get one."""
OUTCOMES = ("attended", "absent", "excused")
"""What became of a confirmed seat, once the session has begun."""
SEATED = ("confirmed", *OUTCOMES)
"""The states of somebody who has, or had, a seat of their own."""


class Refused(Exception):
    """The rules don't allow the command; the book has not changed."""


class Full(Refused):
    """No seat is free and the line takes nobody more."""


class OfferOver(Refused):
    """No seat is kept for this person any more."""


class NotWaiting(Refused):
    """Only somebody who waits can be moved, preferred or given a seat over capacity."""


class AlreadyOver(Refused):
    """The registration has ended."""


class TooEarly(Refused):
    """One call is not enough yet: the session is more than a day away, or no seat is offered."""


class NotBegun(Refused):
    """Who came is known from the session's start on."""


class NoSeat(Refused):
    """Only somebody who had a seat at the session can have come to it, or not."""


class DrawOver(Refused):
    """There is no draw to come: it was held, or cancelled, or there never was one."""


class DrawCancelled(Refused):
    """The draw was cancelled: this session gives no seats any more."""


class PartyTooLarge(Refused):
    """The session takes no party of that many."""


class NotSmaller(Refused):
    """A party can only become smaller, and somebody of it must still come."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What `events` says of a session, as far as seats depend on it. Instants are UTC.

    `office`: when the team is there, for the offers that it makes by hand; None: at any hour.
    """

    plan: Plan
    kinds: tuple[str, ...]
    starts_at: datetime
    status: str = "published"
    offer_hours: float = 24
    limit: int | None = None
    draw: DrawTerms | None = None
    office: OfficeHours | None = None
    party_limit: int = 1
    gather_hours: float = gathering.USUAL_HOURS


def terms_of(facts: SessionState, office: OfficeHours | None = None) -> Terms:
    """The part of a session's facts that its seats depend on, with the opening hours found for it."""
    drawn = facts.waitlist.drawn
    return Terms(
        plan=pools.plan_of(facts),
        kinds=pools.seat_kinds(facts.modality),
        starts_at=facts.starts_at_utc,
        status=facts.status,
        offer_hours=facts.waitlist.offer_hours,
        limit=facts.waitlist.limit,
        draw=None if drawn is None else DrawTerms(drawn.closes_at),
        office=office,
        party_limit=facts.party.limit,
        gather_hours=facts.party.gather_hours,
    )


@dataclass(slots=True)
class Person:
    """Where somebody stands. `ref` is random; `place` is set once staff have moved them in the line.

    `rank` is what the draw gave them, None for whoever asked too late for it.
    `pool` is the channel of the pool whose seat they use ("" for everybody's), None without a seat.
    `by_hand`: the team calls or writes to them, so their offers last hours in which it is there.
    `size`: how many seats they take, all in one pool: more than one is a party. `gather`: until when the
    seats that are free are kept for the party; `gathered`: it had its time, and no more are kept for it.
    """

    ref: UUID
    seq: int
    kind: str
    channel: str
    status: str = "pending"
    pool: str | None = None
    priority: int = 0
    place: Decimal | None = None
    rank: int | None = None
    granted: bool = False
    offer_until: datetime | None = None
    on_offer: bool = False
    """They wait for one of many sessions: no seat is theirs before they have said yes to it."""
    by_hand: bool = False
    size: int = 1
    gather: datetime | None = None
    gathered: bool = False


@dataclass(slots=True)
class Pool:
    """The seats of one pool. `granted` ones are over capacity.

    `waiting`: how many requests wait that may use it, a party being one; `gathering`: how many of those
    have its free seats kept for them.
    """

    effective: int = 0
    confirmed: int = 0
    offered: int = 0
    waiting: int = 0
    granted: int = 0
    gathering: int = 0

    @property
    def used(self) -> int:
        return self.confirmed + self.offered

    @property
    def free(self) -> int:
        return self.effective - self.used


@dataclass(frozen=True, slots=True)
class Replan:
    """`events` has announced the session, or changed it."""

    terms: Terms


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asks for a seat, or for several that are of use together only.

    `on_offer`: they wait for one of many sessions, so a seat that is free is offered to them, and only
    theirs once they have accepted it.
    """

    ref: UUID
    kind: str
    channel: str
    size: int = 1
    on_offer: bool = False
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody gives up, or staff take them out."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Accept:
    """Somebody takes the seat that is kept for them."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Decline:
    """Somebody lets the seat that is kept for them go."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Lapse:
    """Record every offer, and every gathering of seats, whose end has passed."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """On the last day, staff have called once and nobody answered: the next person is asked."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Release:
    """Let the held seats go whose date has come."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Staff give somebody who waits a seat over capacity."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Move:
    """Staff put somebody right before another who waits, in that person's class; None: last of all."""

    ref: UUID
    before: UUID | None


@dataclass(frozen=True, slots=True)
class Prioritise:
    """Staff put somebody who waits into a priority class: 0 is everybody's, 9 comes first."""

    ref: UUID
    priority: int


@dataclass(frozen=True, slots=True)
class Attend:
    """Staff note who came; `outcome` is one of `SEATED`: `confirmed` takes a note back."""

    ref: UUID
    outcome: str


@dataclass(frozen=True, slots=True)
class Draw:
    """Rank `tickets` by lot and give the seats in this order; who asked too late stands behind them."""

    seed: bytes
    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class CancelDraw:
    """Staff give the draw up: every request that waits for it ends, and no other is taken."""


@dataclass(frozen=True, slots=True)
class Split:
    """`size` of a party that waits go on as `new_ref`, right behind the others, who keep their place."""

    ref: UUID
    new_ref: UUID
    size: int


@dataclass(frozen=True, slots=True)
class Shrink:
    """Fewer come: the party takes `size` seats from now on, and the others go to those who wait."""

    ref: UUID
    size: int


Command = (
    Replan
    | Request
    | Cancel
    | Accept
    | Decline
    | Lapse
    | NoAnswer
    | Release
    | Grant
    | Move
    | Prioritise
    | Attend
    | Draw
    | CancelDraw
    | Split
    | Shrink
)
KEEPS_SHARES = (Request, Accept, Move, Prioritise, Attend)
"""The commands that leave every pool as large as it was; the others carry out what releases are due."""


@dataclass(slots=True)
class SeatBook:
    """One session's seats.

    `people` holds at least those whom the command names and, when it can free a seat, the first of the
    line; `pools` count everybody, so a partial book decides as a complete one does.
    """

    terms: Terms
    pools: dict[PoolKey, Pool] = field(default_factory=dict)
    people: dict[UUID, Person] = field(default_factory=dict)
    last_seq: int = 0
    stage: Stage | None = None
    """How far the draw has come; None where seats are not drawn."""

    @classmethod
    def opened(
        cls,
        terms: Terms,
        now: datetime,
        people: Collection[Person] = (),
        last_seq: int = 0,
        stage: Stage | None = None,
    ) -> "SeatBook":
        """A complete book of `people` as they stand, the seats shared out by `terms`.

        A draw is to come from the opening on, unless `stage` says that it is over.
        """
        book = cls(terms, last_seq=last_seq, stage=stage or (Stage.TO_COME if terms.draw else None))
        for kind in terms.plan.capacity:
            book.pools[PoolKey(kind)] = Pool()
        for person in people:
            if person.pool is not None:
                book.pools.setdefault(PoolKey(person.kind, person.pool), Pool())
        for person in people:
            book.people[person.ref] = person
            book._count(person, +1)
        book._share_out(now)
        return book

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

    def line(self) -> list[Person]:
        """Everybody in the book who waits, in order."""
        return waitlist.in_order(self._all("waitlisted"))

    @property
    def waiting(self) -> int:
        """How many people wait, whatever seat they wait for."""
        return sum(pool.waiting for key, pool in self.pools.items() if key.channel == GENERAL)

    def used(self) -> dict[PoolKey, int]:
        return {key: pool.used for key, pool in self.pools.items()}

    # What each command does.

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

    def _free(self) -> dict[PoolKey, int]:
        return {key: pool.free for key, pool in self.pools.items()}

    def _unkept(self) -> dict[PoolKey, int]:
        """The free seats that don't gather for anybody."""
        return {key: pool.free for key, pool in self.pools.items() if not pool.gathering}

    # Parties whose seats gather.

    def _gatherers(self) -> list[Person]:
        return [person for person in self._all("waitlisted") if person.gather is not None]

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

    def _end_of_offer(self, person: Person, now: datetime) -> datetime:
        """Until when a seat offered `now` is kept for this person."""
        terms = self.terms
        office = terms.office if person.by_hand else None
        return offers.expires_at(now, terms.starts_at, terms.offer_hours, office)

    def _share_out(self, now: datetime) -> None:
        plan = self.terms.plan
        granted = dict.fromkeys(plan.capacity, 0)
        for key, pool in self.pools.items():
            granted[key.seat_kind] = granted.get(key.seat_kind, 0) + pool.granted
        allowed = replace(
            plan, capacity={kind: plan.capacity.get(kind, 0) + count for kind, count in granted.items()}
        )
        for key, seats in pools.effective_seats(allowed, self.used(), now).items():
            self._pool(key).effective = seats

    def _become(
        self,
        person: Person,
        status: str,
        pool: str | None = None,
        *,
        granted: bool | None = None,
        until: datetime | None = None,
    ) -> None:
        """A new standing, counted. A grant lasts as long as its seat."""
        self._count(person, -1)
        person.status, person.pool, person.offer_until = status, pool, until
        person.gather = None
        person.granted = pool is not None and (person.granted if granted is None else granted)
        self._count(person, +1)

    def _count(self, person: Person, change: int) -> None:
        """Requests that wait are counted as one each, seats as many as they are."""
        if person.status == "waitlisted":
            for key in waitlist.pools_of(person.kind, person.channel):
                if key in self.pools:
                    self.pools[key].waiting += change
                    self.pools[key].gathering += change * (person.gather is not None)
        if person.pool is None:
            return
        pool, seats = self.pools[PoolKey(person.kind, person.pool)], change * person.size
        if person.status == "offered":
            pool.offered += seats
        else:
            pool.confirmed += seats
        pool.granted += seats * person.granted

    def _pool(self, key: PoolKey) -> Pool:
        """The pool, made when the plan first names it, with those who already wait and may use it."""
        if key not in self.pools:
            here = [
                one
                for one in self._all("waitlisted")
                if one.kind == key.seat_kind and key.channel in (GENERAL, one.channel)
            ]
            self.pools[key] = Pool(waiting=len(here), gathering=sum(one.gather is not None for one in here))
        return self.pools[key]

    # People.

    def _all(self, *statuses: str) -> list[Person]:
        return sorted(
            (person for person in self.people.values() if person.status in statuses),
            key=lambda person: person.seq,
        )

    def _live(self, ref: UUID) -> Person:
        person = self.people.get(ref)
        if person is None or person.status not in LIVE:
            raise AlreadyOver
        return person

    def _offered(self, ref: UUID) -> Person:
        person = self.people.get(ref)
        if person is None or person.status != "offered":
            raise OfferOver
        return person

    def _seated(self, ref: UUID) -> Person:
        person = self.people.get(ref)
        if person is None or person.status not in SEATED:
            raise NoSeat
        return person

    def _waiting(self, ref: UUID) -> Person:
        person = self.people.get(ref)
        if person is None or person.status != "waitlisted":
            raise NotWaiting
        return person


def _is_late(person: Person, now: datetime) -> bool:
    until = person.gather if person.status == "waitlisted" else person.offer_until
    return until is not None and until <= now


def _once_each(people: Iterable[Person]) -> tuple[Person, ...]:
    return tuple({person.ref: person for person in people}.values())
