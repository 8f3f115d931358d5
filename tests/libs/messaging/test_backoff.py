"""Back-off: short at first, never longer than five seconds, never the same for all."""

import asyncio

from libs.messaging.backoff import backoff_seconds, pause


def test_it_doubles_up_to_five_seconds() -> None:
    for failures, longest in [(0, 0.1), (1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5.0), (10_000, 5.0)]:
        assert longest / 2 <= backoff_seconds(failures) <= longest


def test_those_who_failed_together_come_back_apart() -> None:
    assert len({backoff_seconds(5) for _ in range(20)}) > 1


async def test_a_pause_ends_with_its_event() -> None:
    event = asyncio.Event()
    event.set()
    await pause(event, 1_000_000)


async def test_a_pause_ends_by_itself() -> None:
    await pause(asyncio.Event(), 0)
