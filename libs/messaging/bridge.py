"""The bridge from one bus to another: it copies streams as they are, in order, and never decides anything."""

import asyncio
from collections.abc import Sequence

from libs.messaging.bus import Bus, Received
from libs.messaging.topics import Topic

GROUP = "bridge"


class Bridge:
    """Carries `topics` from `source` to `target`, where they bear the same names.

    What it has carried is what its group has acknowledged at the source, so it goes on where it stopped,
    however long the target or the bridge itself was away. A crash between publishing and acknowledging
    repeats the end of a batch: a reader sees the same messages twice, in the same order. It holds one
    batch of each topic at a time, whatever has piled up.
    """

    def __init__(self, source: Bus, target: Bus, topics: Sequence[Topic]) -> None:
        self._source = source
        self.target = target
        self.topics = tuple(topics)

    async def run(self, stop: asyncio.Event) -> None:
        """Carry until `stop`; a bus that is away on either side makes it wait."""
        await self._source.consume(GROUP, self.topics, self._carry, stop)

    async def lag(self) -> int:
        """How many messages the target has yet to be given."""
        return await self._source.lag(GROUP, self.topics)

    async def close(self) -> None:
        """Hang up on both sides, once `run` has ended."""
        await self.target.close()
        await self._source.close()

    async def _carry(self, batch: Sequence[Received]) -> None:
        # Once this returns the batch is acknowledged: the target must have all of it by then.
        await self.target.publish([received.message for received in batch])
