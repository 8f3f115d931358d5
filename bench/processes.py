"""The processes that a benchmark starts: watched, and never left behind."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

import httpx

from bench.load import ROOT
from deploy.parent import die_with_parent

_PATIENCE = 120.0


class StillWaiting(Exception):
    """Something that must happen didn't, within two minutes."""


class WebProcess:
    """A program of ours that answers HTTP on `port`: ready inside the block, stopped after it."""

    def __init__(
        self, command: Sequence[str], log: Path, port: int, ready: str, environment: Mapping[str, str] = {}
    ) -> None:
        self.port = port
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self._command = [sys.executable, *command]
        self._log = log
        self._ready = ready
        # Nothing of the caller's settings may change what is measured.
        self._environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> "WebProcess":
        self._process = self._launch()
        try:
            await until(self._is_ready, f"{' '.join(self._command[1:4])} is not ready")
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.client.aclose()
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # Killed or not, a run leaves nothing behind.
                preexec_fn=partial(die_with_parent, signal.SIGTERM),
            )

    async def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(
                f"{self._command[1:4]} ended:\n{self._log.read_text('utf-8', 'replace')[-2000:]}"
            )
        try:
            return (await self.client.get(self._ready)).is_success
        except httpx.TransportError:
            return False


async def until(condition: Callable[[], Awaitable[bool]], message: str, *, every: float = 0.02) -> float:
    """Wait until `condition` is true; returns how many seconds that took. Raises `StillWaiting`."""
    start = time.perf_counter()
    while not await condition():
        if time.perf_counter() - start > _PATIENCE:
            raise StillWaiting(message)
        await asyncio.sleep(every)
    return time.perf_counter() - start


def resident(pid: int) -> float:
    """Resident MiB of a process, as the kernel adds it up."""
    found = re.search(r"^Rss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """How long each process that is still there has had a processor since its start."""
    spent = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            # After the name, which may hold anything, the times are the 12th and 13th field.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            spent[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
