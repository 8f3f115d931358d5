"""The sessions to propose at the desk: the nearest first, and among those the soonest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.messaging.contracts import VenueFacts
from services.registrations.nearby import Spot, locate
from services.registrations.session_view import SessionView

NEAR = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """A session for somebody on the phone. `kilometres` None: online, or nobody knows where it is."""

    session: SessionView
    kilometres: float | None = None


def nearest(sessions: Iterable[SessionView], spot: Spot | None) -> list[Choice]:
    """At most twenty: the nearest first, in rings of ten kilometres; within a ring the soonest."""
    choices = [Choice(view, _kilometres(view, spot)) for view in sessions]

    def order(choice: Choice) -> tuple[float, datetime]:
        away = 0.0 if spot is None else 10_000.0 if choice.kilometres is None else choice.kilometres // 10
        return away, choice.session.facts.starts_at_utc

    return sorted(choices, key=order)[:NEAR]


def spot_of(place: str, sessions: Sequence[SessionView]) -> Spot | None:
    """The place that was typed; the venues of these sessions are known by their names too."""
    if not place:
        return None
    return locate(place, [view.facts.venue for view in sessions if view.facts.venue is not None])


def spot_at(venue: VenueFacts | None) -> Spot | None:
    """Where a venue is, if anybody knows."""
    if venue is None or venue.latitude is None or venue.longitude is None:
        return None
    return Spot(venue.name, venue.latitude, venue.longitude)


def _kilometres(view: SessionView, spot: Spot | None) -> float | None:
    return spot.distance_km(view.facts.venue) if spot and view.facts.modality != "online" else None
