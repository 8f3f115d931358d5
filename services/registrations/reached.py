"""What `notifications` says of who was reached: kept as it comes, newest last, gone with the person."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.messaging.contracts import NoticeOutcome, Payload, ReachedState
from libs.messaging.envelope import Envelope
from libs.messaging.inbox import is_news, remember_erased
from libs.messaging.topics import REACHED
from services.registrations.models import Registration, RegistrationReach
from services.registrations.reaching import Reach, reach_of


async def keep_reached(tx: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
    """Take over a newer state; a tombstone takes away what was known."""
    if payload is None:
        await remember_erased(tx, REACHED, envelope)
        await tx.execute(
            sa.delete(RegistrationReach).where(
                col(RegistrationReach.registration_id) == UUID(envelope.subject)
            )
        )
        return
    assert isinstance(payload, ReachedState)
    if not await is_news(tx, REACHED, envelope):
        return
    given = insert(RegistrationReach).values(
        registration_id=payload.registration_id,
        epoch=envelope.epoch,
        version=envelope.version,
        notices=[notice.model_dump(mode="json") for notice in payload.notices],
    )
    newer = sa.tuple_(given.excluded.epoch, given.excluded.version) > sa.tuple_(
        col(RegistrationReach.epoch), col(RegistrationReach.version)
    )
    await tx.execute(
        given.on_conflict_do_update(
            index_elements=["registration_id"],
            set_={name: given.excluded[name] for name in ("epoch", "version", "notices")},
            where=newer,
        )
    )


async def notices_of(tx: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[NoticeOutcome]]:
    """What became of the notices about these registrations, oldest cause first."""
    rows = await tx.execute(
        sa.select(col(RegistrationReach.registration_id), col(RegistrationReach.notices)).where(
            col(RegistrationReach.registration_id).in_(ids)
        )
    )
    return {row.registration_id: [NoticeOutcome.model_validate(one) for one in row.notices] for row in rows}


async def reach_of_all(tx: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Reach]:
    """How far the newest news came, for those of whom anything is known."""
    found = await notices_of(tx, ids)
    return {id_: reach for id_, notices in found.items() if (reach := reach_of(notices)) is not None}


async def unreached(tx: AsyncSession, session_id: UUID) -> list[tuple[Registration, Reach]]:
    """Of a session's people those whom the newest news has not reached though it was tried, by name."""
    people = (
        await tx.scalars(
            sa.select(Registration)
            .where(col(Registration.session_id) == session_id, col(Registration.name) != "")
            .order_by(col(Registration.name_key), col(Registration.seq))
        )
    ).all()
    reach = await reach_of_all(tx, [person.id for person in people])
    return [(person, reach[person.id]) for person in people if person.id in reach and reach[person.id].is_bad]
