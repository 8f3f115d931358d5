"""A session's plan: from what was sent to its row, and from its row back to what could be sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs import vocabularies
from libs.web.i18n import _
from libs.web.problems import Malformed
from libs.web.validation import FieldError
from services.events.inputs import SessionInput, refuse
from services.events.models import Activity, Session, Stop, Tour, Venue
from services.events.schedule import (
    BadTime,
    Held,
    Release,
    SeatPlan,
    Times,
    Window,
    check_plan,
    check_windows,
    instant,
    local,
    times,
)
from services.events.search import search_text

COPIED = (
    "title", "description", "bring", "stream", "kind", "theme", "level", "language", "modality",
    "delivered_by", "audience", "programme_id", "activity_id", "tour_id", "stop_id", "venue_id",
    "online_url", "staff_notes", "registration_modes", "on_shrink",
)  # fmt: skip
"""Fields that stand in the row as they were sent."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a session refers to, as loaded."""

    activity: Activity | None = None
    venue: Venue | None = None
    tour: Tour | None = None
    stop: Stop | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked plan, ready to be written."""

    fields: SessionInput
    when: Times
    seats: SeatPlan
    region: str | None


def defaults(around: Around) -> dict[str, Any]:
    """What a new session takes from its template, its stop, its venue and its tour."""
    found: dict[str, Any] = {}
    if around.activity is not None:
        template = around.activity
        names = (
            "title", "description", "bring", "kind", "stream", "theme", "level", "language",
            "delivered_by", "audience", "programme_id", "capacity",
        )  # fmt: skip
        found |= {name: getattr(template, name) for name in names}
    if around.tour is not None and around.tour.programme_id is not None:
        found["programme_id"] = around.tour.programme_id
    if around.stop is not None:
        found |= {"tour_id": around.stop.tour_id, "venue_id": around.stop.venue_id}
    if around.venue is not None:
        found["timezone"] = around.venue.timezone
    return found


def checked(fields: SessionInput, around: Around) -> Plan:
    """The plan of `fields`, or `Malformed` with everything that contradicts itself."""
    when, errors = times(fields.starts_at, fields.ends_at, fields.timezone)
    seats, more = _seat_plan(fields)
    errors += more
    region = _region(fields, around)
    if when is None or more:
        raise Malformed(errors=errors)
    errors += check_plan(seats, when)
    errors += check_windows(when, fields.stream, windows_of(around.tour), window_of(around.stop))
    if errors:
        raise Malformed(errors=errors)
    return Plan(fields, when, seats, region)


def _seat_plan(fields: SessionInput) -> tuple[SeatPlan, list[FieldError]]:
    errors: list[FieldError] = []

    def utc(name: str, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        try:
            return instant(value, fields.timezone)
        except BadTime as error:
            errors.append(FieldError(name, error.message))
            return None

    releases = []
    for number, item in enumerate(fields.releases):
        at = utc(f"releases/{number}/at", item.at)
        if at is not None:
            releases.append(Release(at, item.seat_kind or "on_site", item.channel, item.seats))
    plan = SeatPlan(
        modality=fields.modality,
        capacity=fields.capacity.model_dump(),
        held=[
            Held(kind, channel, seats)
            for kind, by_channel in fields.held_seats.items()
            for channel, seats in by_channel.items()
            if seats
        ],
        releases=releases,
        opens_at=utc("opens_at", fields.opens_at),
        closes_at=utc("closes_at", fields.closes_at),
        draw_closes_at=(
            utc("waitlist/draw/closes_at", fields.waitlist.draw.closes_at) if fields.waitlist.draw else None
        ),
        registration_modes=fields.registration_modes,
    )
    return plan, errors


def _region(fields: SessionInput, around: Around) -> str | None:
    """A session's region is its venue's; one that is online names it, or takes its tour's."""
    if around.venue is not None and around.venue.region is not None:
        if fields.region not in (None, around.venue.region):
            name = vocabularies.region_name(around.venue.region)
            raise refuse("region", _("La région est celle du lieu : %(region)s.", region=name))
        return around.venue.region
    return fields.region or (around.tour.region if around.tour is not None else None)


def windows_of(tour: Tour | None) -> dict[str, Window]:
    if tour is None:
        return {}
    return {
        stream: Window(date.fromisoformat(window["first"]), date.fromisoformat(window["last"]))
        for stream, window in tour.windows.items()
    }


def window_of(stop: Stop | None) -> Window | None:
    return Window(stop.first_date, stop.last_date) if stop is not None else None


def write(session: Session, plan: Plan, venue: Venue | None) -> None:
    """Put the plan into the row; life (status, version, reasons) is for the commands."""
    fields = plan.fields
    for name in COPIED:
        setattr(session, name, getattr(fields, name))
    session.region = plan.region
    write_times(session, plan.when)
    session.capacity_on_site = fields.capacity.on_site
    session.capacity_online = fields.capacity.online
    session.held_seats = [
        {"seat_kind": item.seat_kind, "channel": item.channel, "seats": item.seats}
        for item in plan.seats.held
    ]
    session.releases = [release_row(item) for item in plan.seats.releases]
    session.opens_at = plan.seats.opens_at
    session.closes_at = plan.seats.closes_at
    session.waitlist_policy = fields.waitlist.policy
    session.waitlist_offer_hours = fields.waitlist.offer_hours
    session.waitlist_limit = fields.waitlist.limit
    session.draw_closes_at = plan.seats.draw_closes_at
    session.draw_first_time_lots = fields.waitlist.draw.first_time_lots if fields.waitlist.draw else 1
    session.reconfirm_days = fields.reconfirm.days
    session.reconfirm_silence = fields.reconfirm.silence
    session.party_limit = fields.party.limit
    session.party_gather_hours = fields.party.gather_hours
    session.companion_takes_seat = fields.party.companion_takes_seat
    session.search = session_search(session, venue)


def session_search(session: Session, venue: Venue | None) -> str:
    """What `session.search` holds: its words and its place's."""
    theme = vocabularies.label("themes", session.theme) if session.theme else None
    place = (venue.name, venue.municipality) if venue is not None else ()
    return search_text(session.title, theme, session.audience, *place, session.description)


def write_times(session: Session, when: Times) -> None:
    session.starts_at, session.ends_at, session.timezone = when.starts.wall, when.ends.wall, when.timezone
    session.starts_at_utc, session.ends_at_utc = when.starts.utc, when.ends.utc


def release_row(item: Release) -> dict[str, Any]:
    return {
        "at": item.at.isoformat(),
        "seat_kind": item.seat_kind,
        "channel": item.channel,
        "seats": item.seats,
    }


def releases_of(session: Session) -> list[Release]:
    return [
        Release(datetime.fromisoformat(row["at"]), row["seat_kind"], row["channel"], row["seats"])
        for row in session.releases
    ]


def as_input(session: Session, *, region: bool = True) -> dict[str, Any]:
    """The row as `SessionInput` would take it, times with their offsets; JSON-ready but for dates and ids.

    `region=False` leaves the region out, so that it follows a venue that changes.
    """
    zone = session.timezone
    shown = {name: getattr(session, name) for name in COPIED}
    held: dict[str, dict[str, int]] = {}
    for item in session.held_seats:
        held.setdefault(item["seat_kind"], {})[item["channel"]] = item["seats"]
    return shown | {
        "region": session.region if region else None,
        "starts_at": local(session.starts_at_utc, zone),
        "ends_at": local(session.ends_at_utc, zone),
        "timezone": zone,
        "capacity": {"on_site": session.capacity_on_site, "online": session.capacity_online},
        "held_seats": held,
        "releases": [
            {"at": local(r.at, zone), "seat_kind": r.seat_kind, "channel": r.channel, "seats": r.seats}
            for r in releases_of(session)
        ],
        "opens_at": local(session.opens_at, zone) if session.opens_at else None,
        "closes_at": local(session.closes_at, zone) if session.closes_at else None,
        "waitlist": {
            "policy": session.waitlist_policy,
            "offer_hours": session.waitlist_offer_hours,
            "limit": session.waitlist_limit,
            "draw": {
                "closes_at": local(session.draw_closes_at, zone),
                "first_time_lots": session.draw_first_time_lots,
            }
            if session.draw_closes_at is not None
            else None,
        },
        "reconfirm": {"days": session.reconfirm_days, "silence": session.reconfirm_silence},
        "party": {
            "limit": session.party_limit,
            "gather_hours": session.party_gather_hours,
            "companion_takes_seat": session.companion_takes_seat,
        },
    }


def patched(session: Session, given: Mapping[str, Any], venue: Venue | None) -> dict[str, Any]:
    """`given` laid over the row: `capacity`, `waitlist`, `reconfirm` and `party` member by member, all else
    whole.

    A session that changes zone keeps its wall times; one that changes venue takes the venue's zone.
    """
    current = as_input(session, region=session.venue_id is None)
    if "timezone" not in given and venue is not None and venue.id != session.venue_id:
        current["timezone"] = venue.timezone
    if given.get("timezone", current["timezone"]) != session.timezone:
        current |= {"starts_at": session.starts_at, "ends_at": session.ends_at}
    for name in ("capacity", "waitlist", "reconfirm", "party"):
        if isinstance(given.get(name), Mapping):
            given = {**given, name: {**current[name], **given[name]}}
    return current | dict(given)
