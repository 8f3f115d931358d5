"""The draw in the JSON API: all that is public of it, and the one thing that staff may do."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from libs.clock import decision_time
from libs.web.app import Reading, Transaction, service_of
from libs.web.auth import Staff
from libs.web.idempotency import IdempotencyKey
from services.registrations import drawing
from services.registrations.api import WithReason
from services.registrations.draw import PAUSE
from services.registrations.models import DrawRecord, SessionCopy
from services.registrations.problems import DrawUnknown, SessionUnknown

router = APIRouter(prefix="/api/registrations/v1", tags=["draw"])


class DrawDetail(BaseModel):
    """A session's draw, step by step; docs/draw.md tells how to work it out again.

    `stage`: `to_come` (requests are taken), `closed` (the tickets are listed), `drawn`, `cancelled`, or
    `not_held` where the session ended first. `seed` (64 hex digits) is null until the draw. `tickets`:
    `[ticket, lots]`. `result`: `[ticket, rank, outcome]`, with `confirmed`, `waitlisted` or `withdrawn`.
    """

    session_id: UUID
    stage: Literal["to_come", "closed", "drawn", "cancelled", "not_held"]
    rules: dict[str, Any]
    commitment: str
    opened_at: datetime
    closes_at: datetime
    closed_at: datetime | None
    draws_at: datetime
    last_ticket: int | None
    tickets: list[tuple[int, int]] | None
    tickets_hash: str | None
    seed: str | None
    drawn_at: datetime | None
    result: list[tuple[int, int, str]] | None
    cancelled_at: datetime | None
    cancel_reason: str | None


@router.get("/sessions/{session_id}/draw")
async def show(session_id: UUID, tx: Reading) -> DrawDetail:
    """Everything that anybody needs to check the draw. Public."""
    return await draw_detail(tx, session_id)


@router.post("/sessions/{session_id}/draw/cancel")
async def cancel(
    session_id: UUID,
    staff: Staff,
    body: WithReason,
    request: Request,
    key: IdempotencyKey,
    tx: Transaction,
) -> DrawDetail:
    """Give the draw up before it is held: every request ends, everybody is told `reason`, which is public."""
    if await key.known(tx) is None:
        await drawing.cancel_draw(tx, service_of(request).settings, session_id, body.reason, staff.id)
        await key.keep(tx, {"id": str(session_id)})
    return await draw_detail(tx, session_id)


async def draw_detail(tx: AsyncSession, session_id: UUID) -> DrawDetail:
    """The public facts of a session's draw. Raises `SessionUnknown`, `DrawUnknown`."""
    row = await tx.get(SessionCopy, session_id)
    if row is None or row.facts is None:
        raise SessionUnknown
    record = await tx.get(DrawRecord, session_id)
    if record is None:
        raise DrawUnknown
    return DrawDetail(
        **{name: getattr(record, name) for name in DrawDetail.model_fields if name in _PUBLIC},
        stage=_stage(row, record, await decision_time(tx)),
        draws_at=(record.closed_at or record.closes_at) + PAUSE,
        # Nobody may know it earlier: who does knows which ticket to ask for.
        seed=record.seed.hex() if record.drawn_at is not None else None,
    )


_PUBLIC = frozenset(
    {
        "session_id", "rules", "commitment", "opened_at", "closes_at", "closed_at", "last_ticket", "tickets",
        "tickets_hash", "drawn_at", "result", "cancelled_at", "cancel_reason",
    }
)  # fmt: skip


def _stage(
    session: SessionCopy, record: DrawRecord, now: datetime
) -> Literal["to_come", "closed", "drawn", "cancelled", "not_held"]:
    if record.drawn_at is not None:
        return "drawn"
    if record.cancelled_at is not None:
        return "cancelled"
    if session.status != "published" or session.starts_at is None or session.starts_at <= now:
        return "not_held"
    return "to_come" if record.closed_at is None else "closed"
