"""After a backup was put back: what instances said since is read again from the start of their streams."""

import sqlalchemy as sa

from libs.database import Database
from libs.messaging.bus import Bus
from services.national.generations import federated_topics, group
from services.national.models import GENERATION_NUMBER

_NUMBERS_SINCE = 1_000
"""More generations than anybody began since the backup."""


async def read_again(database: Database, bus: Bus) -> int:
    """Put every generation that is at work back to the start of its streams; of how many streams.

    The other instances know nothing of this backup, so none of them says again what is lost here. Newest
    wins and what was taken back stays so: what the backup has already doesn't change.
    """
    topics = federated_topics(await bus.names())
    async with database.transaction() as session:
        live = await session.scalars(
            sa.text("select number from generation where state in ('building', 'serving') order by number")
        )
        numbers = live.all()
        # Those given since the backup have groups that are far ahead in the streams.
        given = sa.func.generate_series(1, _NUMBERS_SINCE)
        await session.execute(sa.select(GENERATION_NUMBER.next_value()).select_from(given))
    if topics:
        for number in numbers:
            await bus.rewind(group(number), topics)
    return len(topics)
