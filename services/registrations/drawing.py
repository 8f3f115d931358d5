"""Holding a draw: closing it in time, drawing after the pause, or giving it up with a notice to everybody."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.settings import Settings
from services.registrations import draw_records, joining, queries, serving
from services.registrations.commands import note_action, refusals
from services.registrations.draw import PAUSE, Stage, Ticket
from services.registrations.models import DrawRecord, Registration, SessionCopy
from services.registrations.problems import DrawUnknown, SessionUnknown
from services.registrations.seatbook import CancelDraw, Draw, SeatBook
from services.registrations.seating import Seating


async def act_if_due(tx: AsyncSession, settings: Settings, session_id: UUID) -> None:
    """Close a session's draw if its time has come, or hold it if the pause is over; else nothing."""
    seating = await Seating.lock(tx, settings, session_id)
    record = await tx.get(DrawRecord, session_id, populate_existing=True)
    if seating is None or record is None or seating.book.stage is not Stage.TO_COME or seating.is_over:
        return
    if record.closed_at is None:
        if record.closes_at <= seating.now:
            await _close(seating, settings, record)
    elif record.closed_at + PAUSE <= seating.now:
        await _hold(seating, record)


async def cancel_draw(
    tx: AsyncSession, settings: Settings, session_id: UUID, reason: str, by: str
) -> DrawRecord:
    """Give a draw up before it is held: every request for it ends, and each person is told why.

    Raises `SessionUnknown`, `DrawUnknown` where seats are not drawn, `DrawOver` once it was held or given up.
    """
    seating = await Seating.lock(tx, settings, session_id)
    if seating is None:
        raise SessionUnknown
    record = await tx.get(DrawRecord, session_id, populate_existing=True)
    if record is None:
        raise DrawUnknown
    with refusals():
        ended = await seating.do(CancelDraw())
    record.cancelled_at, record.cancel_reason = seating.now, reason
    others = await queries.alternatives(tx, settings, seating.facts, seating.now) if ended else ()
    for registration in ended:
        seating.telling.tell(registration, "draw_cancelled", reason=reason, alternatives=others)
        note_action(seating, registration, "draw_cancelled", reason, by)
    await seating.finish()
    return record


async def sessions_due(tx: AsyncSession, now: datetime) -> Sequence[UUID]:
    """The sessions whose draw is to be closed or held now."""
    rows = await tx.scalars(
        sa.select(col(DrawRecord.session_id))
        .join(SessionCopy, col(SessionCopy.id) == col(DrawRecord.session_id))
        .where(
            col(DrawRecord.drawn_at).is_(None),
            col(DrawRecord.cancelled_at).is_(None),
            sa.or_(
                sa.and_(col(DrawRecord.closed_at).is_(None), col(DrawRecord.closes_at) <= now),
                col(DrawRecord.closed_at) <= now - PAUSE,
            ),
            col(SessionCopy.status) == "published",
            col(SessionCopy.starts_at) > now,
        )
        .order_by(col(DrawRecord.session_id))
        .limit(100)
    )
    return rows.all()


async def _close(seating: Seating, settings: Settings, record: DrawRecord) -> None:
    """List the tickets of those who asked in time, to the instant, and still wait."""
    people = list(
        await seating.tx.scalars(
            select(Registration)
            .where(
                Registration.session_id == record.session_id,
                Registration.status == "pending",
                col(Registration.created_at) < record.closes_at,
            )
            .order_by(col(Registration.seq))
        )
    )
    lots = int(record.rules["first_time_lots"])
    first = await serving.first_times(seating.tx, settings, seating.facts, people) if lots > 1 else ()
    tickets = [Ticket(person.seq, lots if person.id in first else 1) for person in people]
    last = await seating.tx.scalar(
        sa.select(sa.func.max(col(Registration.seq))).where(
            col(Registration.session_id) == record.session_id,
            col(Registration.created_at) < record.closes_at,
        )
    )
    draw_records.close(record, tickets, last or 0, seating.now)


async def _hold(seating: Seating, record: DrawRecord) -> None:
    tickets = draw_records.tickets_of(record)
    placed = await seating.do(Draw(record.seed, tickets))
    record.drawn_at = seating.now
    record.result = draw_records.result_of(record, {person.seq: person.status for person in placed})
    positions = _positions(seating.book)
    for registration in placed:
        seating.telling.tell(
            registration,
            registration.status,
            position=positions.get(registration.seq),
            tickets=len(tickets),
        )
    await joining.mark(seating.tx, seating)
    await seating.finish()


def _positions(book: SeatBook) -> dict[int, int]:
    """The place in the line of everybody who waits for a seat of their kind, 1 being next."""
    before: dict[str, int] = {}
    found: dict[int, int] = {}
    for person in book.line():
        found[person.seq] = before[person.kind] = before.get(person.kind, 0) + 1
    return found
