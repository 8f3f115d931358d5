"""What `events` says of sessions, and what it means for the people registered; and who was reached."""

from collections import Counter
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.database import Database
from libs.messaging import topics
from libs.messaging.contracts import Payload, SessionAccess, SessionState
from libs.messaging.envelope import Envelope
from libs.messaging.inbox import Inbox
from libs.settings import Settings
from services.registrations import joining, pools, queries
from services.registrations.changes import is_elsewhere_or_later, kinds_short_of_seats, must_be_told
from services.registrations.models import Registration, SessionCopy
from services.registrations.office_hours import office_hours, office_json
from services.registrations.reached import keep_reached
from services.registrations.seatbook import Replan, terms_of
from services.registrations.seating import Seating
from services.registrations.telling import session_facts
from services.registrations.waits import is_unasked


def inbox(database: Database, settings: Settings) -> Inbox:
    """The inbox of this service."""

    async def session(tx: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
        if payload is None:
            await end_session(tx, settings, envelope)
            return
        assert isinstance(payload, SessionState)
        await apply_session(tx, settings, envelope, payload)

    async def access(tx: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
        if payload is None:
            payload = SessionAccess(session_id=UUID(envelope.subject))
        assert isinstance(payload, SessionAccess)
        await apply_access(tx, settings, envelope, payload)

    handlers = {topics.SESSIONS: session, topics.SESSION_ACCESS: access, topics.REACHED: keep_reached}
    # A session's key is its id, and sessions are locked in the order of their ids (ADR 15).
    return Inbox(database, handlers, by_key=True)


async def apply_session(
    tx: AsyncSession, settings: Settings, envelope: Envelope, state: SessionState
) -> None:
    """Take over a newer state of a session, and take its registrations along: nobody is dropped."""
    row = await _locked_row(tx, state.id)
    if envelope.newness <= (row.epoch, row.version):
        return
    before = await Seating.lock(tx, settings, state.id)
    if before is not None:
        state = _as_committed(state, before.facts)
    row.epoch, row.version = envelope.epoch, envelope.version
    row.facts = state.model_dump(mode="json")
    row.status = state.status
    row.starts_at, row.ends_at = state.starts_at_utc, state.ends_at_utc
    office = office_hours(settings.office_hours, state)
    row.office = None if office is None else office_json(office)
    await tx.flush()
    seating = before or await Seating.lock(tx, settings, state.id)
    assert seating is not None, "the row was just written"
    await _change(seating, state, None if before is None else before.facts)
    await seating.finish()


async def end_session(tx: AsyncSession, settings: Settings, envelope: Envelope) -> None:
    """`events` knows the session no more, as after a backup was put back: nobody is left waiting for it.

    Whoever has a seat or waits is told as of any cancellation; what was over stays as it was. The copy stays
    for those who were registered: retention erases them, counts and ledger need its facts.
    """
    row = await _locked_row(tx, UUID(envelope.subject))
    if envelope.newness <= (row.epoch, row.version):
        return
    # Of a session never heard of too: a late copy of what was said before is not to open it.
    row.epoch, row.version = envelope.epoch, envelope.version
    await tx.flush()
    seating = await Seating.lock(tx, settings, row.id)
    if seating is None or seating.is_over:
        return
    before, now = seating.facts, seating.now
    ended = before.model_copy(
        update={"status": "cancelled", "cancel_reason": None, "cancelled_at": now, "updated_at": now}
    )
    row.facts, row.status = ended.model_dump(mode="json"), ended.status
    await _change(seating, ended, before)
    await seating.finish()


def _as_committed(state: SessionState, before: SessionState) -> SessionState:
    """How seats are given is decided before the first request: a draw can't be changed, nor made later."""
    kept = {"policy": before.waitlist.policy, "draw": before.waitlist.draw}
    return state.model_copy(update={"waitlist": state.waitlist.model_copy(update=kept)})


async def _change(seating: Seating, state: SessionState, before: SessionState | None) -> None:
    """The seats first, then what each person is told of it."""
    seating.facts = state
    # Of a line that somebody stands in by their wait alone they were never told: nor of its end.
    unasked = {one.id for one in await seating.unasked()} if state.status == "cancelled" else set()
    office = office_hours(seating.telling.settings.office_hours, state)
    changed = await seating.do(Replan(terms_of(state, office)))
    await joining.mark(seating.tx, seating)
    if state.status == "cancelled":
        await _tell_of_the_end(seating, changed, unasked)
    elif before is not None:
        await _tell_of_the_move(seating, before)
        await _ask_volunteers(seating, before)


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
        for registration in await seating.everybody():
            if registration.status == "confirmed" and registration.seat_kind == "online":
                previous = seating.telling.facts_for(registration).model_copy(update={"online_url": known})
                registration.sequence += 1
                seating.telling.tell(registration, "session_changed", previous=previous)
    await joining.mark(tx, seating)
    await seating.finish()


async def _locked_row(tx: AsyncSession, session_id: UUID) -> SessionCopy:
    await tx.execute(
        insert(SessionCopy).values(SessionCopy(id=session_id).model_dump()).on_conflict_do_nothing()
    )
    return await tx.get_one(
        SessionCopy, session_id, with_for_update={"key_share": True}, populate_existing=True
    )


async def _tell_of_the_end(
    seating: Seating, people: Sequence[Registration], unasked: Collection[UUID]
) -> None:
    if not people:
        return
    alternatives = await queries.alternatives(
        seating.tx, seating.telling.settings, seating.facts, seating.now
    )
    for registration in people:
        if registration.id in unasked:
            seating.telling.restate(registration)
            continue
        invited, registration.invited = registration.invited, False
        seating.telling.tell(
            registration,
            "session_cancelled",
            invited=invited,
            reason=seating.facts.cancel_reason,
            alternatives=alternatives,
        )


async def _tell_of_the_move(seating: Seating, before: SessionState) -> None:
    """Everybody hears of another time, place or way to take part; nobody of a corrected title."""
    settings = seating.telling.settings
    earlier, now = session_facts(before, settings), session_facts(seating.facts, settings)
    if not must_be_told(earlier, now):
        return
    for registration in await seating.everybody():
        if is_unasked(registration):
            continue
        link = seating.telling.facts_for(registration).online_url
        if is_elsewhere_or_later(earlier, now):
            registration.sequence += 1
            # Who said that they come said so of another place or time.
            registration.reconfirmed_at = None
        seating.telling.tell(
            registration,
            "session_changed",
            previous=earlier.model_copy(
                update={"online_url": link if before.modality != "on_site" else None}
            ),
            reason=seating.facts.change_reason,
        )


async def _ask_volunteers(seating: Seating, before: SessionState) -> None:
    """Ask who can give up a seat when the plan fell below those in use, if the coordinator wishes so."""
    if seating.facts.on_shrink != "ask_volunteers":
        return
    planned, earlier = (pools.plan_of(facts).capacity for facts in (seating.facts, before))
    used: Counter[str] = Counter()
    for key, seats in seating.book.used().items():
        used[key.seat_kind] += seats
    short = kinds_short_of_seats(planned, earlier, used)
    for registration in await seating.everybody() if short else ():
        if registration.status == "confirmed" and registration.seat_kind in short:
            seating.telling.tell(registration, "volunteers_asked")
