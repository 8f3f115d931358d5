"""What a believed message becomes in the read model: one row, in the words of `ingesting_sql`."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from libs.messaging.federated import (
    FederatedSeats,
    FederatedSession,
    Heartbeat,
    OperationalCounts,
    ProfileCounts,
)
from services.national.believing import Believed
from services.national.searching import folded

Row = Mapping[str, Any]
_MINUTE = timedelta(minutes=1)


def session_row(message: Believed, session: FederatedSession) -> Row:
    venue = session.venue
    place = (venue.name, venue.municipality or "") if venue else ()
    return {
        "id": session.id,
        "epoch": message.envelope.epoch,
        "version": message.envelope.version,
        "status": session.status,
        "title": session.title,
        "stream": session.stream,
        "kind": session.kind,
        "theme": session.theme or None,
        "level": session.level or None,
        "language": session.language,
        "modality": session.modality,
        "delivered_by": session.delivered_by or None,
        "region": session.region or None,
        "month": session.starts_at.date().replace(day=1),
        "starts_at": session.starts_at,
        "ends_at": session.ends_at,
        "timezone": session.timezone,
        "starts_at_utc": session.starts_at_utc,
        "ends_at_utc": session.ends_at_utc,
        "venue_id": venue and venue.id,
        "venue_name": venue and venue.name,
        "municipality": venue and venue.municipality,
        "province": venue and venue.province,
        "latitude": venue and venue.latitude,
        "longitude": venue and venue.longitude,
        "registration_modes": session.registration_modes,
        "url": session.url,
        "opens_at": session.opens_at,
        "cancelled_at": session.cancelled_at,
        "sequence": session.sequence,
        "updated_at": session.updated_at,
        "planned": session.capacity,
        "minutes": (session.ends_at_utc - session.starts_at_utc) // _MINUTE,
        "search": folded(" ".join((session.title, *place))),
    }


def seats_row(message: Believed, seats: FederatedSeats) -> Row:
    return {
        "id": seats.session_id,
        "seats_epoch": message.envelope.epoch,
        "seats_version": message.envelope.version,
        "capacity": seats.capacity,
        "confirmed": seats.confirmed,
        "offered": seats.offered,
        "held": seats.held,
        "available": seats.available,
        "waitlisted": seats.waitlisted,
        "by_kind": {kind: of_kind.model_dump() for kind, of_kind in seats.by_kind.items()},
        "seats_updated_at": seats.updated_at,
    }


def tally_row(message: Believed, cell: OperationalCounts) -> Row:
    return {
        **_of_cell(message, cell),
        "theme": cell.theme or None,
        "channel": cell.channel,
        "modality": cell.modality,
        "registrations": cell.registrations,
        "confirmed_at_start": cell.confirmed_at_start,
        "waitlisted_at_start": cell.waitlisted_at_start,
        "attended_minutes": cell.attended_minutes,
        "walk_ins": cell.walk_ins,
        "walk_in_minutes": cell.walk_in_minutes,
        "offers_made": cell.offers_made,
        "offers_accepted": cell.offers_accepted,
        "answer_minutes": cell.answer_minutes,
        "minutes_from_opening": cell.minutes_from_opening,
    }


def profile_row(message: Believed, cell: ProfileCounts) -> Row:
    return {
        **_of_cell(message, cell),
        "dimension": cell.dimension,
        "value": cell.value,
        "rounded": cell.rounded,
    }


def heartbeat_row(message: Believed, heartbeat: Heartbeat) -> Row:
    return {
        "epoch": message.envelope.epoch,
        "version": message.envelope.version,
        "name": heartbeat.name,
        "url": heartbeat.url,
        "calendar_domain": heartbeat.calendar_domain,
        "software": heartbeat.software,
        "sent_at": heartbeat.at,
        "streams": {name: stream.model_dump() for name, stream in heartbeat.streams.items()},
        "shares": heartbeat.shares,
        "lag": heartbeat.lag,
    }


def gone_row(message: Believed) -> Row:
    return {
        "key": message.envelope.subject,
        "epoch": message.envelope.epoch,
        "version": message.envelope.version,
        "key_id": message.key_id,
    }


def _of_cell(message: Believed, cell: OperationalCounts | ProfileCounts) -> Row:
    return {
        "key": message.envelope.subject,
        "epoch": message.envelope.epoch,
        "version": message.envelope.version,
        "month": date.fromisoformat(f"{cell.month}-01"),
        "region": cell.region or None,
        "stream": cell.stream,
        "as_of": cell.as_of,
    }
