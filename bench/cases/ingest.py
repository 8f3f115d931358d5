"""The national ingest beside a bare consumer that checks the same signatures and copies the same messages."""

import base64
from collections.abc import Sequence

from bench import floor_of_ingest
from bench.case import Bench, Case
from bench.filling import Filled, National, national_on_kafka
from bench.floor_of_ingest import Job
from bench.load import Load
from bench.pairs import interleaved
from bench.report import Line, Spread, Target

RANK = 110
MESSAGES = 40_000
BATCHES = (200, 500, 2000)
_ALONE = 600


async def _ingest(bench: Bench) -> Sequence[Line]:
    filled: list[Filled] = []
    async with national_on_kafka(bench, "ingest", MESSAGES) as national:
        await national.connection.execute(floor_of_ingest.SCHEMA)
        await national.forget(0)
        rates = {size: await _copied(national, f"try-{size}", size) for size in BATCHES}
        best = max(rates, key=lambda size: rates[size])

        async def ours(_number: int) -> Load:
            generation, how = await national.fill()
            await national.check(generation)
            await national.forget(generation)
            filled.append(how)
            return _load(how.rate, how.messages)

        async def floor(number: int) -> Load:
            return _load(await _copied(national, f"floor-{number}", best), national.streams.messages)

        pairs = await interleaved(bench.options.pairs, ours, floor)
        alone = await national.alone(_ALONE)
    counted = filled[1:]
    each = {"µs of the worker's processor": alone.worker, "and of its database connection": alone.server}
    cost = [1e6 * one.worker / one.messages for one in counted]
    server = [1e6 * one.server / one.messages for one in counted]
    return [
        pairs.line(
            "ingest",
            "messages into the national view",
            Target("≥", 0.5),
            **{"floor's rate by batch": rates, "messages": MESSAGES},
        ),
        Line("ingest", "processor of the worker for a message", "µs", Spread.of(cost)),
        Line("ingest", "and of its database connections", "µs", Spread.of(server)),
        Line("ingest", "a heartbeat that comes alone", "ms", Spread.of(alone.times), details=each),
    ]


async def _copied(national: National, group: str, batch: int) -> float:
    """Messages per second of the floor, which must have copied every one of them."""
    streams = national.streams
    await national.connection.execute("truncate bare")
    job = Job(
        servers=national.kafka.bootstrap,
        database_url=national.database.url,
        group=group,
        topics=[topic.name for topic in streams.topics],
        keys={
            voice.network.slug: base64.b64encode(voice.signer.public_key).decode() for voice in streams.voices
        },
        total=streams.messages,
        batch=batch,
    )
    rate = await floor_of_ingest.consume(job)
    copied = await national.connection.fetchval("select count(*) from bare")
    if copied != streams.messages:
        raise RuntimeError(f"{copied} messages were copied, not {streams.messages}")
    return rate


def _load(rate: float, messages: int) -> Load:
    """A half in the form that pairs have; its one time is that of the whole."""
    whole = 1000 * messages / rate
    return Load(rate=rate, answers={}, lost=0, p50=whole, p99=whole, longest=whole)


CASES = (Case("ingest", "the national ingest, against checking and copying alone", _ingest),)
