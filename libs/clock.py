"""Time: UTC instants, IANA zones from the pinned tzdata package, and the one clock of decisions."""

import zoneinfo
from datetime import UTC, datetime
from functools import lru_cache

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# The machine's own zone files may be years old; only the pinned `tzdata` package is trusted.
zoneinfo.reset_tzpath(())


class UnknownZone(ValueError):
    """The name is not an IANA zone of the pinned tzdata."""


@lru_cache(maxsize=1024)
def zone(name: str) -> zoneinfo.ZoneInfo:
    """The IANA zone called `name`, or `UnknownZone`."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise UnknownZone(name) from error


def utc_now() -> datetime:
    """The process's clock, for stamps and pages; decisions about seats ask `decision_time`."""
    return datetime.now(UTC)


async def decision_time(session: AsyncSession) -> datetime:
    """The database's clock at this moment, plus the offset that only tests can set; UTC.

    Read it after taking the lock that the decision rests on: a time read before the wait is stale.
    """
    now: datetime = (await session.execute(text("select clock.decision_time()"))).scalar_one()
    return now.astimezone(UTC)
