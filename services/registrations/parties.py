"""Parties that become smaller: fewer come, or some go on waiting by themselves."""

import hashlib
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.settings import Settings
from services.registrations.commands import COPIED, locked, note_action, refusals
from services.registrations.confirmation import new_number
from services.registrations.inputs import name_key
from services.registrations.models import Registration
from services.registrations.problems import AlreadyOver, MaybeDuplicate, NotSmaller
from services.registrations.seatbook import LIVE, Shrink
from services.registrations.seating import Seating, ref_of


async def split(
    tx: AsyncSession, settings: Settings, registration_id: UUID, seats: int, name: str, by: str
) -> Registration:
    """`seats` people of a party that waits go on by themselves, right behind the others: `name` and theirs.

    The new registration is reached as the party is, and told of its place, or of its seats, with a link of
    its own. Repeating it changes nothing. Raises `NotWaiting`, `NotSmaller`, `AlreadyOver` once the session
    has begun, and `MaybeDuplicate` for the name that the party itself has. `by`: `person`, or who of the
    staff did it.
    """
    seating, registration = await locked(tx, settings, registration_id)
    done = await _left_already(tx, registration, name, seats)
    if done is not None:
        return done
    if seating.is_over:
        raise AlreadyOver
    if name_key(name) == registration.name_key:
        raise MaybeDuplicate
    new = _part(registration, seating, name, seats)
    with refusals():
        still_waiting = await seating.split(registration, new)
    if new in still_waiting:
        seating.telling.tell(new, "waitlisted", position=await seating.position(new))
    if registration in still_waiting:
        seating.telling.restate(registration)
    _note_by_staff(seating, registration, "split", by)
    await seating.finish()
    return new


async def shrink(
    tx: AsyncSession, settings: Settings, registration_id: UUID, party_size: int, by: str
) -> Registration:
    """Fewer people come: their seats go to those who wait at once. Repeating it changes nothing.

    A support companion who takes no seat still comes, unless one person alone does. Raises `NotSmaller`,
    and `AlreadyOver` for a registration that has ended. `by` as in `split`.
    """
    seating, registration = await locked(tx, settings, registration_id)
    if registration.status not in LIVE or (by == "person" and seating.is_over):
        raise AlreadyOver
    if party_size == registration.party_size:
        return registration
    if not 0 < party_size < registration.party_size:
        raise NotSmaller
    seats = max(1, party_size - (registration.party_size - registration.seats))
    as_before = [registration]
    if seats < registration.seats:
        with refusals():
            as_before = await seating.do(Shrink(ref_of(registration), seats))
    registration.party_size = party_size
    if registration in as_before:
        seating.telling.restate(registration)
    _note_by_staff(seating, registration, "shrunk", by)
    await seating.finish()
    return registration


async def _left_already(
    tx: AsyncSession, registration: Registration, name: str, seats: int
) -> Registration | None:
    """Those who have left the party just so: a form sent twice splits once (rule S5)."""
    wanted = select(Registration).where(
        Registration.session_id == registration.session_id,
        Registration.split_from == registration.id,
        Registration.name_key == name_key(name),
        Registration.seats == seats,
        col(Registration.status).in_(LIVE),
    )
    return (await tx.scalars(wanted.limit(1))).first()


def _part(registration: Registration, seating: Seating, name: str, seats: int) -> Registration:
    """Those who leave a party, as it was asked for: by the same channel, reached in the same way."""
    id_ = uuid4()
    copied = {column: getattr(registration, column) for column in COPIED}
    return Registration(
        **copied
        | {
            "name": name,
            "name_key": name_key(name),
            "party_size": seats,
            "seats": seats,
            "uid": f"{id_}@{seating.settings.uid_domain}",
            "content_hash": hashlib.sha256(id_.bytes).digest(),
        },
        id=id_,
        session_id=registration.session_id,
        status="pending",
        seat_kind=registration.seat_kind,
        confirmation_number=new_number(),
        seq=0,
        ledger_ref=uuid4(),
        split_from=registration.id,
        created_at=seating.now,
    )


def _note_by_staff(seating: Seating, registration: Registration, action: str, by: str) -> None:
    """What staff did for somebody; what people do themselves needs no note."""
    if by != "person":
        note_action(seating, registration, action, "", by)
