"""A program of a cluster: kept running, replaced, ended, and given up only loudly."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.child import CannotRun, Child
from tests.waiting import eventually

# It says that it is ready by making a file, and leaves when it is told to.
LIVES = """
import os, pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
pathlib.Path(sys.argv[1], str(os.getpid())).touch()
signal.sigwait({signal.SIGTERM, signal.SIGINT})
pathlib.Path(sys.argv[1], str(os.getpid())).unlink()
"""
MakeChild = Callable[..., Child]


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    folder = tmp_path / "ready"
    folder.mkdir()
    return folder


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, ready: Path, said: list[str]) -> MakeChild:
    def make(program: str) -> Child:
        async def is_ready() -> bool:
            return bool(pids(ready))

        command = [sys.executable, "-c", program, str(ready)]
        return Child("program", command, {}, tmp_path / "program.log", is_ready, said.append)

    return make


def pids(ready: Path) -> list[int]:
    return [int(path.name) for path in ready.iterdir()]


async def test_it_is_started_again_when_it_dies(make: MakeChild, ready: Path, said: list[str]) -> None:
    child, stop = make(LIVES), asyncio.Event()
    running = asyncio.create_task(child.keep_running(stop))
    await child.ready()
    (first,) = pids(ready)
    (ready / str(first)).unlink()
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: pids(ready) not in ([], [first]))
    assert "nouveau démarrage" in said[0]
    stop.set()
    await running
    assert not pids(ready)


async def test_a_successor_takes_its_place_when_it_has_ended(make: MakeChild, ready: Path) -> None:
    child, stop = make(LIVES), asyncio.Event()
    running = asyncio.create_task(child.keep_running(stop))
    await child.ready()
    (first,) = pids(ready)
    await child.replace()
    (second,) = pids(ready)
    assert first != second
    stop.set()
    await running


async def test_one_that_ends_again_and_again_is_given_up_with_its_last_words(make: MakeChild) -> None:
    child = make("import sys; sys.exit('no memory left')")
    with pytest.raises(CannotRun, match=r"(?s)program .*no memory left"):
        await child.keep_running(asyncio.Event())


async def test_a_bad_setting_is_told_at_once(make: MakeChild, said: list[str]) -> None:
    child = make("import sys; print('PHONE : non'); sys.exit(2)")
    with pytest.raises(CannotRun, match="PHONE : non"):
        await child.keep_running(asyncio.Event())
    assert not said
