"""Waiting in tests: for a condition, never for a time."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

_HANG_GUARD = 180.0


async def eventually(condition: Callable[[], Any], message: str = "") -> Any:
    """Ask `condition` (plain or async) again and again until it is true; returns what it gave.

    The guard only ends a test that would hang for ever: no test measures time with it.
    """
    give_up = time.monotonic() + _HANG_GUARD
    while True:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < give_up, message or f"never became true: {inspect.getsource(condition)}"
        await asyncio.sleep(0.01)
