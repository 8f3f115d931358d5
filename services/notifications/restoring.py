"""After a backup was put back: who was reached is said again in a new epoch; nobody is told anything."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.clock import decision_time
from libs.messaging.outbox import announce
from libs.messaging.topics import REACHED
from libs.settings import Settings
from services.notifications.models import Reached, RegistrationCopy


async def copies(tx: AsyncSession) -> Mapping[str, str]:
    """The registrations that are known here, with their partition keys.

    Whoever was erased between two backups is still among them, while the bus has forgotten that they were.
    """
    rows = await tx.execute(
        sa.select(col(RegistrationCopy.id), col(RegistrationCopy.state)["session_id"].astext)
    )
    return {str(id_): session_id for id_, session_id in rows}


async def restate(tx: AsyncSession, settings: Settings, epoch: int, known: Mapping[str, str]) -> None:
    """Mark everything to be said again, and take back what the backup knows nothing of.

    `known`: the keys that stand in the stream, with their partition keys.
    """
    await tx.execute(sa.text("update epoch set epoch = :epoch"), {"epoch": epoch})
    await tx.execute(sa.update(Reached).where(~col(Reached.gone)).values(dirty=True))
    ours = {
        str(id_)
        for id_ in await tx.scalars(sa.select(col(Reached.registration_id)).where(~col(Reached.gone)))
    }
    now = await decision_time(tx)
    for key in sorted(known.keys() - ours):
        await announce(
            tx,
            REACHED,
            instance=settings.instance,
            key=key,
            partition_key=known[key],
            epoch=epoch,
            version=1,
            time=now,
            payload=None,
        )
