"""The draw: everybody who asks before it closes has the same chance, and anybody can work it out again.

The hash of seed and rules is public before the first request, the hash of the tickets before the seed: so
nobody can choose a seed that suits them, nor a ticket that suits a seed.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

PAUSE = timedelta(minutes=10)
"""From the publishing of the tickets' hash to that of the seed: time to keep a copy of the first."""
SEED_BYTES = 32
MOST_LOTS = 3
"""The most lots that one ticket may have."""


class Stage(StrEnum):
    """How far the draw of a session has come. It goes one way."""

    TO_COME = "to_come"
    DRAWN = "drawn"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class DrawTerms:
    """That a session's seats are drawn, and until when requests are equal (UTC)."""

    closes_at: datetime


class Ticket(NamedTuple):
    """The number of a request, and in how many lots it is: its chance grows with them."""

    number: int
    lots: int = 1


def score(seed: bytes, ticket: Ticket) -> bytes:
    """What a ticket has drawn: the lowest of its lots' HMAC-SHA256 under the seed, 32 bytes."""
    return min(_lot(seed, ticket.number, lot) for lot in range(ticket.lots))


def ranks(seed: bytes, tickets: Iterable[Ticket]) -> dict[int, int]:
    """The rank of each ticket, 1 being first: by score, and of two that are equal the lower number."""
    drawn = sorted(tickets, key=lambda ticket: (score(seed, ticket), ticket.number))
    return {ticket.number: rank for rank, ticket in enumerate(drawn, start=1)}


def rules_of(session_id: UUID, closes_at: datetime, first_time_lots: int) -> dict[str, Any]:
    """The rules of a draw, as they are published and committed to."""
    return {
        "session_id": str(session_id),
        "closes_at": _instant(closes_at),
        "pause_minutes": int(PAUSE / timedelta(minutes=1)),
        "first_time_lots": first_time_lots,
        "score": "min over i < lots of HMAC-SHA256(seed, '{ticket}:{i}')",
        "order": "score, ticket",
    }


def commitment(seed: bytes, rules: Mapping[str, Any]) -> str:
    """SHA-256, in hex, over seed and rules: public before anybody can ask."""
    return _hash({"seed": seed.hex(), "rules": dict(rules)})


def tickets_hash(tickets: Iterable[Ticket]) -> str:
    """SHA-256, in hex, over the tickets in the order of their numbers: public before the seed is."""
    return _hash([list(ticket) for ticket in sorted(tickets)])


def _lot(seed: bytes, number: int, lot: int) -> bytes:
    return hmac.digest(seed, f"{number}:{lot}".encode(), "sha256")


def _hash(value: Any) -> str:
    """Over JSON with sorted keys and no blanks: everybody writes the same bytes."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
