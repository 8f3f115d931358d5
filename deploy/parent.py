"""The process that started this one: we don't outlive it, and stop when it was told to."""

import asyncio
import ctypes
import os
import re
import signal
from pathlib import Path

from deploy.ending import Ending

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_LOOK_EVERY = 0.25


def die_with_parent(how: signal.Signals) -> None:
    """Ask the kernel to send `how` to this process when the thread that started it ends (prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, how)


async def end_with_make(ending: Ending) -> None:
    """Ask for the end once `make`, our parent, was interrupted.

    Ctrl+C reaches everybody at the terminal, but `kill -INT` on make reaches make alone: it passes SIGTERM
    on, SIGINT it doesn't, and then waits for us, with that signal blocked as the only trace.
    """
    status = Path(f"/proc/{os.getppid()}/status")
    while not ending.event.is_set():
        if _is_interrupted(status):
            ending.ask()
        await asyncio.sleep(_LOOK_EVERY)


def _is_interrupted(status: Path) -> bool:
    try:
        blocked = re.search(r"^SigBlk:\s*([0-9a-f]+)", status.read_text(), re.MULTILINE)
    except OSError:
        return False
    return blocked is not None and bool(int(blocked[1], 16) & 1 << signal.SIGINT - 1)
