"""The audit: every session's seats and line worked out again from the ledger, and compared with the tables.

It reads one snapshot while the service runs, and changes nothing.
"""

import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.registrations import ledger
from services.registrations.invariants import broken, broken_seats
from services.registrations.ledger import Entry, NotAnEntry
from services.registrations.pools import PoolKey
from services.registrations.seatbook import Person, Refused, SeatBook


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the ledger and the tables don't agree on. It names a session and a random reference."""

    session_id: UUID
    what: str

    def __str__(self) -> str:
        return f"session {self.session_id}: {self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and everything that didn't agree."""

    sessions: int
    entries: int
    people: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """One session as the tables have it: its pools, its people, and the line as SQL sorts it.

    `erased` counts people whose link to the ledger was cut, by their last state.
    """

    last_seq: int
    last_entry: int
    pools: Mapping[PoolKey, tuple[int, ...]]
    people: Mapping[UUID, Person]
    line: Sequence[UUID]
    erased: Mapping[str, int]


async def audit(url: str) -> Report:
    """Compare everything in the database at `url`, in one snapshot."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _audited(connection)
    finally:
        await connection.close()


async def _audited(connection: "asyncpg.Connection[asyncpg.Record]") -> Report:
    ids = [row["id"] for row in await connection.fetch(_SESSIONS)]
    entries, people = 0, 0
    differences: list[Difference] = []
    for id_ in ids:
        tables = await _tables_of(connection, id_)
        found, count = await _compared(_entries_of(connection, id_), tables)
        entries += count
        people += len(tables.people)
        differences += [Difference(id_, what) for what in found]
    return Report(len(ids), entries, people, tuple(differences))


async def _compared(entries: AsyncIterator[tuple[int, Entry]], tables: Tables) -> tuple[list[str], int]:
    """What differs, and how many entries were read."""
    book: SeatBook | None = None
    count, at = 0, datetime.min.replace(tzinfo=UTC)
    async for number, found in entries:
        count, at = count + 1, found.at
        if number != count:
            return [f"entry {count} is missing from the ledger"], count
        try:
            book, wrong = replayed(book, found)
        except (NotAnEntry, Refused, KeyError) as error:
            return [f"entry {number}: {found.command} can't be carried out again ({error!r})"], count
        if wrong:
            return [f"entry {number}: {wrong}"], count
    if count != tables.last_entry:
        return [f"the ledger ends at entry {count}, the session at {tables.last_entry}"], count
    if book is None:
        return [], count
    return [*differences(book, tables), *broken(book, at)], count


def replayed(book: SeatBook | None, found: Entry) -> tuple[SeatBook, str]:
    """The book after an entry, and how the outcome written down differs from the one worked out."""
    if book is None:
        return ledger.opened(found), ""
    touched = book.do(ledger.command_of(found), found.at)
    worked_out = _plain(ledger.standings(touched))
    if worked_out != found.touched:
        return book, f"{found.command} touched {found.touched}, by the rules {worked_out}"
    rules = broken_seats(book, found.at)
    return book, f"after {found.command}: {rules[0]}" if rules else ""


def differences(book: SeatBook, tables: Tables) -> Iterable[str]:
    """Where a replayed book and the tables disagree."""
    if book.last_seq != tables.last_seq:
        yield f"last number {tables.last_seq}, by the ledger {book.last_seq}"
    for key in sorted(book.pools.keys() | tables.pools.keys(), key=lambda key: (key.seat_kind, key.channel)):
        pool = book.pools.get(key)
        worked_out = pool and dataclasses.astuple(pool)
        counted = tables.pools.get(key)
        if counted != worked_out:
            yield f"pool {key.seat_kind} « {key.channel} » is {counted}, by the ledger {worked_out}"
    yield from _people_who_differ(book, tables)
    # Who waited in vain until the session was over is erased like everybody.
    line = [person.ref for person in book.line() if person.ref in tables.people]
    if line != list(tables.line):
        yield f"the line is {[str(ref) for ref in tables.line]}, by the ledger {[str(ref) for ref in line]}"


def _people_who_differ(book: SeatBook, tables: Tables) -> Iterable[str]:
    for ref, person in tables.people.items():
        worked_out = book.people.get(ref)
        if worked_out is None:
            yield f"{ref} is in the tables, not in the ledger"
        elif person != worked_out:
            yield f"{ref} stands {ledger.standing(person)}, by the ledger {ledger.standing(worked_out)}"
    gone = Counter(person.status for ref, person in book.people.items() if ref not in tables.people)
    if gone - Counter(tables.erased):
        yield f"{dict(gone - Counter(tables.erased))} are in the ledger, neither in the tables nor erased"


async def _entries_of(
    connection: "asyncpg.Connection[asyncpg.Record]", session_id: UUID
) -> AsyncIterator[tuple[int, Entry]]:
    async for row in connection.cursor(_ENTRIES, session_id, prefetch=500):
        inputs, touched = orjson.loads(row["inputs"]), orjson.loads(row["touched"])
        yield row["entry"], Entry(row["at"].astimezone(UTC), row["command"], inputs, touched)


async def _tables_of(connection: "asyncpg.Connection[asyncpg.Record]", session_id: UUID) -> Tables:
    session = await connection.fetchrow("select last_seq, last_entry from session where id = $1", session_id)
    assert session is not None, "sessions are never deleted, and this is one snapshot"
    pools = await connection.fetch(_POOLS, session_id)
    people = [_person_of(row) for row in await connection.fetch(_PEOPLE, session_id)]
    line = await connection.fetch(_LINE, session_id)
    erased = await connection.fetch(_ERASED, session_id)
    return Tables(
        session["last_seq"],
        session["last_entry"],
        {PoolKey(row["seat_kind"], row["channel"]): tuple(row[2:]) for row in pools},
        {person.ref: person for person in people},
        [row["ledger_ref"] for row in line],
        {row["status"]: row["count"] for row in erased},
    )


def _person_of(row: asyncpg.Record) -> Person:
    until = row["offer_expires_at"]
    return Person(
        ref=row["ledger_ref"],
        seq=row["seq"],
        kind=row["seat_kind"],
        channel=row["channel"],
        status=row["status"],
        pool=row["pool_channel"],
        priority=row["priority"],
        place=row["place"],
        granted=row["granted"],
        offer_until=until and until.astimezone(UTC),
        size=row["seats"],
        gather=row["gather_until"] and row["gather_until"].astimezone(UTC),
        gathered=row["gathered"],
    )


def _plain(value: Any) -> Any:
    """As it is after a journey through the database."""
    return orjson.loads(orjson.dumps(value, default=str))


_SESSIONS = "select id from session where facts is not null order by id"
_ENTRIES = "select entry, at, command, inputs, touched from seat_ledger where session_id = $1 order by entry"
_POOLS = """
select seat_kind, channel, effective, confirmed, offered, waiting, granted, gathering from seat_pool
where session_id = $1
"""
_PEOPLE = """
select ledger_ref, seq, seat_kind, channel, status, pool_channel, priority, place, granted, offer_expires_at,
    seats, gather_until, gathered
from registration where session_id = $1 and ledger_ref is not null order by seq
"""
_LINE = """
select ledger_ref from registration
where session_id = $1 and status = 'waitlisted' and ledger_ref is not null
order by -priority, coalesce(place, seq), seq
"""
_ERASED = """
select status, count(*) from registration where session_id = $1 and ledger_ref is null group by status
"""
