"""Tallies: what is counted of a month's participations, by kind of session and channel, never by person.

The rules alone: sessions with all that is counted of them go in, cells come out (DOMAIN, section 6).
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from libs import vocabularies
from libs.messaging.contracts import SessionState
from libs.messaging.federated import MINUTES, NO_CHANNEL, Histogram, OperationalCounts
from services.registrations.seat_history import Offer
from services.registrations.seatbook import SEATED

OTHER = "other"
"""Where an id is counted that this instance's vocabularies don't have: its own word never leaves."""


class Kind(NamedTuple):
    """What sessions have in common that are counted together. `month` is that of their local start."""

    month: str
    region: str | None
    stream: str
    theme: str | None
    modality: str


@dataclass(frozen=True, slots=True)
class Participation:
    """One registration, as it counts. `at_start`: its state when the session began, None before that.

    `people`: how many come by it; each of a party takes part, who asked once and answers once.
    `by_wait`: it came of a wait for many sessions, which joins lines by itself: it was in no hurry.
    """

    channel: str
    status: str
    asked_at: datetime
    at_start: str | None = None
    people: int = 1
    by_wait: bool = False


@dataclass(frozen=True, slots=True)
class CountedSession:
    """A session with all that is counted of it. `opened_at`: when people could first register."""

    kind: Kind
    lasts: timedelta
    opened_at: datetime
    participations: Sequence[Participation] = ()
    offers: Sequence[Offer] = ()
    walk_ins: int = 0


def kind_of(facts: SessionState) -> Kind | None:
    """How a session is counted; None for one of a stream or modality that no figure has a place for."""
    if facts.stream not in ("public", "pro") or facts.modality not in ("on_site", "online", "hybrid"):
        return None
    return Kind(
        month=f"{facts.starts_at:%Y-%m}",
        region=_known_region(facts.region),
        stream=facts.stream,
        theme=facts.theme if facts.theme is None else _known(facts.theme, "themes"),
        modality=facts.modality,
    )


class Operational:
    """The operational counts of the sessions added so far: each is in one cell for each of its channels."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Kind, str], _Counts] = {}

    def add(self, session: CountedSession) -> None:
        _add(session, self._counts)

    def cells(self, as_of: datetime) -> list[OperationalCounts]:
        return [counted.cell(kind, channel, as_of) for (kind, channel), counted in self._counts.items()]


def histogram(minutes: Iterable[float]) -> Histogram:
    """How many fell into each bucket; empty where there is nothing to count."""
    buckets = [0] * (len(MINUTES) + 1)
    for value in minutes:
        buckets[bisect_left(MINUTES, value)] += 1
    return tuple(buckets) if any(buckets) else ()


@dataclass(slots=True)
class _Counts:
    """What one cell comes to."""

    registrations: Counter[str] = field(default_factory=Counter)
    confirmed_at_start: int = 0
    waitlisted_at_start: int = 0
    attended_minutes: int = 0
    walk_ins: int = 0
    walk_in_minutes: int = 0
    offers_made: int = 0
    answers: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def cell(self, kind: Kind, channel: str, as_of: datetime) -> OperationalCounts:
        return OperationalCounts(
            **kind._asdict(),
            channel=channel,
            registrations=dict(sorted(self.registrations.items())),
            confirmed_at_start=self.confirmed_at_start,
            waitlisted_at_start=self.waitlisted_at_start,
            attended_minutes=self.attended_minutes,
            walk_ins=self.walk_ins,
            walk_in_minutes=self.walk_in_minutes,
            offers_made=self.offers_made,
            offers_accepted=len(self.answers),
            answer_minutes=histogram(self.answers),
            minutes_from_opening=histogram(self.waits),
            as_of=as_of,
        )


def _add(session: CountedSession, counts: dict[tuple[Kind, str], _Counts]) -> None:
    def of(channel: str) -> _Counts:
        return counts.setdefault((session.kind, channel), _Counts())

    lasts = _minutes(session.lasts)
    for one in session.participations:
        cell = of(_known(one.channel, "channels"))
        cell.registrations[one.status] += one.people
        cell.confirmed_at_start += one.people * (one.at_start in SEATED)
        cell.waitlisted_at_start += one.people * (one.at_start == "waitlisted")
        cell.attended_minutes += one.people * round(lasts) * (one.status == "attended")
        if not one.by_wait:
            # Who was there before the opening that is said now, because it was put off, waited for nothing.
            cell.waits.append(max(0.0, _minutes(one.asked_at - session.opened_at)))
    for offer in session.offers:
        cell = of(_known(offer.channel, "channels"))
        cell.offers_made += 1
        if offer.accepted_at is not None:
            cell.answers.append(_minutes(offer.accepted_at - offer.made_at))
    if session.walk_ins:
        cell = of(NO_CHANNEL)
        cell.walk_ins += session.walk_ins
        cell.walk_in_minutes += session.walk_ins * round(lasts)


def _minutes(length: timedelta) -> float:
    return length / timedelta(minutes=1)


def _known(id_: str, vocabulary: vocabularies.Vocabulary) -> str:
    return id_ if id_ in vocabularies.ids(vocabulary) else OTHER


def _known_region(code: str | None) -> str | None:
    return code if code is None or vocabularies.region(code) is not None else OTHER
