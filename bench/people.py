"""Who registers: a name, an address and an idempotency key that nobody else in the run has."""

import json
import secrets
from collections.abc import Sequence

from bench.load import NUMBER, Job


def registrations(
    port: int,
    paths: Sequence[str],
    connections: int,
    *,
    seconds: float | None = None,
    count: int | None = None,
    per_second: float | None = None,
) -> Job:
    """A job in which each request registers somebody else, as a form or a partner's program does."""
    crowd = secrets.token_hex(4)
    body = {
        "channel": "web",
        "name": f"Aline Tremblay {crowd} {NUMBER}",
        "party_size": 1,
        "language": "fr",
        "seat_kind": "on_site",
        "contact": {"email": f"aline.{crowd}.{NUMBER}@example.org"},
    }
    return Job(
        port=port,
        connections=connections,
        paths=tuple(paths),
        seconds=seconds,
        count=count,
        per_second=per_second,
        method="POST",
        headers=(("Idempotency-Key", f"{crowd}-{NUMBER}"),),
        body=json.dumps(body),
    )
