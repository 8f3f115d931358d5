"""The real service on PostgreSQL through random lives of a session, against the same model."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from services.registrations.audit import audit
from services.registrations.tallying import Tallying
from tests.registrations.conftest import Instance
from tests.registrations.seats.service_driver import FROZEN, ServiceDriver
from tests.registrations.seats.service_machine import ServiceMachine


async def test_the_service_keeps_the_rules_in_every_order_of_events_and_its_ledger_tells_them_all(
    instance: Instance, postgres_url: str
) -> None:
    loop = asyncio.get_running_loop()
    path = urlsplit(instance.database.url).path
    admin = await asyncpg.connect(urlsplit(postgres_url)._replace(path=path).geturl())
    connection = await asyncpg.connect(instance.database.url)
    await admin.execute(FROZEN)

    class Machine(ServiceMachine):
        """Each life is two new sessions in one database."""

        @staticmethod
        def new_driver() -> ServiceDriver:
            return ServiceDriver(loop, instance, connection, admin)

    # The machine is synchronous and drives from a thread; the service lives in this loop.
    few = settings(max_examples=25, stateful_step_count=25, deadline=None)
    try:
        await asyncio.to_thread(run_state_machine_as_test, Machine, settings=few)
    finally:
        await connection.close()
        await admin.close()

    report = await audit(instance.database.url)
    assert report.differences == ()
    assert report.sessions >= 2 * few.max_examples
    await the_counts_agree_with_the_rows(instance)


async def the_counts_agree_with_the_rows(instance: Instance) -> None:
    """Whatever happened: each person is counted once, by the state of their registration."""
    await Tallying(instance.database, instance.settings).count()

    connection = await asyncpg.connect(instance.database.url)
    rows = await connection.fetch(
        "select status, sum(party_size) as number, count(*) as asked from registration group by status"
    )
    cells = await connection.fetch(
        "select value as status, sum(number::int) as number from tally, jsonb_each_text("
        "cell -> 'registrations') as counted (value, number) group by 1"
    )
    offers = await connection.fetchval(
        "select sum((cell ->> 'offers_made')::int) - sum((cell ->> 'offers_accepted')::int) from tally"
    )
    await connection.close()
    states = {row["status"]: row["number"] for row in rows}
    asked = {row["status"]: row["asked"] for row in rows}
    assert {row["status"]: row["number"] for row in cells} == states
    ended = sum(asked.get(status, 0) for status in ("expired", "declined", "offered"))
    # Some of those who were cancelled had an offer as well.
    assert ended <= offers <= ended + asked.get("cancelled", 0)
