"""One hot session on a server whose every commit takes 2 ms more, as on an ordinary disk."""

from collections.abc import Sequence

from bench import server
from bench.case import Bench, Case
from bench.registering import against_one_statement
from bench.report import Line, Target

RANK = 30
MILLISECONDS = 2


async def _slow_commits(bench: Bench) -> Sequence[Line]:
    async with (
        bench.instance("slow-commits", "registrations") as instance,
        server.connected(bench.server_url) as admin,
        server.connected(bench.floor.database_url) as probe,
        server.slower_commits(admin, probe, MILLISECONDS) as added,
    ):
        pairs, details = await against_one_statement(bench, instance, connections=32, sessions=1)
    what = f"one session, commits {added:.1f} ms slower"
    return [
        pairs.line("slow-commits", what, Target("≥", 6), added_milliseconds=round(added, 2), **details),
        pairs.latency("slow-commits", None),
    ]


CASES = (Case("slow-commits", "one hot session, each commit 2 ms slower", _slow_commits),)
