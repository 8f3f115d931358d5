"""The line: who stands where, who gets a free seat, and whether a newcomer may take one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Generic, Protocol, TypeVar

from services.registrations.pools import GENERAL, PoolKey

HIGHEST_PRIORITY = 9
"""The class that comes first; 0 is everybody's."""
_DIGITS = 1_000


class Waiter(Protocol):
    """Somebody who waits. `seq` was given under the session's lock, `place` by staff, `rank` by lot."""

    @property
    def kind(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def place(self) -> Decimal | None: ...
    @property
    def rank(self) -> int | None: ...


W = TypeVar("W", bound=Waiter)


@dataclass(frozen=True, slots=True)
class Promotion(Generic[W]):
    """A free seat of `pool`, to be offered to `waiter`."""

    waiter: W
    pool: PoolKey


def order(waiter: Waiter) -> tuple[int, Decimal, int]:
    """The key of the line, a pure function of stored facts (rule S4).

    The higher class first; within a class the rank that was drawn, and behind those who have one first come,
    first served; but for those whom staff have moved.
    """
    return -waiter.priority, standing(waiter), waiter.seq


def standing(waiter: Waiter) -> Decimal:
    """Where somebody stands within their class: where staff put them, else their rank, else their number.

    There are fewer ranks than numbers given before the draw, so no rank is a later request's number.
    """
    if waiter.place is not None:
        return waiter.place
    return Decimal(waiter.seq if waiter.rank is None else waiter.rank)


def in_order(waiters: Iterable[W]) -> list[W]:
    """The line."""
    return sorted(waiters, key=order)


def between(ahead: Waiter | None, behind: Waiter) -> Decimal:
    """A standing after `ahead` and before `behind`, who are neighbours of one class; exact.

    Never a whole number: somebody who comes back into the class by the number of their request would
    share it, and nobody could be put between the two any more.
    """
    high = standing(behind)
    low = high - 1 if ahead is None else standing(ahead)
    with localcontext(prec=_DIGITS):
        middle = (low + high) / 2
        return middle if middle % 1 else middle - min(Decimal(1), middle - low) / 2


def pool_for(free: Mapping[PoolKey, int], seat_kind: str, channel: str) -> PoolKey | None:
    """The pool that gives this request a seat now: its own channel's first, then everybody's."""
    for key in (PoolKey(seat_kind, channel), PoolKey(seat_kind, GENERAL)):
        if free.get(key, 0) > 0:
            return key
    return None


def promotions(free: Mapping[PoolKey, int], waiters: Iterable[W]) -> Sequence[Promotion[W]]:
    """Which free seats are offered to whom: down the line, each the first seat that they may use.

    Somebody for whom no seat is free now is passed over and keeps their place (rules S2, S3).
    """
    left = {key: seats for key, seats in free.items() if seats > 0}
    found: list[Promotion[W]] = []
    if not left:
        return found
    for waiter in in_order(waiters):
        pool = pool_for(left, waiter.kind, waiter.channel)
        if pool is not None:
            left[pool] -= 1
            found.append(Promotion(waiter, pool))
    return found
