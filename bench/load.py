"""The load generator: `python -m bench.load` in a process of its own, as cheap as Python can be.

A job comes in as JSON, its result goes out as JSON. The same generator loads the services and the floors.
"""

import asyncio
import contextlib
import gc
import json
import sys
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import uvloop

ROOT = Path(__file__).resolve().parents[1]
NUMBER = "{n}"
"""Stands in a job for the request's number: ten digits, so that the length of a body never changes."""
_DIGITS = 10
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """What to send, and for how long: `seconds`, or until `count` requests were answered.

    Request number n goes to `paths[n % len(paths)]`. `NUMBER` in `headers` and `body` makes each request
    somebody else's. With `per_second` requests begin at that pace, whatever the answers, as long as a
    connection is free; without, each connection sends as soon as it was answered.
    """

    port: int
    connections: int
    paths: Sequence[str]
    seconds: float | None = None
    count: int | None = None
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What came back. `rate` is answers per second within the time, times are in milliseconds.

    `answers` counts all of them by status, those that came after the time was over too; `lost` counts
    connections that ended without an answer. `moments`, of a job with a pace, says when each request was
    answered: its number, and the machine's monotonic clock (`time.perf_counter`), the same in every process.
    """

    rate: float
    answers: dict[str, int]
    lost: int
    p50: float
    p99: float
    longest: float
    moments: Sequence[tuple[int, float]] = ()


async def load(job: Job) -> Load:
    """Run `job` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.load",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await process.communicate(json.dumps(asdict(job)).encode())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    if process.returncode:
        raise RuntimeError(f"the load generator ended with {process.returncode}")
    return Load(**json.loads(output))


class Requests:
    """The bytes of request after request."""

    def __init__(self, job: Job) -> None:
        # One part more than there are numbers: a request is its number joined into them.
        self._parts = [_request(job, path).split(NUMBER.encode()) for path in job.paths]
        self.sent = 0

    def next(self) -> bytes:
        number = self.sent
        self.sent = number + 1
        return (b"%010d" % number).join(self._parts[number % len(self._parts)])


def _request(job: Job, path: str) -> bytes:
    lines = [f"{job.method} {path} HTTP/1.1", f"Host: 127.0.0.1:{job.port}"]
    lines += [f"{name}: {value}" for name, value in job.headers]
    body = (job.body or "").encode()
    if body:
        numbers = body.count(NUMBER.encode())
        length = len(body) + numbers * (_DIGITS - len(NUMBER))
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Run:
    """What all connections share."""

    def __init__(self, job: Job) -> None:
        self.requests = Requests(job)
        self.most = job.count if job.count is not None else sys.maxsize
        self.buffer = memoryview(bytearray(_BUFFER))
        self.times = array("d")
        self.statuses: Counter[bytes] = Counter()
        self.lost = 0
        self.open = job.connections
        self.over = asyncio.Event()
        self.start = 0.0
        self.deadline = float("inf")
        self.interval = 1 / job.per_second if job.per_second else 0.0
        self.moments: list[tuple[int, float]] = []

    def connection_closed(self) -> None:
        self.open -= 1
        if not self.open:
            self.over.set()


class _Connection(asyncio.BufferedProtocol):
    """One client: a request, its answer, the next request."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._sent = 0.0
        self._number = 0
        self._waits = False
        self._left = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's own.
        self._transport = cast(asyncio.Transport, transport)

    def send(self) -> None:
        run, transport = self._run, self._transport
        assert transport is not None
        self._sent = due = time.perf_counter()
        if run.interval:
            due = max(due, run.start + run.requests.sent * run.interval)
        if due >= run.deadline or run.requests.sent >= run.most:
            transport.close()
            return
        self._number = run.requests.sent
        request = run.requests.next()
        if due > self._sent:
            asyncio.get_running_loop().call_later(due - self._sent, self._send_now, request)
            return
        self._waits = True
        transport.write(request)

    def _send_now(self, request: bytes) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        self._waits = True
        self._transport.write(request)

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._run.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._left:
            self._left -= nbytes
        else:
            head = self._head + bytes(self._run.buffer[: min(nbytes, 8192)])
            end = head.find(b"\r\n\r\n")
            if end < 0:
                self._head = head
                return
            self._left = end + 4 + _length(head, end) - len(self._head) - nbytes
            self._run.statuses[head[9:12]] += 1
            self._head = b""
        if not self._left:
            self._waits = False
            now = time.perf_counter()
            self._run.times.append(now - self._sent)
            if self._run.interval:
                self._run.moments.append((self._number, now))
            self.send()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._waits:
            self._run.lost += 1
        self._run.connection_closed()


def _length(head: bytes, end: int) -> int:
    at = head.find(b"content-length:", 0, end)
    if at < 0:
        at = head.lower().find(b"content-length:", 0, end)
    # 304 has no body, whatever its headers say.
    if at < 0 or head[9:12] == b"304":
        return 0
    return int(head[at + 15 : head.index(b"\r\n", at)])


async def _run(job: Job) -> Load:
    loop = asyncio.get_running_loop()
    run = _Run(job)
    made = [
        await loop.create_connection(lambda: _Connection(run), "127.0.0.1", job.port)
        for _ in range(job.connections)
    ]
    start = run.start = time.perf_counter()
    if job.seconds is not None:
        run.deadline = start + job.seconds
    for _transport, connection in made:
        connection.send()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(job.seconds):
            await run.over.wait()
    inside, taken = len(run.times), time.perf_counter() - start
    # What is still under way will be answered, and counts among the answers.
    await run.over.wait()
    if not inside:
        # Too short a time for a single answer: then for as long as it took.
        inside, taken = len(run.times), time.perf_counter() - start
    times = sorted(run.times) or [0.0]
    return Load(
        rate=inside / taken,
        answers={status.decode(): count for status, count in run.statuses.items()},
        lost=run.lost,
        p50=1000 * times[len(times) // 2],
        p99=1000 * times[min(len(times) - 1, len(times) * 99 // 100)],
        longest=1000 * times[-1],
        moments=run.moments,
    )


def main() -> None:
    # Nothing here lives in cycles: a collection would only look like a slow answer.
    gc.disable()
    given = json.load(sys.stdin)
    given["headers"] = tuple(map(tuple, given["headers"]))
    json.dump(asdict(uvloop.run(_run(Job(**given)))), sys.stdout)


if __name__ == "__main__":
    main()
