"""Registrations spread over a thousand sessions: no lock is hot, a batch has many."""

from collections.abc import Sequence

from bench.case import Bench, Case
from bench.registering import against_one_statement
from bench.report import Line, Target

RANK = 20
SESSIONS = 1_000


async def _thousand(bench: Bench) -> Sequence[Line]:
    async with bench.instance("thousand", "registrations") as instance:
        pairs, details = await against_one_statement(bench, instance, connections=32, sessions=SESSIONS)
    what = "1,000 sessions, 32 connections"
    return [pairs.line("thousand", what, Target("≥", 1.0), **details), pairs.latency("thousand", None)]


CASES = (Case("thousand", "1,000 sessions, 32 connections", _thousand),)
