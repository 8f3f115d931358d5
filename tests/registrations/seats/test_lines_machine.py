"""Waits for many sessions on the real service and PostgreSQL, through random lives, against the model."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from services.registrations.audit import audit
from tests.registrations.conftest import Instance
from tests.registrations.seats.lines_driver import LinesDriver
from tests.registrations.seats.lines_machine import LinesMachine
from tests.registrations.seats.service_driver import FROZEN


async def test_waits_keep_the_rules_in_every_order_of_events_and_every_ledger_tells_them_all(
    instance: Instance, postgres_url: str
) -> None:
    loop = asyncio.get_running_loop()
    path = urlsplit(instance.database.url).path
    admin = await asyncpg.connect(urlsplit(postgres_url)._replace(path=path).geturl())
    connection = await asyncpg.connect(instance.database.url)
    await admin.execute(FROZEN)

    class Machine(LinesMachine):
        """All lives are in one database."""

        @staticmethod
        def new_driver() -> LinesDriver:
            return LinesDriver(loop, instance, connection, admin)

    # The machine is synchronous and drives from a thread; the service lives in this loop.
    few = settings(max_examples=15, stateful_step_count=25, deadline=None)
    try:
        await asyncio.to_thread(run_state_machine_as_test, Machine, settings=few)
    finally:
        await connection.close()
        await admin.close()

    report = await audit(instance.database.url)
    assert report.differences == ()
    assert report.sessions >= 2 * few.max_examples
