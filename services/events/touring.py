"""What can be done to a tour and its stops: create, order, fill from templates, copy, publish, cancel."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import utc_now
from libs.web.i18n import _
from services.events import plans
from services.events.commands import (
    assign_trainer,
    cancel_locked,
    create_session,
    publish_locked,
    required,
    retell_sessions,
)
from services.events.inputs import (
    CopyTourInput,
    FromTemplateInput,
    ReasonInput,
    StopInput,
    TourInput,
    read,
    refuse,
)
from services.events.models import Activity, Programme, Session, SessionTrainer, Stop, Tour, Venue
from services.events.planning import shifted_instant, shifted_times
from services.events.problems import InUse, Stale, TourCancelled, UnknownThing
from services.events.schedule import BadTime, Moment, Release, Times, Window, check_windows


async def create_tour(db: AsyncSession, given: Mapping[str, Any]) -> Tour:
    """A draft tour (`TourInput`). Raises `Malformed`."""
    tour = Tour(title="")
    await _write_tour(db, tour, read(TourInput, given))
    db.add(tour)
    await db.flush()
    return tour


async def patch_tour(
    db: AsyncSession, instance: str, tour_id: UUID, given: Mapping[str, Any], *, expected: int | None = None
) -> Tour:
    """Change a tour. A window that a live session doesn't fit is refused. Raises `Stale`, `Malformed`."""
    tour = await locked_tour(db, tour_id, expected)
    _refuse_cancelled(tour)
    title = tour.title
    await _write_tour(db, tour, read(TourInput, tour_fields(tour) | dict(given)))
    if not db.is_modified(tour):
        return tour
    await _refuse_stranded(db, tour)
    _bump(tour)
    await db.flush()
    if tour.title != title:
        await retell_sessions(db, instance, col(Session.tour_id) == tour.id)
    return tour


async def delete_tour(db: AsyncSession, tour_id: UUID, *, expected: int | None = None) -> None:
    """Remove a draft tour with its stops and draft sessions. Raises `InUse` if a session was published."""
    tour = await locked_tour(db, tour_id, expected)
    sessions = await _sessions(db, col(Session.tour_id) == tour_id)
    if tour.status != "draft" or any(session.status != "draft" for session in sessions):
        raise InUse
    for session in sessions:
        await db.delete(session)
    await db.flush()
    await db.delete(tour)
    await db.flush()


async def add_stop(db: AsyncSession, tour_id: UUID, given: Mapping[str, Any]) -> Stop:
    """A stop (`StopInput`) at its position or at the end; those after it move on. Raises `Malformed`."""
    tour = await locked_tour(db, tour_id)
    _refuse_cancelled(tour)
    asked = read(StopInput, given)
    await _require_venue(db, asked.venue_id)
    count = await _count_stops(db, tour_id)
    stop = Stop(
        tour_id=tour_id,
        venue_id=asked.venue_id,
        position=count + 1,
        first_date=asked.first_date,
        last_date=asked.last_date or asked.first_date,
        note=asked.note,
    )
    _refuse_outside(tour, stop)
    db.add(stop)
    await db.flush()
    if asked.position is not None:
        await _move(db, stop, asked.position)
    _bump(tour)
    await db.flush()
    return stop


async def patch_stop(
    db: AsyncSession, stop_id: UUID, given: Mapping[str, Any], *, expected: int | None = None
) -> Stop:
    """Change a stop. Dates must still hold its sessions, and a stop with sessions keeps its venue.

    Raises `Stale`, `Malformed`, `InUse`, `UnknownThing`.
    """
    stop = await required(db, Stop, stop_id)
    tour = await locked_tour(db, stop.tour_id)
    stop = await _locked_stop(db, stop_id, expected)
    _refuse_cancelled(tour)
    given = {"last_date": None} | dict(given) if "first_date" in given else dict(given)
    asked = read(StopInput, stop_fields(stop) | given)
    await _require_venue(db, asked.venue_id)
    sessions = [s for s in await _sessions(db, col(Session.stop_id) == stop_id) if s.status != "cancelled"]
    if asked.venue_id != stop.venue_id and sessions:
        raise InUse(_("Des séances ont lieu ici. Déplacez-les d’abord."))
    stop.venue_id, stop.note = asked.venue_id, asked.note
    stop.first_date, stop.last_date = asked.first_date, asked.last_date or asked.first_date
    _refuse_outside(tour, stop)
    window = Window(stop.first_date, stop.last_date)
    if not all(window.holds(_times_of(session)) for session in sessions):
        raise refuse("last_date", _("Une séance de cette étape serait hors de ces dates."))
    if asked.position is not None and asked.position != stop.position:
        await _move(db, stop, asked.position)
    _bump(stop)
    await db.flush()
    return stop


async def remove_stop(db: AsyncSession, stop_id: UUID, *, expected: int | None = None) -> None:
    """Remove a stop and its drafts. Raises `InUse` if one of its sessions was published."""
    stop = await required(db, Stop, stop_id)
    tour = await locked_tour(db, stop.tour_id)
    stop = await _locked_stop(db, stop_id, expected)
    sessions = await _sessions(db, col(Session.stop_id) == stop_id)
    if any(session.status != "draft" for session in sessions):
        raise InUse
    await _move(db, stop, await _count_stops(db, stop.tour_id))
    for session in sessions:
        await db.delete(session)
    await db.flush()
    await db.delete(stop)
    _bump(tour)
    await db.flush()


async def add_session_to_stop(db: AsyncSession, stop_id: UUID, given: Mapping[str, Any]) -> Session:
    """A draft at a stop, made from a template (`FromTemplateInput`), with its trainers."""
    asked = read(FromTemplateInput, given)
    stop = await required(db, Stop, stop_id)
    activity = await db.get(Activity, asked.activity_id)
    if activity is None:
        raise refuse("activity_id", _("Cette activité n’existe pas."))
    length = timedelta(minutes=asked.duration_minutes or activity.duration_minutes)
    fields: dict[str, Any] = {
        "activity_id": activity.id,
        "stop_id": stop.id,
        "modality": "on_site",
        "starts_at": asked.starts_at,
        "ends_at": asked.starts_at + length,
        "held_seats": asked.held_seats,
    }
    if asked.capacity is not None:
        fields["capacity"] = asked.capacity
    session = await create_session(db, fields)
    for trainer_id in asked.trainer_ids:
        await assign_trainer(db, session.id, trainer_id)
    return session


async def copy_tour(db: AsyncSession, tour_id: UUID, given: Mapping[str, Any]) -> Tour:
    """A draft copy of a tour, its stops and its sessions, `weeks` later (`CopyTourInput`).

    Wall times are kept across clock changes; cancelled sessions stay behind. Raises `Malformed` when a
    shifted time doesn't exist or comes twice.
    """
    asked = read(CopyTourInput, given)
    tour = await required(db, Tour, tour_id)
    shift = timedelta(weeks=asked.weeks)
    copy = Tour(
        **tour.model_dump(include={"programme_id", "region", "description", "coordinator_note"}),
        title=asked.title or tour.title,
        windows=_shifted_windows(tour.windows, shift),
        copied_from=tour.id,
    )
    db.add(copy)
    await db.flush()
    stops = {}
    for stop in await stops_of(db, tour_id):
        stops[stop.id] = Stop(
            **stop.model_dump(include={"venue_id", "position", "note"}),
            tour_id=copy.id,
            first_date=stop.first_date + shift,
            last_date=stop.last_date + shift,
        )
    db.add_all(stops.values())
    await db.flush()
    for session in await _sessions(db, col(Session.tour_id) == tour_id):
        if session.status != "cancelled":
            stop_copy = stops.get(session.stop_id) if session.stop_id else None
            await _copy_session(db, session, copy, stop_copy, asked.weeks)
    return copy


async def publish_tour(
    db: AsyncSession, instance: str, tour_id: UUID, *, expected: int | None = None
) -> list[Session]:
    """Publish a tour and all its drafts, or none of them; returns the sessions that became public."""
    tour = await locked_tour(db, tour_id, expected)
    _refuse_cancelled(tour)
    drafts = [s for s in await _sessions(db, col(Session.tour_id) == tour_id) if s.status == "draft"]
    if tour.status != "published":
        tour.status = "published"
        _bump(tour)
        await db.flush()
        await retell_sessions(db, instance, col(Session.tour_id) == tour_id)
    return [await publish_locked(db, instance, session) for session in drafts]


async def cancel_tour(
    db: AsyncSession, instance: str, tour_id: UUID, given: Mapping[str, Any], *, expected: int | None = None
) -> list[Session]:
    """Cancel a tour and its published sessions (`{"reason": …}`); returns those that were cancelled."""
    reason = read(ReasonInput, given).reason
    tour = await locked_tour(db, tour_id, expected)
    if tour.status != "cancelled":
        tour.status = "cancelled"
        _bump(tour)
        await db.flush()
    sessions = await _sessions(db, col(Session.tour_id) == tour_id)
    return [
        await cancel_locked(db, instance, session, reason)
        for session in sessions
        if session.status == "published"
    ]


async def stops_of(db: AsyncSession, tour_id: UUID) -> list[Stop]:
    """A tour's stops in their order."""
    found = await db.execute(
        select(Stop).where(col(Stop.tour_id) == tour_id).order_by(col(Stop.position), col(Stop.id))
    )
    return list(found.scalars())


def tour_fields(tour: Tour) -> dict[str, Any]:
    """The tour as `TourInput` would take it."""
    return {name: getattr(tour, name) for name in TourInput.model_fields}


def stop_fields(stop: Stop) -> dict[str, Any]:
    """The stop as `StopInput` would take it."""
    return {name: getattr(stop, name) for name in StopInput.model_fields}


async def locked_tour(db: AsyncSession, tour_id: UUID, expected: int | None = None) -> Tour:
    """The tour under its row lock. Raises `UnknownThing`, `Stale`."""
    found = await db.execute(
        select(Tour)
        .where(col(Tour.id) == tour_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    tour = found.scalar_one_or_none()
    if tour is None:
        raise UnknownThing
    if expected is not None and tour.version != expected:
        raise Stale(
            current=tour_fields(tour) | {"id": tour.id, "version": tour.version, "status": tour.status}
        )
    return tour


async def _locked_stop(db: AsyncSession, stop_id: UUID, expected: int | None) -> Stop:
    found = await db.execute(
        select(Stop)
        .where(col(Stop.id) == stop_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    stop = found.scalar_one_or_none()
    if stop is None:
        raise UnknownThing
    if expected is not None and stop.version != expected:
        raise Stale(current=stop_fields(stop) | {"id": stop.id, "version": stop.version})
    return stop


async def _sessions(db: AsyncSession, condition: sa.ColumnElement[bool]) -> list[Session]:
    """Sessions under their row locks, taken in one order everywhere."""
    found = await db.execute(
        select(Session)
        .where(condition)
        .order_by(col(Session.id))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return list(found.scalars())


async def _write_tour(db: AsyncSession, tour: Tour, fields: TourInput) -> None:
    if fields.programme_id is not None and await db.get(Programme, fields.programme_id) is None:
        raise refuse("programme_id", _("Ce programme n’existe pas."))
    for name in TourInput.model_fields:
        if name != "windows":
            setattr(tour, name, getattr(fields, name))
    tour.windows = {
        stream: {"first": window.first.isoformat(), "last": window.last.isoformat()}
        for stream, window in fields.windows.items()
    }


def _refuse_cancelled(tour: Tour) -> None:
    if tour.status == "cancelled":
        raise TourCancelled


def _refuse_outside(tour: Tour, stop: Stop) -> None:
    """A stop must touch the window of some stream, where the tour has windows."""
    windows = plans.windows_of(tour).values()
    if windows and not any(w.first <= stop.last_date and stop.first_date <= w.last for w in windows):
        raise refuse("first_date", _("Cette étape est hors des dates de la tournée."))


async def _refuse_stranded(db: AsyncSession, tour: Tour) -> None:
    windows = plans.windows_of(tour)
    for session in await _sessions(db, col(Session.tour_id) == tour.id):
        if session.status in ("draft", "published") and check_windows(
            _times_of(session), session.stream, windows, None
        ):
            message = _("La séance « %(title)s » serait hors de ces dates.", title=session.title)
            raise refuse(f"windows/{session.stream}", message)


def _times_of(session: Session) -> Times:
    return Times(
        Moment(session.starts_at, session.starts_at_utc),
        Moment(session.ends_at, session.ends_at_utc),
        session.timezone,
    )


async def _require_venue(db: AsyncSession, venue_id: UUID) -> None:
    if await db.get(Venue, venue_id) is None:
        raise refuse("venue_id", _("Ce lieu n’existe pas."))


async def _count_stops(db: AsyncSession, tour_id: UUID) -> int:
    counted = await db.execute(select(sa.func.count()).select_from(Stop).where(col(Stop.tour_id) == tour_id))
    return int(counted.scalar_one())


async def _move(db: AsyncSession, stop: Stop, position: int) -> None:
    """Put `stop` at `position`; the others close the gap, all under the tour's lock."""
    others = [other for other in await stops_of(db, stop.tour_id) if other.id != stop.id]
    others.insert(min(position, len(others) + 1) - 1, stop)
    for number, other in enumerate(others, start=1):
        other.position = number
    await db.flush()


def _bump(row: Tour | Stop) -> None:
    row.version += 1
    row.updated_at = utc_now()


def _shifted_windows(windows: Mapping[str, Mapping[str, str]], shift: timedelta) -> dict[str, dict[str, str]]:
    return {
        stream: {name: (date.fromisoformat(day) + shift).isoformat() for name, day in window.items()}
        for stream, window in windows.items()
    }


_OWN = {
    "id", "status", "version", "sequence", "change_reason", "cancel_reason", "source", "source_id",
    "source_digest", "source_version", "created_at", "updated_at", "published_at", "cancelled_at",
    "previous_starts_at", "previous_ends_at", "previous_timezone", "previous_place",
}  # fmt: skip
"""A session's own life, which a copy of it doesn't share."""


async def _copy_session(
    db: AsyncSession, session: Session, tour: Tour, stop: Stop | None, weeks: int
) -> None:
    kept = session.model_dump(exclude=_OWN)
    copy = Session(**kept)
    copy.tour_id, copy.stop_id = tour.id, stop.id if stop is not None else None
    try:
        plans.write_times(copy, shifted_times(_times_of(session), weeks))
    except BadTime as error:
        message = _("« %(title)s » : %(why)s", title=session.title, why=error.message)
        raise refuse("weeks", message) from error

    def shifted(at: datetime) -> datetime:
        return shifted_instant(at, session.timezone, weeks)

    copy.opens_at = shifted(session.opens_at) if session.opens_at else None
    copy.closes_at = shifted(session.closes_at) if session.closes_at else None
    copy.draw_closes_at = shifted(session.draw_closes_at) if session.draw_closes_at else None
    copy.releases = [
        plans.release_row(Release(shifted(r.at), r.seat_kind, r.channel, r.seats))
        for r in plans.releases_of(session)
    ]
    db.add(copy)
    await db.flush()
    trainers = await db.execute(select(SessionTrainer).where(col(SessionTrainer.session_id) == session.id))
    db.add_all(SessionTrainer(session_id=copy.id, trainer_id=t.trainer_id) for t in trainers.scalars().all())
    await db.flush()
