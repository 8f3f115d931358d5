"""The Kafka of the country, one node: killed, frozen, and started again on its port with its data."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from deploy.kafka.broker import Cluster, Node


class Broker:
    """`line`: the port by which a region elsewhere comes to it, over a line that can be cut."""

    def __init__(self, folder: Path, line: int) -> None:
        self.cluster = Cluster(folder, outside=line)
        self.starts = 0

    @property
    def url(self) -> str:
        return self.cluster.url()

    async def start(self) -> None:
        # In the main thread: the kernel tells it to end when the thread that started it does.
        self._node.start()
        self.starts += 1
        await asyncio.to_thread(self._node.wait_until_ready)

    async def keep_running(self, stop: asyncio.Event) -> None:
        """Start it again whenever it is gone before `stop` is set."""
        while not stop.is_set():
            running = self._node.running
            if running is not None and not running.alive:
                await self.start()
            await asyncio.sleep(0.2)

    def send(self, number: signal.Signals) -> None:
        running = self._node.running
        if running is not None and running.alive:
            with suppress(ProcessLookupError):
                os.kill(running.pid, number)

    def stop(self) -> None:
        self.send(signal.SIGCONT)
        self.cluster.stop()

    @property
    def _node(self) -> Node:
        return self.cluster.nodes[0]
