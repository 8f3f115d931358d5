"""PostgreSQL alone: the floor's statement by pgbench, without any framework; for orientation."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from bench.case import Bench, Case
from bench.floor import PLENTY
from bench.floors import CLAIM
from bench.report import Line, Spread
from deploy.binaries import find_binaries
from deploy.unprivileged import account_for

RANK = 95
CLIENTS = (1, 8, 32)
ROWS = 1_000
_NUMBERED = "lpad(:row::text, 32, '0')::uuid"


async def _pgbench(bench: Bench) -> Sequence[Line]:
    await bench.floor.database.executemany(
        "insert into counter (session_id, seats) values ($1, $2) on conflict do nothing",
        [(UUID(f"{row:032d}"), PLENTY) for row in range(1, ROWS + 1)],
    )
    lines = []
    for rows, what in ((1, "one row"), (ROWS, f"{ROWS:,} rows")):
        script = bench.folder / f"claim-{rows}.sql"
        script.write_text(_script(rows), encoding="utf-8")
        for clients in CLIENTS:
            rate = await _rate(bench, script, clients)
            lines.append(Line("pgbench", f"{what}, clients: {clients}", "/s", Spread.of([rate]), floor=rate))
    return lines


def _script(rows: int) -> str:
    """The floor's statement, filled in by pgbench itself."""
    values = {
        "$1": _NUMBERED,
        "$2": "gen_random_uuid()",
        "$3": "'Aline Tremblay'",
        "$4": "'aline@example.org'",
    }
    statement = CLAIM.strip()
    for parameter, value in values.items():
        statement = statement.replace(parameter, value)
    return f"\\set row random(1, {rows})\n{statement};\n"


async def _rate(bench: Bench, script: Path, clients: int) -> float:
    """Transactions per second."""
    binaries = find_binaries(account_for(bench.folder / "postgres"), bench.folder)
    process = await asyncio.create_subprocess_exec(
        binaries.program("pgbench"),
        *("--no-vacuum", "--protocol=prepared", f"--client={clients}", "--jobs=1"),
        *(f"--time={max(1, round(bench.options.seconds))}", f"--file={script}", bench.floor.database_url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    found = re.search(r"^tps = ([\d.]+)", output.decode(), re.MULTILINE)
    if process.returncode or found is None:
        raise RuntimeError(f"pgbench: {output.decode()[-500:]}")
    return float(found[1])


CASES = (Case("pgbench", "PostgreSQL alone, without any framework (for orientation)", _pgbench),)
