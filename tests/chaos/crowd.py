"""The client processes: started, killed at random, started again with what they knew, and asked to end."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.chaos.clients import PROGRAMME, THE_END
from tests.chaos.instance import ADMIN_TOKEN, ROOT
from tests.chaos.journal import Asked, read


class Crowd:
    """So many clients in several processes; `lives` says how often each process was begun."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.lives = [0] * processes
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._told: dict[str, Any] = {}

    def start(
        self,
        ports: Sequence[int],
        sessions: Sequence[Mapping[str, object]],
        *,
        clients: int,
        seed: int,
        staff: list[str],
        think: float = 0.2,
    ) -> None:
        """Write down what they need to know and let them begin."""
        self._told = {
            "seed": seed,
            "ports": ports,
            "admin_token": ADMIN_TOKEN,
            "clients": max(1, clients // len(self.lives)),
            "cap": 8,
            "think": think,
            "patience": 8.0,
            "staff_actions": staff,
        }
        self.tell(sessions)
        self._processes = [self._launch(number) for number in range(len(self.lives))]

    def tell(self, sessions: Sequence[Mapping[str, object]]) -> None:
        """Where they register from now on."""
        written = self._folder / "programme.unfinished"
        written.write_bytes(orjson.dumps(self._told | {"sessions": sessions}))
        written.rename(self._folder / PROGRAMME)

    async def kill_one(self, chosen: random.Random) -> None:
        """Kill -9 a process of clients; the next life takes up what it had asked."""
        number = chosen.randrange(len(self.lives))
        process = self._processes[number]
        process.kill()
        await _ended(process)
        self._processes[number] = self._launch(number)

    def ask_to_end(self) -> None:
        """Nobody begins anything new; each goes on until everything has its answer."""
        (self._folder / THE_END).touch()

    async def ended(self) -> list[str]:
        """Wait for everybody; says who broke."""
        for process in self._processes:
            await _ended(process)
        return [
            f"the clients of process {number} ended with code {process.returncode}: {self._said(number)}"
            for number, process in enumerate(self._processes)
            if process.returncode
        ]

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def read(self) -> tuple[list[Asked], list[str]]:
        """Everything that every life of every process asked and heard."""
        asked: list[Asked] = []
        wrong: list[str] = []
        for number, lives in enumerate(self.lives):
            found, faults = read(self._folder / f"journal-{number}-{life}.jsonl" for life in range(lives))
            asked += found.values()
            wrong += faults
        return asked, wrong

    def _launch(self, number: int) -> subprocess.Popen[bytes]:
        life = self.lives[number]
        self.lives[number] += 1
        with (self._folder / f"clients-{number}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.clients", str(self._folder), str(number), str(life)],
                cwd=ROOT,
                env=dict(os.environ),
                stdout=log,
                stderr=log,
            )

    def _said(self, number: int) -> str:
        return (self._folder / f"clients-{number}.log").read_text("utf-8", "replace")[-2000:]


async def _ended(process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:  # noqa: ASYNC110 - a process is no event
        await asyncio.sleep(0.05)
