"""One program of a cluster: started, started again when it ends by itself, replaced when asked."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from deploy.datadir import rotate
from deploy.parent import die_with_parent
from libs.messaging.backoff import pause

EXIT_BAD_SETTING = 2
_TRIES = 5
"""Starts in a row that may end before the program was ready."""
_LOOK_EVERY = 0.1
_PATIENCE = 60.0
"""Seconds that a program gets to end, once told to."""


class CannotRun(Exception):
    """A program ends again and again; the text names it and repeats the end of its log."""


class Child:
    """A program that runs as long as the cluster does. `is_ready` asks it whether it can be used.

    Its output goes to `log`. It never outlives us: the kernel sends it SIGTERM when we end, however we do.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        is_ready: Callable[[], Awaitable[bool]],
        say: Callable[[str], None],
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log = log
        self._is_ready = is_ready
        self._say = say
        self._ready = asyncio.Event()
        self._replacing = False
        self._process: asyncio.subprocess.Process | None = None

    async def ready(self) -> None:
        """Wait until it can be used."""
        await self._ready.wait()

    async def replace(self) -> None:
        """End it in its own time (SIGTERM: a service tells the proxy first), then wait for its successor."""
        self._ready.clear()
        self._replacing = True
        if self._process is not None and self._process.returncode is None:
            await self._end(self._process, signal.SIGTERM)
        await self.ready()

    async def keep_running(self, stop: asyncio.Event) -> None:
        """Run it until `stop`; raises `CannotRun` when it doesn't get to be ready any more."""
        failures = 0
        while not stop.is_set():
            process = self._process = await self._start()
            became_ready = await self._watch(process, stop)
            if stop.is_set():
                # At once: no proxy has to learn of an end that takes everything with it.
                await self._end(process, signal.SIGINT)
                return
            code = await process.wait()
            if self._replacing:
                self._replacing, failures = False, 0
                continue
            failures = 1 if became_ready else failures + 1
            if code == EXIT_BAD_SETTING or failures == _TRIES:
                raise CannotRun(f"{self.name} ne fonctionne pas (code {code}) :\n{self._last_words()}")
            self._say(f"{self.name} s’est arrêté (code {code}) : nouveau démarrage.")
            await pause(stop, 0.2 * 2**failures)

    async def _start(self) -> asyncio.subprocess.Process:
        rotate(self._log)
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at the terminal is for the cluster, which passes it on.
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGTERM),
            )

    async def _watch(self, process: asyncio.subprocess.Process, stop: asyncio.Event) -> bool:
        """Wait until the program ends, or `stop`; returns whether it was ready in between."""
        ending, stopping = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
        asking = asyncio.create_task(self._become_ready())
        try:
            await asyncio.wait((ending, stopping), return_when=asyncio.FIRST_COMPLETED)
            return self._ready.is_set() or self._replacing
        finally:
            self._ready.clear()
            for task in (ending, stopping, asking):
                task.cancel()
            await asyncio.gather(ending, stopping, asking, return_exceptions=True)

    async def _become_ready(self) -> None:
        while not await self._is_ready():  # noqa: ASYNC110 - another process becomes ready, no event tells
            await asyncio.sleep(_LOOK_EVERY)
        self._ready.set()

    async def _end(self, process: asyncio.subprocess.Process, how: signal.Signals) -> None:
        try:
            _send(process, how)
            async with asyncio.timeout(_PATIENCE):
                await process.wait()
        except TimeoutError:
            self._say(f"{self.name} ne s’arrête pas : il est arrêté de force.")
            _send(process, signal.SIGKILL)
            await process.wait()
        except asyncio.CancelledError:
            _send(process, signal.SIGKILL)
            raise

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-20:])


def _send(process: asyncio.subprocess.Process, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(how)
