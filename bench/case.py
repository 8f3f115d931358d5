"""What a benchmark case is, and what it is given to work with."""

import importlib
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import cases
from bench.floor import Floor
from bench.instance import Instance, opened
from bench.report import Line
from deploy.kafka import broker


@dataclass(frozen=True, slots=True)
class Options:
    """How thorough a run is. `seconds` is one half of a pair; `people` is for the case of memory.

    `messages` are those that the national view is rebuilt from.
    """

    pairs: int = 7
    seconds: float = 2.0
    people: int = 100_000
    messages: int = 200_000


@dataclass(frozen=True, slots=True)
class Bench:
    """One run: the server that everything shares, and the floor beside it."""

    options: Options
    server_url: str
    folder: Path
    floor: Floor

    @asynccontextmanager
    async def instance(
        self, name: str, *services: str, bus_url: str | None = None
    ) -> AsyncIterator[Instance]:
        """A new instance with databases of its own: `services` run, each as a process, with all loops.

        Its bus is the same PostgreSQL unless `bus_url` names another.
        """
        async with opened(self.server_url, self.folder, name, services, bus_url) as instance:
            yield instance

    @contextmanager
    def kafka(self) -> Iterator[broker.Cluster]:
        """One broker of its own. It is started and stopped by the caller's thread."""
        with (
            TemporaryDirectory(prefix="kafka-", dir=self.folder) as folder,
            broker.running(Path(folder)) as one,
        ):
            yield one


@dataclass(frozen=True, slots=True)
class Case:
    """A case by its name on the command line. `run` raises when it can't measure."""

    name: str
    about: str
    run: Callable[[Bench], Awaitable[Sequence[Line]]]


def all_cases() -> list[Case]:
    """The `CASES` of every file in `bench/cases`, in the order of the files' `RANK`."""
    modules = [
        importlib.import_module(f"bench.cases.{item.name}") for item in pkgutil.iter_modules(cases.__path__)
    ]
    return [case for module in sorted(modules, key=lambda module: module.RANK) for case in module.CASES]
