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

from services.registrations import draw_records, ledger
from services.registrations.draw import Stage, Ticket
from services.registrations.invariants import broken, broken_seats
from services.registrations.ledger import Entry, NotAnEntry
from services.registrations.pools import PoolKey
from services.registrations.seatbook import Draw, Person, Refused, SeatBook


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
    stage: str | None = None
    draw: Mapping[str, Any] | None = None
    """Its row in `draw`, if its seats are drawn."""


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
    held: Draw | None = None
    count, at = 0, datetime.min.replace(tzinfo=UTC)
    async for number, found in entries:
        count, at = count + 1, found.at
        if number != count:
            return [f"entry {count} is missing from the ledger"], count
        try:
            book, wrong = replayed(book, found)
            held = _draw_of(found) or held
        except (NotAnEntry, Refused, KeyError) as error:
            return [f"entry {number}: {found.command} can't be carried out again ({error!r})"], count
        if wrong:
            return [f"entry {number}: {wrong}"], count
    if count != tables.last_entry:
        return [f"the ledger ends at entry {count}, the session at {tables.last_entry}"], count
    if book is None:
        return [], count
    return [*differences(book, tables), *_of_the_draw(book, held, tables), *broken(book, at)], count


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


def _draw_of(found: Entry) -> Draw | None:
    command = ledger.command_of(found) if found.command == "draw" else None
    return command if isinstance(command, Draw) else None


def _of_the_draw(book: SeatBook, held: Draw | None, tables: Tables) -> Iterable[str]:
    """What was committed to and published is what was drawn."""
    if tables.stage != book.stage:
        yield f"the draw is {tables.stage}, by the ledger {book.stage}"
    record = tables.draw
    if record is None:
        if book.stage is not None:
            yield "what its draw commits to is missing"
        return
    wrong = draw_records.differs(record)
    if wrong:
        yield f"draw: {wrong}"
    over = Stage.DRAWN if record["drawn_at"] else Stage.CANCELLED if record["cancelled_at"] else None
    if (over or Stage.TO_COME) != book.stage:
        yield f"what is published is a draw {over or Stage.TO_COME}, by the ledger {book.stage}"
    if held is None:
        return
    published = tuple(Ticket(number, lots) for number, lots in record["tickets"] or ())
    if held != Draw(record["seed"], published):
        yield "what was drawn is not the seed and the tickets that were published"
    if record["cancelled_at"] is None and wrong == "":
        yield from _outcomes(book, record)


def _outcomes(book: SeatBook, record: Mapping[str, Any]) -> Iterable[str]:
    ranks = {person.seq: person.rank for person in book.people.values() if person.rank is not None}
    withdrawn = draw_records.WITHDRAWN
    said = {number: rank for number, rank, outcome in record["result"] or () if outcome != withdrawn}
    if said != ranks:
        yield f"the draw published the ranks {said}, by the ledger {ranks}"


async def _entries_of(
    connection: "asyncpg.Connection[asyncpg.Record]", session_id: UUID
) -> AsyncIterator[tuple[int, Entry]]:
    async for row in connection.cursor(_ENTRIES, session_id, prefetch=500):
        inputs, touched = orjson.loads(row["inputs"]), orjson.loads(row["touched"])
        yield row["entry"], Entry(row["at"].astimezone(UTC), row["command"], inputs, touched)


async def _tables_of(connection: "asyncpg.Connection[asyncpg.Record]", session_id: UUID) -> Tables:
    session = await connection.fetchrow(_SESSION, session_id)
    assert session is not None, "sessions are never deleted, and this is one snapshot"
    pools = await connection.fetch(_POOLS, session_id)
    people = [_person_of(row) for row in await connection.fetch(_PEOPLE, session_id)]
    line = await connection.fetch(_LINE, session_id)
    erased = await connection.fetch(_ERASED, session_id)
    drawn = await connection.fetchrow(_DRAW, session_id)
    return Tables(
        session["last_seq"],
        session["last_entry"],
        {PoolKey(row["seat_kind"], row["channel"]): tuple(row[2:]) for row in pools},
        {person.ref: person for person in people},
        [row["ledger_ref"] for row in line],
        {row["status"]: row["count"] for row in erased},
        session["draw_stage"],
        None if drawn is None else _draw_row(drawn),
    )


def _draw_row(row: asyncpg.Record) -> Mapping[str, Any]:
    documents = ("rules", "tickets", "result")
    return {
        **row,
        **{name: None if row[name] is None else orjson.loads(row[name]) for name in documents},
    }


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
        rank=row["draw_rank"],
        granted=row["granted"],
        offer_until=until and until.astimezone(UTC),
        on_offer=row["on_offer"],
        by_hand=row["by_hand"],
        size=row["seats"],
        gather=row["gather_until"] and row["gather_until"].astimezone(UTC),
        gathered=row["gathered"],
    )


def _plain(value: Any) -> Any:
    """As it is after a journey through the database."""
    return orjson.loads(orjson.dumps(value, default=str))


_SESSIONS = "select id from session where facts is not null order by id"
_SESSION = "select last_seq, last_entry, draw_stage from session where id = $1"
_DRAW = """
select rules, seed, commitment, tickets, tickets_hash, drawn_at, result, cancelled_at from draw
where session_id = $1
"""
_ENTRIES = "select entry, at, command, inputs, touched from seat_ledger where session_id = $1 order by entry"
_POOLS = """
select seat_kind, channel, effective, confirmed, offered, waiting, granted, gathering from seat_pool
where session_id = $1
"""
_PEOPLE = """
select ledger_ref, seq, seat_kind, channel, status, pool_channel, priority, place, draw_rank,
    granted, offer_expires_at, wait_id is not null as on_offer, by_hand, seats, gather_until, gathered
from registration where session_id = $1 and ledger_ref is not null order by seq
"""
_LINE = """
select ledger_ref from registration
where session_id = $1 and status = 'waitlisted' and ledger_ref is not null
order by -priority, coalesce(place, draw_rank, seq), seq
"""
_ERASED = """
select status, count(*) from registration where session_id = $1 and ledger_ref is null group by status
"""
