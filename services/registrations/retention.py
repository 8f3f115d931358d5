"""Retention: who the people were is erased once their session is long over (Loi 25, P-39.1 s. 23)."""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import decision_time
from libs.database import Database
from libs.settings import Settings
from services.registrations import wait_telling
from services.registrations.models import (
    AccommodationRequest,
    Registration,
    SessionCopy,
    StaffAction,
    Wait,
)
from services.registrations.seating import Seating
from services.registrations.tallying import keep_profile

_AT_ONCE = 100


async def erase_due(database: Database, settings: Settings) -> int:
    """Erase what has served its time: needs first, then identities; returns how many people were erased.

    A registration stays as a number without a person (its state, channel and times), for the counts; of
    what people said of themselves only the figures stay.
    """
    async with database.transaction() as tx:
        now = await decision_time(tx)
        await _erase_needs(tx, now - timedelta(days=settings.accommodation_days))
        sessions = await _sessions_to_forget(tx, now - timedelta(days=settings.identity_days))
        erased = await _erase_waits(tx, settings, now)
    for session_id in sessions:
        async with database.transaction() as tx:
            erased += await _erase_session(tx, settings, session_id)
    return erased


def erase(seating: Seating, registration: Registration) -> None:
    """Forget who this was, and say so: the erased state first, then that the thing is gone."""
    registration.name = registration.name_key = ""
    registration.email = registration.mobile = registration.phone = registration.postal = None
    registration.organisation = registration.role = None
    registration.target_groups = []
    registration.content_hash = b""
    # The ledger keeps its numbers; nothing leads from them to a person any more.
    registration.ledger_ref = None
    registration.generation += 1
    seating.telling.forget(registration)


async def _erase_waits(tx: AsyncSession, settings: Settings, now: datetime) -> int:
    """Who waited for many sessions is forgotten as long after the end of the wait."""
    waits = await tx.scalars(
        select(Wait)
        .where(
            col(Wait.ended_at) < now - timedelta(days=settings.identity_days),
            Wait.name != "",
        )
        .order_by(col(Wait.id))
        .limit(_AT_ONCE)
        .with_for_update(key_share=True)
    )
    gone = waits.all()
    for wait in gone:
        wait.name = wait.name_key = ""
        wait.email = wait.mobile = wait.phone = wait.postal = None
        wait.organisation = wait.role = wait.place = wait.latitude = wait.longitude = wait.km = None
        wait.regions, wait.accommodations, wait.content_hash = [], [], b""
        wait.generation += 1
        await wait_telling.forget(tx, settings, wait, now)
    return len(gone)


async def _erase_needs(tx: AsyncSession, before: datetime) -> None:
    over = (
        sa.select(col(Registration.id))
        .join(SessionCopy, col(SessionCopy.id) == col(Registration.session_id))
        .where(col(SessionCopy.ends_at) < before)
    )
    await tx.execute(
        sa.delete(AccommodationRequest).where(col(AccommodationRequest.registration_id).in_(over))
    )


async def _sessions_to_forget(tx: AsyncSession, before: datetime) -> list[UUID]:
    rows = await tx.scalars(
        sa.select(col(SessionCopy.id))
        .where(
            col(SessionCopy.ends_at) < before,
            sa.exists().where(
                col(Registration.session_id) == col(SessionCopy.id), col(Registration.name) != ""
            ),
        )
        # In their order: what people said last in a month is then known longest (`profiles.left_behind`).
        .order_by(col(SessionCopy.ends_at), col(SessionCopy.id))
        .limit(_AT_ONCE)
    )
    return list(rows)


async def _erase_session(tx: AsyncSession, settings: Settings, session_id: UUID) -> int:
    seating = await Seating.lock(tx, settings, session_id)
    if seating is None:
        return 0
    people = list(
        await tx.scalars(
            select(Registration).where(Registration.session_id == session_id, col(Registration.name) != "")
        )
    )
    await keep_profile(tx, settings, seating.row)
    for registration in people:
        erase(seating, registration)
    # Why staff did something about somebody says something of them.
    gone = [registration.id for registration in people]
    await tx.execute(sa.delete(StaffAction).where(col(StaffAction.registration_id).in_(gone)))
    await seating.telling.finish()
    return len(people)
