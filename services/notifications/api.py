"""The JSON API of notifications, for staff and operators: what became of each notice, without a name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from libs.web.app import Reading
from libs.web.auth import Staff
from libs.web.problems import NotFound
from services.notifications import queries
from services.notifications.cursors import read_cursor, write_cursor
from services.notifications.models import Attempt, Delivery

router = APIRouter(prefix="/api/notifications/v1", tags=["deliveries"])


class AttemptView(BaseModel):
    """One try to tell it. `result`: what came of it, `code` what a server said of that; no names in either.

    `at` is the last of `times` tries in a row with the same result; `settled_at` when a receipt told it.
    """

    number: int
    at: datetime
    route: str
    result: str
    code: str | None
    times: int
    settled_at: datetime | None


class DeliveryView(BaseModel):
    """One notice. `cause` with `epoch` and `version` is what it tells; `last_error` a code without names.

    `told` is whether the person heard of it, as far as anybody knows; `tries` by which routes that was tried.
    """

    id: UUID
    registration_id: UUID
    session_id: UUID
    epoch: int
    version: int
    cause: str
    status: str
    route: str
    tried_routes: Sequence[str]
    message_id: str
    uid: str
    sequence: int
    due_at: datetime
    next_attempt_at: datetime
    attempts: int
    calls: int
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    told: bool
    tries: Sequence[AttemptView]


class DeliveryList(BaseModel):
    """`next` is the cursor of the following page, null at the end."""

    items: Sequence[DeliveryView]
    next: str | None


@router.get("/deliveries")
async def list_deliveries(
    reading: Reading,
    staff: Staff,
    registration_id: UUID | None = None,
    session_id: UUID | None = None,
    status: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: str | None = None,
) -> DeliveryList:
    """The notices of a registration, of a session or in a status, oldest first."""
    found = await queries.deliveries(
        reading,
        registration_id=registration_id,
        session_id=session_id,
        status=status,
        limit=limit + 1,
        after=read_cursor(cursor) if cursor else None,
    )
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else None
    following = write_cursor(last.created_at, last.version, last.id) if last else None
    tries = await queries.attempts_of(reading, [item.id for item in shown])
    return DeliveryList(items=[_view(item, tries[item.id]) for item in shown], next=following)


@router.get("/deliveries/{id}")
async def show_delivery(reading: Reading, staff: Staff, id: UUID) -> DeliveryView:
    """One notice."""
    delivery = await reading.get(Delivery, id)
    if delivery is None:
        raise NotFound
    return _view(delivery, (await queries.attempts_of(reading, [id]))[id])


def _view(delivery: Delivery, tries: Sequence[Attempt]) -> DeliveryView:
    given = delivery.model_dump(exclude={"facts"})
    given["told"] = delivery.status in ("sent", "done")
    given["tries"] = [AttemptView.model_validate(item, from_attributes=True) for item in tries]
    return DeliveryView.model_validate(given)
