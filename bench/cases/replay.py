"""The national view rebuilt from everything that its instances ever said, while the old one serves."""

from collections.abc import Sequence

from bench.case import Bench, Case
from bench.filling import National, national_on_kafka
from bench.processes import until
from bench.report import Line, Spread
from services.national.generations import NotCaughtUp, try_switch

RANK = 120


async def _replay(bench: Bench) -> Sequence[Line]:
    async with national_on_kafka(bench, "replay", bench.options.messages) as national:
        number, filled = await national.fill()
        await national.check(number)
        await _switch(national, number)
        cells = await national.streams.say_counts(national.kafka.url())
        stored = national.stored()
        size: int = await national.connection.fetchval("select pg_database_size(current_database())")
    memory = filled.memory
    return [
        Line(
            "replay",
            f"rebuilt from {national.streams.messages:,} messages, and equal",
            "s",
            Spread.of([filled.seconds]),
            ours=filled.rate,
            details={
                "seconds of processor": {"worker": filled.worker, "database": filled.server},
                "bytes of the database with two generations": size,
                "sessions": national.streams.sessions,
                "cells": cells,
                "bytes on the broker": stored,
            },
        ),
        Line("replay", "the worker's memory at its highest", "MiB", Spread.of([max(memory)])),
        Line("replay", "of it grown meanwhile", "MiB", Spread.of([max(memory) - memory[0]])),
    ]


async def _switch(national: National, number: int) -> None:
    """Let it serve, which it may only if it says the same as the one before, to the last digit."""

    async def switched() -> bool:
        try:
            outcome = await try_switch(national.database, national.bus, number)
        except NotCaughtUp:
            return False
        if not outcome.switched:
            different = [table.table for table in outcome.tables if not table.equal]
            raise RuntimeError(f"the rebuilt view differs: {', '.join(different)}")
        return True

    await until(switched, "the rebuilt view never catches up", every=0.5)


CASES = (Case("replay", "the national view rebuilt from its streams", _replay),)
