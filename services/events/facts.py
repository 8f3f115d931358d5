"""What a session says to the other services: an explicit allow-list, built from its row."""

from datetime import datetime
from typing import Any

from libs.messaging.contracts import (
    DrawRule,
    HeldSeats,
    PartyRule,
    ReconfirmRule,
    Release,
    SeatCounts,
    SessionAccess,
    SessionState,
    VenueFacts,
    WaitlistRule,
)
from libs.regions import region_on
from services.events.models import Session, Tour, Venue


def session_state(session: Session, venue: Venue | None, tour: Tour | None) -> SessionState:
    """The public facts of a session that was published. Never its room link or its notes.

    A tour that is still a draft isn't named, although some of its sessions may be public. The region is the
    one that the place belonged to on that day, so that figures of several years are cut at the right border.
    """
    region = region_on(session.starts_at.date(), session.region, venue.municipality if venue else None)
    public_tour = tour if tour is not None and tour.status != "draft" else None
    return SessionState(
        id=session.id,
        status=session.status,  # pydantic refuses a draft
        title=session.title,
        description=session.description,
        bring=session.bring,
        stream=session.stream,
        kind=session.kind,
        theme=session.theme,
        level=session.level,
        language=session.language,
        modality=session.modality,
        delivered_by=session.delivered_by,
        region=region,
        tour_id=public_tour.id if public_tour else None,
        tour_title=public_tour.title if public_tour else None,
        venue=venue_facts(venue) if venue else None,
        capacity=SeatCounts(on_site=session.capacity_on_site, online=session.capacity_online),
        held_seats=tuple(HeldSeats(**item) for item in session.held_seats),
        releases=tuple(Release(**_release(item)) for item in session.releases),
        opens_at=session.opens_at,
        closes_at=session.closes_at,
        waitlist=WaitlistRule(
            policy=session.waitlist_policy,
            offer_hours=session.waitlist_offer_hours,
            limit=session.waitlist_limit,
            draw=DrawRule(closes_at=session.draw_closes_at, first_time_lots=session.draw_first_time_lots)
            if session.draw_closes_at is not None
            else None,
        ),
        reconfirm=ReconfirmRule(days=session.reconfirm_days, silence=session.reconfirm_silence),
        party=PartyRule(
            limit=session.party_limit,
            gather_hours=session.party_gather_hours,
            companion_takes_seat=session.companion_takes_seat,
        ),
        registration_modes=tuple(session.registration_modes),
        on_shrink=session.on_shrink,
        change_reason=session.change_reason,
        cancel_reason=session.cancel_reason,
        cancelled_at=session.cancelled_at,
        sequence=session.sequence,
        starts_at=session.starts_at,
        ends_at=session.ends_at,
        timezone=session.timezone,
        starts_at_utc=session.starts_at_utc,
        ends_at_utc=session.ends_at_utc,
        updated_at=session.updated_at,
    )


def venue_facts(venue: Venue) -> VenueFacts:
    return VenueFacts(
        id=venue.id,
        name=venue.name,
        street=venue.street,
        municipality=venue.municipality,
        province=venue.province,
        postal_code=venue.postal_code,
        phone=venue.phone,
        latitude=venue.latitude,
        longitude=venue.longitude,
        accessibility=tuple(venue.accessibility),
    )


def session_access(session: Session) -> SessionAccess:
    """What only confirmed people and staff may know. Private to the instance."""
    return SessionAccess(
        session_id=session.id, online_url=session.online_url, staff_notes=session.staff_notes
    )


def _release(item: dict[str, Any]) -> dict[str, Any]:
    return item | {"at": datetime.fromisoformat(item["at"])}
