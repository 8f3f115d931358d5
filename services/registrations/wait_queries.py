"""Reads about waits: one with its stops, those that are open, those that somebody looks for."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.messaging.contracts import SessionState
from services.registrations import queries
from services.registrations.models import Registration, SessionCopy, Wait
from services.registrations.seatbook import LIVE

MANY = 200
"""Waits on one page of the desk's list."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One line in which somebody stands, or a seat that is kept for them; `position` 1 is next."""

    registration: Registration
    facts: SessionState
    position: int | None

    @property
    def is_live(self) -> bool:
        return self.registration.status in LIVE


async def stops(tx: AsyncSession, wait: Wait) -> list[Stop]:
    """Every stop of a wait, the soonest session first."""
    rows = (
        await tx.execute(
            sa.select(Registration, col(SessionCopy.facts))
            .join(SessionCopy, col(SessionCopy.id) == col(Registration.session_id))
            .where(col(Registration.wait_id) == wait.id)
            .order_by(col(SessionCopy.starts_at), col(SessionCopy.id))
        )
    ).all()
    return [
        Stop(person, SessionState.model_validate(facts), await queries.position(tx, person))
        for person, facts in rows
    ]


async def open_waits(tx: AsyncSession, *, theme: str = "") -> Sequence[Wait]:
    """The waits that last, the longest first; of one theme if it is named."""
    query = (
        sa.select(Wait)
        .where(col(Wait.status) == "open")
        .order_by(col(Wait.created_at), col(Wait.id))
        .limit(MANY)
    )
    if theme:
        query = query.where(col(Wait.theme) == theme)
    return (await tx.scalars(query)).all()
