"""Background loops: started and stopped with the application, patient with outages, loud when broken."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from libs.messaging.bus import BusUnavailable
from libs.web import loops
from libs.web.i18n import ROOT
from libs.web.loops import LoopEnded, is_expected
from tests.libs.web.conftest import AppFactory
from tests.waiting import eventually


@asynccontextmanager
async def started(app: FastAPI) -> AsyncIterator[None]:
    async with app.router.lifespan_context(app):
        yield


def states(app: FastAPI) -> dict[str, str]:
    found: dict[str, str] = app.state.health.loops.states
    return found


async def test_loops_run_with_the_application_and_stop_with_it(make_app: AppFactory) -> None:
    ran = asyncio.Event()

    async def loop(stop: asyncio.Event) -> None:
        ran.set()
        await stop.wait()

    app = make_app(loops={"relay": loop})
    async with started(app):
        await ran.wait()
        assert states(app) == {"relay": "running"}
    assert states(app) == {"relay": "stopped"}


async def test_an_outage_makes_a_loop_wait_and_start_again(
    make_app: AppFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "FIRST_PAUSE", 0.001)
    attempts = 0

    async def loop(stop: asyncio.Event) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise BusUnavailable if attempts % 2 else ConnectionRefusedError
        await stop.wait()

    app = make_app(loops={"relay": loop})
    async with started(app):
        await eventually(lambda: attempts == 4)
        assert states(app) == {"relay": "running"}


async def test_an_outage_does_not_hold_up_the_stop(make_app: AppFactory) -> None:
    async def loop(stop: asyncio.Event) -> None:
        raise BusUnavailable

    app = make_app(loops={"relay": loop})
    async with started(app):
        await eventually(lambda: states(app) == {"relay": "waiting"})


@pytest.mark.parametrize("kind", ["raises", "returns"])
async def test_a_broken_loop_ends_the_process_loudly(
    make_app: AppFactory, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    crashes: list[tuple[str, BaseException]] = []

    async def broken(stop: asyncio.Event) -> None:
        if kind == "raises":
            raise ZeroDivisionError

    async def other(stop: asyncio.Event) -> None:
        await stop.wait()

    app = make_app(loops={"relay": broken, "other": other})
    app.state.on_crash = lambda name, error: crashes.append((name, error))
    with caplog.at_level(logging.CRITICAL):
        async with started(app):
            await eventually(lambda: crashes)
            assert states(app) == {"relay": "crashed", "other": "running"}
    name, error = crashes[0]
    assert name == "relay"
    assert isinstance(error, ZeroDivisionError if kind == "raises" else LoopEnded)
    assert caplog.records[0].exc_info


BREAKS = """
import asyncio
from libs.web.i18n import ROOT
from libs.web.loops import Loops, exit_loudly

async def broken(stop):
    raise ZeroDivisionError

async def main():
    async with Loops({"relay": broken}, lambda: exit_loudly).running():
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_unless_told_otherwise_the_whole_process_ends_with_a_status_that_says_so() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BREAKS, stderr=asyncio.subprocess.PIPE, cwd=ROOT
    )
    _out, errors = await process.communicate()
    assert process.returncode == loops.EXIT_SOFTWARE
    assert b"A loop broke" in errors


async def test_a_loop_that_ignores_the_stop_is_cancelled(
    make_app: AppFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "GRACE", 0.01)
    cancelled = asyncio.Event()

    async def deaf(stop: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    app = make_app(loops={"deaf": deaf})
    async with started(app):
        await eventually(lambda: states(app) == {"deaf": "running"})
    assert cancelled.is_set()


def test_only_outages_are_expected() -> None:
    assert is_expected(BusUnavailable())
    assert is_expected(ConnectionResetError())
    assert is_expected(ExceptionGroup("both", [BusUnavailable(), ConnectionResetError()]))
    assert not is_expected(ExceptionGroup("both", [BusUnavailable(), KeyError()]))
    assert not is_expected(KeyError())
