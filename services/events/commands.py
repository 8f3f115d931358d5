"""What can be done to a session: load, decide, write, announce, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col, select

from libs.clock import decision_time, utc_now
from libs.messaging import topics
from libs.messaging.outbox import announce, current_epoch
from libs.web.i18n import LazyString, _
from libs.web.problems import Malformed
from libs.web.validation import FieldError
from services.events import plans
from services.events.facts import session_access, session_state
from services.events.inputs import ReasonInput, RescheduleInput, SessionInput, read, refuse
from services.events.models import Activity, Programme, Session, SessionTrainer, Stop, Tour, Trainer, Venue
from services.events.plans import Around
from services.events.problems import (
    DrawCommitted,
    DrawPast,
    NeverPublished,
    NotADraft,
    SessionCancelled,
    SessionHeld,
    SessionOver,
    Stale,
    TourCancelled,
    UnknownSession,
    UnknownThing,
)
from services.events.schedule import check_windows, moved_releases, times

Row = TypeVar("Row", bound=SQLModel)


async def create_session(db: AsyncSession, given: Mapping[str, Any]) -> Session:
    """A draft from the fields of `SessionInput`; what is missing comes from its template, stop and venue.

    Raises `Malformed`.
    """
    given = {name: value for name, value in given.items() if name != "timezone" or value is not None}
    around = await _around(db, given)
    plan = plans.checked(read(SessionInput, plans.defaults(around) | given), around)
    session = Session(title="", stream="", modality="", timezone="")  # type: ignore[call-arg]
    plans.write(session, plan, around.venue)
    db.add(session)
    await db.flush()
    return session


async def patch_session(
    db: AsyncSession,
    instance: str,
    session_id: UUID,
    given: Mapping[str, Any],
    *,
    expected: int | None = None,
) -> Session:
    """Change any fields of a draft or published session; `reason` says why to the people concerned.

    `expected` is the version that was read (None: whatever it is). Raises `Stale`, `Malformed`,
    `SessionCancelled`, `SessionHeld`, `UnknownSession`, `DrawCommitted` once it is published.
    """
    session = await locked(db, session_id, expected)
    _refuse_finished(session)
    given = dict(given)
    reason = read(ReasonInput, {"reason": given.pop("reason", None)}).reason
    around = await _around(db, _with_current_references(session, given))
    plan = plans.checked(read(SessionInput, plans.patched(session, given, around.venue)), around)
    _refuse_another_draw(session, plan)
    before = _Known(session, await _place(db, session))
    plans.write(session, plan, around.venue)
    return await _changed(db, instance, session, before, reason)


async def publish_session(
    db: AsyncSession, instance: str, session_id: UUID, *, expected: int | None = None
) -> Session:
    """Put a draft on the calendar; publishing again changes nothing.

    Raises `SessionOver` once it is past, `DrawPast` once its draw is, `SessionCancelled`, `SessionHeld`,
    `TourCancelled`, `Stale`.
    """
    session = await locked(db, session_id, expected)
    return await publish_locked(db, instance, session)


async def reschedule_session(
    db: AsyncSession,
    instance: str,
    session_id: UUID,
    given: Mapping[str, Any],
    *,
    expected: int | None = None,
) -> Session:
    """Move a session in time, perhaps to another venue (`RescheduleInput`).

    Registration closes and held seats are released no later than the new times allow.
    """
    session = await locked(db, session_id, expected)
    _refuse_finished(session)
    asked = read(RescheduleInput, given)
    references: dict[str, Any] = {"venue_id": asked.venue_id} if asked.venue_id else {}
    if asked.leave_stop and session.stop_id is not None:
        references["stop_id"] = None
    around = await _around(db, _with_current_references(session, references))
    fields = references | asked.model_dump(include={"starts_at", "ends_at"})
    if asked.timezone is not None:
        fields["timezone"] = asked.timezone
    zone = fields.get("timezone") or plans.patched(session, references, around.venue)["timezone"]
    when, errors = times(asked.starts_at, asked.ends_at, zone)
    if when is None:
        raise Malformed(errors=errors)
    releases = moved_releases(plans.releases_of(session), when.starts.utc)
    fields["releases"] = [plans.release_row(item) for item in releases]
    fields["opens_at"] = _not_after(session.opens_at, when.starts.utc)
    fields["closes_at"] = _not_after(session.closes_at, when.ends.utc)
    plan = plans.checked(read(SessionInput, plans.patched(session, fields, around.venue)), around)
    before = _Known(session, await _place(db, session))
    plans.write(session, plan, around.venue)
    return await _changed(db, instance, session, before, asked.reason)


async def cancel_session(
    db: AsyncSession,
    instance: str,
    session_id: UUID,
    given: Mapping[str, Any],
    *,
    expected: int | None = None,
) -> Session:
    """Cancel a published session (`{"reason": …}`); cancelling again changes nothing.

    Raises `NeverPublished` for a draft, `SessionHeld`, `Stale`.
    """
    reason = read(ReasonInput, given).reason
    return await cancel_locked(db, instance, await locked(db, session_id, expected), reason)


async def cancel_sessions(
    db: AsyncSession, instance: str, session_ids: Sequence[UUID], given: Mapping[str, Any]
) -> list[Session]:
    """Cancel several at once, as a storm asks: all of them or none."""
    reason = read(ReasonInput, given).reason
    sessions = [await locked(db, session_id) for session_id in sorted(set(session_ids))]
    return [await cancel_locked(db, instance, session, reason) for session in sessions]


async def delete_session(db: AsyncSession, session_id: UUID, *, expected: int | None = None) -> None:
    """Remove a draft, which nobody was told of. Raises `NotADraft`, `Stale`, `UnknownSession`."""
    session = await locked(db, session_id, expected)
    if session.status != "draft":
        raise NotADraft
    await db.delete(session)
    await db.flush()


async def assign_trainer(db: AsyncSession, session_id: UUID, trainer_id: UUID) -> None:
    """Say that a trainer delivers a session; saying it again changes nothing."""
    await locked(db, session_id)
    await required(db, Trainer, trainer_id)
    if await db.get(SessionTrainer, (session_id, trainer_id)) is None:
        db.add(SessionTrainer(session_id=session_id, trainer_id=trainer_id))
        await db.flush()


async def unassign_trainer(db: AsyncSession, session_id: UUID, trainer_id: UUID) -> None:
    """A trainer no longer delivers a session."""
    await locked(db, session_id)
    found = await db.get(SessionTrainer, (session_id, trainer_id))
    if found is not None:
        await db.delete(found)
        await db.flush()


_HOLD = sa.text(
    "with ended as (select id from session where status = 'published'"
    " and ends_at_utc <= (select clock.decision_time())"
    " order by ends_at_utc limit :most for update skip locked)"
    " update session set status = 'held', version = session.version + 1, updated_at = :now"
    " from ended where session.id = ended.id returning session.id"
)


async def hold_ended(db: AsyncSession, instance: str, *, most: int = 200) -> int:
    """Mark published sessions that have ended as held; returns how many. Safe to run side by side."""
    rows = (await db.execute(_HOLD, {"most": most, "now": utc_now()})).scalars().all()
    if rows:
        found = await db.execute(
            select(Session).where(col(Session.id).in_(rows)).execution_options(populate_existing=True)
        )
        for session in found.scalars():
            await tell(db, instance, session)
    return len(rows)


async def retell_sessions(db: AsyncSession, instance: str, *conditions: sa.ColumnElement[bool]) -> int:
    """Announce published sessions anew because something that they refer to changed; how many."""
    found = await db.execute(
        select(Session)
        .where(col(Session.status) == "published", *conditions)
        .order_by(col(Session.id))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    sessions = found.scalars().all()
    for session in sessions:
        session.version += 1
        session.updated_at = utc_now()
        await db.flush()
        await tell(db, instance, session)
    return len(sessions)


# --- The parts that the tours' commands use too -----------------------------------------------------------


async def locked(db: AsyncSession, session_id: UUID, expected: int | None = None) -> Session:
    """The session under its row lock, at the version that was read. Raises `UnknownSession`, `Stale`.

    Row locks here are `FOR NO KEY UPDATE`: a plain one would wait for the key locks that foreign keys
    take, and two commands that wait for each other's would deadlock.
    """
    found = await db.execute(
        select(Session)
        .where(col(Session.id) == session_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    session = found.scalar_one_or_none()
    if session is None:
        raise UnknownSession
    if expected is not None and session.version != expected:
        raise Stale(current=current_state(session))
    return session


def current_state(session: Session) -> dict[str, Any]:
    """What a stale edit is compared with: the fields of `SessionInput`, then id, version, status."""
    return plans.as_input(session) | {
        "id": session.id,
        "version": session.version,
        "status": session.status,
        "updated_at": session.updated_at,
    }


async def required(db: AsyncSession, kind: type[Row], thing_id: UUID) -> Row:
    """The row, or `UnknownThing`."""
    row = await db.get(kind, thing_id)
    if row is None:
        raise UnknownThing
    return row


async def tell(db: AsyncSession, instance: str, session: Session, *, access: bool = False) -> None:
    """Announce the session's public facts, and with `access` its room link and notes."""
    epoch = await current_epoch(db)
    venue = await _place(db, session)
    tour = await db.get(Tour, session.tour_id) if session.tour_id else None
    said: list[tuple[topics.Topic, Any]] = [(topics.SESSIONS, session_state(session, venue, tour))]
    if access:
        said.insert(0, (topics.SESSION_ACCESS, session_access(session)))
    for topic, payload in said:
        await announce(
            db,
            topic,
            instance=instance,
            key=str(session.id),
            partition_key=str(session.id),
            epoch=epoch,
            version=session.version,
            time=session.updated_at,
            payload=payload,
        )


# --- Decisions --------------------------------------------------------------------------------------------


def _refuse_finished(session: Session) -> None:
    if session.status == "cancelled":
        raise SessionCancelled
    if session.status == "held":
        raise SessionHeld


def _refuse_another_draw(session: Session, plan: plans.Plan) -> None:
    """How seats are given is settled by the publication: `registrations` has committed to it."""
    if session.status == "draft":
        return
    waitlist = plan.fields.waitlist
    lots = waitlist.draw.first_time_lots if waitlist.draw else 1
    planned = (waitlist.policy, plan.seats.draw_closes_at, lots)
    if planned != (session.waitlist_policy, session.draw_closes_at, session.draw_first_time_lots):
        raise DrawCommitted


async def publish_locked(db: AsyncSession, instance: str, session: Session) -> Session:
    """`publish_session` for a session that is locked."""
    _refuse_finished(session)
    if session.status == "published":
        return session
    await _check_publishable(db, session)
    session.status = "published"
    session.published_at = session.updated_at = utc_now()
    session.version += 1
    await db.flush()
    await tell(db, instance, session, access=True)
    return session


async def _check_publishable(db: AsyncSession, session: Session) -> None:
    if session.ends_at_utc <= await decision_time(db):
        raise SessionOver
    if session.draw_closes_at is not None and session.draw_closes_at <= await decision_time(db):
        raise DrawPast
    tour = await db.get(Tour, session.tour_id) if session.tour_id else None
    if tour is None:
        return
    if tour.status == "cancelled":
        raise TourCancelled
    stop = await db.get(Stop, session.stop_id) if session.stop_id else None
    # The tour's window may have changed since the draft was written.
    when, errors = times(session.starts_at, session.ends_at, session.timezone)
    if when is not None:
        errors = check_windows(when, session.stream, plans.windows_of(tour), plans.window_of(stop))
        if errors:
            raise Malformed(errors=errors)


async def cancel_locked(db: AsyncSession, instance: str, session: Session, reason: str | None) -> Session:
    """`cancel_session` for a session that is locked."""
    if session.status == "cancelled":
        return session
    if session.status == "held":
        raise SessionHeld
    if session.status == "draft":
        raise NeverPublished
    session.status = "cancelled"
    session.cancel_reason = reason
    session.cancelled_at = session.updated_at = utc_now()
    session.version += 1
    session.sequence += 1
    await db.flush()
    await tell(db, instance, session)
    return session


class _Known:
    """What people knew of a session before a change."""

    def __init__(self, session: Session, venue: Venue | None) -> None:
        self.starts_at, self.ends_at, self.timezone = session.starts_at, session.ends_at, session.timezone
        self.place = venue.name if venue is not None else None
        self.where = (session.venue_id, session.modality)
        self.access = (session.online_url, session.staff_notes)

    def moved(self, session: Session) -> bool:
        return (self.starts_at, self.ends_at, self.timezone, self.where) != (
            session.starts_at,
            session.ends_at,
            session.timezone,
            (session.venue_id, session.modality),
        )


async def _changed(
    db: AsyncSession, instance: str, session: Session, before: _Known, reason: str | None
) -> Session:
    """Raise the version if anything changed, and say so if people can know the session."""
    if not db.is_modified(session):
        return session
    session.version += 1
    session.updated_at = utc_now()
    if session.status == "published":
        session.change_reason = reason
        if before.moved(session):
            session.sequence += 1
            session.previous_starts_at, session.previous_ends_at = before.starts_at, before.ends_at
            session.previous_timezone, session.previous_place = before.timezone, before.place
    await db.flush()
    if session.status == "published":
        access = before.access != (session.online_url, session.staff_notes)
        await tell(db, instance, session, access=access)
    return session


# --- What a session refers to -----------------------------------------------------------------------------

_REFERENCES: Mapping[str, tuple[type[SQLModel], LazyString]] = {
    "programme_id": (Programme, _("Ce programme n’existe pas.")),
    "activity_id": (Activity, _("Cette activité n’existe pas.")),
    "stop_id": (Stop, _("Cette étape n’existe pas.")),
    "tour_id": (Tour, _("Cette tournée n’existe pas.")),
    "venue_id": (Venue, _("Ce lieu n’existe pas.")),
}


async def _around(db: AsyncSession, given: Mapping[str, Any]) -> Around:
    """Load what `given` refers to; an id that names nothing is malformed input."""
    found: dict[str, Any] = {}
    errors = []
    for name, (kind, message) in _REFERENCES.items():
        row_id = _uuid(given.get(name))
        if row_id is None:
            continue
        found[name] = await db.get(kind, row_id)
        if found[name] is None:
            errors.append(FieldError(name, message))
    if errors:
        raise Malformed(errors=errors)
    stop, tour, venue = found.get("stop_id"), found.get("tour_id"), found.get("venue_id")
    if stop is not None:
        if tour is not None and stop.tour_id != tour.id:
            raise refuse("stop_id", _("Cette étape est d’une autre tournée."))
        tour = tour or await db.get(Tour, stop.tour_id)
        if "venue_id" not in given:
            venue = await db.get(Venue, stop.venue_id)
    return Around(activity=found.get("activity_id"), venue=venue, tour=tour, stop=stop)


def _with_current_references(session: Session, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: getattr(session, name) for name in _REFERENCES} | {
        name: given[name] for name in _REFERENCES if name in given
    }


def _uuid(value: object) -> UUID | None:
    """The id in `value`; something else is left for the model to refuse."""
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


async def _place(db: AsyncSession, session: Session) -> Venue | None:
    return await db.get(Venue, session.venue_id) if session.venue_id else None


def _not_after(value: datetime | None, latest: datetime) -> datetime | None:
    return min(value, latest) if value is not None else None
