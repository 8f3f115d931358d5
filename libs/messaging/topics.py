"""Every stream there is, who writes it, and how it is kept: declared here and nowhere else."""

from dataclasses import dataclass
from datetime import timedelta


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


SESSIONS = Topic("sessions", writer="events", readers=("registrations",))
SESSION_ACCESS = Topic("session_access", writer="events", readers=("registrations",))
SEATS = Topic("seats", writer="registrations", readers=("events",))
REGISTRATIONS = Topic("registrations", writer="registrations", readers=("notifications",))

REACH = Topic("reach", writer="registrations", readers=("events",))

ALL: tuple[Topic, ...] = (SESSIONS, SESSION_ACCESS, SEATS, REACH, REGISTRATIONS)
