"""What is written of a draw: the commitment at the opening, the tickets at the closing, then the result."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.messaging.contracts import DrawRule
from services.registrations import draw
from services.registrations.draw import MOST_LOTS, SEED_BYTES, Ticket
from services.registrations.models import DrawRecord

WITHDRAWN = "withdrawn"
"""The outcome of a ticket whose person left between the closing and the draw."""


def committed(session_id: UUID, rule: DrawRule, now: datetime) -> DrawRecord:
    """A draw that opens `now`: a seed that nobody knows, and the hash that binds it to the rules."""
    lots = min(max(rule.first_time_lots, 1), MOST_LOTS)
    rules = draw.rules_of(session_id, rule.closes_at, lots)
    seed = secrets.token_bytes(SEED_BYTES)
    return DrawRecord(
        session_id=session_id,
        rules=rules,
        seed=seed,
        commitment=draw.commitment(seed, rules),
        opened_at=now,
        closes_at=rule.closes_at,
    )


def close(record: DrawRecord, tickets: Sequence[Ticket], last_ticket: int, now: datetime) -> None:
    """From `now` on it is public who will be drawn, and the seed still nobody's."""
    record.closed_at, record.last_ticket = now, last_ticket
    record.tickets = [list(ticket) for ticket in sorted(tickets)]
    record.tickets_hash = draw.tickets_hash(tickets)


def tickets_of(record: DrawRecord) -> tuple[Ticket, ...]:
    """The tickets that were listed at the closing, in the order of their numbers."""
    return tuple(Ticket(number, lots) for number, lots in record.tickets or ())


def result_of(record: DrawRecord, outcomes: Mapping[int, str]) -> list[list[Any]]:
    """Each ticket with its rank and what it came to, in the order of the ranks."""
    ranks = draw.ranks(record.seed, tickets_of(record))
    return [[number, rank, outcomes.get(number, WITHDRAWN)] for number, rank in ranks.items()]


def differs(record: Mapping[str, Any]) -> str:
    """What a record says that doesn't follow from its seed, its rules and its tickets; empty if all does."""
    if record["commitment"] != draw.commitment(record["seed"], record["rules"]):
        return "the commitment is not of its seed and rules"
    if record["tickets"] is None:
        return ""
    tickets = [Ticket(number, lots) for number, lots in record["tickets"]]
    if record["tickets_hash"] != draw.tickets_hash(tickets):
        return "the hash is not of its tickets"
    if record["result"] is None:
        return ""
    ranks = draw.ranks(record["seed"], tickets)
    worked_out = [[number, rank] for number, rank in ranks.items()]
    published = [[number, rank] for number, rank, _ in record["result"]]
    return "" if published == worked_out else "the ranks don't follow from its seed and tickets"
