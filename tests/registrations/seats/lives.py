"""Random lives on the real service and its PostgreSQL, which the audit then has to tell in full."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from services.registrations.audit import audit
from tests.registrations.conftest import Instance
from tests.registrations.seats.service_driver import FROZEN

Connect = Callable[
    [asyncio.AbstractEventLoop, Instance, asyncpg.Connection, asyncpg.Connection],
    Any,
]
"""A driver's class: the service's loop, the instance, a connection of the service and one of the clock's."""


async def live(
    instance: Instance, postgres_url: str, machine: type[Any], driver: Connect, *, lives: int
) -> None:
    """Drive `machine` through so many lives, each of two sessions at least, all in one database."""
    loop = asyncio.get_running_loop()
    path = urlsplit(instance.database.url).path
    admin = await asyncpg.connect(urlsplit(postgres_url)._replace(path=path).geturl())
    connection = await asyncpg.connect(instance.database.url)
    await admin.execute(FROZEN)

    class Machine(machine):  # type: ignore[misc]  # which one is known when it runs
        """With the driver of this database."""

        @staticmethod
        def new_driver() -> Any:
            return driver(loop, instance, connection, admin)

    # The machine is synchronous and drives from a thread; the service lives in this loop.
    few = settings(max_examples=lives, stateful_step_count=25, deadline=None)
    try:
        await asyncio.to_thread(run_state_machine_as_test, Machine, settings=few)
    finally:
        await connection.close()
        await admin.close()

    report = await audit(instance.database.url)
    assert report.differences == ()
    assert report.sessions >= 2 * lives
