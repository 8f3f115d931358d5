"""Every stream there is, who writes it, and how it is kept: declared here and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

FEDERATED = ("sessions", "seats", "tallies", "heartbeat")
"""The streams that may leave a region, in the words of their payloads."""
FEDERATED_PREFIX = "federated."
_AWAY = timedelta(days=90)
"""A region may be cut off for so long: what it takes back meanwhile must still be in the log afterwards.

Nothing in a federated stream is about a person, so nothing has to be gone sooner.
"""


@dataclass(frozen=True, slots=True)
class Topic:
    """A compacted stream. `writer` is the one service that may append; `readers` may consume."""

    name: str
    writer: str
    readers: tuple[str, ...]
    partitions: int = 8
    compaction_lag: timedelta = timedelta(days=1)
    """A superseded message is gone at most this long after it was overtaken."""
    tombstone_retention: timedelta = timedelta(days=5)
    """A tombstone stays this long; with the lag, an erased person is gone within 7 days."""

    @property
    def logical(self) -> str:
        """What the stream says, wherever it lies: `federated.seats` for `estrie.federated.seats`.

        Envelopes, schemas and signatures name it so, and stay true when a stream is copied.
        """
        instance, dot, stream = self.name.partition("." + FEDERATED_PREFIX)
        return FEDERATED_PREFIX + stream if instance and dot else self.name

    @property
    def instance(self) -> str | None:
        """The instance that a federated stream belongs to; None for a stream inside an instance."""
        instance, dot, _stream = self.name.partition("." + FEDERATED_PREFIX)
        return instance if instance and dot else None


SESSIONS = Topic("sessions", writer="events", readers=("registrations", "exporter"))
SESSION_ACCESS = Topic("session_access", writer="events", readers=("registrations",))
SEATS = Topic("seats", writer="registrations", readers=("events", "exporter"))
REGISTRATIONS = Topic("registrations", writer="registrations", readers=("notifications",))
REACH = Topic("reach", writer="registrations", readers=("events",))
REACHED = Topic("reached", writer="notifications", readers=("registrations",))
TALLIES = Topic("tallies", writer="registrations", readers=("exporter",), partitions=1)

ALL: tuple[Topic, ...] = (SESSIONS, SESSION_ACCESS, SEATS, REACH, REGISTRATIONS, REACHED, TALLIES)
"""The streams inside an instance."""


def federated(instance: str) -> Mapping[str, Topic]:
    """The streams that `instance` says to the national view, by their name in `FEDERATED`.

    Each instance has topics of its own, so that a broker can refuse one that writes in another's name,
    and so that compaction, which goes by key, never lets one instance's message replace another's.
    """
    return {
        stream: Topic(
            f"{instance}.{FEDERATED_PREFIX}{stream}",
            writer="exporter",
            readers=("bridge", "national"),
            partitions=1,
            tombstone_retention=_AWAY,
        )
        for stream in FEDERATED
    }


def federated_named(name: str) -> Topic | None:
    """The federated stream with this name on a bus, or None for the name of anything else."""
    instance, dot, stream = name.partition("." + FEDERATED_PREFIX)
    return federated(instance).get(stream) if instance and dot else None


def streams(instance: str) -> tuple[Topic, ...]:
    """Every stream on the bus of `instance`."""
    return (*ALL, *federated(instance).values())


def named(name: str) -> Topic:
    """The stream with this name on any bus; `KeyError` for the name of anything else."""
    topic = _BY_NAME.get(name) or federated_named(name)
    if topic is None:
        raise KeyError(name)
    return topic


_BY_NAME = {topic.name: topic for topic in ALL}
