"""A small country for the tests: twelve networks, and what may happen to each of them."""

from datetime import UTC, datetime, timedelta
from functools import cache

import asyncpg

from bench.national_country import NETWORKS, Country, fill

__all__ = ["NETWORKS", "country", "filled", "heard", "shares"]


@cache
def country(count: int = 800) -> Country:
    """A year behind, half a year ahead; made once, since making it takes as long as a test."""
    now = datetime.now(UTC)
    first, last = now.date() - timedelta(days=365), now.date() + timedelta(days=183)
    return Country(count=count, first=first, last=last, now=now)


async def filled(url: str, *, count: int = 800) -> Country:
    """The country, written into the database at `url`; everybody was heard just now."""
    made = country(count)
    connection = await asyncpg.connect(url)
    try:
        await fill(connection, made)
    finally:
        await connection.close()
    return made


async def heard(url: str, instance: str, ago: timedelta | None) -> None:
    """When something was last received of an instance; None: never."""
    connection = await asyncpg.connect(url)
    try:
        if ago is None:
            for table in ("pulse", "session", "session_cell", "tally"):
                await connection.execute(f"delete from {table} where instance = $1", instance)
        else:
            await connection.execute(
                "update pulse set received_at = now() - $2::interval where instance = $1", instance, ago
            )
    finally:
        await connection.close()


async def shares(url: str, instance: str, public: str, pro: str) -> None:
    """What an instance shares from now on; what it withholds is taken back, as its tombstones do."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "update pulse set shares = jsonb_build_object('public', $2::text, 'pro', $3::text)"
            " where instance = $1",
            instance,
            public,
            pro,
        )
        for stream, level in (("public", public), ("pro", pro)):
            tables = {"nothing": ("session", "session_cell", "tally"), "sessions": ("tally",)}.get(level, ())
            for table in tables:
                await connection.execute(
                    f"delete from {table} where instance = $1 and stream = $2", instance, stream
                )
    finally:
        await connection.close()
