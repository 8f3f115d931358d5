"""Changes: which differences between two versions of a session its people must be told of."""

from collections.abc import Mapping

from libs.messaging.contracts import SessionFacts


def must_be_told(before: SessionFacts, after: SessionFacts) -> bool:
    """Whether time, place, modality or a known room link differ. A corrected title disturbs nobody."""
    return _essentials(before) != _essentials(after)


def is_elsewhere_or_later(before: SessionFacts, after: SessionFacts) -> bool:
    """Whether time or place differ, which raises the calendar entry's SEQUENCE (RFC 5546, 2.1.4)."""
    return _essentials(before)[:-1] != _essentials(after)[:-1]


def _essentials(facts: SessionFacts) -> tuple[object, ...]:
    venue = facts.venue
    place = venue and (venue.id, venue.name, venue.street, venue.municipality)
    return facts.starts_at_utc, facts.ends_at_utc, facts.timezone, facts.modality, place, facts.online_url


def kinds_short_of_seats(
    plan: Mapping[str, int], earlier: Mapping[str, int], used: Mapping[str, int]
) -> set[str]:
    """The kinds of seat whose plan fell below the seats in use: somebody must give one up, or nobody does."""
    return {
        kind for kind, seats in plan.items() if seats < earlier.get(kind, 0) and seats < used.get(kind, 0)
    }
