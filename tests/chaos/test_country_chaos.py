"""The short campaign of a country: kills and cuts of everything, then everybody must say the same."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.chaos.country.campaign import CountryCampaign
from tests.chaos.country.checks import CHECKS
from tests.chaos.country.corruptions import CORRUPTIONS, Corruption
from tests.chaos.country.facts import Country
from tests.chaos.outcome import report
from tests.conftest import open_folder

SEED, SECONDS, CLIENTS = 20_261_129, 20.0, 16


@pytest.fixture(scope="module")
def campaign() -> Iterator[CountryCampaign]:
    """A campaign that is over; nothing of it runs any more."""
    subprocess.run(["bash", "deploy/install.sh", "kafka"], check=True)
    folder = open_folder()
    campaign = CountryCampaign(folder, seed=SEED, clients=CLIENTS, replicas=1, tell=print)
    try:
        asyncio.run(_run(campaign))
        yield campaign
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(campaign: CountryCampaign) -> None:
    try:
        await campaign.run(SECONDS)
        print(report(campaign.outcome))  # noqa: T201
    finally:
        await campaign.stop()


@pytest.fixture
def country(campaign: CountryCampaign) -> Country:
    """What everybody said in the end, to be changed at will."""
    assert campaign.country is not None
    return campaign.country.apart()


def test_whatever_is_killed_regions_and_country_agree(campaign: CountryCampaign) -> None:
    assert campaign.outcome.differences == []


def test_things_were_killed_while_people_registered(campaign: CountryCampaign) -> None:
    outcome = campaign.outcome
    assert outcome.injected["kill a service"] >= 3
    assert outcome.injected["kill Kafka"] >= 1
    assert outcome.injected["kill PostgreSQL"] >= 1
    assert outcome.injected["cut the bridge"] >= 1
    assert outcome.kinds["register"]["done"] > 0
    assert outcome.figures["letters"] > 0


def test_each_check_is_doubted() -> None:
    assert {corruption.check for corruption in CORRUPTIONS} == CHECKS.keys()


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda each: f"{each.check}: {each.what}")
def test_a_check_sees_what_is_corrupted(country: Country, corruption: Corruption) -> None:
    corruption.do(country)

    assert list(CHECKS[corruption.check](country))
