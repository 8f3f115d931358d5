"""After a backup was put back: everybody's registration said again in a new epoch, and nobody told of it."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs import ical
from libs.clock import decision_time
from libs.messaging import topics
from libs.messaging.outbox import announce
from libs.messaging.topics import Topic
from libs.settings import Settings
from services.registrations import wait_telling
from services.registrations.models import Registration, SessionCopy, Tally, Wait
from services.registrations.seating import Seating

CAUSE = "restored"
"""A cause of which nobody is told."""


async def restate(
    tx: AsyncSession, settings: Settings, epoch: int, known: Mapping[Topic, Mapping[str, str]]
) -> int:
    """Announce every registration with the silent cause `restored`, and mark seats and reach as changed.

    `known`: the keys that stand in each stream, with their partition keys. What the backup hasn't got is
    taken back. Counts are said again by the next counting, which sees the new epoch. How many registrations.
    """
    await tx.execute(sa.text("update epoch set epoch = :epoch"), {"epoch": epoch})
    # People's calendars take no entry whose SEQUENCE is lower than one that they have.
    await tx.execute(sa.update(Registration).values(sequence=col(Registration.sequence) + ical.LIFT))
    ids = (await tx.scalars(sa.select(col(SessionCopy.id)).order_by(col(SessionCopy.id)))).all()
    people: set[str] = set()
    for session_id in ids:
        seating = await Seating.lock(tx, settings, session_id)
        if seating is None:
            continue
        found = await tx.scalars(
            select(Registration)
            .where(Registration.session_id == session_id, col(Registration.name) != "")
            .order_by(col(Registration.seq))
        )
        for registration in found:
            people.add(str(registration.id))
            seating.telling.tell(registration, CAUSE)
        await seating.finish()
    waits = await tx.scalars(select(Wait).where(Wait.name != "").order_by(col(Wait.id)))
    for wait in waits.all():
        people.add(str(wait.id))
        await wait_telling.say(tx, settings, wait, await decision_time(tx))
    cells = await tx.scalars(sa.select(col(Tally.key)))
    ours: dict[Topic, Collection[str]] = {
        topics.REGISTRATIONS: people,
        topics.SEATS: {str(id_) for id_ in ids},
        topics.REACH: {str(id_) for id_ in ids},
        topics.TALLIES: set(cells),
    }
    now = await decision_time(tx)
    for topic, keys in ours.items():
        for key in sorted(known[topic].keys() - set(keys)):
            await announce(
                tx,
                topic,
                instance=settings.instance,
                key=key,
                partition_key=known[topic][key],
                epoch=epoch,
                version=1,
                time=now,
                payload=None,
            )
    return len(people)
