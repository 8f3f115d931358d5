"""What a payload can't say, whoever signed it: figures and dates that would break what is built on them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from libs.messaging.federated import (
    MINUTES,
    FederatedSeats,
    FederatedSession,
    FederatedTally,
    Heartbeat,
    OperationalCounts,
    ProfileCounts,
    cell_key,
)

LARGEST_VALUE = 64 * 1024
"""Bytes of a payload. A real one has about two thousand."""
LARGEST_HEADERS = 8 * 1024
LONGEST_KEY = 300
FIRST_YEAR, LAST_YEAR = 2000, 2100
MOST_SEATS = 100_000
"""Of one session; sums of a million such sessions still fit."""
MOST_OF_A_MONTH = 1_000_000_000
_MOST_MINUTES = 1_000_000_000_000
_MOST_WORDS, _LONGEST_WORD = 40, 60
_ESCAPED_NUL = b"\\u0000"


def implausible(key: str, payload: Any) -> str | None:
    """Why `payload` can't be the state of `key`, as a word or two; None if it can."""
    match payload:
        case FederatedSession():
            return _session(key, payload)
        case FederatedSeats():
            return _seats(key, payload)
        case FederatedTally():
            return _tally(key, payload.cell)
        case Heartbeat():
            return _heartbeat(payload)
    raise TypeError(type(payload).__name__)


def unreadable(key: str, headers: Mapping[str, str], value: bytes | None) -> str | None:
    """What keeps a message from being looked at more closely, or None."""
    if len(key) > LONGEST_KEY or sum(map(len, headers)) + sum(map(len, headers.values())) > LARGEST_HEADERS:
        return "key or headers too long"
    if value is not None and len(value) > LARGEST_VALUE:
        return "value too long"
    # No text of PostgreSQL's can hold one. Whoever means a backslash and a u0000 is refused as well.
    if "\0" in key or (value is not None and _ESCAPED_NUL in value):
        return "NUL character"
    return None


def _session(key: str, session: FederatedSession) -> str | None:
    venue = session.venue
    checks = (
        ("key", key == str(session.id)),
        ("dates", _in_our_time(session.starts_at, session.ends_at, session.starts_at_utc)),
        ("dates", _in_our_time(session.ends_at_utc, session.updated_at)),
        ("dates", _in_our_time(session.opens_at, session.cancelled_at)),
        ("duration", session.starts_at_utc <= session.ends_at_utc),
        ("capacity", session.capacity <= MOST_SEATS),
        ("registration_modes", _few_words(session.registration_modes)),
        # The national page makes a link of it.
        ("url", session.url.startswith(("https://", "http://"))),
        ("venue", venue is None or (venue.latitude is None) == (venue.longitude is None)),
    )
    return _first_failed(checks)


def _seats(key: str, seats: FederatedSeats) -> str | None:
    numbers = [
        number
        for of_kind in (seats, *seats.by_kind.values())
        for number in (
            of_kind.capacity,
            of_kind.confirmed,
            of_kind.offered,
            of_kind.held,
            of_kind.available,
            of_kind.waitlisted,
        )
    ]
    checks = (
        ("key", key == str(seats.session_id)),
        ("dates", _in_our_time(seats.updated_at)),
        ("seats", max(numbers) <= MOST_SEATS),
    )
    return _first_failed(checks)


def _tally(key: str, cell: OperationalCounts | ProfileCounts) -> str | None:
    checks = [
        # One cell under two keys would count twice.
        ("key", key == cell_key(cell)),
        ("month", cell.month.isascii() and FIRST_YEAR <= int(cell.month[:4]) <= LAST_YEAR),
        ("dates", _in_our_time(cell.as_of)),
    ]
    if isinstance(cell, ProfileCounts):
        checks.append(("rounded", cell.rounded <= MOST_OF_A_MONTH))
        return _first_failed(checks)
    counts = (
        cell.confirmed_at_start,
        cell.waitlisted_at_start,
        cell.walk_ins,
        cell.offers_made,
        cell.offers_accepted,
        *cell.registrations.values(),
        *cell.answer_minutes,
        *cell.minutes_from_opening,
    )
    checks += [
        ("counts", max(counts) <= MOST_OF_A_MONTH),
        ("minutes", max(cell.attended_minutes, cell.walk_in_minutes) <= _MOST_MINUTES),
        ("registrations", _few_words(cell.registrations)),
        ("histogram", {len(cell.answer_minutes), len(cell.minutes_from_opening)} <= {0, len(MINUTES) + 1}),
    ]
    return _first_failed(checks)


def _heartbeat(heartbeat: Heartbeat) -> str | None:
    declared = heartbeat.streams.values()
    checks = (
        ("dates", _in_our_time(heartbeat.at, *(stream.newest_at for stream in declared))),
        ("lag", heartbeat.lag <= MOST_OF_A_MONTH),
        ("counts", all(stream.count <= MOST_OF_A_MONTH for stream in declared)),
        ("url", heartbeat.url.startswith(("https://", "http://"))),
    )
    return _first_failed(checks)


def _in_our_time(*moments: datetime | None) -> bool:
    return all(moment is None or FIRST_YEAR <= moment.year <= LAST_YEAR for moment in moments)


def _few_words(words: Iterable[str]) -> bool:
    listed = list(words)
    return len(listed) <= _MOST_WORDS and all(len(word) <= _LONGEST_WORD for word in listed)


def _first_failed(checks: Iterable[tuple[str, bool]]) -> str | None:
    return next(_failed(checks), None)


def _failed(checks: Iterable[tuple[str, bool]]) -> Iterator[str]:
    return (name for name, passed in checks if not passed)
