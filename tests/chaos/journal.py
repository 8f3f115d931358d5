"""What the clients know: each request before it leaves and each answer as it comes, in lasting files."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.chaos.wire import Answer

_KEPT = (
    "id",
    "session_id",
    "status",
    "position",
    "offer_expires_at",
    "confirmation_number",
    "manage_token",
    "manage_url",
    "name",
)


@dataclass(slots=True)
class Request:
    """Something that a client asks for. `sent` is when it first left, on the machine's monotonic clock.

    `registration` is the one that it is about, `session` the one that it wants a seat in or asks about.
    """

    id: str
    kind: str
    method: str
    path: str
    session: str | None = None
    registration: str | None = None
    key: str | None = None
    token: str | None = None
    """The credential: a person's manage token, `staff`, or None."""
    body: dict[str, Any] | None = None
    client: int = 0
    sent: float = 0.0


@dataclass(slots=True)
class Asked:
    """A request and what became of it; `status` None: no answer is known."""

    request: Request
    status: int | None = None
    answered: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)
    slug: str = ""
    begun: int = 0
    """In how many lives of its client it was asked."""
    lost: int = 0
    put_off: int = 0

    @property
    def done(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def tries(self) -> int:
        """How often it was sent, at most."""
        return self.begun + self.lost + self.put_off


class Journal:
    """The file of one client process. A line is written before anything else happens."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def intend(self, request: Request) -> None:
        self._write({"request": asdict(request)})

    def answered(self, request: Request, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, dict) else {}
        if answer.status >= 400:
            kept: dict[str, Any] = {"slug": str(body.get("type", "")).rpartition(":")[2]}
        else:
            kept = {"answer": {name: body[name] for name in _KEPT if name in body}}
        self._write({"of": request.id, "status": answer.status, "at": time.monotonic()} | kept)

    def lost(self, request: Request, why: str) -> None:
        self._write({"of": request.id, "lost": why})

    def put_off(self, request: Request) -> None:
        self._write({"of": request.id, "put_off": True})

    def wrong(self, request: Request, what: str) -> None:
        """The answer breaks a promise by itself, whatever the tables say."""
        self._write({"of": request.id, "wrong": what})

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, orjson.dumps(line) + b"\n")


def read(paths: Iterable[Path]) -> tuple[dict[str, Asked], list[str]]:
    """Everything that was asked, by its id in the order of the files, and the answers that were wrong."""
    asked: dict[str, Asked] = {}
    wrong: list[str] = []
    for line in _lines(paths):
        if "request" in line:
            # A later life asks again for the same: it was first sent in the earlier one.
            asked.setdefault(line["request"]["id"], Asked(Request(**line["request"]))).begun += 1
            continue
        entry = asked[line["of"]]
        if "lost" in line:
            entry.lost += 1
        elif "put_off" in line:
            entry.put_off += 1
        elif "wrong" in line:
            wrong.append(f"{entry.request.kind} {entry.request.path}: {line['wrong']}")
        else:
            entry.status, entry.answered = line["status"], line["at"]
            entry.answer, entry.slug = line.get("answer", {}), line.get("slug", "")
    return asked, wrong


def _lines(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        for line in path.read_bytes().splitlines(keepends=True):
            # A client that was killed may have left half of its last line: it never acted on it.
            if line.endswith(b"\n"):
                yield orjson.loads(line)
