"""Waits for many sessions on the real service and PostgreSQL, through random lives, against the model."""

from tests.registrations.conftest import Instance
from tests.registrations.seats.lines_driver import LinesDriver
from tests.registrations.seats.lines_machine import LinesMachine
from tests.registrations.seats.lives import live


async def test_waits_keep_the_rules_in_every_order_of_events_and_every_ledger_tells_them_all(
    instance: Instance, postgres_url: str
) -> None:
    await live(instance, postgres_url, LinesMachine, LinesDriver, lives=15)
