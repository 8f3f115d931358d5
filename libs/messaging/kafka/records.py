"""A message as Kafka's record and back: CloudEvents in binary mode.

The headers stand as they are, in UTF-8; `partition_key` travels beside them as `ce_partitionkey`, the
attribute of CloudEvents' partitioning extension. Whoever signs or stores headers never sees that one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from aiokafka.structs import ConsumerRecord

from libs.messaging.bus import Message, Received
from libs.messaging.topics import Topic

PARTITION_KEY = "ce_partitionkey"
_MARK = "tournee_mark"
Headers = Sequence[tuple[str, bytes]]


class Record(NamedTuple):
    key: bytes
    value: bytes | None
    headers: Headers


def packed(message: Message) -> Record:
    headers = [(name, value.encode()) for name, value in message.headers.items()]
    headers.append((PARTITION_KEY, message.partition_key.encode()))
    return Record(message.key.encode(), message.value, headers)


MARK = Record(b"", None, [(_MARK, b"")])
"""A record that says nothing; see `KafkaBus.run_compaction`."""


def unpacked(topic: Topic, record: "ConsumerRecord[bytes, bytes]") -> Received | None:
    """The message with its place; None for a mark.

    What isn't UTF-8 isn't from us: it arrives garbled instead of stopping the partition for ever.
    """
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    if _MARK in headers:
        return None
    key = (record.key or b"").decode(errors="replace")
    partition_key = headers.pop(PARTITION_KEY, key)
    message = Message(topic, key, record.value, partition_key, headers)
    return Received(message, record.partition, record.offset)
