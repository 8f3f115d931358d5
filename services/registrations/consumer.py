"""What `events` says of sessions, and what it means for the people registered."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.database import Database
from libs.messaging import topics
from libs.messaging.contracts import Contract, SessionAccess, SessionState
from libs.messaging.envelope import Envelope
from libs.messaging.inbox import Inbox
from libs.settings import Settings
from services.registrations import offers, pools, queries
from services.registrations.changes import is_elsewhere_or_later, kinds_short_of_seats, must_be_told
from services.registrations.commands import end
from services.registrations.models import LIVE, Registration, SessionCopy
from services.registrations.pools import PoolKey
from services.registrations.seating import Seating


def inbox(database: Database, settings: Settings) -> Inbox:
    """The inbox of this service."""

    async def session(tx: AsyncSession, envelope: Envelope, payload: Contract | None) -> None:
        # A session that people could register for is cancelled, never erased: a tombstone says nothing.
        if payload is not None:
            assert isinstance(payload, SessionState)
            await apply_session(tx, settings, envelope, payload)

    async def access(tx: AsyncSession, envelope: Envelope, payload: Contract | None) -> None:
        if payload is not None:
            assert isinstance(payload, SessionAccess)
            await apply_access(tx, settings, envelope, payload)

    return Inbox(database, {topics.SESSIONS: session, topics.SESSION_ACCESS: access})


async def apply_session(
    tx: AsyncSession, settings: Settings, envelope: Envelope, state: SessionState
) -> None:
    """Take over a newer state of a session, and take its registrations along: nobody is dropped."""
    row = await _locked_row(tx, state.id)
    if envelope.newness <= (row.epoch, row.version):
        return
    before = None if row.facts is None else SessionState.model_validate(row.facts)
    row.epoch, row.version = envelope.epoch, envelope.version
    row.facts = state.model_dump(mode="json")
    row.status = state.status
    row.starts_at, row.ends_at = state.starts_at_utc, state.ends_at_utc
    await tx.flush()
    seating = await Seating.lock(tx, settings, state.id)
    assert seating is not None, "the row was just written"
    if state.status == "cancelled":
        await _cancel_everybody(seating)
    elif before is not None:
        await _move_everybody(seating, before)
        await _ask_volunteers(seating, before)
    await seating.settle()
    await seating.finish()


async def apply_access(
    tx: AsyncSession, settings: Settings, envelope: Envelope, access: SessionAccess
) -> None:
    """Take over the room link; people who were confirmed with another one are told of the new one."""
    row = await _locked_row(tx, access.session_id)
    if envelope.newness <= (row.access_epoch, row.access_version):
        return
    known = row.online_url
    row.access_epoch, row.access_version = envelope.epoch, envelope.version
    row.online_url, row.staff_notes = access.online_url, access.staff_notes
    await tx.flush()
    seating = await Seating.lock(tx, settings, access.session_id)
    if seating is None:
        return
    if known is not None and access.online_url is not None and known != access.online_url:
        for registration in await _live(seating):
            if registration.status == "confirmed" and registration.seat_kind == "online":
                previous = seating.telling.facts_for(registration).model_copy(update={"online_url": known})
                registration.sequence += 1
                seating.telling.tell(registration, "session_changed", previous=previous)
    await seating.finish()


async def _locked_row(tx: AsyncSession, session_id: UUID) -> SessionCopy:
    await tx.execute(
        insert(SessionCopy).values(SessionCopy(id=session_id).model_dump()).on_conflict_do_nothing()
    )
    return await tx.get_one(SessionCopy, session_id, with_for_update=True, populate_existing=True)


async def _cancel_everybody(seating: Seating) -> None:
    people = await _live(seating)
    if not people:
        return
    alternatives = await queries.alternatives(
        seating.tx, seating.telling.settings, seating.facts, seating.now
    )
    for registration in people:
        end(
            seating,
            registration,
            "cancelled",
            "session_cancelled",
            reason=seating.facts.cancel_reason,
            alternatives=alternatives,
        )


async def _move_everybody(seating: Seating, before: SessionState) -> None:
    kinds = pools.seat_kinds(seating.facts.modality)
    for registration in await _live(seating):
        previous = seating.telling.facts_for(registration, before)
        if registration.seat_kind not in kinds:
            _change_kind(seating, registration, kinds[0])
        current = seating.telling.facts_for(registration)
        if not must_be_told(previous, current):
            continue
        if is_elsewhere_or_later(previous, current):
            registration.sequence += 1
        if registration.offer_expires_at is not None:
            latest = offers.expires_at(
                seating.now, seating.facts.starts_at_utc, seating.facts.waitlist.offer_hours
            )
            registration.offer_expires_at = min(registration.offer_expires_at, latest)
        seating.telling.tell(
            registration, "session_changed", previous=previous, reason=seating.facts.change_reason
        )


async def _ask_volunteers(seating: Seating, before: SessionState) -> None:
    """Ask who can give up a seat when the plan fell below those in use, if the coordinator wishes so."""
    if seating.facts.on_shrink != "ask_volunteers":
        return
    planned, earlier = (pools.plan_of(facts).capacity for facts in (seating.facts, before))
    short = kinds_short_of_seats(planned, earlier, seating.used_by_kind())
    for registration in await _live(seating) if short else ():
        if registration.status == "confirmed" and registration.seat_kind in short:
            seating.telling.tell(registration, "volunteers_asked")


def _change_kind(seating: Seating, registration: Registration, kind: str) -> None:
    """The session moved online, or into a room: everybody keeps what they had, seat or place in line."""
    if registration.status in ("confirmed", "offered"):
        seat = "confirmed" if registration.status == "confirmed" else "offered"
        seating.vacate(registration, seat)  # type: ignore[arg-type]
        registration.seat_kind = kind
        seating.seat(registration, PoolKey(kind), seat)  # type: ignore[arg-type]
        # The seats in use are counted anew before anything is written: nobody is dropped for the move.
        seating.replan()
    registration.seat_kind = kind


async def _live(seating: Seating) -> list[Registration]:
    rows = await seating.tx.scalars(
        select(Registration)
        .where(Registration.session_id == seating.row.id, col(Registration.status).in_(LIVE))
        .order_by(col(Registration.seq))
    )
    return list(rows)
