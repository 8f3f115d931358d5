"""The PostgreSQL server that everything is measured on: durable, in a temporary folder, gone afterwards."""

import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeAlias

import asyncpg

from bench.processes import until
from deploy import postgres

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_PROBES = 60


@contextlib.contextmanager
def running() -> Iterator[tuple[str, Path]]:
    """The administrator's URL, and a folder for logs. Call it from the main thread."""
    folder = Path(tempfile.mkdtemp(prefix="tournee-bench-"))
    # The account of the database must pass; every file in it is private by itself.
    folder.chmod(0o711)
    try:
        with postgres.running(folder, durable=True) as url:
            yield url, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection: Connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def slower_commits(admin: Connection, probe: Connection, milliseconds: int) -> AsyncIterator[float]:
    """Every commit takes so much longer during the block, which gets the difference measured by `probe`.

    The server itself waits before it writes to the disk (commit_delay), as if the disk were slower.
    Raises `RuntimeError` when the commits didn't become that much slower.
    """
    before = await commit_milliseconds(probe)
    try:
        await _set(admin, probe, "commit_siblings", "0")
        await _set(admin, probe, "commit_delay", str(1000 * milliseconds))
        added = await commit_milliseconds(probe) - before
        if added < 0.9 * milliseconds:
            raise RuntimeError(f"a commit takes {added:.2f} ms more, not {milliseconds}")
        yield added
    finally:
        for name in ("commit_delay", "commit_siblings"):
            await admin.execute(f"alter system reset {name}")
        await admin.execute("select pg_reload_conf()")


async def commit_milliseconds(probe: Connection) -> float:
    """How long it takes to insert one row, durably: the median of many."""
    times = []
    for _ in range(_PROBES):
        start = time.perf_counter()
        await probe.execute("insert into probe default values")
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


async def _set(admin: Connection, probe: Connection, name: str, value: str) -> None:
    """Change a setting of the running server, and wait until another session has it."""
    await admin.execute(f"alter system set {name} = {value}")
    await admin.execute("select pg_reload_conf()")

    async def known() -> bool:
        return bool(await probe.fetchval("select setting from pg_settings where name = $1", name) == value)

    await until(known, f"{name} did not become {value}")
