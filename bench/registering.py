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
    """Pairs of registrations by `connections` clients over that many sessions; a hot one is new each time.

    Every answer must be 201, and the tables must hold as many registrations as there were answers.
    """
    options = bench.options
    await bench.floor.clear()
    pools = await bench.floor.use_best_pool(connections, sessions, min(1.0, options.seconds))
    rounds = options.pairs + 1 if sessions == 1 else 1
    states = [await instance.sessions(sessions) for _ in range(rounds)]
    counters = [await bench.floor.sessions(sessions) for _ in range(rounds)]
    behind: list[int] = []
    settling: list[float] = []

    async def ours(number: int) -> Load:
        chosen = states[number % rounds]
        before = await _confirmed(instance, chosen)
        done = expect(await instance.register(chosen, connections, seconds=options.seconds), 201)
        behind.append(await instance.database.fetchval("select count(*) from outbox"))
        _compare(done, await _confirmed(instance, chosen) - before)
        settling.append(round(await instance.settled(), 2))
        return done

    async def floor(number: int) -> Load:
        chosen = counters[number % rounds]
        before = await _taken(bench, chosen)
        paths = bench.floor.claiming(chosen)
        job = registrations(bench.floor.web.port, paths, connections, seconds=options.seconds)
        done = expect(await load(job), 201)
        _compare(done, await _taken(bench, chosen) - before)
        return done

    pairs = await interleaved(options.pairs, ours, floor)
    details = {
        "floor's rate by pool size": pools,
        "outbox when the load ended": behind[1:],
        "seconds until settled": settling[1:],
    }
    return pairs, details


async def _confirmed(instance: Instance, states: Sequence[SessionState]) -> int:
    found: int = await instance.database.fetchval(
        "select count(*) from registration where session_id = any($1) and status = 'confirmed'",
        [state.id for state in states],
    )
    return found


async def _taken(bench: Bench, counters: Sequence[UUID]) -> int:
    found: int = await bench.floor.database.fetchval(
        "select sum(taken) from counter where session_id = any($1)", counters
    )
    return found


def _compare(done: Load, kept: int) -> None:
    if kept != done.answers["201"]:
        raise RuntimeError(f"{done.answers['201']} registrations were answered, {kept} are in the table")
