"""The floor of the national ingest: a bare consumer that checks signatures and copies what it reads.

`python -m bench.floor_of_ingest`: a job comes in as JSON, messages per second go out as JSON. Nothing is
understood, judged, counted or kept by key; each message becomes one row of one table without an index.
"""

import asyncio
import base64
import gc
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

from bench.load import ROOT
from libs.messaging import topics
from libs.messaging.kafka.records import unpacked
from libs.messaging.signing import verify

SCHEMA = "create table if not exists bare (topic text, key text, headers text, value bytea)"


@dataclass(frozen=True, slots=True)
class Job:
    """`keys`: each instance's public key in base64. `batch`: messages copied at once."""

    servers: str
    database_url: str
    group: str
    topics: Sequence[str]
    keys: Mapping[str, str]
    total: int
    batch: int


async def consume(job: Job) -> float:
    """Messages per second, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.floor_of_ingest", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate(json.dumps(asdict(job)).encode())
    if process.returncode:
        raise RuntimeError(f"the floor of the ingest ended with {process.returncode}")
    return float(json.loads(output))


async def _run(job: Job) -> float:
    keys = {slug: base64.b64decode(key) for slug, key in job.keys.items()}
    streams = {name: topics.named(name) for name in job.topics}
    connection = await asyncpg.connect(job.database_url)
    consumer = AIOKafkaConsumer(
        *job.topics,
        bootstrap_servers=job.servers,
        group_id=job.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    read = first = 0
    start = 0.0
    try:
        while read < job.total:
            rows = []
            for part, records in (await consumer.getmany(timeout_ms=500, max_records=job.batch)).items():
                stream = streams[part.topic]
                key = keys[stream.instance or ""]
                for record in records:
                    received = unpacked(stream, record)
                    assert received is not None
                    message = received.message
                    if not verify(message, key):
                        raise RuntimeError("a signature is wrong")
                    headers = orjson.dumps(dict(message.headers)).decode()
                    rows.append((part.topic, message.key, headers, message.value))
            if not rows:
                continue
            await connection.copy_records_to_table("bare", records=rows)
            await consumer.commit()
            read += len(rows)
            if not start:
                # As for ours: from the first batch that is in the database to the last.
                start, first = time.perf_counter(), read
        return (read - first) / (time.perf_counter() - start)
    finally:
        await consumer.stop()
        await connection.close()


def main() -> None:
    gc.disable()
    json.dump(uvloop.run(_run(Job(**json.load(sys.stdin)))), sys.stdout)


if __name__ == "__main__":
    main()
