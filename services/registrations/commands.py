"""What can be done with registrations: each command loads under the lock, decides, writes and announces.

Registering is the one that crowds do at once: it has a lane of its own (`lane.py`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.messaging.contracts import Alternative
from libs.settings import Settings
from services.registrations import opening, queries, seatbook, waits
from services.registrations.confirmation import new_number
from services.registrations.inputs import ways_of
from services.registrations.models import AccommodationRequest, Consent, Registration, StaffAction
from services.registrations.problems import (
    AlreadyOver,
    AlreadyRegistered,
    DrawCancelled,
    DrawOver,
    NoSeat,
    NotBegun,
    NotSmaller,
    NotWaiting,
    OfferOver,
    PartyTooLarge,
    RegistrationUnknown,
    SameSession,
    SessionFull,
    SessionUnknown,
    TooEarly,
)
from services.registrations.same_person import same_person
from services.registrations.seatbook import (
    LIVE,
    Accept,
    Cancel,
    Decline,
    Grant,
    Lapse,
    Move,
    NoAnswer,
    Prioritise,
    Refused,
    Release,
)
from services.registrations.seating import Seating, ref_of
from services.registrations.waits import Stops

By = Literal["person", "staff"]

COPIED = (
    "channel", "party_size", "seats", "name", "name_key", "language", "email", "mobile", "phone", "postal",
    "organisation", "role", "target_groups", "uid", "content_hash",
)  # fmt: skip
"""What a registration that comes of another one takes along."""


async def cancel(
    tx: AsyncSession, settings: Settings, registration_id: UUID, by: By, reason: str | None = None
) -> Registration:
    """Give up a registration; its seat goes to the next person at once. Repeating it changes nothing."""
    seating, registration = await locked(tx, settings, registration_id)
    if registration.status == "cancelled":
        return registration
    if by == "person" and seating.is_over:
        raise AlreadyOver
    await end(seating, registration, Cancel(ref_of(registration)), f"cancelled_by_{by}", reason=reason)
    await waits.look_again(tx, registration)
    await seating.finish()
    return registration


async def accept(tx: AsyncSession, settings: Settings, registration_id: UUID) -> Registration:
    """Take the seat that is kept; possible until the offer's expiry is recorded (rule S3).

    Who waits for many sessions waits for no other any more.
    """
    stops = await waits.lock_stops(tx, settings, registration_id)
    registration = stops.registration
    if registration.status == "confirmed":
        return registration
    with refusals():
        await stops.seating.do(Accept(ref_of(registration)))
    ended = await stops.close(settings)
    stops.seating.telling.tell(registration, "confirmed", ends_wait=ended)
    await stops.finish()
    return registration


async def decline(tx: AsyncSession, settings: Settings, registration_id: UUID) -> Registration:
    """Let the seat that is kept go to the next person."""
    seating, registration = await locked(tx, settings, registration_id)
    if registration.status == "declined":
        return registration
    await end(seating, registration, Decline(ref_of(registration)), "declined")
    await waits.look_again(tx, registration)
    await seating.finish()
    return registration


async def reconfirm(tx: AsyncSession, settings: Settings, registration_id: UUID) -> Registration:
    """Somebody with a seat says that they still come; nobody asks them again. « Non » is a `cancel`."""
    seating, registration = await locked(tx, settings, registration_id)
    if registration.status != "confirmed" or seating.is_over:
        raise AlreadyOver
    if registration.reconfirmed_at is None:
        registration.reconfirmed_at = seating.now
        seating.telling.restate(registration)
        await seating.finish()
    return registration


async def no_answer(tx: AsyncSession, settings: Settings, registration_id: UUID, by: str) -> Registration:
    """On the last day before the session one unanswered call ends an offer; the next person is asked."""
    seating, registration = await locked(tx, settings, registration_id)
    others = await queries.alternatives(tx, settings, seating.facts, seating.now)
    await end(seating, registration, NoAnswer(ref_of(registration)), "offer_expired", alternatives=others)
    await waits.look_again(tx, registration)
    note_action(seating, registration, "no_answer", "", by)
    await seating.finish()
    return registration


async def move(
    tx: AsyncSession,
    settings: Settings,
    registration_id: UUID,
    before: UUID | None,
    reason: str,
    by: str,
) -> Registration:
    """Put somebody who waits right before another, or last of all; nobody is told."""
    seating, registration = await locked(tx, settings, registration_id)
    others = {other.id: ref_of(other) for other in await seating.waiting()}
    if before is not None and before not in others:
        raise NotWaiting
    with refusals():
        await seating.do(Move(ref_of(registration), None if before is None else others[before]))
    return await _logged(seating, registration, "moved", reason, by)


async def prioritise(
    tx: AsyncSession, settings: Settings, registration_id: UUID, priority: int, reason: str, by: str
) -> Registration:
    """Put somebody who waits into a priority class; the reason is shown to staff alone."""
    seating, registration = await locked(tx, settings, registration_id)
    with refusals():
        await seating.do(Prioritise(ref_of(registration), priority))
    return await _logged(seating, registration, "prioritised", reason, by)


async def grant(
    tx: AsyncSession, settings: Settings, registration_id: UUID, reason: str, by: str
) -> Registration:
    """Give somebody who waits a seat over capacity (rule S1: explicit, named, logged)."""
    stops = await waits.lock_stops(tx, settings, registration_id)
    seating, registration = stops.seating, stops.registration
    if seating.is_over:
        raise AlreadyOver
    with refusals():
        await seating.do(Grant(ref_of(registration)))
    ended = await stops.close(settings)
    seating.telling.tell(registration, "confirmed", ends_wait=ended)
    note_action(seating, registration, "granted", reason, by)
    await stops.finish()
    return registration


async def transfer(
    tx: AsyncSession,
    settings: Settings,
    registration_id: UUID,
    session_id: UUID,
    reason: str,
    by: str,
    *,
    may_wait: bool = False,
) -> Registration:
    """Move somebody to another session: what they had there ends, and one notice tells of both.

    The calendar entry keeps its UID, so it moves in the person's calendar. Where no seat is free the
    person loses nothing (`SessionFull`), unless `may_wait`. Raises what a registration there would.
    """
    stops, joined = await _locked_both(tx, settings, registration_id, session_id)
    left, registration = stops.seating, stops.registration
    if registration.status not in LIVE or left.is_over:
        raise AlreadyOver
    opening.check_open(joined.facts, joined.now, "desk", has_link=joined.row.online_url is not None)
    opening.check_details(joined.facts, registration.organisation, registration.role)
    if registration.party_size > joined.facts.party.limit:
        raise PartyTooLarge
    await _release_what_is_due(joined)
    kinds = joined.book.terms.kinds
    kind = registration.seat_kind if registration.seat_kind in kinds else kinds[0]
    # Somebody who took no seat here, supporting another, takes one where the session counts everybody.
    counts_everybody = joined.facts.party.companion_takes_seat
    seats = registration.party_size if counts_everybody else registration.seats
    if joined.book.seat_for(kind, registration.channel, seats) is None and not may_wait:
        raise SessionFull
    if await _is_registered(tx, registration, session_id):
        raise AlreadyRegistered
    previous, invited = left.telling.facts_for(registration), registration.invited
    with refusals():
        await left.do(Cancel(ref_of(registration)))
        registration.invited = False
        left.telling.restate(registration)
        successor = _successor(registration, joined, kind, seats)
        await joined.admit(successor)
    await _copy_answers(tx, registration, successor)
    position = await joined.position(successor) if successor.status == "waitlisted" else None
    ended = successor.status == "confirmed" and await stops.close(settings)
    joined.telling.tell(
        successor,
        "transferred",
        position=position,
        previous=previous,
        invited=invited or successor.invited,
        ends_wait=ended,
    )
    note_action(joined, successor, "transferred", reason, by)
    await stops.finish()
    return successor


async def revoke_links(tx: AsyncSession, settings: Settings, registration_id: UUID) -> Registration:
    """Make every manage link sent so far worthless; the next message carries a new one."""
    seating, registration = await locked(tx, settings, registration_id)
    registration.generation += 1
    seating.telling.restate(registration)
    await seating.finish()
    return registration


async def expire_offers(tx: AsyncSession, settings: Settings, session_id: UUID) -> int:
    """Record the offers that nobody answered in time, and the gatherings that ended; ask the next people."""
    seating = await Seating.lock(tx, settings, session_id)
    if seating is None:
        return 0
    late = await seating.do(Lapse())
    # For whom seats gathered nothing has changed: they wait, and were promised no more.
    expired = [registration for registration in late if registration.status == "expired"]
    others = await queries.alternatives(tx, settings, seating.facts, seating.now) if expired else ()
    for registration in expired:
        seating.telling.tell(registration, "offer_expired", alternatives=others)
    await waits.look_again(tx, *expired)
    await seating.finish()
    return len(late)


async def release_seats(tx: AsyncSession, settings: Settings, session_id: UUID) -> None:
    """Give the held seats whose date has come to everybody, those who wait first."""
    seating = await Seating.lock(tx, settings, session_id)
    if seating is not None:
        await _release_what_is_due(seating)
        await seating.finish()


async def end(
    seating: Seating,
    registration: Registration,
    command: Cancel | Decline | NoAnswer,
    cause: str,
    *,
    reason: str | None = None,
    alternatives: Sequence[Alternative] = (),
) -> None:
    """A live registration ends: its seat goes on, and a calendar entry that was sent is taken back."""
    with refusals():
        await seating.do(command)
    invited, registration.invited = registration.invited, False
    seating.telling.tell(registration, cause, invited=invited, reason=reason, alternatives=alternatives)


async def _release_what_is_due(seating: Seating) -> None:
    due = seating.row.next_release_at
    if due is not None and due <= seating.now:
        await seating.do(Release())


async def locked(tx: AsyncSession, settings: Settings, registration_id: UUID) -> tuple[Seating, Registration]:
    """The seats of the registration's session, locked, and its row as it is now. `RegistrationUnknown`."""
    found = await tx.get(Registration, registration_id)
    seating = await Seating.lock(tx, settings, found.session_id) if found is not None else None
    if found is None or seating is None:
        raise RegistrationUnknown
    await _reread(tx, found)
    seating.know(found)
    return seating, found


async def _locked_both(
    tx: AsyncSession, settings: Settings, registration_id: UUID, session_id: UUID
) -> tuple[Stops, Seating]:
    """The person with the seats that they leave, and the seats to join."""
    found = await tx.get(Registration, registration_id)
    if found is None:
        raise RegistrationUnknown
    if found.session_id == session_id:
        raise SameSession
    stops = await waits.lock_stops(tx, settings, registration_id, session_id)
    joined = stops.seatings[session_id]
    if joined is None:
        raise SessionUnknown
    return stops, joined


async def _reread(tx: AsyncSession, found: Registration) -> None:
    """What was read before the lock may have changed while we waited for it."""
    await tx.refresh(found)
    if found.ledger_ref is None:
        raise AlreadyOver


def _successor(registration: Registration, joined: Seating, kind: str, seats: int) -> Registration:
    id_ = uuid4()
    copied = {name: getattr(registration, name) for name in COPIED} | {"seats": seats}
    return Registration(
        **copied,
        id=id_,
        session_id=joined.row.id,
        status="pending",
        seat_kind=kind,
        confirmation_number=new_number(),
        # Above whatever was sent under this UID: the calendar entry moves (RFC 5546, 2.1.4).
        sequence=registration.sequence + 1,
        seq=0,
        ledger_ref=uuid4(),
        transferred_from=registration.id,
        created_at=joined.now,
    )


async def _copy_answers(tx: AsyncSession, registration: Registration, successor: Registration) -> None:
    await tx.flush()
    for table, columns in (
        (AccommodationRequest, ("need",)),
        (Consent, ("purpose", "wording", "channel", "given_at", "withdrawn_at")),
    ):
        rows = await tx.scalars(select(table).where(table.registration_id == registration.id))
        for row in rows:
            values = {name: getattr(row, name) for name in columns}
            tx.add(table(registration_id=successor.id, **values))


async def _is_registered(tx: AsyncSession, registration: Registration, session_id: UUID) -> bool:
    """Whether somebody of this name, reached in the same way, is on that session already."""
    found = await tx.scalar(
        sa.select(col(Registration.id)).where(
            col(Registration.session_id) == session_id,
            same_person(Registration, registration.name_key, ways_of(registration)),
            col(Registration.status).in_(LIVE),
        )
    )
    return found is not None


async def _logged(
    seating: Seating, registration: Registration, action: str, reason: str, by: str
) -> Registration:
    """A change that the person isn't told of: their place in the line may move, not their standing."""
    seating.telling.restate(registration)
    note_action(seating, registration, action, reason, by)
    await seating.finish()
    return registration


def note_action(seating: Seating, registration: Registration, action: str, reason: str, by: str) -> None:
    """What staff did out of the usual order, and why, kept with the person."""
    seating.tx.add(
        StaffAction(registration_id=registration.id, action=action, reason=reason, by=by, at=seating.now)
    )


_PROBLEMS = {
    seatbook.Full: SessionFull,
    seatbook.OfferOver: OfferOver,
    seatbook.NotWaiting: NotWaiting,
    seatbook.AlreadyOver: AlreadyOver,
    seatbook.TooEarly: TooEarly,
    seatbook.NotBegun: NotBegun,
    seatbook.NoSeat: NoSeat,
    seatbook.DrawOver: DrawOver,
    seatbook.DrawCancelled: DrawCancelled,
    seatbook.PartyTooLarge: PartyTooLarge,
    seatbook.NotSmaller: NotSmaller,
}


@contextmanager
def refusals() -> Iterator[None]:
    """What the rules refuse, in words for the person who asked."""
    try:
        yield
    except Refused as refusal:
        raise _PROBLEMS[type(refusal)] from None
