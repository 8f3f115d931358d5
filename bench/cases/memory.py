"""What a worker keeps: its memory before and after 100,000 registrations over many sessions."""

from collections.abc import Sequence

from bench.case import Bench, Case
from bench.pairs import expect
from bench.processes import resident
from bench.report import Line, Spread, Target

RANK = 90
SESSIONS = 500
CONNECTIONS = 32
_PARTS = 10


async def _memory(bench: Bench) -> Sequence[Line]:
    """Warmed up by a tenth of the people; resident memory is read while nothing is under way."""
    part = max(bench.options.people // _PARTS, 1)
    sizes: list[float] = []
    rates: list[float] = []
    async with bench.instance("memory", "registrations") as instance:
        sessions = await instance.sessions(SESSIONS)
        for _ in range(1 + _PARTS):
            done = expect(await instance.register(sessions, CONNECTIONS, count=part), 201)
            rates.append(done.rate)
            await instance.settled()
            sizes.append(resident(instance.registrations.pid))
    growth = sizes[-1] - sizes[0]
    return [
        Line(
            "memory",
            f"growth over {part * _PARTS:,} registrations",
            "MiB",
            Spread.of([growth]),
            Target("≤", 30),
            ours=Spread.of(rates).median,
            details={"MiB after warm-up and after each tenth": sizes},
        ),
        Line("memory", "resident at the end", "MiB", Spread.of([sizes[-1]])),
    ]


CASES = (Case("memory", "growth of one worker's memory over 100,000 registrations", _memory),)
