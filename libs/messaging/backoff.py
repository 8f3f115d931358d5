"""How long to wait before trying again."""

import asyncio
import random

_FIRST = 0.1
_LONGEST = 5.0


def backoff_seconds(failures: int) -> float:
    """Seconds after the n-th failure in a row: doubling from 0.1 to 5, half of it left to chance.

    The chance keeps those who failed together from coming back together.
    """
    longest = min(_LONGEST, _FIRST * 2.0 ** min(max(failures - 1, 0), 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait `seconds`, or less when `event` is set."""
    try:
        # Not `wait_for`: in Python 3.11 it swallows a cancellation that comes with the event.
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
