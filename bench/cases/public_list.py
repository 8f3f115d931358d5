"""The public list of 200 sessions with their seats, while people register: how fast, and how old."""

import asyncio
import time
from collections.abc import Sequence

from bench.case import Bench, Case
from bench.instance import Instance
from bench.load import Job, Load, load
from bench.pairs import expect, interleaved
from bench.processes import until
from bench.public_calendar import (
    LIST,
    confirmed,
    people_registering,
    publish_sessions,
    register,
    seats_are_public,
)
from bench.report import Line, Spread, Target

RANK = 70
SESSIONS = 200
CONNECTIONS = 32
PER_SECOND = 2
"""Registrations beside the reading: they change the seats that the list shows."""
_READERS = 4


async def _list(bench: Bench) -> Sequence[Line]:
    options = bench.options
    async with bench.instance("list", "events", "registrations") as instance:
        sessions = await publish_sessions(instance, SESSIONS)
        await seats_are_public(instance)
        web = instance.services["events"]
        content = (await web.client.get(LIST)).content
        await bench.floor.keep(content)

        async def ours(_number: int) -> Load:
            return expect(await load(_reading(web.port, LIST, options.seconds)), 200)

        async def floor(_number: int) -> Load:
            return expect(await load(_reading(bench.floor.web.port, "/kept", options.seconds)), 200)

        async with people_registering(instance, sessions, PER_SECOND):
            pairs = await interleaved(options.pairs, ours, floor)
        await instance.settled()
        ages = await _ages(instance, sessions, options.pairs)
        reading = asyncio.create_task(
            load(_reading(web.port, LIST, 0.5 + 0.5 * options.pairs, connections=_READERS))
        )
        try:
            busy = await _ages(instance, sessions, options.pairs)
        finally:
            await reading
    return [
        pairs.line("list", f"{SESSIONS} sessions, {len(content) / 1000:.0f} kB", Target("≥", 0.5)),
        pairs.latency("list", None),
        _age("age of the seats shown", ages),
        _age(f"age while {_READERS} clients read without pause", busy),
    ]


def _reading(port: int, path: str, seconds: float, connections: int = CONNECTIONS) -> Job:
    return Job(port=port, connections=connections, paths=(path,), seconds=seconds)


async def _ages(instance: Instance, sessions: Sequence[str], times: int) -> list[float]:
    """Seconds from the answer to a registration until the list shows its seat as taken."""
    ages = []
    for session_id in sessions[:times]:
        before = await confirmed(instance, session_id)
        await register(instance, session_id)
        start = time.perf_counter()

        async def shown(session_id: str = session_id, wanted: int = before + 1) -> bool:
            return await confirmed(instance, session_id) == wanted

        await until(shown, "the list never shows the seat")
        ages.append(time.perf_counter() - start)
    return ages


def _age(what: str, ages: Sequence[float]) -> Line:
    return Line("list", what, "s", Spread.of(ages), Target("≤", 1, worst=True), details={"seconds": ages})


CASES = (Case("list", "the public list of 200 sessions with seats, against cached bytes", _list),)
