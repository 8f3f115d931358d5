"""Alternatives: which other sessions to propose to somebody who can't have the one they wanted."""

from collections.abc import Iterable
from dataclasses import dataclass

from libs.geography import Point, distance_km
from libs.messaging.contracts import SessionState, VenueFacts

COUNT = 3
_UNKNOWN_KM = 1_000.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another session that takes registrations now, with its free seats."""

    facts: SessionState
    available: int


def nearest(wanted: SessionState, candidates: Iterable[Candidate], count: int = COUNT) -> list[Candidate]:
    """The candidates most like what was wanted, at most `count`, those with room only.

    The same stream and language; the same subject first; then the nearest place, an online session
    counting as 25 km away; then the soonest.
    """
    fitting = [
        candidate
        for candidate in candidates
        if candidate.available > 0
        and candidate.facts.id != wanted.id
        and candidate.facts.stream == wanted.stream
        and candidate.facts.language == wanted.language
    ]

    def likeness(candidate: Candidate) -> tuple[bool, int, float]:
        facts = candidate.facts
        other_subject = wanted.theme is None or facts.theme != wanted.theme
        return other_subject, int(_distance(wanted, facts) // 10), facts.starts_at_utc.timestamp()

    return sorted(fitting, key=likeness)[:count]


def _distance(one: SessionState, other: SessionState) -> float:
    if other.modality == "online":
        return 25.0
    if one.venue is None or other.venue is None:
        return 0.0 if one.region == other.region else _UNKNOWN_KM
    return _between(one.venue, other.venue)


def _between(one: VenueFacts, other: VenueFacts) -> float:
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return 0.0 if one.municipality == other.municipality else _UNKNOWN_KM
    return distance_km(Point(one.latitude, one.longitude), Point(other.latitude, other.longitude))
