"""The calendar feed of 1,000 sessions against cached bytes of its size, and 304 for whoever has it."""

from collections.abc import Sequence

from bench.case import Bench, Case
from bench.load import Job, Load, load
from bench.pairs import expect, interleaved
from bench.public_calendar import publish_sessions
from bench.report import Line, Spread, Target

RANK = 80
SESSIONS = 1_000
CONNECTIONS = 32
FEED = "/calendrier.ics"


async def _feed(bench: Bench) -> Sequence[Line]:
    seconds = bench.options.seconds
    async with bench.instance("feed", "events") as instance:
        await publish_sessions(instance, SESSIONS)
        web = instance.services["events"]
        answer = await web.client.get(FEED)
        if answer.content.count(b"BEGIN:VEVENT") != SESSIONS:
            raise RuntimeError(f"the feed has {answer.content.count(b'BEGIN:VEVENT')} sessions")
        await bench.floor.keep(answer.content)

        async def ours(_number: int) -> Load:
            return expect(await load(_reading(web.port, FEED, seconds)), 200)

        async def floor(_number: int) -> Load:
            return expect(await load(_reading(bench.floor.web.port, "/kept", seconds)), 200)

        pairs = await interleaved(bench.options.pairs, ours, floor)
        known = await load(_reading(web.port, FEED, seconds, ("If-None-Match", answer.headers["etag"])))
    share = 100 * known.answers.get("304", 0) / sum(known.answers.values())
    return [
        pairs.line("feed", f"{SESSIONS:,} sessions, {len(answer.content) / 1000:.0f} kB", Target("≥", 0.8)),
        pairs.latency("feed", None),
        Line("feed", "304 for whoever has it", "%", Spread.of([share]), Target("≥", 100), ours=known.rate),
    ]


def _reading(port: int, path: str, seconds: float, *headers: tuple[str, str]) -> Job:
    return Job(port=port, connections=CONNECTIONS, paths=(path,), seconds=seconds, headers=headers)


CASES = (Case("feed", "the feed of 1,000 sessions, against cached bytes", _feed),)
