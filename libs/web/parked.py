"""Parked messages, for operators: which could not be understood, why, and another try once it is mended."""

from datetime import datetime

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel

from libs.messaging.inbox import Inbox
from libs.web.app import Reading, Transaction
from libs.web.auth import Staff
from libs.web.problems import NotFound


class ParkedMessage(BaseModel):
    """Where a message came from and why it is here; what it says may be personal and isn't shown."""

    id: int
    topic: str
    key: str
    reason: str
    parked_at: datetime


class ParkedMessages(BaseModel):
    items: list[ParkedMessage]
    next: str | None = None


class Replayed(BaseModel):
    """How many took effect now, and how many stay parked."""

    applied: int
    parked: int


def parked_router(service: str, inbox: Inbox) -> APIRouter:
    """`/api/{service}/v1/parked`, for staff."""
    router = APIRouter(prefix=f"/api/{service}/v1/parked", tags=["operations"])

    @router.get("")
    async def parked(staff: Staff, db: Reading) -> ParkedMessages:
        """The messages that wait for an operator, oldest first."""
        rows = await db.execute(
            sa.text("select id, topic, key, reason, parked_at from parked order by id limit 500")
        )
        return ParkedMessages(items=[ParkedMessage(**row) for row in rows.mappings()])

    @router.post("/replay")
    async def replay(staff: Staff) -> Replayed:
        """Try them all again, each in a transaction of its own."""
        applied, left = await inbox.replay_parked()
        return Replayed(applied=applied, parked=left)

    @router.delete("/{parked_id}", status_code=204)
    async def discard(parked_id: int, staff: Staff, db: Transaction) -> None:
        """Give one up: its sender has announced a newer state, or never will."""
        gone = await db.execute(sa.text("delete from parked where id = :id returning id"), {"id": parked_id})
        if gone.first() is None:
            raise NotFound

    return router
