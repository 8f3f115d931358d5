"""What a country of many instances needs: `python -m bench.capacity --instances 300 …`.

Computes the tables of docs/capacity.md from assumptions, each of which is an option, and from figures that
`make bench` has measured, which are options too: whoever measured on other machines gives their own.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

DAY = 86_400
BEATS = DAY // 30
"""Heartbeats of one instance in a day."""
TOPICS = 4
"""Federated topics of an instance, each of one partition."""
GB = 1e9


def _of(value: float | None, about: str) -> Any:
    return field(default=value, metadata={"about": about})


@dataclass(frozen=True, slots=True)
class Assumptions:
    """How much happens in the country."""

    instances: float = _of(1_000, "instances")
    sessions: float = _of(2, "new sessions a day in an instance")
    facts: float = _of(3, "messages about the facts of a session: published, changed, held")
    seats: float = _of(18, "messages about its seats: each registration and cancellation by itself")
    cells: float = _of(60, "operational cells of an instance in a month; as many change in a day")
    profile_cells: float = _of(40, "profile cells of an instance in a month")
    years: float = _of(5, "years of sessions that the streams and the view keep")
    peak: float = _of(10, "the busiest hour against the mean one, for all but heartbeats")
    replicas: float = _of(3, "copies of each topic")
    window: float = _of(1, "days until a superseded message is compacted")


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; see docs/benchmarks.md for how. None: not yet, and nothing is computed from it."""

    facts_bytes: float | None = _of(1_401, "bytes on the broker of a message about facts (`replay`)")
    seats_bytes: float | None = _of(841, "bytes on the broker of a message about seats (`replay`)")
    cell_bytes: float | None = _of(1_116, "bytes on the broker of a cell (`replay`)")
    beat_bytes: float | None = _of(950, "bytes on the broker of a heartbeat, a batch of its own")
    alone: float | None = _of(1_061, "µs of processor for a message alone, worker and database (`ingest`)")
    rate: float | None = _of(4_777, "messages a second of a replay (`replay`)")
    memory: float | None = _of(228, "MiB of the worker at its highest in a replay (`replay`)")
    session_bytes: float | None = _of(
        2_759, "bytes of the database for a session, its cells included (`national-page`)"
    )


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that the country needs, and how it was computed, in the names of the options."""

    name: str
    value: str
    how: str


def messages(country: Assumptions) -> dict[str, float]:
    """Messages a day by stream."""
    sessions = country.instances * country.sessions
    return {
        "sessions": sessions * country.facts,
        "seats": sessions * country.seats,
        "tallies": country.instances * (country.cells + country.profile_cells / 30),
        "heartbeat": country.instances * BEATS,
    }


def needs(country: Assumptions, measured: Figures) -> Iterator[Need]:
    daily = messages(country)
    said = sum(daily.values()) - daily["heartbeat"]
    for stream, count in daily.items():
        yield Need(f"messages a day, `{stream}`", _number(count), _HOW[stream])
    busiest = daily["heartbeat"] / DAY + country.peak * said / DAY
    yield Need("messages a second, mean", _number(sum(daily.values()) / DAY), "all of them / 86,400")
    yield Need("messages a second, busiest hour", _number(busiest), "heartbeats + peak × the rest")

    partitions = TOPICS * country.instances
    yield Need("partitions", _number(partitions), f"{TOPICS} × instances")
    yield Need("copies of partitions", _number(partitions * country.replicas), "partitions × replicas")

    kept = country.instances * country.sessions * 365 * country.years
    cells = country.instances * (country.cells + country.profile_cells) * 12 * country.years
    size = {
        "sessions": measured.facts_bytes,
        "seats": measured.seats_bytes,
        "tallies": measured.cell_bytes,
        "heartbeat": measured.beat_bytes,
    }
    standing = {"sessions": kept, "seats": kept, "tallies": cells, "heartbeat": country.instances}
    yield Need("sessions kept", _number(kept), "instances × sessions × 365 × years")
    yield Need("cells kept, at most", _number(cells), "instances × (cells + profile-cells) × 12 × years")
    for stream, each in size.items():
        copies = country.replicas * (standing[stream] + country.window * daily[stream])
        yield Need(
            f"disk of `{stream}`, all copies",
            _computed(partial(_gb_of, copies), each),
            "replicas × (what is kept + window × messages a day) × bytes",
        )

    # At worst every message comes alone: those of 1,000 instances lie in as many partitions.
    mean = sum(daily.values()) / DAY
    for name, many in (("mean", mean), ("busiest hour", busiest)):
        value = _computed(partial(_processors, many), measured.alone)
        yield Need(f"processors for the ingest, {name}", value, "messages a second × alone")
    for name, times in (("database", 1), ("database during a rebuild", 2)):
        value = _computed(partial(_gb_of, times * kept), measured.session_bytes)
        yield Need(name, value, f"{times} × sessions kept × session-bytes")
    replayed = sum(standing.values()) + country.window * sum(daily.values())
    yield Need("messages of a replay", _number(replayed), "what is kept + window × messages a day")
    minutes = _computed(lambda rate: f"{replayed / rate / 60:,.0f} minutes", measured.rate)
    yield Need("time of a replay", minutes, "messages of a replay / rate")
    memory = _computed(lambda mebibytes: f"{mebibytes:,.0f} MiB", measured.memory)
    yield Need("memory of the worker", memory, "as measured, with the streams of 12 instances")


_HOW = {
    "sessions": "instances × sessions × facts",
    "seats": "instances × sessions × seats",
    "tallies": "instances × (cells + profile-cells / 30)",
    "heartbeat": f"instances × {BEATS:,}",
}


def tables(country: Assumptions, measured: Figures) -> str:
    """What goes in, and what comes out, as Markdown."""
    parts = []
    for title, given in (("Assumed", country), ("Measured", measured)):
        rows = [
            (f"`--{_option(one.name)}`", _number(getattr(given, one.name)), one.metadata["about"])
            for one in fields(given)
        ]
        parts.append(_table((title, "", "what"), rows))
    parts.append(_table(("Needed", "", "how"), [(n.name, n.value, n.how) for n in needs(country, measured)]))
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ("---", "---:", "---"), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _computed(compute: Callable[[float], str], figure: float | None) -> str:
    return "not measured" if figure is None else compute(figure)


def _number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _gb(value: float) -> str:
    return f"{value / GB:,.1f} GB"


def _gb_of(count: float, each: float) -> str:
    return _gb(count * each)


def _processors(rate: float, microseconds: float) -> str:
    return f"{rate * microseconds / 1e6:.2f}"


def _option(name: str) -> str:
    return name.replace("_", "-")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description="What a country needs.")
    for one in (*fields(Assumptions), *fields(Figures)):
        parser.add_argument(
            f"--{_option(one.name)}",
            type=float,
            default=one.default,
            help=f"{one.metadata['about']} (%(default)s)",
        )
    given = vars(parser.parse_args(arguments))
    country = Assumptions(**{one.name: given[one.name] for one in fields(Assumptions)})
    measured = Figures(**{one.name: given[one.name] for one in fields(Figures)})
    print(tables(country, measured), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
