"""A rush on one session: one hot row, 32 and 256 clients."""

from collections.abc import Sequence
from functools import partial

from bench.case import Bench, Case
from bench.registering import against_one_statement
from bench.report import Line, Target

RANK = 10


async def _hot(
    name: str, connections: int, target: Target, p99: Target | None, bench: Bench
) -> Sequence[Line]:
    async with bench.instance(name, "registrations") as instance:
        pairs, details = await against_one_statement(bench, instance, connections=connections, sessions=1)
    what = f"one session, {connections} connections"
    return [pairs.line(name, what, target, **details), pairs.latency(name, p99)]


CASES = (
    Case(
        "hot-32",
        "one hot session, 32 connections",
        partial(_hot, "hot-32", 32, Target("≥", 1.1), Target("≤", 20)),
    ),
    Case(
        "hot-256",
        "one hot session, 256 connections",
        partial(_hot, "hot-256", 256, Target("≥", 1.3), None),
    ),
)
