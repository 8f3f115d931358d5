"""Invariants: what is true of a whole seat book at every instant (rules S1 to S4)."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from services.registrations.draw import Stage
from services.registrations.pools import GENERAL, PoolKey
from services.registrations.seatbook import SEATED, SeatBook


def broken(book: SeatBook, now: datetime) -> list[str]:
    """Every rule that `book`, with all its people, breaks: one sentence each, none if all is well."""
    return [*broken_seats(book, now), *_counts(book), *_people(book), *_draw(book)]


def broken_seats(book: SeatBook, now: datetime) -> list[str]:
    """What the pools alone tell (S1, S2): cheap enough to ask after every command."""
    return [*_seats(book), *_line(book, now)]


def _seats(book: SeatBook) -> Iterable[str]:
    for key, pool in book.pools.items():
        if pool.confirmed + pool.offered > pool.effective:
            yield f"S1: {pool.used} of {pool.effective} seats are used in {_name(key)}"
    for kind, planned in book.terms.plan.capacity.items():
        pools = [pool for key, pool in book.pools.items() if key.seat_kind == kind]
        allowed = planned + sum(pool.granted for pool in pools)
        seats, used = sum(pool.effective for pool in pools), sum(pool.used for pool in pools)
        if seats != max(allowed, used):
            yield f"S1: {seats} seats ({kind}) for {allowed} planned and granted, {used} used"


def _counts(book: SeatBook) -> Iterable[str]:
    counted: Counter[tuple[PoolKey, str]] = Counter()
    for person in book.people.values():
        if person.pool is not None:
            key = PoolKey(person.kind, person.pool)
            counted[key, "offered" if person.status == "offered" else "confirmed"] += 1
            counted[key, "granted"] += person.granted
        if person.status == "waitlisted":
            for channel in (GENERAL, person.channel):
                counted[PoolKey(person.kind, channel), "waiting"] += 1
    for key, pool in book.pools.items():
        for name in ("confirmed", "offered", "granted", "waiting"):
            if getattr(pool, name) != counted[key, name]:
                yield f"S1: {_name(key)} counts {getattr(pool, name)} {name}, there are {counted[key, name]}"


def _line(book: SeatBook, now: datetime) -> Iterable[str]:
    if book.is_over(now):
        return
    for key, pool in book.pools.items():
        if pool.free > 0 and pool.waiting > 0:
            yield f"S2: {pool.free} seats of {_name(key)} are free while {pool.waiting} people wait"


def _people(book: SeatBook) -> Iterable[str]:
    numbers = Counter(person.seq for person in book.people.values())
    yield from (
        f"S4: the number {seq} was given {count} times" for seq, count in numbers.items() if count > 1
    )
    for person in book.people.values():
        has_seat = person.status in ("offered", *SEATED)
        if has_seat != (person.pool is not None) or (person.status == "offered") != (
            person.offer_until is not None
        ):
            yield f"S3: {person.ref} is {person.status} with pool {person.pool}, until {person.offer_until}"


def _draw(book: SeatBook) -> Iterable[str]:
    """Only a draw that is to come keeps anybody pending, and until then nobody has a seat or a rank."""
    ranks = Counter(person.rank for person in book.people.values() if person.rank is not None)
    yield from (f"S4: rank {rank} was drawn {count} times" for rank, count in ranks.items() if count > 1)
    for person in book.people.values():
        if person.status == "pending" and book.stage is not Stage.TO_COME:
            yield f"S3: {person.ref} waits for a draw that is {book.stage}"
        if person.rank is not None and book.stage is not Stage.DRAWN:
            yield f"S4: {person.ref} has rank {person.rank} of a draw that is {book.stage}"
    if book.stage is Stage.TO_COME and any(pool.used for pool in book.pools.values()):
        yield "S2: somebody has a seat before the draw"


def _name(key: PoolKey) -> str:
    return f"{key.seat_kind} « {key.channel} »"
