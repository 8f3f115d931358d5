"""Taking out of the read model what turned out to be another's."""

from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from services.national import ingesting_sql as sql

_NEWEST = 2**31 - 1, 2**63 - 1


async def forget_session(session: AsyncSession, instance: str, session_id: UUID) -> None:
    """Take back what `instance` said of a session, in every generation, as if it had done so itself."""
    connection = await session.connection()
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    epoch, version = _NEWEST
    rows = orjson.dumps([{"key": str(session_id), "epoch": epoch, "version": version}]).decode()
    numbers = await session.execute(sa.text("select number from generation order by number"))
    for number in numbers.scalars().all():
        await driver.execute(sql.LOCK, number, instance)
        facts = await driver.fetchrow(sql.SESSIONS_GONE, number, instance, rows)
        seats = await driver.fetchrow(sql.SEATS_GONE, number, instance, rows)
        await driver.execute(sql.EMPTY_SESSIONS, number, [session_id])
        changes = facts["sessions"], facts["seats"] + seats["seats"]
        await session.execute(
            sa.text(
                "update pulse set sessions = sessions + :sessions, seats = seats + :seats"
                " where generation = :number and instance = :instance"
            ),
            {"sessions": changes[0], "seats": changes[1], "number": number, "instance": instance},
        )
