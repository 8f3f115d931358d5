"""From a registration to the national view, over Kafka: 100 registrations a second in a whole country."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.case import Bench, Case
from bench.instance import Instance, registering
from bench.load import Load, load
from bench.pairs import expect
from bench.people import registrations
from bench.processes import until
from bench.report import Line, Spread, Target, percentile
from bench.server import Connection, connected
from libs.database import database_name, in_database
from libs.messaging.contracts import SeatCounts, SessionState

RANK = 100
SESSIONS = 100
"""In turn, so that nearly every registration makes a state of its own on each stream."""
PER_SECOND = 100
CONNECTIONS = 32
CAPACITY = SeatCounts(on_site=10_000)
"""Enough for a run, and few enough for the national view to believe it."""
SERVICES = ("registrations", "exporter", "national")
_WARM_UP = 3.0
_LOOK = 0.005
_SHOWN = """
select array_agg(confirmed order by id) from session
where generation = (select number from generation where state = 'serving') and seats_updated_at is not null
"""


@dataclass
class Shown:
    """What the national database shows of the seats taken: for each session when it came to show how many.

    Sessions are in the order of their ids. A moment is when the answer was here, `perf_counter`: what is
    measured by it is up to 5 ms too long, never too short.
    """

    taken: list[int]
    moments: list[list[float]] = field(default_factory=list)
    counts: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.moments = [[] for _ in self.taken]
        self.counts = [[] for _ in self.taken]

    def saw(self, taken: Sequence[int], moment: float) -> None:
        for number, count in enumerate(taken):
            if count != self.taken[number]:
                self.taken[number] = count
                self.moments[number].append(moment)
                self.counts[number].append(count)

    def since(self, session: int, count: int) -> float:
        """When a session was first shown with at least `count` seats taken."""
        return self.moments[session][bisect_left(self.counts[session], count)]


async def _country(bench: Bench) -> Sequence[Line]:
    seconds = 10 * bench.options.seconds
    with bench.kafka() as kafka:
        async with bench.instance("country", *SERVICES, bus_url=kafka.url()) as instance:
            national = in_database(bench.server_url, database_name("country", "national"))
            states = sorted(await instance.sessions(SESSIONS, capacity=CAPACITY), key=lambda state: state.id)
            async with connected(national) as database:
                await until(lambda: _all_seats_shown(database), "the national view lacks sessions")
                await _register(instance, states, _WARM_UP)
                await _settled(instance, database)
                before = await _taken(database)
                async with _watched(national, before) as shown:
                    done = await _register(instance, states, seconds)
                    await _settled(instance, database)
    pace = len(done.moments) / seconds
    if pace < 0.98 * PER_SECOND:
        raise RuntimeError(f"{pace:.0f} registrations a second began, not {PER_SECOND}")
    waited = _waited(done, before, shown)
    details = {"registrations a second": pace, "answered within ms": [done.p50, done.p99]}
    return [
        Line(
            "country",
            f"registered → national view, p50 at {PER_SECOND}/s",
            "ms",
            Spread.of(waited),
            Target("≤", 300),
            ours=pace,
            details=details,
        ),
        Line(
            "country",
            f"the same, p99 of {len(waited):,}",
            "ms",
            Spread.of([percentile(waited, 99)]),
            Target("≤", 1000),
        ),
    ]


async def _register(instance: Instance, states: Sequence[SessionState], seconds: float) -> Load:
    job = registrations(
        instance.registrations.port,
        [registering(state.id) for state in states],
        CONNECTIONS,
        seconds=seconds,
        per_second=PER_SECOND,
    )
    return expect(await load(job), 201)


def _waited(done: Load, before: Sequence[int], shown: Shown) -> list[float]:
    """Milliseconds from each answer until the national view counted that many registrations of its session.

    The first to be answered must be among the first to be counted: who came into the table earlier but was
    answered later is never waited for in another's place.
    """
    counted = list(before)
    waited = []
    for number, answered in sorted(done.moments, key=lambda item: item[1]):
        session = number % SESSIONS
        counted[session] += 1
        waited.append(1000 * (shown.since(session, counted[session]) - answered))
    return waited


@asynccontextmanager
async def _watched(url: str, before: Sequence[int]) -> AsyncIterator[Shown]:
    """Look every 5 ms during the block, on a connection of its own."""
    shown, over = Shown(list(before)), asyncio.Event()

    async def look() -> None:
        async with connected(url) as database:
            last = False
            while not last:
                # Once more after the end: what others saw by then must have been seen here too.
                last = over.is_set()
                shown.saw(await _taken(database), time.perf_counter())
                await asyncio.sleep(_LOOK)

    task = asyncio.create_task(look())
    try:
        yield shown
    finally:
        over.set()
        await task


async def _taken(database: Connection) -> list[int]:
    return await database.fetchval(_SHOWN) or []


async def _all_seats_shown(database: Connection) -> bool:
    return len(await _taken(database)) == SESSIONS


async def _settled(instance: Instance, database: Connection) -> None:
    """Wait until the national view counts every registration that there is."""

    async def agree() -> bool:
        confirmed = "select count(*) from registration where status = 'confirmed'"
        return bool(sum(await _taken(database)) == await instance.database.fetchval(confirmed))

    await until(agree, "the national view never shows every registration")


CASES = (Case("country", f"from {PER_SECOND} registrations a second to the national view", _country),)
