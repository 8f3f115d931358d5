"""Attendance: who came, noted by staff from the session's start on, and how many came without a name."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.settings import Settings
from services.registrations import serving
from services.registrations.commands import locked, refusals
from services.registrations.models import Registration, SessionOutcome
from services.registrations.problems import AlreadyOver, NotBegun, RegistrationUnknown, SessionUnknown
from services.registrations.seatbook import Attend
from services.registrations.seating import Seating, ref_of

Outcome = Literal["attended", "absent", "excused", "confirmed"]
"""`confirmed` takes a note back: nothing is known yet."""
MOST_WALK_INS = 10_000


async def attend(
    tx: AsyncSession, settings: Settings, registration_id: UUID, outcome: Outcome
) -> Registration:
    """Note whether somebody with a seat came; may be corrected. The person is told nothing.

    Raises `NotBegun` before the session's start, `NoSeat` for somebody who had none.
    """
    seating, registration = await locked(tx, settings, registration_id)
    await _note(seating, [(registration, outcome)])
    return registration


async def note_list(
    tx: AsyncSession,
    settings: Settings,
    session_id: UUID,
    outcomes: Mapping[UUID, Outcome],
    walk_ins: int | None = None,
) -> int:
    """Note a whole list, and the walk-ins if they are given: all of it or nothing.

    How many people's outcome is another one now. Raises as `attend`, `SessionUnknown`, and
    `RegistrationUnknown` for somebody of another session.
    """
    seating = await Seating.lock(tx, settings, session_id)
    if seating is None:
        raise SessionUnknown
    found = await tx.scalars(
        select(Registration)
        .where(Registration.session_id == session_id, col(Registration.id).in_(outcomes))
        .order_by(col(Registration.seq))
    )
    people = list(found)
    if len(people) < len(outcomes):
        raise RegistrationUnknown
    if walk_ins is not None:
        await _count_walk_ins(seating, walk_ins)
    return await _note(seating, [(person, outcomes[person.id]) for person in people])


async def count_walk_ins(tx: AsyncSession, settings: Settings, session_id: UUID, walk_ins: int) -> None:
    """How many came without being registered, in all: the last number counts. As `note_list`."""
    await note_list(tx, settings, session_id, {}, walk_ins)


async def walk_ins_of(tx: AsyncSession, session_id: UUID) -> int:
    found = await tx.get(SessionOutcome, session_id)
    return 0 if found is None else found.walk_ins


async def _note(seating: Seating, outcomes: Iterable[tuple[Registration, Outcome]]) -> int:
    changed = [(person, outcome) for person, outcome in outcomes if person.status != outcome]
    for person, outcome in changed:
        if person.ledger_ref is None:
            raise AlreadyOver
        seating.know(person)
        with refusals():
            await seating.do(Attend(ref_of(person), outcome))
        seating.telling.restate(person)
    if changed:
        people = [person for person, _ in changed]
        await serving.note(seating.tx, seating.telling.settings, seating.facts, people)
        await _remember(seating.tx, seating.row.id, seating.now)
        await seating.finish()
    return len(changed)


async def _count_walk_ins(seating: Seating, walk_ins: int) -> None:
    if await walk_ins_of(seating.tx, seating.row.id) == walk_ins:
        return
    if seating.now < seating.book.terms.starts_at:
        raise NotBegun
    if seating.book.terms.status == "cancelled":
        raise AlreadyOver
    await _remember(seating.tx, seating.row.id, seating.now, walk_ins=walk_ins)


async def _remember(tx: AsyncSession, session_id: UUID, now: datetime, **values: int) -> None:
    row = {"session_id": session_id, "walk_ins": 0, "changed_at": now} | values
    statement = insert(SessionOutcome).values(row)
    await tx.execute(
        statement.on_conflict_do_update(index_elements=["session_id"], set_={"changed_at": now, **values})
    )
