"""The line: who stands where, who gets a free seat, and whether a newcomer may take one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.registrations.pools import GENERAL, PoolKey


@dataclass(frozen=True, slots=True)
class Waiter:
    """Somebody who waits. `seq` was given under the session's lock."""

    id: UUID
    seat_kind: str
    channel: str
    seq: int


@dataclass(frozen=True, slots=True)
class Promotion:
    """A free seat of `pool`, to be offered to `waiter`."""

    waiter: Waiter
    pool: PoolKey


def in_order(waiters: Iterable[Waiter]) -> list[Waiter]:
    """The line, first come first served: a pure function of stored facts (rule S4)."""
    return sorted(waiters, key=lambda waiter: waiter.seq)


def pool_for(free: Mapping[PoolKey, int], seat_kind: str, channel: str) -> PoolKey | None:
    """The pool that gives this request a seat now: its own channel's first, then everybody's."""
    for key in (PoolKey(seat_kind, channel), PoolKey(seat_kind, GENERAL)):
        if free.get(key, 0) > 0:
            return key
    return None


def promotions(free: Mapping[PoolKey, int], waiters: Iterable[Waiter]) -> Sequence[Promotion]:
    """Which free seats are offered to whom: down the line, each the first seat that they may use.

    Somebody for whom no seat is free now is passed over and keeps their place (rules S2, S3).
    """
    left = dict(free)
    found = []
    for waiter in in_order(waiters):
        pool = pool_for(left, waiter.seat_kind, waiter.channel)
        if pool is not None:
            left[pool] -= 1
            found.append(Promotion(waiter, pool))
    return found
