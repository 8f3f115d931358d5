"""One cancellation: the next person's offer is recorded in the very transaction that freed the seat."""

import time
from collections.abc import Sequence
from uuid import UUID

from bench.case import Bench, Case
from bench.instance import STAFF, Instance
from bench.pairs import expect
from bench.report import Line, Spread, Target
from libs.messaging.contracts import SeatCounts, SessionState

RANK = 60
EACH = 3
"""One has the seat, two wait."""


async def _cancelled(bench: Bench) -> Sequence[Line]:
    rounds = 3 * bench.options.pairs
    async with bench.instance("cancelled", "registrations") as instance:
        sessions = await instance.sessions(rounds, capacity=SeatCounts(on_site=1))
        # One client: the first of each session's people comes before the second.
        expect(await instance.register(sessions, 1, count=EACH * rounds), 201)
        times, same = [], []
        for session in sessions:
            seated, following = await _line(instance, session)
            start = time.perf_counter()
            answer = await instance.registrations.client.delete(
                f"/api/registrations/v1/registrations/{seated}", headers=STAFF
            )
            times.append(1000 * (time.perf_counter() - start))
            answer.raise_for_status()
            same.append(await _one_transaction(instance, seated, following))
    share = 100 * sum(same) / len(same)
    return [
        Line(
            "cancelled",
            f"next offer in the same transaction, {rounds} times",
            "%",
            Spread.of([share]),
            Target("≥", 100),
            details={"same transaction": same},
        ),
        Line("cancelled", "until the cancellation is answered", "ms", Spread.of(times)),
    ]


async def _line(instance: Instance, session: SessionState) -> tuple[UUID, UUID]:
    """Who has the seat, and who is next."""
    rows = await instance.database.fetch(
        "select id, status from registration where session_id = $1 order by seq limit 2", session.id
    )
    (seated, following) = rows
    if (seated["status"], following["status"]) != ("confirmed", "waitlisted"):
        raise RuntimeError(f"a line of {seated['status']} and {following['status']}")
    return seated["id"], following["id"]


async def _one_transaction(instance: Instance, seated: UUID, following: UUID) -> bool:
    """Whether both rows were last written by the same transaction (their xmin), as they should be now."""
    rows = await instance.database.fetch(
        "select status, xmin::text as writer from registration where id = any($1) order by seq",
        [seated, following],
    )
    statuses, writers = {row["status"] for row in rows}, {row["writer"] for row in rows}
    return statuses == {"cancelled", "offered"} and len(writers) == 1


CASES = (Case("cancelled", "one cancellation: the next offer in the same transaction", _cancelled),)
