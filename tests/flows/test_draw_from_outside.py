"""A draw checked by somebody who has the public page, the documentation and Python, and nothing of ours."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from libs.clock import zone
from tests.flows.running import ROOT, RunningInstance
from tests.waiting import eventually

READER = Path(__file__).with_name("draw_page.py")
PEOPLE = 14


async def test_a_stranger_works_the_ranks_out_from_the_public_page_alone(
    instance: RunningInstance, tmp_path: Path
) -> None:
    closes_at = (datetime.now(UTC) + timedelta(hours=2)).astimezone(zone("America/Toronto"))
    rule = {"closes_at": f"{closes_at:%Y-%m-%dT%H:%M}", "first_time_lots": 3}
    session = await instance.published(capacity=4, waitlist={"policy": "draw", "draw": rule})
    page = f"{instance.base_url}/tirage/{session['id']}"

    opened = read(tmp_path, page)
    people = [
        await instance.register(
            session["id"],
            f"Personne {number}",
            consents=["first_time_draw"] if number % 3 == 0 else [],
        )
        for number in range(1, PEOPLE + 1)
    ]
    await instance.shift_clock("registrations", 2 * 3600)
    await shows(instance, page, "Le tirage est fermé.")
    closed = read(tmp_path, page)
    await instance.act(people[0], "cancel")
    await instance.shift_clock("registrations", 10 * 60)
    await shows(instance, page, "Le tirage a eu lieu")
    drawn = read(tmp_path, page)

    assert len(drawn["result"]) == PEOPLE
    assert {lots for _ticket, lots in drawn["tickets"]} == {1, 3}
    copies = (opened["commitment"], closed["tickets_hash"])
    assert copies == (drawn["commitment"], drawn["tickets_hash"]), "what was copied before holds"
    said = recipe(tmp_path, drawn)
    assert said.returncode == 0, said.stderr
    assert said.stdout.split() == [str(n) for ticket, rank, _ in drawn["result"] for n in (rank, ticket)]
    seated = [rank for _, rank, outcome in drawn["result"] if outcome == "A une place"]
    left = [rank for ticket, rank, outcome in drawn["result"] if outcome.startswith("Demande retirée")]
    assert len(left) == 1
    assert seated == [rank for rank in range(1, PEOPLE + 1) if rank not in left][:4]
    swapped = drawn | {"result": [drawn["result"][1], drawn["result"][0], *drawn["result"][2:]]}
    assert recipe(tmp_path, swapped).returncode != 0


async def shows(instance: RunningInstance, page: str, words: str) -> None:
    """Wait until the page says so."""

    async def seen() -> bool:
        return words in (await instance.client.get(page)).text.replace("\u00a0", " ")

    await eventually(seen)


def read(folder: Path, page: str) -> dict[str, Any]:
    """What the page says, read by a program that can import nothing of ours."""
    done = alone(folder, str(READER), page)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def recipe(folder: Path, draw: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    """The ten lines of the documentation, on what was read."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "draw.md").read_text("utf-8"), flags=re.DOTALL)
    assert code is not None
    (folder / "check.py").write_text(code[1], "utf-8")
    (folder / "draw.json").write_text(json.dumps(draw), "utf-8")
    return alone(folder, "check.py", "draw.json")


def alone(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Python in isolated mode, in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-I", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
