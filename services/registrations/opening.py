"""Opening: whether a session takes a registration now, and what a request for it must say."""

from datetime import datetime

from libs.messaging.contracts import SessionState
from libs.web.problems import Malformed
from services.registrations import pools
from services.registrations.inputs import professional_details
from services.registrations.problems import (
    NotOpenYet,
    NoWebRegistration,
    PartyTooLarge,
    RegistrationClosed,
    SeatKindUnknown,
    SessionCancelled,
)


def check_open(facts: SessionState, now: datetime, channel: str, *, has_link: bool) -> None:
    """Refuse when the session takes no registration now; it opens at one instant on every channel (S6).

    `has_link`: the room link is known, without which nobody can be let into an online session. Raises
    `SessionCancelled`, `RegistrationClosed`, `NoWebRegistration`, `NotOpenYet`.
    """
    if facts.status == "cancelled":
        raise SessionCancelled
    if facts.status != "published" or now >= (facts.closes_at or facts.starts_at_utc):
        raise RegistrationClosed
    if now >= facts.starts_at_utc or set(facts.registration_modes) <= {"drop_in"}:
        raise RegistrationClosed
    if channel == "web" and "web" not in facts.registration_modes:
        raise NoWebRegistration
    if facts.opens_at is not None and now < facts.opens_at:
        raise NotOpenYet(opens_at=facts.opens_at.isoformat())
    if not has_link and "online" in pools.seat_kinds(facts.modality):
        raise NotOpenYet


def seat_kind(facts: SessionState, wanted: str | None) -> str:
    """The kind of seat asked for, the session's usual one if none is named. Raises `SeatKindUnknown`."""
    kinds = pools.seat_kinds(facts.modality)
    if wanted is None or len(kinds) == 1:
        return kinds[0]
    if wanted not in kinds:
        raise SeatKindUnknown
    return wanted


def check_details(facts: SessionState, organisation: str | None, role: str | None) -> None:
    """A session for professionals asks where the person works, and as what. Raises `Malformed`."""
    missing = professional_details(organisation, role) if facts.stream == "pro" else []
    if missing:
        raise Malformed(errors=missing)


def party_seats(facts: SessionState, people: int, with_companion: bool) -> int:
    """How many seats a party takes: somebody who comes to support another may take none, by the session.

    Raises `PartyTooLarge` for more people than the session takes together.
    """
    if people > facts.party.limit:
        raise PartyTooLarge(limit=facts.party.limit)
    unseated = with_companion and not facts.party.companion_takes_seat
    return max(1, people - unseated)
