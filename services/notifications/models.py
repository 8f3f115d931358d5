"""The tables of `notifications`: who is to be told what, by which route, and what came of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from libs.clock import utc_now
from libs.database import service_metadata
from libs.messaging.tables import messaging_tables
from services.notifications.attempts import RESULTS
from services.notifications.mailing import BY_HAND, BY_MACHINE, ROUTES
from services.notifications.outcomes import OUTCOMES

metadata = service_metadata()
MESSAGING = messaging_tables(metadata)

STATUSES = ("queued", "sent", "failed", "superseded", "done")
"""`sent` by machine, `done` by a person of the team; `failed` waits for somebody to find another way."""


class Model(SQLModel, registry=registry(metadata=metadata)):
    """The registry of this service's tables; no other service sees it."""


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _instant(**options: Any) -> Any:
    return Field(sa_type=sa.DateTime(timezone=True), **options)


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} in ({_listed(values)})", name=column)


class RegistrationCopy(Model, table=True):
    """What `registrations` last said of one registration: the one place here with a person's data.

    `state` is a `RegistrationState` without its causes; the row goes when the person is erased.
    """

    __tablename__ = "registration"

    id: UUID = Field(primary_key=True)
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    state: dict[str, Any] = Field(sa_type=JSONB)


class Delivery(Model, table=True):
    """One notice to one person: a cause, the route by which they are told, and how far it got.

    `facts` is the `Cause`; it is null once the person is erased, and the rest stays, so that a late
    copy of the cause sends nothing. `due_at` is when it may leave at the earliest, `next_attempt_at`
    when it is tried next. `attempts` counts tries by machine, `calls` recorded outcomes by hand.
    `claim` with `claimed_until` is a sender's lease, or the initials of who has the call in hand.
    """

    __tablename__ = "delivery"

    id: UUID = Field(primary_key=True)
    registration_id: UUID
    session_id: UUID
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    cause: str
    facts: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    status: str = "queued"
    route: str
    tried_routes: list[str] = Field(default_factory=list, sa_type=JSONB)
    """Routes that failed for good, in their order."""
    message_id: str
    uid: str
    sequence: int
    waits_since: datetime = _instant()
    """When the first of the changes that this notice stands for happened."""
    due_at: datetime = _instant()
    next_attempt_at: datetime = _instant()
    call_before: datetime = _instant()
    """Until when the news is of use: the order of the call list."""
    attempts: int = 0
    calls: int = 0
    claim: str | None = None
    claimed_until: datetime | None = _instant(default=None)
    last_error: str | None = None
    """A code such as `RCPT 550 5.1.1`, never a server's words: they may quote an address."""
    created_at: datetime = _instant(default_factory=utc_now)
    sent_at: datetime | None = _instant(default=None)

    __table_args__ = (
        sa.UniqueConstraint("registration_id", "epoch", "version", "cause"),
        sa.UniqueConstraint("message_id"),
        _one_of("status", STATUSES),
        _one_of("route", ROUTES),
        sa.CheckConstraint("(status in ('sent', 'done')) = (sent_at is not null)", name="sent_at"),
        sa.CheckConstraint("status <> 'queued' or facts is not null", name="queued_has_facts"),
        sa.Index(
            "ix_delivery_to_send",
            "next_attempt_at",
            postgresql_where=sa.text(f"status = 'queued' and route in ({_listed(BY_MACHINE)})"),
        ),
        sa.Index(
            "ix_delivery_calls",
            "call_before",
            "id",
            postgresql_where=sa.text(f"route in ({_listed(BY_HAND)})"),
        ),
        sa.Index("ix_delivery_uid", "uid"),
        sa.Index("ix_delivery_failed", "id", postgresql_where=sa.text("status = 'failed'")),
    )


class CallOutcome(Model, table=True):
    """What came of one call or letter. `number` counts from 1; the form that records it carries it."""

    __tablename__ = "call_outcome"

    delivery_id: UUID = Field(primary_key=True, foreign_key="delivery.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    route: str
    outcome: str
    initials: str
    note: str = ""
    at: datetime = _instant(default_factory=utc_now)

    __table_args__ = (
        _one_of("outcome", tuple(OUTCOMES)),
        sa.CheckConstraint("number > 0", name="number"),
        sa.CheckConstraint("initials <> ''", name="initials"),
    )


class Attempt(Model, table=True):
    """One try to tell one notice, by machine or by hand: what « who could not be reached » is answered from.

    `number` counts from 1 for each delivery, over all its routes. `result` is one of `attempts.RESULTS`,
    `code` what a server said of it, such as `RCPT 550 5.1.1` or `30003`, never its words. Nobody's name or
    number stands here, so the rows outlive the person's erasure.
    """

    __tablename__ = "attempt"

    delivery_id: UUID = Field(primary_key=True, foreign_key="delivery.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    at: datetime = _instant()
    """When it was tried; the last time, if the same came of it `times` times in a row."""
    route: str
    result: str
    code: str | None = None
    times: int = 1
    reference: str | None = None
    """The SMS gateway's own name for the message."""
    settled_at: datetime | None = _instant(default=None)
    """When a receipt told what became of it."""

    __table_args__ = (
        _one_of("route", ROUTES),
        _one_of("result", RESULTS),
        sa.CheckConstraint("number > 0 and times > 0", name="number"),
    )


class Reached(Model, table=True):
    """That what became of a registration's notices is to be said again, and which version was said last.

    Triggers on `delivery` and `attempt` mark it; `gone`: the person is erased, and with them what was said.
    """

    __tablename__ = "reached"

    registration_id: UUID = Field(primary_key=True)
    session_id: UUID
    version: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})
    dirty: bool = Field(default=True, sa_column_kwargs={"server_default": sa.true()})
    gone: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})

    __table_args__ = (sa.Index("ix_reached_dirty", "registration_id", postgresql_where=sa.text("dirty")),)


class Suppression(Model, table=True):
    """An address that its server says doesn't exist, or a number that takes no text messages.

    A keyed hash of it, so that the list names nobody.
    """

    __tablename__ = "suppression"

    address_hash: bytes = Field(primary_key=True, sa_type=sa.LargeBinary)
    reason: str
    at: datetime = _instant(default_factory=utc_now)
