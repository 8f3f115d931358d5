"""A plan raised by 100 seats while 3,000 people wait: how soon 100 offers are recorded."""

import time
from collections.abc import Sequence
from uuid import UUID

from bench.case import Bench, Case
from bench.pairs import expect
from bench.processes import until
from bench.report import Line, Spread, Target
from bench.server import Connection
from libs.messaging.contracts import SeatCounts

RANK = 50
WAITING = 3_000
RAISE = 100
SEATS = 10


async def _raised(bench: Bench) -> Sequence[Line]:
    """Seconds from the message on the bus until another session of the database sees all offers."""
    rounds = bench.options.pairs
    async with bench.instance("raised", "registrations") as instance:
        (session,) = await instance.sessions(1, capacity=SeatCounts(on_site=SEATS))
        # As many more as the earlier rounds take away: at each raise, 3,000 wait.
        crowd = SEATS + WAITING + RAISE * (rounds - 1)
        expect(await instance.register([session], 32, count=crowd), 201)
        await instance.settled()
        times, waiting = [], []
        for number in range(1, rounds + 1):
            waiting.append(await _count(instance.database, session.id, "waitlisted"))
            more = session.model_copy(update={"capacity": SeatCounts(on_site=SEATS + RAISE * number)})
            await instance.announce([more])
            start = time.perf_counter()

            async def offered(wanted: int = RAISE * number) -> bool:
                return await _count(instance.database, session.id, "offered") == wanted

            await until(offered, "the offers don't come", every=0.002)
            times.append(time.perf_counter() - start)
            await instance.settled()
    if min(waiting) < WAITING:
        raise RuntimeError(f"{min(waiting)} people waited, not {WAITING}")
    return [
        Line(
            "raised",
            "100 offers after a raise, 3,000 waiting",
            "s",
            Spread.of(times),
            Target("≤", 1, worst=True),
            details={"seconds": times, "waiting": waiting},
        )
    ]


async def _count(database: Connection, session_id: UUID, status: str) -> int:
    found: int = await database.fetchval(
        "select count(*) from registration where session_id = $1 and status = $2", session_id, status
    )
    return found


CASES = (Case("raised", "a plan raised by 100 with 3,000 waiting", _raised),)
