"""How a process comes to its end: asked by a signal, or broken from inside."""

import asyncio
import signal

from libs.web.loops import EXIT_SOFTWARE


class Ending:
    """Set once by whatever ends the process first; `exit_code` says how that was."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.leaving = False
        self.exit_code = 0
        self._starting: asyncio.Task[None] | None = None

    def on_signals(self, *, drain: float = 0.0) -> None:
        """SIGINT, SIGTERM and a closed terminal ask for a clean end.

        A start that is still under way is given up. With SIGTERM, a supervisor's signal, the end comes
        `drain` seconds later: until then /health says that this process is leaving and everything else
        is answered, so that a proxy sends nothing more here. A second signal doesn't wait.
        """
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.ask)
        loop.add_signal_handler(signal.SIGTERM, self._leave, drain)

    def started(self) -> None:
        """From now on an end waits for the requests under way."""
        self._starting = None

    def _leave(self, drain: float) -> None:
        if drain == 0 or self.leaving or self._starting is not None:
            self.ask()
        else:
            self.leaving = True
            asyncio.get_running_loop().call_later(drain, self.ask)

    def ask(self) -> None:
        self.leaving = True
        if self._starting is not None and not self.event.is_set():
            self._starting.cancel()
        self.event.set()

    def crash(self, name: str, error: BaseException) -> None:
        """A background loop broke: everything stops, and the exit code says that it was no clean end."""
        self.exit_code = EXIT_SOFTWARE
        self.ask()
