"""Registering against the floor's one statement: what the cases of crowds have in common."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from bench.case import Bench
from bench.instance import Instance
from bench.load import Load, load
from bench.pairs import Pairs, expect, interleaved
from bench.people import registrations
from libs.messaging.contracts import SessionState


async def against_one_statement(
    bench: Bench, instance: Instance, *, connections: int, sessions: int
) -> tuple[Pairs, dict[str, Any]]:
    """Pairs of registrations by `connections` clients, in each half over that many new sessions.

    Every answer must be 201, and the tables must hold as many registrations as there were answers.
    """
    options = bench.options
    pools = await bench.floor.use_best_pool(connections, sessions, min(1.0, options.seconds))
    states = [await instance.sessions(sessions) for _ in range(options.pairs + 1)]
    counters = [await bench.floor.sessions(sessions) for _ in range(options.pairs + 1)]
    behind: list[int] = []

    async def ours(number: int) -> Load:
        await instance.settled()
        done = expect(await instance.register(states[number], connections, seconds=options.seconds), 201)
        behind.append(await instance.database.fetchval("select count(*) from outbox"))
        await _check_ours(instance, states[number], done)
        await instance.settled()
        return done

    async def floor(number: int) -> Load:
        paths = bench.floor.claiming(counters[number])
        job = registrations(bench.floor.web.port, paths, connections, seconds=options.seconds)
        done = expect(await load(job), 201)
        await _check_floor(bench, counters[number], done)
        return done

    pairs = await interleaved(options.pairs, ours, floor)
    details = {"floor's rate by pool size": pools, "outbox when the load ended": behind[1:]}
    return pairs, details


async def _check_ours(instance: Instance, states: Sequence[SessionState], done: Load) -> None:
    kept = await instance.database.fetchval(
        "select count(*) from registration where session_id = any($1) and status = 'confirmed'",
        [state.id for state in states],
    )
    _compare(done, kept)


async def _check_floor(bench: Bench, counters: Sequence[UUID], done: Load) -> None:
    taken = await bench.floor.database.fetchval(
        "select sum(taken) from counter where session_id = any($1)", counters
    )
    _compare(done, taken)


def _compare(done: Load, kept: int) -> None:
    if kept != done.answers["201"]:
        raise RuntimeError(f"{done.answers['201']} registrations were answered, {kept} are in the table")
