"""Running one of Kafka's Java programs: a server that we watch, or a tool that ends by itself."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from deploy.kafka.jars import class_path, java
from deploy.parent import die_with_parent

_LOGGING = Path(__file__).with_name("log4j2.properties")
_PATIENCE = 120.0
"""Seconds for a start, on a machine that is busy."""
_STOPPING = 30.0


class CannotStart(Exception):
    """A Java program can't be started; the text says why, for the person at the terminal."""


class Program(NamedTuple):
    """A server as its Java class with arguments, its log file, and what it says when it is ready."""

    main: str
    arguments: Sequence[str]
    log: Path
    ready: str
    heap_mb: int = 512


class Running:
    """A Java server that is our own child."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._seen = program.log.stat().st_size if program.log.exists() else 0
        with open(program.log, "ab") as log:
            self._process = subprocess.Popen(
                command(program.main, program.arguments, program.heap_mb),
                cwd=program.log.parent,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at the terminal is for whoever started us, who stops the server last.
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGTERM),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Until it has said so in its log; `CannotStart` with its last words if it ends instead."""
        deadline = time.monotonic() + _PATIENCE
        while self._program.ready not in (said := self.said()):
            if not self.alive or time.monotonic() > deadline:
                self.kill()
                raise CannotStart(f"{self._program.main} n’a pas démarré ({self._program.log}) :\n{said}")
            time.sleep(0.02)

    def said(self) -> str:
        """What it has written to its log since this start."""
        return self._program.log.read_bytes()[self._seen :].decode(errors="replace")

    def stop(self) -> None:
        """As an operator would: it finishes what it does; then wait until it is gone."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_STOPPING)
            return
        self.kill()

    def kill(self) -> None:
        """Without a word of warning (SIGKILL)."""
        self._process.kill()
        self._process.wait()


def command(main: str, arguments: Sequence[str], heap_mb: int = 256) -> list[str]:
    # A small heap on a small machine: the simplest collector starts fastest and needs no threads.
    options = [f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
    options += ["-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={_LOGGING}"]
    return [java(), *options, "-cp", class_path(), main, *arguments]


def run(main: str, arguments: Sequence[str]) -> str:
    """Run a tool to its end and return what it printed; `CannotStart` with its words when it failed."""
    done = subprocess.run(
        command(main, arguments), env=_environment(), capture_output=True, check=False, text=True
    )
    if done.returncode:
        raise CannotStart(f"{main} a échoué :\n{(done.stdout + done.stderr).strip()[-3000:]}")
    return done.stdout


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
