"""What a session's ledger tells of its past: who stood where at the start, and each offer with its answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Moment:
    """An entry of the ledger as far as the past needs it: those it touched, as they stood from then on."""

    at: datetime
    touched: Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Offer:
    """A freed seat that was kept for one person; `accepted_at` None if they never took it."""

    channel: str
    made_at: datetime
    accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class History:
    """`at_start`: the state of each number when the session began, empty before. `known_since`: its first
    entry, when this service first heard of the session."""

    known_since: datetime | None
    at_start: Mapping[int, str] = field(default_factory=dict)
    offers: Sequence[Offer] = ()


def history(moments: Iterable[Moment], starts_at: datetime, now: datetime) -> History:
    """The past of one session, from its ledger in order. It names nobody: people are their numbers.

    What happens at the very instant of the start happens after it. A ledger that begins later, because the
    session is older than ledgers are, tells the start by how it found everybody.
    """
    states: dict[int, str] = {}
    open_offers: dict[int, Offer] = {}
    offers: list[Offer] = []
    at_start: dict[int, str] | None = None
    known_since: datetime | None = None
    for moment in moments:
        if known_since is None:
            known_since = moment.at
        elif at_start is None and moment.at >= starts_at:
            at_start = dict(states)
        for person in moment.touched:
            seq, status = person["seq"], person["status"]
            was = states.get(seq)
            if status == "offered" and was != "offered":
                open_offers[seq] = Offer(person["channel"], moment.at)
                offers.append(open_offers[seq])
            elif status == "confirmed" and was == "offered":
                open_offers[seq].accepted_at = moment.at
            states[seq] = status
    if at_start is None:
        at_start = states
    return History(known_since, at_start if starts_at <= now else {}, offers)
