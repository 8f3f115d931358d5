"""The first national page over 200,000 sessions of five years, computed anew for each reader."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bench.case import Bench, Case
from bench.instance import STAFF, Instance
from bench.national_country import Country, fill
from bench.report import Line, Spread, Target, percentile
from bench.server import connected
from libs.database import database_name, in_database

RANK = 130
SESSIONS = 200_000
PLAIN = ("/national", "/national?period=tout", "/national?period=year")
FILTERED = (
    "/national?stream=public",
    "/national?period=tout&theme=courriel",
    "/national?period=year&region=03",
    "/national?period=tout&region=03&stream=pro&modality=on_site",
    "/national?period=tout&instance=capitale",
    "/national?period=tout&language=en",
    "/national?period=tout&place=sherbrooke",
    "/national?place=montr%C3%A9al&theme=tablette&modality=hybrid",
)
_OFTEN = 5
"""Times that a page is asked for per pair that the options ask for."""


async def _page(bench: Bench) -> Sequence[Line]:
    rounds = _OFTEN * bench.options.pairs
    now = datetime.now(UTC)
    country = Country(
        count=SESSIONS,
        first=now.date() - timedelta(days=4 * 365 + 183),
        last=now.date() + timedelta(days=183),
        now=now,
    )
    async with bench.instance("pages", "national") as instance:
        url = in_database(bench.server_url, database_name("pages", "national"))
        async with connected(url) as database:
            # The service began an empty generation; the country takes its place under the same number.
            await database.execute("delete from generation")
            await fill(database, country)
            await database.execute("vacuum analyze")
            size: int = await database.fetchval("select pg_database_size(current_database())")
        plain = await _asked(instance, PLAIN, rounds)
        filtered = await _asked(instance, FILTERED, rounds)
    return [
        _line("/national, all periods, p95", plain, bytes_of_the_database=size, tallies=len(country.tallies)),
        _line(f"with filters, {len(FILTERED)} addresses, p95", filtered),
    ]


async def _asked(instance: Instance, addresses: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each answer by address: one reader, one page after the other."""
    client = instance.services["national"].client
    times: dict[str, list[float]] = {address: [] for address in addresses}
    for _ in range(rounds + 1):
        for address in addresses:
            start = time.perf_counter()
            answer = await client.get(address, headers=STAFF)
            times[address].append(1000 * (time.perf_counter() - start))
            answer.raise_for_status()
    # The first of each opens connections and fills what the database keeps in memory.
    return {address: found[1:] for address, found in times.items()}


def _line(what: str, times: dict[str, list[float]], **details: object) -> Line:
    everything = [time for found in times.values() for time in found]
    by_address = {address: percentile(found, 95) for address, found in times.items()}
    return Line(
        "national-page",
        what,
        "ms",
        Spread.of([percentile(everything, 95)]),
        Target("≤", 100),
        details={
            "p95 by address": by_address,
            "median": percentile(everything, 50),
            "answers": len(everything),
            **details,
        },
    )


CASES = (Case("national-page", f"the national page over {SESSIONS:,} sessions of five years", _page),)
