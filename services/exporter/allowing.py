"""The allow-list at work: of what a region says inside, what it may say outside, field by field.

A field that isn't written here doesn't leave. Texts that people write freely leave in three places, which
the public calendar shows anyway: a session's title, its venue's name and municipality.
"""

import re
from uuid import UUID

from pydantic import ValidationError

from libs.messaging.contracts import SeatsOfKind, SeatsState, SessionState, VenueFacts
from libs.messaging.envelope import NotUnderstood
from libs.messaging.federated import (
    Federated,
    FederatedSeats,
    FederatedSeatsOfKind,
    FederatedSession,
    FederatedTally,
    FederatedVenue,
    Level,
    OperationalCounts,
    ProfileCounts,
    Volet,
    cell_key,
)

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
"""What ids of vocabularies look like, those of a newer release too; nothing that a person wrote does."""


def allowed_session(state: SessionState, base_url: str) -> FederatedSession:
    """A session's public facts; `NotUnderstood` for a volet, a modality or an id that can't be one."""
    for name in ("kind", "theme", "level", "language", "delivered_by", "region"):
        _check_identifier(name, getattr(state, name))
    for mode in state.registration_modes:
        _check_identifier("registration_modes", mode)
    try:
        return FederatedSession(
            id=state.id,
            status=state.status,
            title=state.title,
            stream=state.stream,  # pydantic refuses another volet
            kind=state.kind,
            theme=state.theme,
            level=state.level,
            language=state.language,
            modality=state.modality,  # pydantic refuses another modality
            delivered_by=state.delivered_by,
            region=state.region,
            venue=_allowed_venue(state.venue) if state.venue else None,
            starts_at=state.starts_at,
            ends_at=state.ends_at,
            timezone=state.timezone,
            starts_at_utc=state.starts_at_utc,
            ends_at_utc=state.ends_at_utc,
            capacity=state.capacity.on_site + state.capacity.online,
            opens_at=state.opens_at,
            registration_modes=state.registration_modes,
            url=f"{base_url}/seances/{state.id}",
            cancelled_at=state.cancelled_at,
            updated_at=state.updated_at,
        )
    except ValidationError as error:
        raise _not_understood(error) from None


def allowed_seats(state: SeatsState) -> FederatedSeats:
    """A session's seats, in total and per kind."""
    try:
        return FederatedSeats(
            session_id=state.session_id,
            capacity=state.capacity,
            confirmed=state.confirmed,
            offered=state.offered,
            held=state.held,
            available=state.available,
            waitlisted=state.waitlisted,
            by_kind={
                kind: _allowed_kind(seats)  # pydantic refuses another kind
                for kind, seats in state.by_kind.items()
            },
            updated_at=state.updated_at,
        )
    except ValidationError as error:
        raise _not_understood(error) from None


def allowed_tally(tally: FederatedTally) -> FederatedTally:
    """A cell of counts, whose fields the stream's own contract has picked already: numbers, by ids."""
    cell = tally.cell
    words = [cell.region]
    if isinstance(cell, OperationalCounts):
        words += [cell.theme, cell.channel, *cell.registrations]
    else:
        words += [cell.dimension, cell.value or None]
    for word in words:
        _check_identifier("cell", word)
    return tally


def key_of(payload: Federated) -> str:
    """The key under which `payload` leaves; whatever key it came under must be the same."""
    match payload:
        case FederatedSession():
            return str(payload.id)
        case FederatedSeats():
            return str(payload.session_id)
        case FederatedTally():
            return cell_key(payload.cell)
    raise TypeError(type(payload).__name__)


def checked_key(stream: str, key: str) -> str:
    """`key`, if it can be one of this stream: what is gone has nothing else that could be checked."""
    try:
        if stream != "tallies":
            return str(UUID(key))
    except ValueError:
        raise NotUnderstood("the key is not an id") from None
    if not all(_IDENTIFIER.fullmatch(part) or part == "-" for part in key.split("/")):
        raise NotUnderstood("the key is not a cell")
    return key


def volet_of(payload: FederatedSession | FederatedTally) -> Volet:
    """The stream of activities that decides how much of this is shared."""
    return payload.stream if isinstance(payload, FederatedSession) else payload.cell.stream


def level_for(payload: Federated) -> Level:
    """The level of sharing from which on `payload` leaves."""
    if isinstance(payload, FederatedTally):
        return "profile" if isinstance(payload.cell, ProfileCounts) else "counts"
    return "sessions"


def _allowed_venue(venue: VenueFacts) -> FederatedVenue:
    return FederatedVenue(
        id=venue.id,
        name=venue.name,
        municipality=venue.municipality,
        province=venue.province,
        latitude=venue.latitude,
        longitude=venue.longitude,
    )


def _allowed_kind(seats: SeatsOfKind) -> FederatedSeatsOfKind:
    return FederatedSeatsOfKind(
        capacity=seats.capacity,
        confirmed=seats.confirmed,
        offered=seats.offered,
        held=seats.held,
        available=seats.available,
        waitlisted=seats.waitlisted,
    )


def _check_identifier(name: str, value: str | None) -> None:
    if value is not None and not _IDENTIFIER.fullmatch(value):
        raise NotUnderstood(f"{name} is not an id")


def _not_understood(error: ValidationError) -> NotUnderstood:
    """The fields, without what stood there: below them, a key may be anything that somebody wrote."""
    places = {f"{item['loc'][0]} {item['type']}" for item in error.errors()}
    return NotUnderstood("not allowed out: " + ", ".join(sorted(places)))
