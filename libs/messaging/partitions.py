"""Which partition a message belongs to: the same on every transport, machine and release."""

import zlib

from libs.messaging.bus import Message


def partition_of(message: Message) -> int:
    """Records stay where their key's others are, so order holds when a stream is copied elsewhere."""
    return zlib.crc32(message.partition_key.encode()) % message.topic.partitions
