"""Counting: the seats of each pool, and who uses them, waits for them or has them kept.

Every change of somebody's standing passes here, so what the pools say is true of all people at every moment.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from services.registrations import pools, waitlist
from services.registrations.draw import Stage
from services.registrations.pools import GENERAL, PoolKey
from services.registrations.seat_refusals import AlreadyOver, NoSeat, NotWaiting, OfferOver
from services.registrations.seats import LIVE, SEATED, Person, Pool, Terms


@dataclass(slots=True)
class SeatCounts:
    """The seats of one session as they are now.

    `people` holds at least those whom the next command names and, when it can free a seat, the first of the
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
    ) -> Self:
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

    def line(self) -> list[Person]:
        """Everybody in the book who waits, in order."""
        return waitlist.in_order(self._all("waitlisted"))

    @property
    def waiting(self) -> int:
        """How many people wait, whatever seat they wait for."""
        return sum(pool.waiting for key, pool in self.pools.items() if key.channel == GENERAL)

    def used(self) -> dict[PoolKey, int]:
        return {key: pool.used for key, pool in self.pools.items()}

    def _free(self) -> dict[PoolKey, int]:
        return {key: pool.free for key, pool in self.pools.items()}

    def _unkept(self) -> dict[PoolKey, int]:
        """The free seats that don't gather for anybody."""
        return {key: pool.free for key, pool in self.pools.items() if not pool.gathering}

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

    def _gatherers(self) -> list[Person]:
        return [person for person in self._all("waitlisted") if person.gather is not None]

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
