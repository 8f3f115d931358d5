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
    """Somebody who waits. `seq` was given under the session's lock, `place` by staff, `rank` by lot.

    `size`: how many seats they need, together; `gathered`: a party for whom seats were kept long enough.
    """

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
    @property
    def size(self) -> int: ...
    @property
    def gathered(self) -> bool: ...


W = TypeVar("W", bound=Waiter)


@dataclass(frozen=True, slots=True)
class Promotion(Generic[W]):
    """Free seats of `pool`, to be offered to `waiter`; without a pool: too few are free, they gather."""

    waiter: W
    pool: PoolKey | None


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


def pools_of(seat_kind: str, channel: str) -> tuple[PoolKey, PoolKey]:
    """The pools whose seats a request may use: its own channel's first, then everybody's."""
    return PoolKey(seat_kind, channel), PoolKey(seat_kind, GENERAL)


def pool_for(free: Mapping[PoolKey, int], seat_kind: str, channel: str, size: int = 1) -> PoolKey | None:
    """The pool that gives this request its `size` seats now, all of them together."""
    for key in pools_of(seat_kind, channel):
        if free.get(key, 0) >= size:
            return key
    return None


def may_gather(waiter: Waiter, free: Mapping[PoolKey, int], room: Mapping[PoolKey, int]) -> bool:
    """Whether the seats that are free, too few for this party, are kept for it until there are enough.

    Once for each party, and only where it could ever be enough: `room` is how many seats a party may get
    in each pool at best, and leaves out the pools whose seats gather for nobody now.
    """
    keys = pools_of(waiter.kind, waiter.channel)
    return (
        waiter.size > 1
        and not waiter.gathered
        and any(free.get(key, 0) > 0 for key in keys)
        and any(room.get(key, 0) >= waiter.size for key in keys)
    )


def promotions(
    free: Mapping[PoolKey, int], waiters: Iterable[W], room: Mapping[PoolKey, int] | None = None
) -> Sequence[Promotion[W]]:
    """Which free seats are offered to whom: down the line, each the first seats that they may use.

    Whoever doesn't fit now is passed over and keeps their place (rules S2, S3), but for the first party of
    a kind of seat that may gather (`may_gather`): those behind it get nothing from the pools it may use.
    """
    left = {key: seats for key, seats in free.items() if seats > 0}
    room = dict(room or {})
    found: list[Promotion[W]] = []
    if not left:
        return found
    for waiter in in_order(waiters):
        pool = pool_for(left, waiter.kind, waiter.channel, waiter.size)
        if pool is not None:
            left[pool] -= waiter.size
            found.append(Promotion(waiter, pool))
        elif may_gather(waiter, left, room):
            found.append(Promotion(waiter, None))
            left |= dict.fromkeys(pools_of(waiter.kind, waiter.channel), 0)
            room = {key: seats for key, seats in room.items() if key.seat_kind != waiter.kind}
    return found
