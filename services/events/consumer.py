"""What events keeps of the others' streams: how many seats are left, and how many people a change reaches."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.messaging.contracts import Payload, ReachState, SeatsState
from libs.messaging.envelope import Envelope
from libs.messaging.inbox import Apply
from libs.messaging.topics import REACH, SEATS, Topic
from services.events.models import Model, SessionReach, SessionSeats

_COUNTS = ("capacity", "confirmed", "offered", "held", "available", "waitlisted")


async def keep_seats(db: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
    """The newest count of a session's seats wins, in whatever order they come."""
    if payload is None:
        await _forget(db, SessionSeats, envelope)
        return
    assert isinstance(payload, SeatsState)
    counts = {name: getattr(payload, name) for name in _COUNTS}
    by_kind = {
        kind: {name: getattr(of_kind, name) for name in _COUNTS} for kind, of_kind in payload.by_kind.items()
    }
    await _keep(
        db,
        SessionSeats,
        envelope,
        counts
        | {
            "session_id": payload.session_id,
            "by_kind": by_kind,
            "draw": payload.draw,
            "updated_at": payload.updated_at,
        },
    )


async def keep_reach(db: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
    """The newest count of the people who would be told of a change wins."""
    if payload is None:
        await _forget(db, SessionReach, envelope)
        return
    assert isinstance(payload, ReachState)
    row = {
        "session_id": payload.session_id,
        "by_route": dict(payload.by_route),
        "updated_at": payload.updated_at,
    }
    await _keep(db, SessionReach, envelope, row)


HANDLERS: dict[Topic, Apply] = {SEATS: keep_seats, REACH: keep_reach}


async def _keep(db: AsyncSession, kind: type[Model], envelope: Envelope, row: dict[str, object]) -> None:
    table = Model.metadata.tables[str(kind.__tablename__)]
    row |= {"epoch": envelope.epoch, "version": envelope.version}
    statement = insert(table).values(row)
    newer = sa.tuple_(statement.excluded.epoch, statement.excluded.version) > sa.tuple_(
        table.c.epoch, table.c.version
    )
    await db.execute(
        statement.on_conflict_do_update(
            index_elements=["session_id"],
            set_={name: statement.excluded[name] for name in row if name != "session_id"},
            where=newer,
        )
    )


async def _forget(db: AsyncSession, kind: type[Model], envelope: Envelope) -> None:
    """The session is gone from registrations; an older copy of this message does no harm."""
    table = Model.metadata.tables[str(kind.__tablename__)]
    await db.execute(
        sa.delete(table).where(
            sa.cast(table.c.session_id, sa.Text) == envelope.subject,
            sa.tuple_(table.c.epoch, table.c.version) < sa.tuple_(envelope.epoch, envelope.version),
        )
    )
