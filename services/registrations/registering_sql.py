"""The statements of the lane, in plain SQL: a handful for a batch, however many requests it holds."""

from collections.abc import Mapping, Sequence
from typing import Any

LOCK = """
select id, epoch, version, access_epoch, access_version, last_seq, last_entry
from session where id = any($1::uuid[]) and facts is not null order by id for no key update
"""
FACTS = "select id, facts, online_url from session where id = any($1::uuid[])"

# The first row is the moment: one clock, read after the lock. `due`: seats to release come first.
POOLS = """
with moment as materialized (select clock.decision_time() as now)
select now, (select epoch from epoch), null as session_id, null as seat_kind, null as channel,
    0 as effective, 0 as confirmed, 0 as offered, 0 as waiting, 0 as granted, false as due from moment
union all
select now, 0, session_id, seat_kind, channel, effective, confirmed, offered, waiting, granted,
    coalesce(next_release_at <= now, false)
from moment, session join seat_pool on session_id = id where id = any($1::uuid[])
"""

KNOWN_KEYS_AND_PEOPLE = """
select number, body_hash, registration_id, status, position, coalesce(alike, false) as alike
from unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[]) as ask (number, session_id, name_key, email, mobile, phone, postal, scope, key)
left join lateral (
    select body_hash, registration_id, status, position from idempotency_key
    where scope = ask.scope and key = ask.key
) as earlier on true
left join lateral (
    select true as alike from registration
    where session_id = ask.session_id and name_key = ask.name_key
        and status in ('pending', 'waitlisted', 'offered', 'confirmed')
        and (lower(email) = ask.email or mobile = ask.mobile or phone = ask.phone or postal = ask.postal)
    limit 1
) as other on true
where registration_id is not null or alike
"""
REPEATED = """
select id, session_id, content_hash, status, confirmation_number, generation
from registration where id = any($1::uuid[])
"""
ANSWERS = (
    "select id, session_id, confirmation_number, generation from registration where id = any($1::uuid[])"
)
PLACE = """
select count(*) from registration as other join registration as person on person.id = $1
where other.session_id = person.session_id and other.status = 'waitlisted'
    and other.seat_kind = person.seat_kind
    and (-other.priority, coalesce(other.place, other.seq), other.seq)
        <= (-person.priority, coalesce(person.place, person.seq), person.seq)
"""

_TYPES: Mapping[str, Mapping[str, str]] = {
    "registration": {
        "id": "uuid", "session_id": "uuid", "status": "text", "seat_kind": "text", "pool_channel": "text",
        "channel": "text", "name": "text", "name_key": "text", "language": "text", "email": "text",
        "mobile": "text", "phone": "text", "postal": "text", "organisation": "text", "role": "text",
        "target_groups": "jsonb", "confirmation_number": "text", "seq": "bigint", "ledger_ref": "uuid",
        "uid": "text", "invited": "boolean", "content_hash": "bytea", "created_at": "timestamptz",
        "confirmed_at": "timestamptz",
    },
    "seat_ledger": {
        "session_id": "uuid", "entry": "bigint", "at": "timestamptz", "command": "text", "inputs": "jsonb",
        "touched": "jsonb",
    },
    "registration_cause": {
        "registration_id": "uuid", "epoch": "int", "cause": "text", "at": "timestamptz", "body": "jsonb",
    },
    "outbox": {
        "topic": "text", "key": "text", "partition_key": "text", "headers": "jsonb", "value": "bytea",
    },
    "idempotency_key": {
        "scope": "text", "key": "text", "body_hash": "bytea", "registration_id": "uuid", "status": "text",
        "position": "int", "created_at": "timestamptz",
    },
    "accommodation_request": {"registration_id": "uuid", "need": "text"},
    "consent": {
        "registration_id": "uuid", "purpose": "text", "wording": "text", "channel": "text",
        "given_at": "timestamptz",
    },
    "session": {"id": "uuid", "last_seq": "bigint", "last_entry": "bigint"},
}  # fmt: skip
"""The columns written, with their types."""

_ALWAYS: Mapping[str, Mapping[str, str]] = {
    "registration": {
        "party_size": "1", "generation": "1", "sequence": "0", "version": "1", "reminded": "'[]'::jsonb",
    },
    "registration_cause": {"version": "1"},
}  # fmt: skip
"""The columns that are the same for every newcomer."""


_COME_FAR = "update session set last_seq = new.last_seq, last_entry = new.last_entry, seats_dirty = true"


def columns_of(tables: Sequence[str], rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> list[list[Any]]:
    """The rows of `tables` turned into the arrays that a statement over `unnest` takes."""
    arrays: list[list[Any]] = []
    for table in tables:
        width = len(_TYPES[table])
        arrays += [list(column) for column in zip(*rows[table], strict=True)] or [[] for _ in range(width)]
    return arrays


def _insert(table: str, first: int) -> str:
    """`insert … select … from unnest(…)`, its parameters numbered from `first`; the rows keep their order."""
    types, always = _TYPES[table], _ALWAYS.get(table, {})
    names = ", ".join([*types, *always])
    values = ", ".join([*types, *always.values()])
    return f"insert into {table} ({names}) select {values} from {_unnested(table, first)}"  # noqa: S608


def _unnested(table: str, first: int) -> str:
    types = _TYPES[table]
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types.values(), first))
    return f"unnest({arrays}) as new ({', '.join(types)})"


def _statement(tables: Sequence[str]) -> str:
    """All inserts as one statement: one round trip."""
    parts, first = [], 1
    for table in tables:
        if table == "session":
            new = _unnested(table, first)
            parts.append(f"{_COME_FAR} from {new} where session.id = new.id")
        else:
            parts.append(_insert(table, first))
        first += len(_TYPES[table])
    *inner, last = parts
    together = ", ".join(f"part_{number} as ({part})" for number, part in enumerate(inner))
    return f"with {together} {last}" if inner else last


_TOGETHER = ("registration", "seat_ledger", "registration_cause", "outbox", "idempotency_key", "session")
_ANSWERS = ("accommodation_request", "consent")
WRITE = tuple((_statement(tables), tables) for tables in (_TOGETHER, _ANSWERS))
"""What everybody has, then what few have said."""
