"""The client processes: started, killed at random, started again with what they knew, and asked to end."""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import orjson

from tests.chaos.clients import THE_END
from tests.chaos.instance import ADMIN_TOKEN, ROOT, Instance
from tests.chaos.journal import Asked, read
from tests.chaos.programme import Programme


class Crowd:
    """So many clients in several processes; `lives` says how often each process was begun."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.lives = [0] * processes
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(
        self, instance: Instance, programme: Programme, *, clients: int, seed: int, staff: list[str]
    ) -> None:
        """Write down what they need to know and let them begin."""
        told = {
            "seed": seed,
            "ports": [worker.port for worker in instance.workers],
            "admin_token": ADMIN_TOKEN,
            "clients": max(1, clients // len(self.lives)),
            "cap": 8,
            "think": 0.2,
            "patience": 8.0,
            "sessions": programme.for_clients(),
            "staff_actions": staff,
        }
        (self._folder / "programme.json").write_bytes(orjson.dumps(told))
        self._processes = [self._launch(number) for number in range(len(self.lives))]

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
