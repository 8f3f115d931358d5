"""One client that asks a Kafka about itself: its topics, how far they go, where groups are."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka import errors
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from libs.messaging.bus import BusUnavailable
from libs.messaging.kafka.address import KafkaAddress
from libs.messaging.kafka.failures import is_away
from libs.messaging.kafka.starting import started

Places = Mapping[TopicPartition, int]
"""An offset for each partition."""

Answer = TypeVar("Answer")

_EARLIEST, _LATEST = -2, -1
_NO_GENERATION = -1
_RETRY_SECONDS = 0.1


class Line:
    """Lends one connected client; opened when first needed, and again after it broke."""

    def __init__(self, address: KafkaAddress, client_id: str, *, answer_seconds: float) -> None:
        self._address = address
        self._client_id = client_id
        self._answer_seconds = answer_seconds
        self._lock = asyncio.Lock()
        self._client: AIOKafkaClient | None = None

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator["Questions"]:
        """For this block alone; `BusUnavailable` when there is no answer in time."""
        async with self._lock:
            try:
                async with asyncio.timeout(self._answer_seconds):
                    yield Questions(await self._connected())
            except Exception as error:
                if not is_away(error):
                    raise
                await self._drop()
                raise BusUnavailable(f"Kafka is away: {type(error).__name__}") from error

    async def _connected(self) -> AIOKafkaClient:
        if self._client is None:
            client = AIOKafkaClient(
                client_id=self._client_id,
                request_timeout_ms=round(self._answer_seconds * 1000),
                **self._address.options(),
            )
            try:
                await started(client.bootstrap())
            except BaseException:
                await client.close()
                raise
            self._client = client
        return self._client

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            # Closing raises once more whatever ended the client's own task; nothing is asked of it any more.
            with contextlib.suppress(Exception):
                await client.close()

    async def close(self) -> None:
        await self._drop()


class Questions:
    """What can be asked; each may raise what `failures` tells apart."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    async def topics(self) -> list[str]:
        """Every topic that this client may know of."""
        response = await self._client.send(self._client.get_random_node(), MetadataRequest(None))
        return [topic["topic"] for topic in response.to_object()["topics"] if not topic["is_internal"]]

    async def ends(self, topics: Collection[str]) -> Places:
        """The offset after the last record of each partition."""
        return await self._of_leaders(topics, _LATEST)

    async def starts(self, topics: Collection[str]) -> Places:
        """The offset of the first record that is still there."""
        return await self._of_leaders(topics, _EARLIEST)

    async def _of_leaders(self, topics: Collection[str], moment: int) -> Places:
        """What those say who lead the partitions, which may just be changing."""
        while True:
            try:
                return await self._offsets(topics, moment)
            except _LEADER_CHANGES:
                # `Line.use` ends this when it takes too long.
                await asyncio.sleep(_RETRY_SECONDS)
                await self._client.force_metadata_update()

    async def _offsets(self, topics: Collection[str], moment: int) -> Places:
        parts = await self._partitions(topics)
        by_node: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for part in parts:
            leader = self._client.cluster.leader_for_partition(part)
            if leader is None or leader == -1:
                raise errors.LeaderNotAvailableError
            by_node[leader][part.topic].append((part.partition, moment))
        found: dict[TopicPartition, int] = {}
        for node, asked in by_node.items():
            request = OffsetRequest(-1, 0, list(asked.items()))
            response = await self._client.send(node, request)
            for topic, partitions in response.topics:
                for partition, code, _timestamp, offset in partitions:
                    self._check(code)
                    found[TopicPartition(topic, partition)] = offset
        return found

    async def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        for topic in topics:
            await self._client.add_topic(topic)
        found = []
        for topic in topics:
            numbers = self._client.cluster.partitions_for_topic(topic)
            if not numbers:
                if topic in self._client.cluster.unauthorized_topics:
                    raise errors.TopicAuthorizationFailedError(topic)
                raise errors.UnknownTopicOrPartitionError(topic)
            found += [TopicPartition(topic, number) for number in sorted(numbers)]
        return found

    async def acknowledged(self, group: str, parts: Collection[TopicPartition]) -> Places:
        """Where the group will go on; nothing for a partition that it has never acknowledged."""
        by_topic: dict[str, list[int]] = defaultdict(list)
        for part in parts:
            by_topic[part.topic].append(part.partition)

        async def ask(node: int) -> dict[TopicPartition, int]:
            response = await self._ask(node, OffsetFetchRequest(group, list(by_topic.items())))
            found: dict[TopicPartition, int] = {}
            for topic, partitions in response.topics:
                for partition, offset, _metadata, code in partitions:
                    self._check(code)
                    if offset >= 0:
                        found[TopicPartition(topic, partition)] = offset
            return found

        places: Places = await self._of_coordinator(group, ask)
        return places

    async def put_back(self, group: str, places: Places) -> None:
        """Make `group` go on at `places`, whoever is reading in it.

        Kafka moves only a group without members. So they are shown the door: they notice with their next
        heartbeat, what they have at work can't be acknowledged any more, and they come in again.
        """

        async def ask(node: int) -> None:
            for member in await self._members(node, group):
                await self._ask(node, LeaveGroupRequest(group, member))
            by_topic: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
            for part, offset in places.items():
                by_topic[part.topic].append((part.partition, offset, ""))
            request = OffsetCommitRequest(group, _NO_GENERATION, "", -1, list(by_topic.items()))
            response = await self._ask(node, request)
            for _topic, partitions in response.topics:
                for _partition, code in partitions:
                    self._check(code)

        await self._of_coordinator(group, ask)

    async def _members(self, node: int, group: str) -> Sequence[str]:
        response = await self._ask(node, DescribeGroupsRequest([group]))
        (described,) = response.to_object()["groups"]
        self._check(described["error_code"])
        return [member["member_id"] for member in described["members"]]

    async def _of_coordinator(self, group: str, ask: Callable[[int], Awaitable[Answer]]) -> Answer:
        """The answer of the broker that keeps the group, which may just be changing."""
        while True:
            try:
                node = await self._client.coordinator_lookup(CoordinationType.GROUP, group)
                return await ask(node)
            except _COME_AGAIN:
                # `Line.use` ends this when it takes too long.
                await asyncio.sleep(_RETRY_SECONDS)

    async def _ask(self, node: int, request: Any) -> Any:
        return await self._client.send(node, request, group=ConnectionGroup.COORDINATION)

    @staticmethod
    def _check(code: int) -> None:
        error = errors.for_code(code)
        if error is not errors.NoError:
            raise error()


_LEADER_CHANGES = (
    errors.NotLeaderForPartitionError,
    errors.LeaderNotAvailableError,
    errors.UnknownTopicOrPartitionError,
)
_COME_AGAIN = (
    errors.GroupCoordinatorNotAvailableError,
    errors.NotCoordinatorForGroupError,
    errors.GroupLoadInProgressError,
    # A member came in again before its group was moved.
    errors.UnknownMemberIdError,
    errors.IllegalGenerationError,
    errors.RebalanceInProgressError,
)
