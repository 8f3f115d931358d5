"""The long campaigns: exit 1 on a fault.

`python -m tests.chaos --minutes 10 --clients 400 --seed 7`: the seats of one service. `python -m tests.chaos
country --minutes 5 --clients 40 --seed 7`: two regions and the country, on Kafka. `both`: one after the
other, each for half of the minutes.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Campaign
from tests.chaos.country.campaign import CountryCampaign
from tests.chaos.outcome import Outcome, report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("campaign", nargs="?", choices=[*CAMPAIGNS, "both"], default="seats")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--clients", type=int, help="400, or 40 in a country; of both: of the seats, a tenth in the country"
    )
    parser.add_argument(
        "--processes", type=int, help="of the service and of clients (4), of each service in a country (2)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and journals")
    options = parser.parse_args()
    if options.campaign != "both":
        return _run(options)
    half = {"minutes": options.minutes / 2}
    tenth = options.clients and max(1, options.clients // 10)
    parts = [
        {"campaign": "seats", **half},
        # Its crowd waits for many more processes, so a tenth is as much of a crowd there.
        {"campaign": "country", **half, "clients": tenth},
    ]
    # The second begins whatever the first has found.
    return max([_run(argparse.Namespace(**vars(options) | part)) for part in parts])


def _run(options: argparse.Namespace) -> int:
    folder = Path(tempfile.mkdtemp(prefix="tournee-chaos-"))
    folder.chmod(0o711)
    _say(f"{options.campaign}, {options.minutes:g} minutes, seed {options.seed}, in {folder}")
    outcome = asyncio.run(CAMPAIGNS[options.campaign](folder, options))
    _say(report(outcome))
    if not (options.keep or outcome.differences):
        shutil.rmtree(folder)
    return 1 if outcome.differences else 0


async def _country(folder: Path, options: argparse.Namespace) -> Outcome:
    campaign = CountryCampaign(
        folder,
        seed=options.seed,
        clients=options.clients or 40,
        replicas=options.processes or 2,
        tell=_say,
    )
    try:
        await campaign.run(options.minutes * 60)
    finally:
        await campaign.stop()
    return campaign.outcome


async def _seats(folder: Path, options: argparse.Namespace) -> Outcome:
    campaign = Campaign(
        folder, seed=options.seed, clients=options.clients or 400, processes=options.processes or 4, tell=_say
    )
    try:
        heard = await campaign.run(options.minutes * 60)
        await campaign.check(heard)
    finally:
        await campaign.stop()
        campaign.instance.server.stop()
    return campaign.outcome


CAMPAIGNS = {"seats": _seats, "country": _country}


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
