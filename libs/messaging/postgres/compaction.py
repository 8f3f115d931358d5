"""Compaction: what has been overtaken, and tombstones whose time is over, leave the log."""

from datetime import datetime

from libs.messaging.postgres.line import Connection
from libs.messaging.postgres.tables import with_tables
from libs.messaging.topics import Topic

# One at a time: two would wait for each other's rows.
_LOCK = "select pg_try_advisory_xact_lock(hashtext('bus.compaction'), hashtext($1))"

# What stands last need not be newest: a relay that hung in the middle of a batch, and lost its lock
# meanwhile, appends what its successor has overtaken. Kept in its place, it would be the state for ever.
_OVERTAKEN = """
delete from {log} l using (
    select partition, position, row_number() over (
        partition by partition, key order by
            coalesce(substring(headers::json ->> 'ce_epoch' from '^[0-9]{{1,18}}$')::bigint, 0) desc,
            coalesce(substring(headers::json ->> 'ce_version' from '^[0-9]{{1,18}}$')::bigint, 0) desc,
            position desc
    ) as age from {log}
) k
where k.age > 1 and l.partition = k.partition and l.position = k.position
    and l.appended_at <= coalesce($1::timestamptz, clock_timestamp()) - $2::interval
"""
# A tombstone goes last: without it, a record that it overtook would be the newest and the person back.
_TOMBSTONES = """
delete from {log} l using (
    select partition, max(position) as newest from {log} group by partition, key having count(*) = 1
) k
where l.partition = k.partition and l.position = k.newest and l.value is null
    and l.appended_at <= coalesce($1::timestamptz, clock_timestamp()) - $2::interval
"""


async def compact_topic(connection: Connection, topic: Topic, now: datetime | None) -> int:
    """Remove what `topic` need not keep at `now` (None: the database's clock); returns how many records.

    Does nothing while another does it.
    """
    async with connection.transaction():
        if not await connection.fetchval(_LOCK, topic.name):
            return 0
        overtaken = await connection.execute(with_tables(_OVERTAKEN, topic), now, topic.compaction_lag)
        tombstones = await connection.execute(with_tables(_TOMBSTONES, topic), now, topic.tombstone_retention)
    return _count(overtaken) + _count(tombstones)


def _count(status: str) -> int:
    """PostgreSQL answers `DELETE 3`."""
    return int(status.rpartition(" ")[2])
