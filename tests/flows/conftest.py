"""Instances for the flow tests, each in a folder of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.flows.running import RunningInstance

StartInstance = Callable[..., Awaitable[RunningInstance]]


@pytest.fixture
async def instance(data_dir: Path) -> AsyncIterator[RunningInstance]:
    """An empty instance, running."""
    async with AsyncExitStack() as stack:
        running = RunningInstance(data_dir)
        stack.push_async_callback(running.close)
        await running.start()
        yield running
