"""Writing believed messages into a generation: what is newer replaces, what is gone leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import orjson

from libs.database import Plain
from libs.messaging.federated import (
    FederatedSeats,
    FederatedSession,
    FederatedTally,
    Heartbeat,
    OperationalCounts,
    ProfileCounts,
)
from services.national import ingesting_sql as sql
from services.national.believing import Believed
from services.national.rows import (
    Row,
    gone_row,
    heartbeat_row,
    profile_row,
    seats_row,
    session_row,
    tally_row,
)


@dataclass(slots=True)
class Changes:
    """How many more things of an instance are here than before; negative for fewer."""

    sessions: int = 0
    seats: int = 0
    tallies: int = 0

    def add(self, made: "asyncpg.Record | None") -> None:
        """What one statement answers; nothing for one that changes none of these."""
        if made is not None:
            self.sessions += made["sessions"]
            self.seats += made["seats"]
            self.tallies += made["tallies"]


_GONE: Mapping[str, Sequence[str]] = {
    "sessions": (sql.SESSIONS_GONE,),
    "seats": (sql.SEATS_GONE,),
    "tallies": (sql.TALLIES_GONE, sql.PROFILES_GONE),
}


async def apply(connection: Plain, generation: int, instance: str, believed: Sequence[Believed]) -> Changes:
    """Messages of one instance and one stream, at most one for each key; under `ingesting_sql.LOCK`."""
    changes = Changes()
    for statement, rows in _statements(believed):
        changes.add(await connection.fetchrow(statement, generation, instance, _json(rows)))
    gone = [message for message in believed if message.payload is None]
    if gone:
        await _erase(connection, generation, instance, gone, changes)
    return changes


def _statements(believed: Sequence[Believed]) -> list[tuple[str, list[Row]]]:
    by_statement: dict[str, list[Row]] = {}
    for message in believed:
        match message.payload:
            case FederatedSession() as session:
                by_statement.setdefault(sql.SESSIONS, []).append(session_row(message, session))
            case FederatedSeats() as seats:
                by_statement.setdefault(sql.SEATS_OF_SESSIONS, []).append(seats_row(message, seats))
            case FederatedTally(cell=OperationalCounts() as cell):
                by_statement.setdefault(sql.TALLIES, []).append(tally_row(message, cell))
            case FederatedTally(cell=ProfileCounts() as cell):
                by_statement.setdefault(sql.PROFILES, []).append(profile_row(message, cell))
            case Heartbeat() as heartbeat:
                # One row for each instance, whatever the keys: the newest alone counts.
                by_statement.setdefault(sql.HEARTBEAT, []).append(heartbeat_row(message, heartbeat))
    heartbeats = by_statement.get(sql.HEARTBEAT)
    if heartbeats:
        by_statement[sql.HEARTBEAT] = [max(heartbeats, key=lambda row: (row["epoch"], row["version"]))]
    return list(by_statement.items())


async def _erase(
    connection: Plain, generation: int, instance: str, gone: Sequence[Believed], changes: Changes
) -> None:
    stream = gone[0].stream
    if stream not in _GONE:
        return  # an instance that takes its heartbeat back has said that it lived, and no more
    rows = _json([gone_row(message) for message in gone])
    await connection.execute(sql.ERASE, generation, instance, rows, stream)
    for statement in _GONE[stream]:
        changes.add(await connection.fetchrow(statement, generation, instance, rows))
    if stream in {"sessions", "seats"}:
        await connection.execute(sql.EMPTY_SESSIONS, generation, [message.session_id for message in gone])


def _json(rows: Sequence[Row]) -> str:
    return orjson.dumps(rows).decode()
