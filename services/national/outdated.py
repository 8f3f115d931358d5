"""What an instance said before it was restored, and does not say any more, leaves the read model.

Its backup knew nothing of it, and if its bus was put back too, nothing there takes it back. Once the
instance's heartbeat declares no more than what has come of its newest confirmed epoch, the rest is outdated.
"""

import orjson

from libs.database import Database, Plain
from services.national import ingesting_sql as sql

_GONE = {
    "sessions": (sql.SESSIONS_GONE,),
    "seats": (sql.SEATS_GONE,),
    "tallies": (sql.TALLIES_GONE, sql.PROFILES_GONE),
}


async def leave_behind(database: Database) -> int:
    """Look at every instance that was ever restored and of which more is here than it declares; how many.

    What goes is remembered as erased at the very beginning of the new epoch: a late message from before it
    doesn't come back, and one of the new epoch that was only slow does.
    """
    async with database.plain_statements() as connection:
        found = await connection.fetch(_MORE_THAN_DECLARED)
    gone = 0
    for row in found:
        async with database.plain_transaction(patient=True) as connection:
            gone += await _leave_behind(connection, row["generation"], row["instance"])
    return gone


async def _leave_behind(connection: Plain, generation: int, instance: str) -> int:
    await connection.execute(sql.LOCK, generation, instance)
    epoch = await connection.fetchval(_ALL_HAS_COME, generation, instance)
    if epoch is None:
        return 0
    changes = {"sessions": 0, "seats": 0, "tallies": 0}
    older: dict[str, list[str]] = {}
    for row in await connection.fetch(_OLDER, generation, instance, epoch):
        older.setdefault(row["stream"], []).append(row["key"])
    for stream, keys in older.items():
        rows = orjson.dumps(
            [{"key": key, "epoch": epoch, "version": 0, "key_id": ""} for key in keys]
        ).decode()
        await connection.execute(sql.ERASE, generation, instance, rows, stream)
        for statement in _GONE[stream]:
            made = await connection.fetchrow(statement, generation, instance, rows)
            assert made is not None
            for name in changes:
                changes[name] += made[name]
        if stream != "tallies":
            await connection.execute(sql.EMPTY_SESSIONS, generation, keys)
    await connection.execute(_PULSE, generation, instance, *changes.values())
    return sum(len(keys) for keys in older.values())


_DECLARED = "coalesce((streams -> '{0}' ->> 'count')::bigint, 0)"
_MORE = " or ".join(f"{name} > {_DECLARED.format(name)}" for name in _GONE)
_MORE_THAN_DECLARED = f"""
select generation, instance from pulse
where epoch > 1 and ({_MORE}) and generation in (
    select number from generation where state in ('building', 'serving'))
order by generation, instance
"""  # noqa: S608  # no value stands in it
_ALL_HAS_COME = f"""
select epoch from pulse where generation = $1 and instance = $2
    and {_DECLARED.format("sessions")} = (select count(*) from session where generation = $1
        and instance = $2 and title is not null and session.epoch >= pulse.epoch)
    and {_DECLARED.format("seats")} = (select count(*) from session where generation = $1
        and instance = $2 and seats_updated_at is not null and seats_epoch >= pulse.epoch)
    and {_DECLARED.format("tallies")} = (select count(*) from tally where generation = $1
        and instance = $2 and tally.epoch >= pulse.epoch) + (select count(*) from profile
        where generation = $1 and instance = $2 and profile.epoch >= pulse.epoch)
"""  # noqa: S608
_OLDER = """
select 'sessions' as stream, id::text as key from session
    where generation = $1 and instance = $2 and title is not null and epoch < $3
union all select 'seats', id::text from session
    where generation = $1 and instance = $2 and seats_updated_at is not null and seats_epoch < $3
union all select 'tallies', key from tally where generation = $1 and instance = $2 and epoch < $3
union all select 'tallies', key from profile where generation = $1 and instance = $2 and epoch < $3
"""
_PULSE = """
update pulse set sessions = sessions + $3, seats = seats + $4, tallies = tallies + $5
where generation = $1 and instance = $2
"""
