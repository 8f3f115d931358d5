"""The client that everybody asks by: what breaks it makes them wait, and nothing else."""

import asyncio

import pytest
from aiokafka import errors
from aiokafka.client import AIOKafkaClient

from libs.messaging.bus import BusUnavailable
from libs.messaging.kafka.address import read_address
from libs.messaging.kafka.line import Line


async def _break() -> None:
    raise ValueError("what ended the client's own task")


async def test_a_client_that_breaks_again_while_it_is_closed_is_away_and_no_more() -> None:
    line = Line(read_address("kafka://127.0.0.1:9"), "test", answer_seconds=5)
    client = line._client = AIOKafkaClient(bootstrap_servers="127.0.0.1:9")
    client._sync_task = asyncio.create_task(_break())
    await asyncio.wait([client._sync_task])

    with pytest.raises(BusUnavailable):
        async with line.use():
            raise errors.KafkaConnectionError

    assert line._client is None
