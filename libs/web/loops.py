"""Background loops of a service: one TaskGroup, one stop event, and a loud end when one breaks."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from libs.database import is_unavailable
from libs.messaging.bus import BusUnavailable

log = logging.getLogger(__name__)

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set."""
Crash = Callable[[str, BaseException], None]

EXIT_SOFTWARE = 70
"""sysexits.h EX_SOFTWARE: whoever restarts processes sees that this was no clean stop."""
LOCK_NOT_AVAILABLE, DEADLOCK, SERIALIZATION_FAILURE = "55P03", "40P01", "40001"
"""SQLSTATEs (PostgreSQL, appendix A) after which the same request may well succeed."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
GRACE = 10.0
"""Seconds that a loop gets to finish what it holds, once told to stop."""


class LoopEnded(RuntimeError):
    """A loop returned although nobody told it to stop."""


def exit_loudly(name: str, error: BaseException) -> None:
    """End the process at once: half a service is worse than a restarted one. The log line says why."""
    logging.shutdown()
    os._exit(EXIT_SOFTWARE)


class Loops:
    """The loops of one service and how each is doing: `running`, `waiting`, `stopped` or `crashed`."""

    def __init__(self, loops: Mapping[str, Loop], on_crash: Callable[[], Crash]) -> None:
        self.loops = loops
        self.states = dict.fromkeys(loops, "stopped")
        self._on_crash = on_crash

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs every loop while the block does, then tells them to stop and waits for them."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._supervise(name, loop, stop), name=f"loop {name}")
                for name, loop in self.loops.items()
            ]
            try:
                yield
            finally:
                stop.set()
                await self._finish(tasks)

    async def _finish(self, tasks: list[asyncio.Task[None]]) -> None:
        if not tasks:
            return
        _done, hanging = await asyncio.wait(tasks, timeout=GRACE)
        for task in hanging:
            log.warning("A loop did not stop in time", extra={"data": {"task": task.get_name()}})
            task.cancel()

    async def _supervise(self, name: str, loop: Loop, stop: asyncio.Event) -> None:
        pause, clock = FIRST_PAUSE, asyncio.get_running_loop().time
        while not stop.is_set():
            self.states[name], started = "running", clock()
            try:
                await loop(stop)
                if not stop.is_set():
                    raise LoopEnded(name)
            except Exception as error:
                if not is_expected(error):
                    self._crashed(name, error)
                    return
                log.warning("A loop waits", extra={"data": {"loop": name, "why": type(error).__name__}})
                self.states[name] = "waiting"
                if clock() - started > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await stop.wait()
                pause = min(2 * pause, LONGEST_PAUSE)
        self.states[name] = "stopped"

    def _crashed(self, name: str, error: Exception) -> None:
        self.states[name] = "crashed"
        log.critical("A loop broke; the process ends", exc_info=error, extra={"data": {"loop": name}})
        self._on_crash()(name, error)


def is_expected(error: BaseException) -> bool:
    """Whether this passes by itself: the database or the broker is away, or others hold the locks."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_expected(inner) for inner in error.exceptions)
    return isinstance(error, BusUnavailable) or is_unavailable(error) or _is_contention(error)


def _is_contention(error: BaseException) -> bool:
    """PostgreSQL gave up waiting or undid one of two transactions that waited for each other."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state in {LOCK_NOT_AVAILABLE, DEADLOCK, SERIALIZATION_FAILURE}
