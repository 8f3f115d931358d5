"""The start of a client, which isn't cut off in the middle of its first words."""

import asyncio
from collections.abc import Coroutine
from typing import Any

_PATIENCE_SECONDS = 1.0


async def started(start: Coroutine[Any, Any, Any]) -> None:
    """Await `start`; whoever is called off lets it finish first, for a moment.

    aiokafka forgets the connection on which a broker was just asked who else there is: nobody could close it.
    """
    starting = asyncio.create_task(start)
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait((starting,), timeout=_PATIENCE_SECONDS)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        raise
