"""A session's seats under its lock: what is free, who takes it, and who is called next."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import decision_time
from libs.messaging.contracts import SessionState
from libs.settings import Settings
from services.registrations import offers, pools, waitlist
from services.registrations.models import Registration, SeatPool, SessionCopy
from services.registrations.pools import PoolKey
from services.registrations.telling import Telling

Seat = Literal["confirmed", "offered"]


class Seating:
    """Holds the session's row lock: every decision about its seats is made through one of these.

    `now` was read after the lock. Changes are written, and people told, by `finish`.
    """

    def __init__(
        self, tx: AsyncSession, settings: Settings, row: SessionCopy, seats: list[SeatPool], now: datetime
    ) -> None:
        self.tx = tx
        self.row = row
        self.now = now
        self.facts = SessionState.model_validate(row.facts)
        self.telling = Telling(tx, settings, row, now)
        self._pools = {PoolKey(pool.seat_kind, pool.channel): pool for pool in seats}

    @classmethod
    async def lock(cls, tx: AsyncSession, settings: Settings, session_id: UUID) -> "Seating | None":
        """Wait for the session's row and read its seats; None if `events` has said nothing of it yet."""
        row = await tx.get(SessionCopy, session_id, with_for_update=True, populate_existing=True)
        if row is None or row.facts is None:
            return None
        seats = await tx.scalars(
            select(SeatPool)
            .where(SeatPool.session_id == session_id)
            .execution_options(populate_existing=True)
        )
        return cls(tx, settings, row, list(seats), await decision_time(tx))

    @property
    def is_over(self) -> bool:
        """Whether no seat of this session can change hands any more."""
        return self.row.status != "published" or self.now >= self.facts.starts_at_utc

    def free(self) -> dict[PoolKey, int]:
        return {key: pool.effective - pool.confirmed - pool.offered for key, pool in self._pools.items()}

    def used_by_kind(self) -> dict[str, int]:
        """How many seats of each kind are taken or kept for somebody."""
        used: dict[str, int] = {}
        for key, pool in self._pools.items():
            used[key.seat_kind] = used.get(key.seat_kind, 0) + pool.confirmed + pool.offered
        return used

    def seat(self, registration: Registration, pool: PoolKey, seat: Seat) -> None:
        """Give `registration` a free seat of `pool`."""
        registration.pool_channel = pool.channel
        self._count(pool, seat, +1)

    def accept(self, registration: Registration) -> None:
        """The offered seat becomes a confirmed one."""
        pool = self._pool_of(registration)
        self._count(pool, "offered", -1)
        self._count(pool, "confirmed", +1)

    def vacate(self, registration: Registration, seat: Seat) -> None:
        """Take back the seat of somebody who leaves; `settle` then gives it on."""
        self._count(self._pool_of(registration), seat, -1)
        registration.pool_channel = None

    def replan(self) -> None:
        """Share out the seats anew after the plan, the time or the seats in use have changed."""
        plan = pools.plan_of(self.facts)
        used = {key: pool.confirmed + pool.offered for key, pool in self._pools.items()}
        for key, seats in pools.effective_seats(plan, used, self.now).items():
            self._pool(key).effective = seats
        self.row.next_release_at = pools.next_release(plan, self.now)
        self.row.seats_dirty = True

    async def settle(self) -> None:
        """Replan, then offer every free seat to the people waiting, in order (rules S2 and S3).

        In the transaction that freed the seat: nobody waits for a timer.
        """
        self.replan()
        if self.is_over or not any(count > 0 for count in self.free().values()):
            return
        await self.tx.flush()
        found = waitlist.promotions(self.free(), await self._line())
        people = await self._registrations([promotion.waiter.id for promotion in found])
        for promotion in found:
            self._offer(people[promotion.waiter.id], promotion.pool)

    async def finish(self) -> None:
        """Write what was decided and announce it; the caller's transaction commits."""
        self.row.seats_dirty = True
        await self.telling.finish()

    async def position(self, seq: int) -> int:
        """The place in the line of the person with this number: 1 is next."""
        ahead = await self.tx.scalar(
            sa.select(sa.func.count()).where(
                col(Registration.session_id) == self.row.id,
                col(Registration.status) == "waitlisted",
                col(Registration.seq) < seq,
            )
        )
        return (ahead or 0) + 1

    async def waiting(self) -> int:
        """How many people wait, whatever seat they wait for."""
        count = await self.tx.scalar(
            sa.select(sa.func.count()).where(
                col(Registration.session_id) == self.row.id, col(Registration.status) == "waitlisted"
            )
        )
        return count or 0

    def _offer(self, registration: Registration, pool: PoolKey) -> None:
        registration.status = "offered"
        registration.sequence += 1
        registration.offer_expires_at = offers.expires_at(
            self.now, self.facts.starts_at_utc, self.facts.waitlist.offer_hours
        )
        self.seat(registration, pool, "offered")
        self.telling.tell(registration, "offered")

    async def _line(self) -> list[waitlist.Waiter]:
        rows = await self.tx.execute(
            sa.select(
                col(Registration.id),
                col(Registration.seat_kind),
                col(Registration.channel),
                col(Registration.seq),
            ).where(col(Registration.session_id) == self.row.id, col(Registration.status) == "waitlisted")
        )
        return [waitlist.Waiter(*row) for row in rows]

    async def _registrations(self, ids: list[UUID]) -> dict[UUID, Registration]:
        rows = await self.tx.scalars(select(Registration).where(col(Registration.id).in_(ids)))
        return {registration.id: registration for registration in rows}

    def _pool_of(self, registration: Registration) -> PoolKey:
        assert registration.pool_channel is not None, "a seat always belongs to a pool"
        return PoolKey(registration.seat_kind, registration.pool_channel)

    def _pool(self, key: PoolKey) -> SeatPool:
        if key not in self._pools:
            pool = SeatPool(session_id=self.row.id, seat_kind=key.seat_kind, channel=key.channel)
            self.tx.add(pool)
            self._pools[key] = pool
        return self._pools[key]

    def _count(self, key: PoolKey, seat: Seat, change: int) -> None:
        pool = self._pool(key)
        setattr(pool, seat, getattr(pool, seat) + change)
