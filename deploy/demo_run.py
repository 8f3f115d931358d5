"""How far a loading of the demonstration came, kept in DATA_DIR: one that was interrupted goes on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4, uuid5

FILE = "demonstration.json"
KEYS_LAST = timedelta(hours=20)
"""The services know an `Idempotency-Key` for 24 hours: later, what was made would be made again."""


@dataclass(frozen=True, slots=True)
class Run:
    """One loading. `began` is what its days are counted from; `tour` the first thing that it made."""

    id: UUID
    began: datetime
    tour: str = ""
    is_done: bool = False

    @classmethod
    def new(cls, now: datetime) -> Self:
        return cls(uuid4(), now)

    def can_go_on(self, now: datetime) -> bool:
        """Whether every call of it may be repeated without doing anything twice."""
        return not self.is_done and timedelta() <= now - self.began < KEYS_LAST

    def key(self, method: str, path: str, body: Mapping[str, Any] | None) -> str:
        """The `Idempotency-Key` of one call, the same whenever it is repeated."""
        return str(uuid5(self.id, f"{method} {path} {json.dumps(body, sort_keys=True)}"))


def read_run(folder: Path) -> Run | None:
    """The last loading into this folder's instance; None if there was none, or nobody can tell."""
    try:
        found = json.loads((folder / FILE).read_text("utf-8"))
        return Run(UUID(found["id"]), datetime.fromisoformat(found["began"]), found["tour"], found["is_done"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_run(folder: Path, run: Run) -> None:
    """Keep it: all of it or, after a crash, what was there before."""
    given = asdict(run) | {"id": str(run.id), "began": run.began.isoformat()}
    fresh = folder / f"{FILE}.new"
    fresh.write_text(json.dumps(given), "utf-8")
    fresh.replace(folder / FILE)
