"""The long campaign, `python -m tests.chaos --minutes 10 --clients 400 --seed 7`: exit 1 on a fault."""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Campaign
from tests.chaos.outcome import Outcome, report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=400)
    parser.add_argument("--processes", type=int, default=4, help="of the service, and of clients")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and journals")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tournee-chaos-"))
    folder.chmod(0o711)
    _say(f"seed {options.seed}, in {folder}")
    outcome = asyncio.run(_run(folder, options))
    _say(report(outcome))
    if not (options.keep or outcome.differences):
        shutil.rmtree(folder)
    return 1 if outcome.differences else 0


async def _run(folder: Path, options: argparse.Namespace) -> Outcome:
    campaign = Campaign(
        folder, seed=options.seed, clients=options.clients, processes=options.processes, tell=_say
    )
    try:
        heard = await campaign.run(options.minutes * 60)
        await campaign.check(heard)
    finally:
        await campaign.stop()
        campaign.instance.server.stop()
    return campaign.outcome


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
