"""The short campaign: a crowd, kills of services and of PostgreSQL, then every rule and answer looked at."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.corruptions import CORRUPTIONS, Corruption
from tests.chaos.invariants import CHECKS
from tests.chaos.outcome import Outcome, report
from tests.chaos.promises import PROMISES, Heard
from tests.chaos.tables import snapshot
from tests.conftest import open_folder

SEED, SECONDS, CLIENTS = 20_261_122, 22.0, 80


@dataclass(frozen=True)
class Aftermath:
    """A campaign that is over: its services are stopped, its server still answers."""

    campaign: Campaign
    heard: Heard

    @property
    def outcome(self) -> Outcome:
        return self.campaign.outcome


@pytest.fixture(scope="module")
def aftermath() -> Iterator[Aftermath]:
    folder = open_folder()
    campaign = Campaign(folder, seed=SEED, clients=CLIENTS, tell=print)
    try:
        yield Aftermath(campaign, asyncio.run(_run(campaign)))
    finally:
        campaign.instance.server.stop()
        shutil.rmtree(folder)


async def _run(campaign: Campaign) -> Heard:
    try:
        heard = await campaign.run(SECONDS)
        await campaign.check(heard)
        print(report(campaign.outcome))  # noqa: T201
        return heard
    finally:
        await campaign.stop()


def test_whatever_is_killed_every_rule_holds_and_every_answer_is_true(aftermath: Aftermath) -> None:
    assert aftermath.outcome.differences == []


def test_things_were_killed_while_people_registered(aftermath: Aftermath) -> None:
    outcome = aftermath.outcome
    assert outcome.injected["kill a service"] >= 2
    assert outcome.injected["kill PostgreSQL"] >= 1
    assert outcome.kinds["register"]["done"] > 0
    assert sum(counts["lost"] for counts in outcome.kinds.values()) > 0


def test_each_check_is_doubted() -> None:
    assert {corruption.check for corruption in CORRUPTIONS} == CHECKS.keys() | PROMISES.keys()


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda each: f"{each.check}: {each.what}")
async def test_a_check_sees_what_is_corrupted(aftermath: Aftermath, corruption: Corruption) -> None:
    programme, heard = aftermath.campaign.programme, aftermath.heard
    tables = await snapshot(
        aftermath.campaign.instance.url,
        service_sql=corruption.service_sql,
        bus_sql=corruption.bus_sql,
        compacted=True,
    )
    tables.touched = heard.touched(tables)
    if corruption.lie is not None:
        heard = corruption.lie(heard, tables, programme)

    if corruption.check in CHECKS:
        found = list(CHECKS[corruption.check](tables, programme))
    else:
        found = list(PROMISES[corruption.check](heard, tables, programme))

    assert found
