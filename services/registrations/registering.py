"""Many requests for seats in one transaction: read their sessions, decide in order, write all at once.

The rules don't know that requests come together: each is decided on the book that the one before left.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4, uuid5

import asyncpg
import orjson

from libs.database import Plain
from libs.messaging import topics
from libs.messaging.contracts import SessionState
from libs.messaging.envelope import headers_of
from libs.settings import Settings
from libs.web.problems import Problem
from services.registrations import ledger, offers, opening, seatbook
from services.registrations.confirmation import new_number
from services.registrations.draw import Stage
from services.registrations.inputs import RegistrationRequest
from services.registrations.known_sessions import Known, KnownSessions
from services.registrations.pools import GENERAL, PoolKey
from services.registrations.problems import (
    DrawCancelled,
    KeyReused,
    MaybeDuplicate,
    PartyTooLarge,
    SessionFull,
    SessionUnknown,
)
from services.registrations.registering_sql import (
    ANSWERS,
    FACTS,
    LOCK,
    PLACE,
    READ,
    REPEATED,
    WRITE,
)
from services.registrations.seatbook import Person, Pool, SeatBook
from services.registrations.telling import draw_url

WORDING = "2026-11"
"""The version of the consent texts in use, kept with each consent."""


class ClientKey(NamedTuple):
    """An `Idempotency-Key`, within the route and credential that it was sent with."""

    scope: str
    key: str


class Registered(NamedTuple):
    """The answer to a registration; `created` is false when it repeats an earlier one."""

    id: UUID
    session_id: UUID
    status: str
    position: int | None
    confirmation_number: str
    generation: int
    created: bool


@dataclass(slots=True, eq=False)
class Ask:
    """Somebody's request. `id` was made before any transaction, so that its outcome can be looked up.

    `may_exist`: the id came with a form, or this is another try after a commit of unknown outcome.
    """

    session_id: UUID
    request: RegistrationRequest
    id: UUID
    client_key: ClientKey | None = None
    may_exist: bool = False
    tried: bool = False
    content_hash: bytes = field(init=False)
    name_key: str = field(init=False)
    ways: dict[str, str] = field(init=False)
    """The ways to reach the person, as they are compared with others'."""

    def __post_init__(self) -> None:
        self.content_hash = self.request.content_hash
        self.name_key = self.request.name_key
        self.ways = self.request.contact.ways


class NotSettled(Exception):
    """These sessions have something to record before anybody can be seated: a release that is due."""

    def __init__(self, session_ids: Iterable[UUID]) -> None:
        super().__init__()
        self.session_ids = tuple(session_ids)


class Overtaken(Exception):
    """Something happened to a session between reading and writing; nothing was written."""


Outcome = Registered | Problem


@dataclass(frozen=True, slots=True)
class Decided:
    """What each request comes to once the batch is written, and what is to be written."""

    outcomes: list[Outcome]
    batch: "_Batch"

    @property
    def changes_something(self) -> bool:
        return bool(self.batch.admitted)


async def register_all(
    connection: Plain, settings: Settings, known: KnownSessions, asks: Sequence[Ask]
) -> Decided:
    """Carry out `asks` in a transaction, with their sessions locked first. Raises `NotSettled`."""
    await connection.execute(LOCK, sorted({ask.session_id for ask in asks}))
    decided = await decide(connection, settings, known, asks)
    await write(connection, decided)
    return decided


async def decide(
    connection: Plain,
    settings: Settings,
    known: KnownSessions,
    asks: Sequence[Ask],
    *,
    after: Decided | None = None,
) -> Decided:
    """What each of `asks` comes to, in order, as the database stands; nothing is written yet.

    `after` is a batch that is being written meanwhile: its sessions are taken as it will leave them, so
    what is decided holds only if it was written. Raises `NotSettled`, and `Overtaken` if somebody else
    has already changed what that batch rests on.
    """
    ids = {str(ask.session_id): ask.session_id for ask in asks}
    sessions, read = await _read(connection, known, ids, asks)
    batch = _Batch(settings, sessions, read, after.batch if after is not None else None)
    outcomes = batch.outcomes(asks)
    return Decided([await _as_it_stands(connection, outcome) for outcome in outcomes], batch)


async def write(connection: Plain, decided: Decided) -> None:
    """Write what was decided, in one statement. Raises `Overtaken`, and writes nothing, if a session is
    no longer as the decision took it to be."""
    if decided.changes_something:
        await _write(connection, decided.batch)


@dataclass(slots=True)
class _Session:
    """A session as it was read: its version, its book, and how far its ledger went and goes."""

    id: UUID
    known: Known
    book: SeatBook
    was_entry: int
    last_entry: int

    def after(self, before: "_Session") -> "_Session":
        """As `before` leaves it, which was decided but may not have been committed when this was read."""
        if self.known is not before.known or self.last_entry not in (before.was_entry, before.last_entry):
            raise Overtaken
        pools = {key: replace(pool) for key, pool in before.book.pools.items()}
        book = SeatBook(before.book.terms, pools, {}, before.book.last_seq, before.book.stage)
        return _Session(self.id, self.known, book, before.last_entry, before.last_entry)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What the database says of an ask: its key's first use, and whether somebody alike is registered."""

    key: Mapping[str, Any] | None
    alike: bool


@dataclass(slots=True)
class _Admitted:
    """A request that got a number, and its new row."""

    ask: Ask
    id: UUID
    session: _Session
    person: Person
    number: str
    position: int | None
    entry: int
    command: seatbook.Request


@dataclass(frozen=True, slots=True)
class _Repeated:
    """A form that was sent before, as its registration was then found."""

    row: asyncpg.Record
    created: bool


@dataclass(frozen=True, slots=True)
class _Read:
    now: datetime
    epoch: int
    earlier: dict[int, _Earlier]
    rows: dict[UUID, asyncpg.Record]
    answers: dict[UUID, asyncpg.Record]


# Loading.


async def _read(
    connection: Plain, known: KnownSessions, ids: Mapping[str, UUID], asks: Sequence[Ask]
) -> tuple[dict[UUID, _Session], _Read]:
    """The sessions that `events` has announced, and everything else that the decisions rest on."""
    found = orjson.loads(await connection.fetchval(READ, list(ids.values()), _looked_up(asks)))
    rows = found["sessions"] or []
    unsettled = [ids[row["id"]] for row in rows if row["due"] or not row["last_entry"]]
    if unsettled:
        raise NotSettled(unsettled)
    await _learn(connection, known, {ids[row["id"]]: tuple(row["newness"]) for row in rows})
    sessions = {ids[row["id"]]: _session(known, ids[row["id"]], row) for row in rows}
    earlier = {item["number"]: _Earlier(item["key"], item["alike"]) for item in found["earlier"] or []}
    perhaps = [id_ for ask in asks if ask.may_exist for id_ in (ask.id, _other_id(ask))]
    repeated = await connection.fetch(REPEATED, perhaps) if perhaps else []
    first = [UUID(item.key["registration_id"]) for item in earlier.values() if item.key is not None]
    answers = await connection.fetch(ANSWERS, first) if first else []
    now = datetime.fromisoformat(found["now"]).astimezone(UTC)
    return sessions, _Read(
        now,
        found["epoch"],
        earlier,
        {row["id"]: row for row in repeated},
        {row["id"]: row for row in answers},
    )


async def _learn(connection: Plain, known: KnownSessions, newness: Mapping[UUID, tuple[int, ...]]) -> None:
    missing = [id_ for id_, version in newness.items() if known.get(id_, version) is None]
    for row in await connection.fetch(FACTS, missing) if missing else ():
        facts = SessionState.model_validate_json(row["facts"])
        known.learn(row["id"], newness[row["id"]], facts, row["online_url"])


def _session(known: KnownSessions, id_: UUID, row: Mapping[str, Any]) -> _Session:
    version = known.get(id_, tuple(row["newness"]))
    assert version is not None, "it was just learnt"
    book = SeatBook(
        version.terms,
        {PoolKey(kind, channel): Pool(*counts) for kind, channel, *counts in row["pools"] or ()},
        {},
        row["last_seq"],
        row["draw_stage"] and Stage(row["draw_stage"]),
    )
    return _Session(id_, version, book, row["last_entry"], row["last_entry"])


def _looked_up(asks: Sequence[Ask]) -> str:
    """Who is asked about in `READ`, and with which key."""
    rows: list[dict[str, Any]] = []
    for number, ask in enumerate(asks):
        row: dict[str, Any] = {"number": number, "session_id": ask.session_id}
        if ask.client_key is not None:
            row["scope"], row["key"] = ask.client_key.scope, ask.client_key.key
        if not ask.request.another_person:
            row["name_key"] = ask.name_key
            row.update(ask.ways)
        rows.append(row)
    return _json(rows)


def _other_id(ask: Ask) -> UUID:
    """The id for other content under the id of a form that was sent before."""
    return uuid5(ask.id, ask.content_hash.hex())


# Deciding.


class _Batch:
    """The requests of one transaction, decided one after the other.

    `before` is the batch that is being written meanwhile, whose people the database may not show yet.
    """

    def __init__(
        self, settings: Settings, sessions: dict[UUID, _Session], read: _Read, before: "_Batch | None"
    ) -> None:
        self.settings = settings
        self.sessions = sessions
        if before is not None:
            for id_ in sessions.keys() & before.sessions.keys():
                sessions[id_] = sessions[id_].after(before.sessions[id_])
        self.read = read
        self.admitted: list[_Admitted] = []
        self._number = -1
        self._by_key: dict[ClientKey, tuple[bytes, Registered]] = {}
        self._by_id: dict[UUID, tuple[bytes, Registered]] = {}
        self._people: set[tuple[UUID, str, str, str]] = set()
        self._before = before

    def outcomes(self, asks: Sequence[Ask]) -> "list[Registered | _Repeated | Problem]":
        decided = [self._outcome(ask) for ask in asks]
        # It has served: kept, each batch would keep alive all that came before it.
        self._before = None
        return decided

    def _outcome(self, ask: Ask) -> "Registered | _Repeated | Problem":
        self._number += 1
        try:
            return self._repeats(ask, self.read.earlier.get(self._number)) or self._admit(ask)
        except Problem as problem:
            return problem

    def _repeats(self, ask: Ask, earlier: _Earlier | None) -> "Registered | _Repeated | None":
        """The answer that this request has had already: by its key, or by its form's id (rule S5)."""
        if ask.client_key is not None:
            known = self._first_with_key(ask.client_key)
            if known is not None:
                body_hash, first = known
                if body_hash != ask.request.body_hash:
                    raise KeyReused
                return _again(first)
            if earlier is not None and earlier.key is not None:
                return self._by_kept_key(ask, earlier.key)
        if not ask.may_exist:
            return None
        for id_ in (ask.id, _other_id(ask)):
            known = self._first_with_id(id_)
            if known is not None:
                content_hash, first = known
                if content_hash == ask.content_hash:
                    return _again(first)
            elif id_ in self.read.rows:
                row = self.read.rows[id_]
                if row["content_hash"] == ask.content_hash:
                    return _Repeated(row, created=ask.tried)
            else:
                return None
            # The back button, then the spouse's name: a registration of its own, once they have said so.
            if not ask.request.another_person:
                raise MaybeDuplicate
        return None

    def _by_kept_key(self, ask: Ask, key: Mapping[str, Any]) -> Registered:
        if key["body_hash"] != _bytea(ask.request.body_hash):
            raise KeyReused
        row = self.read.answers[UUID(key["registration_id"])]
        return Registered(
            id=row["id"],
            session_id=row["session_id"],
            status=key["status"],
            position=key["position"],
            confirmation_number=row["confirmation_number"],
            generation=row["generation"],
            created=ask.tried and row["id"] == ask.id,
        )

    def _admit(self, ask: Ask) -> Registered:
        """Give a newcomer a seat, or a place in the line, unless the session takes nobody (S2, S6)."""
        session = self.sessions.get(ask.session_id)
        if session is None:
            raise SessionUnknown
        request, facts = ask.request, session.known.facts
        opening.check_open(facts, self.read.now, request.channel, has_link=session.known.has_link)
        kind = opening.seat_kind(facts, request.seat_kind)
        opening.check_details(facts, request.organisation, request.role)
        seats = opening.party_seats(facts, request.party_size, request.support_companion)
        if not request.another_person and self._somebody_alike(ask):
            raise MaybeDuplicate
        by_hand = offers.is_by_hand(
            request.contact.email, request.contact.mobile, texts=self.settings.sms_url is not None
        )
        command = seatbook.Request(uuid4(), kind, request.channel, seats, by_hand=by_hand)
        try:
            (person,) = session.book.do(command, self.read.now)
        except seatbook.Full:
            raise SessionFull from None
        except seatbook.DrawCancelled:
            raise DrawCancelled from None
        except seatbook.PartyTooLarge:
            raise PartyTooLarge from None
        return self._admitted(ask, session, person, command)

    def _first_with_key(self, key: ClientKey) -> "tuple[bytes, Registered] | None":
        before = self._before._by_key.get(key) if self._before is not None else None
        return before or self._by_key.get(key)

    def _first_with_id(self, id_: UUID) -> "tuple[bytes, Registered] | None":
        before = self._before._by_id.get(id_) if self._before is not None else None
        return before or self._by_id.get(id_)

    def _somebody_alike(self, ask: Ask) -> bool:
        earlier = self.read.earlier.get(self._number)
        if earlier is not None and earlier.alike:
            return True
        ways = _ways(ask)
        before = self._before is not None and not self._before._people.isdisjoint(ways)
        return before or not self._people.isdisjoint(ways)

    def _admitted(self, ask: Ask, session: _Session, person: Person, command: seatbook.Request) -> Registered:
        is_taken = ask.id in self.read.rows or self._first_with_id(ask.id) is not None
        id_ = _other_id(ask) if is_taken else ask.id
        waits = person.status == "waitlisted"
        position = session.book.pools[PoolKey(person.kind, GENERAL)].waiting if waits else None
        session.last_entry += 1
        admitted = _Admitted(ask, id_, session, person, new_number(), position, session.last_entry, command)
        self.admitted.append(admitted)
        done = Registered(id_, session.id, person.status, position, admitted.number, 1, created=True)
        self._by_id[id_] = (ask.content_hash, done)
        if ask.client_key is not None:
            self._by_key[ask.client_key] = (ask.request.body_hash, done)
        self._people.update(_ways(ask))
        return done


def _ways(ask: Ask) -> list[tuple[UUID, str, str, str]]:
    """Each way to reach this name on this session."""
    return [(ask.session_id, ask.name_key, way, value) for way, value in ask.ways.items()]


def _again(first: Registered) -> Registered:
    return first._replace(created=False)


async def _as_it_stands(connection: Plain, outcome: "Registered | _Repeated | Problem") -> Outcome:
    """A repeated form is answered with what its registration has become."""
    if not isinstance(outcome, _Repeated):
        return outcome
    row = outcome.row
    position = await connection.fetchval(PLACE, row["id"]) if row["status"] == "waitlisted" else None
    return Registered(
        row["id"],
        row["session_id"],
        row["status"],
        position,
        row["confirmation_number"],
        row["generation"],
        outcome.created,
    )


# Writing.


async def _write(connection: Plain, batch: _Batch) -> None:
    """One statement: people, their ledger, their notices, their keys, and how far each session has come."""
    settings, read, admitted = batch.settings, batch.read, batch.admitted
    at = read.now.isoformat()
    causes = [_cause(settings, one, read.epoch, at) for one in admitted]
    unchanged = await connection.fetchval(
        WRITE,
        read.now,
        read.epoch,
        _json([_person(settings, one) for one in admitted]),
        _json([_ledger_entry(one, read.now) for one in admitted]),
        _json(
            [
                {"registration_id": one.id, "cause": one.person.status, "body": orjson.Fragment(cause)}
                for one, cause in zip(admitted, causes, strict=True)
            ]
        ),
        _json([_envelope(settings, one, read.epoch, at) for one in admitted]),
        [_state(settings, one, at, cause) for one, cause in zip(admitted, causes, strict=True)],
        _json([_key(one, one.ask.client_key) for one in admitted if one.ask.client_key is not None]),
        _json([_come(session) for session in {one.session.id: one.session for one in admitted}.values()]),
        _json([need for one in admitted for need in _needs(one)]),
        _json([consent for one in admitted for consent in _consents(one)]),
    )
    if not unchanged:
        raise Overtaken


def _come(session: _Session) -> dict[str, Any]:
    """How far a session has come, and what it must still be for that."""
    _epoch, version, _access_epoch, access_version = session.known.newness
    return {
        "id": session.id,
        "last_seq": session.book.last_seq,
        "last_entry": session.last_entry,
        "was_entry": session.was_entry,
        "was_version": version,
        "was_access_version": access_version,
    }


def _needs(one: _Admitted) -> list[dict[str, Any]]:
    needs = dict.fromkeys(one.ask.request.accommodations)
    return [{"registration_id": one.id, "need": need} for need in needs]


def _consents(one: _Admitted) -> list[dict[str, Any]]:
    said = {"registration_id": one.id, "wording": WORDING, "channel": one.person.channel}
    return [said | {"purpose": purpose} for purpose in dict.fromkeys(one.ask.request.consents)]


def _json(rows: object) -> str:
    return orjson.dumps(rows, default=str).decode()  # asyncpg has a UUID of its own


def _person(settings: Settings, one: _Admitted) -> dict[str, Any]:
    request, person, contact = one.ask.request, one.person, one.ask.request.contact
    return {
        "id": one.id,
        "session_id": one.ask.session_id,
        "status": person.status,
        "seat_kind": person.kind,
        "pool_channel": person.pool,
        "channel": person.channel,
        "name": request.name,
        "name_key": one.ask.name_key,
        "language": request.language,
        "email": contact.email,
        "mobile": contact.mobile,
        "phone": contact.phone,
        "postal": contact.postal,
        "organisation": request.organisation,
        "role": request.role,
        "target_groups": request.target_groups,
        "confirmation_number": one.number,
        "seq": person.seq,
        "by_hand": person.by_hand,
        "ledger_ref": person.ref,
        "uid": f"{one.id}@{settings.uid_domain}",
        "content_hash": _bytea(one.ask.content_hash),
        "party_size": request.party_size,
        "seats": person.size,
        "gather_until": person.gather,
    }


def _ledger_entry(one: _Admitted, now: datetime) -> dict[str, Any]:
    entry = ledger.entry(one.command, (one.person,), now)
    return {
        "session_id": one.ask.session_id,
        "entry": one.entry,
        "command": entry.command,
        "inputs": entry.inputs,
        "touched": entry.touched,
    }


def _key(one: _Admitted, key: ClientKey) -> dict[str, Any]:
    return {
        "scope": key.scope,
        "key": key.key,
        "body_hash": _bytea(one.ask.request.body_hash),
        "registration_id": one.id,
        "status": one.person.status,
        "position": one.position,
    }


def _bytea(value: bytes) -> str:
    """Bytes as PostgreSQL reads them from text (8.4.1, hex format)."""
    return "\\x" + value.hex()


def _cause(settings: Settings, one: _Admitted, epoch: int, at: str) -> bytes:
    """A `Cause` as JSON, without building the model: the session's facts are serialised once a version."""
    confirmed = one.person.status == "confirmed"
    known = one.session.known
    return orjson.dumps(
        {
            "epoch": epoch,
            "version": 1,
            "cause": one.person.status,
            "at": at,
            "status": one.person.status,
            "sequence": 0,
            "invited": confirmed,
            "seat_kind": one.person.kind,
            "position": one.position,
            "offer_expires_at": None,
            "reason": None,
            "session": known.told_with_link if confirmed and one.person.kind == "online" else known.told,
            "previous": None,
            "alternatives": (),
            "draw": _draw(settings, one),
        }
    )


def _draw(settings: Settings, one: _Admitted) -> dict[str, Any] | None:
    """A `DrawFacts`, for who waits for a draw: the number of the request is the ticket."""
    drawn = one.session.known.facts.waitlist.drawn
    if one.person.status != "pending" or drawn is None:
        return None
    return {
        "ticket": one.person.seq,
        "closes_at": drawn.closes_at,
        "url": draw_url(settings, one.session.id),
        "rank": None,
        "tickets": None,
    }


def _envelope(settings: Settings, one: _Admitted, epoch: int, at: str) -> dict[str, Any]:
    key = str(one.id)
    return {
        "topic": topics.REGISTRATIONS.name,
        "key": key,
        "partition_key": one.ask.session_id,
        "headers": headers_of(
            topics.REGISTRATIONS, instance=settings.instance, key=key, epoch=epoch, version=1, time=at
        ),
    }


def _state(settings: Settings, one: _Admitted, at: str, cause: bytes) -> bytes:
    """A `RegistrationState` as JSON."""
    request, person, contact = one.ask.request, one.person, one.ask.request.contact
    return orjson.dumps(
        {
            "id": one.id,
            "session_id": one.ask.session_id,
            "status": person.status,
            "channel": person.channel,
            "seat_kind": person.kind,
            "party_size": request.party_size,
            "seats": person.size,
            "name": request.name,
            "language": request.language,
            "contact": {
                "email": contact.email,
                "mobile": contact.mobile,
                "phone": contact.phone,
                "postal": contact.postal,
            },
            "confirmation_number": one.number,
            "generation": 1,
            "uid": f"{one.id}@{settings.uid_domain}",
            "sequence": 0,
            "created_at": at,
            "causes": (orjson.Fragment(cause),),
        }
    )
