"""`python -m bench [CASE …]`: measure, print the table, write `bench/latest.json`."""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import floor, server
from bench.case import Bench, Case, Options, all_cases
from bench.fairness import program as fairness
from bench.load import ROOT
from bench.report import Failure, Line, as_json, table

LATEST = ROOT / "bench" / "latest.json"


WITHOUT_SERVER = {"fairness": fairness.main}
"""Programs that measure nothing of this machine: each stands alone, with options of its own."""


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in WITHOUT_SERVER:
        return WITHOUT_SERVER[words[0]](words[1:])
    cases = all_cases()
    parser = _parser(cases)
    given = parser.parse_args(words)
    unknown = set(given.case) - {case.name for case in cases}
    if unknown & set(WITHOUT_SERVER):
        parser.error(f"{', '.join(sorted(unknown & set(WITHOUT_SERVER)))} stands alone, as the first word")
    if unknown:
        parser.error(f"no case is called {', '.join(sorted(unknown))}")
    chosen = [case for case in cases if not given.case or case.name in given.case]
    options = Options(given.pairs, given.seconds, given.people, given.messages)
    started, load_before = datetime.now(UTC), os.getloadavg()[0]
    with server.running() as (url, folder):
        lines, failures, version = asyncio.run(_measure(chosen, options, url, folder))
    print("\n" + table(lines, failures))
    run = {
        "at": started.isoformat(timespec="seconds"),
        "minutes": round((datetime.now(UTC) - started).total_seconds() / 60, 1),
        "options": asdict(options),
        "machine": {
            "cores": os.cpu_count(),
            "load before": round(load_before, 2),
            "python": platform.python_version(),
            "postgres": version,
        },
    }
    output: Path = given.output
    output.write_text(
        json.dumps(run | as_json(lines, failures), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    return 1 if failures else 0


async def _measure(
    cases: Sequence[Case], options: Options, url: str, folder: Path
) -> tuple[list[Line], list[Failure], str]:
    """Every case in turn; one that fails doesn't hinder the others."""
    lines: list[Line] = []
    failures: list[Failure] = []
    async with floor.running(url, folder) as bare:
        version: str = await bare.database.fetchval("show server_version")
        bench = Bench(options, url, folder, bare)
        for case in cases:
            print(f"{case.name}: {case.about} … ", end="", flush=True)
            start = time.monotonic()
            try:
                found = await case.run(bench)
            except Exception as error:
                traceback.print_exc()
                said = str(error).strip().splitlines()[-1:] or [""]
                failures.append(Failure(case.name, f"{type(error).__name__}: {said[0]}"))
                continue
            lines += found
            print(f"{time.monotonic() - start:.0f} s", flush=True)
    return lines, failures, version


def _parser(cases: Sequence[Case]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures the services beside the bare framework, pair by pair.",
        epilog="cases:\n"
        + "\n".join(f"  {case.name:<14} {case.about}" for case in cases)
        + f"\n\nwithout a server, each alone (see its --help): {', '.join(WITHOUT_SERVER)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = Options()
    parser.add_argument("case", nargs="*", help="all of them if none is named")
    parser.add_argument("--pairs", type=int, default=default.pairs, help="pairs of a ratio (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=default.seconds, help="of each half of a pair (%(default)s)"
    )
    parser.add_argument(
        "--people", type=int, default=default.people, help="who register in the case of memory (%(default)s)"
    )
    parser.add_argument(
        "--messages",
        type=int,
        default=default.messages,
        help="that the national view is rebuilt from (%(default)s)",
    )
    parser.add_argument("--output", type=Path, default=LATEST, help="%(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
