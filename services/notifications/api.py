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
from services.notifications.models import Delivery

router = APIRouter(prefix="/api/notifications/v1", tags=["deliveries"])


class DeliveryView(BaseModel):
    """One notice. `cause` with `epoch` and `version` is what it tells; `last_error` a code without names."""

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
    return DeliveryList(items=[_view(item) for item in shown], next=following)


@router.get("/deliveries/{id}")
async def show_delivery(reading: Reading, staff: Staff, id: UUID) -> DeliveryView:
    """One notice."""
    delivery = await reading.get(Delivery, id)
    if delivery is None:
        raise NotFound
    return _view(delivery)


def _view(delivery: Delivery) -> DeliveryView:
    return DeliveryView.model_validate(delivery, from_attributes=True)
