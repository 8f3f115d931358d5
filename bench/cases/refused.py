"""Refusals against mere validation: a full session that takes no more waiters, and a closed one."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from bench.case import Bench, Case
from bench.instance import Instance
from bench.load import Load, load
from bench.pairs import expect, interleaved
from bench.people import registrations
from bench.report import Line, Target
from libs.messaging.contracts import SeatCounts, SessionState, WaitlistRule

RANK = 40
SEATS = 12
CONNECTIONS = 32


async def _refused(
    name: str, what: str, seated: int, changes: dict[str, Any], bench: Bench
) -> Sequence[Line]:
    seconds = bench.options.seconds
    async with bench.instance(name, "registrations") as instance:
        (session,) = await instance.sessions(1, **changes)
        await _fill(instance, session, seated)

        async def ours(_number: int) -> Load:
            return expect(await instance.register([session], CONNECTIONS, seconds=seconds), 409)

        async def floor(_number: int) -> Load:
            job = registrations(
                bench.floor.web.port, [f"/sessions/{uuid4()}/validated"], CONNECTIONS, seconds=seconds
            )
            return expect(await load(job), 201)

        pairs = await interleaved(bench.options.pairs, ours, floor)
        if await instance.seated(session.id) != seated:
            raise RuntimeError("somebody who was refused is in the table")
    return [pairs.line(name, what, Target("≥", 0.6)), pairs.latency(name, None)]


async def _fill(instance: Instance, session: SessionState, people: int) -> None:
    if people:
        expect(await instance.register([session], 1, count=people), 201)
        await instance.settled()


def _closed() -> dict[str, Any]:
    return {"closes_at": datetime.now(UTC) - timedelta(hours=1)}


CASES = (
    Case(
        "full",
        "a full session that takes no more waiters, against validation only",
        partial(
            _refused,
            "full",
            "full, nobody may wait",
            SEATS,
            {"capacity": SeatCounts(on_site=SEATS), "waitlist": WaitlistRule(limit=0)},
        ),
    ),
    Case(
        "closed",
        "a session whose registration is closed, against validation only",
        partial(_refused, "closed", "registration closed", 0, _closed()),
    ),
)
