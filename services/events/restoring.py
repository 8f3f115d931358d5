"""After a backup was put back: everything that events says, said again in a new epoch."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs import ical
from libs.clock import utc_now
from libs.messaging import topics
from libs.messaging.outbox import announce
from libs.messaging.topics import Topic
from libs.settings import Settings
from services.events.commands import tell
from services.events.models import Session


async def restate(
    tx: AsyncSession, settings: Settings, epoch: int, known: dict[Topic, Collection[str]]
) -> int:
    """Announce every session that was ever published, and that others know of none besides; how many.

    `known`: the keys that stand in each stream. A session that the backup hasn't got is taken back.
    """
    await tx.execute(sa.text("update epoch set epoch = :epoch"), {"epoch": epoch})
    # Calendars that follow the public feed take no entry whose SEQUENCE is lower than the one they have; of
    # drafts too, which may have been published since the backup.
    await tx.execute(sa.update(Session).values(sequence=col(Session.sequence) + ical.LIFT))
    sessions = (
        await tx.scalars(
            select(Session).where(col(Session.status) != "draft").order_by(col(Session.id)).with_for_update()
        )
    ).all()
    for session in sessions:
        await tell(tx, settings.instance, session, access=True)
    ours = {str(session.id) for session in sessions}
    gone = 0
    for topic in (topics.SESSIONS, topics.SESSION_ACCESS):
        for key in sorted(set(known[topic]) - ours):
            gone += 1
            await announce(
                tx,
                topic,
                instance=settings.instance,
                key=key,
                partition_key=key,
                epoch=epoch,
                version=1,
                time=utc_now(),
                payload=None,
            )
    return 2 * len(sessions) + gone
