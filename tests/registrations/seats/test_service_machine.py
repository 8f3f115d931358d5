"""The real service on PostgreSQL through random lives of a session, against the same model."""

import asyncpg

from services.registrations.tallying import Tallying
from tests.registrations.conftest import Instance
from tests.registrations.seats.lives import live
from tests.registrations.seats.service_driver import ServiceDriver
from tests.registrations.seats.service_machine import ServiceMachine


async def test_the_service_keeps_the_rules_in_every_order_of_events_and_its_ledger_tells_them_all(
    instance: Instance, postgres_url: str
) -> None:
    await live(instance, postgres_url, ServiceMachine, ServiceDriver, lives=25)
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
