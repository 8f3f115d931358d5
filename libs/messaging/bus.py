"""The bus that every service talks through; transports implement it, one contract suite proves them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from libs.messaging.topics import Topic


class JsonHeaders(Mapping[str, str]):
    """Headers as the JSON object that they are kept as, parsed when somebody asks for one.

    Who only carries a message on passes `text` on as it is.
    """

    __slots__ = ("_parsed", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parsed: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._headers()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers())

    def __len__(self) -> int:
        return len(self._headers())

    def _headers(self) -> dict[str, str]:
        if self._parsed is None:
            self._parsed = orjson.loads(self.text)
        return self._parsed


@dataclass(frozen=True, slots=True)
class Message:
    """One record of a topic.

    `key` names the thing whose whole current state `value` is; `value` None is a tombstone: that thing
    is gone. `partition_key` decides the partition, and order holds within a partition: everything about
    one session shares its session's id. `headers` are short text attributes (the CloudEvents `ce_*`).
    """

    topic: Topic
    key: str
    value: bytes | None
    partition_key: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """A message as a consumer gets it, with the place it was read from."""

    message: Message
    partition: int
    offset: int


Handler = Callable[[Sequence[Received]], Awaitable[None]]


class BusUnavailable(Exception):
    """The broker can't be reached just now; the caller backs off and tries again."""


class Bus(Protocol):
    """A log per topic, kept by key, read by independent groups.

    Delivery is at least once: a handler may see a message again after a crash, a lost lease or a
    rebalance, and makes the effect once itself (see `inbox`).
    """

    async def publish(self, messages: Sequence[Message]) -> None:
        """Append all of `messages`, durably, in their order within each partition.

        Raises `BusUnavailable` when the broker is away; they may have been appended all the same.
        """

    async def consume(
        self, group: str, topics: Sequence[Topic], handler: Handler, stop: asyncio.Event
    ) -> None:
        """Feed `handler` batches of one partition each, in order, until `stop` is set.

        Returning acknowledges the batch; raising redelivers it after a back-off, while other partitions
        go on. Several partitions may be handled at the same time, each of them by one call at a time.
        Partitions are shared out among the members of `group`; a group that is new reads from the start.
        A broker that is away makes this wait, not fail. At `stop` a handler that is at work gets a
        moment to finish and is then cancelled; what it did not finish is delivered again.
        """

    async def rewind(self, group: str, topics: Sequence[Topic]) -> None:
        """Make `group` read `topics` again from the start: the current state of every key."""

    async def lag(self, group: str, topics: Sequence[Topic]) -> int:
        """How many messages of `topics` the group has not acknowledged yet, or more.

        A transport may count what compaction has removed meanwhile; 0 means that nothing is left.
        """

    async def names(self) -> Sequence[str]:
        """The names of the streams on this bus that this service is allowed to see, sorted.

        `topics.federated_named` says which of them are federated.
        """

    async def run_compaction(self, topics: Sequence[Topic], stop: asyncio.Event) -> None:
        """See, until `stop`, that `topics`, which this service writes, are compacted within their lags."""

    async def close(self) -> None:
        """Let go of every connection; `consume` calls must have been stopped before."""
