"""How a process comes to its end: asked by a signal, or broken from inside."""

import asyncio
import signal

from libs.web.loops import EXIT_SOFTWARE


class Ending:
    """Set once by whatever ends the process first; `exit_code` says how that was."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.exit_code = 0
        self._starting: asyncio.Task[None] | None = None

    def on_signals(self) -> None:
        """SIGINT, SIGTERM and a closed terminal ask for a clean end.

        A start that is still under way is given up.
        """
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.ask)

    def started(self) -> None:
        """From now on an end waits for the requests under way."""
        self._starting = None

    def ask(self) -> None:
        if self._starting is not None and not self.event.is_set():
            self._starting.cancel()
        self.event.set()

    def crash(self, name: str, error: BaseException) -> None:
        """A background loop broke: everything stops, and the exit code says that it was no clean end."""
        self.exit_code = EXIT_SOFTWARE
        self.ask()
