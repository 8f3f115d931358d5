"""The allow-list at work: of what a region says inside, what it may say outside, field by field.

A field that isn't written here doesn't leave, and a word leaves only if its vocabulary has it. Texts that
people write freely leave in three places, which the public calendar shows anyway: a session's title, its
venue's name and municipality.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from pydantic import ValidationError

from libs import vocabularies
from libs.clock import UnknownZone, zone
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
from libs.vocabularies import Vocabulary

STATES = frozenset(
    {
        "pending", "confirmed", "waitlisted", "offered", "expired", "declined", "cancelled", "attended",
        "absent", "excused",
    }
)  # fmt: skip
"""What a registration may be counted as."""
DIMENSIONS = frozenset({"people", "participations", "answered", "target_group"})
"""What people are counted by."""
NO_CHANNEL = "none"
_PROVINCE = re.compile(r"CA-[A-Z]{2}")
_PART_OF_A_KEY = re.compile(r"[A-Za-z0-9_.-]{1,60}")


def allowed_session(state: SessionState, base_url: str) -> FederatedSession:
    """A session's public facts; `NotUnderstood` where a word is none of its vocabulary's.

    What a newer release of a sibling says stays inside until this one knows it too.
    """
    for name, vocabulary in _WORDS.items():
        _check(name, getattr(state, name), vocabularies.ids(vocabulary))
    _check_all("registration_modes", state.registration_modes, vocabularies.ids("registration_modes"))
    _check_region(state.region)
    _check_zone(state.timezone)
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
            sequence=state.sequence,
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
    _check_region(cell.region)
    if isinstance(cell, OperationalCounts):
        _check("theme", cell.theme, vocabularies.ids("themes"))
        _check("channel", cell.channel, vocabularies.ids("channels") | {NO_CHANNEL})
        _check_all("registrations", cell.registrations, STATES)
    else:
        _check("dimension", cell.dimension, DIMENSIONS)
        _check("value", cell.value, vocabularies.ids("target_groups") | {""})
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
    if not all(_PART_OF_A_KEY.fullmatch(part) for part in key.split("/")):
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
    if not _PROVINCE.fullmatch(venue.province):
        raise NotUnderstood("province is not a code")
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


def _check(name: str, value: str | None, words: Collection[str]) -> None:
    if value is not None and value not in words:
        raise NotUnderstood(f"{name} is not in its vocabulary")


def _check_all(name: str, values: Iterable[str], words: Collection[str]) -> None:
    for value in values:
        _check(name, value, words)


def _check_region(code: str | None) -> None:
    if code is not None and vocabularies.region(code) is None:
        raise NotUnderstood("region is not in its vocabulary")


def _check_zone(name: str) -> None:
    try:
        zone(name)
    except UnknownZone:
        raise NotUnderstood("timezone is not a zone") from None


_WORDS: Mapping[str, Vocabulary] = {
    "kind": "activity_kinds",
    "theme": "themes",
    "level": "levels",
    "language": "languages",
    "delivered_by": "delivered_by",
}
"""Which vocabulary a session's words are of."""


def _not_understood(error: ValidationError) -> NotUnderstood:
    """The fields, without what stood there: below them, a key may be anything that somebody wrote."""
    places = {f"{item['loc'][0]} {item['type']}" for item in error.errors()}
    return NotUnderstood("not allowed out: " + ", ".join(sorted(places)))
