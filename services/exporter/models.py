"""The tables of `exporter`: what may leave the region, what has left, and how much the region shares.

Nothing here holds more than the allow-list lets through (`libs.messaging.federated`).
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from libs.database import service_metadata
from libs.messaging.federated import LEVELS
from libs.messaging.tables import messaging_tables

metadata = service_metadata()
MESSAGING = messaging_tables(metadata)

STREAMS = ("sessions", "seats", "tallies")
"""What is said of things; the heartbeat is about the instance itself."""


class Model(SQLModel, registry=registry(metadata=metadata)):
    """The registry of this service's tables; no other service sees it."""


def _instant(**options: Any) -> Any:
    return Field(sa_type=sa.DateTime(timezone=True), **options)


def _one_of(column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} in ({listed})", name=column)


class Thing(Model, table=True):
    """A session's facts, its seats, or one cell of counts: what may be said of it, and what was.

    (`epoch`, `version`) is the newest that was heard inside the instance; `payload` what the allow-list
    left of it, byte for byte as it is sent, null when the thing is gone. `volet` is null for seats whose
    session isn't known. It is `said` when the newest message about it, with `headers`, gave its state,
    and not when that message took it back or there never was one.
    """

    __tablename__ = "thing"

    stream: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    volet: str | None = None
    needs: str
    """The level of sharing from which on it leaves."""
    epoch: int
    version: int = Field(sa_type=sa.BigInteger)
    payload: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    said: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    said_epoch: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    said_version: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})
    said_at: datetime | None = _instant(default=None)
    headers: dict[str, str] | None = Field(default=None, sa_type=JSONB)
    fingerprint: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    """SHA-256 of the payload that was said: the same needn't be said twice."""

    __table_args__ = (
        _one_of("stream", STREAMS),
        _one_of("needs", LEVELS),
        sa.Index("ix_thing_said_at", "stream", "said_at"),
        sa.Index("ix_thing_said", "stream", postgresql_where=sa.text("said")),
    )


class Sharing(Model, table=True):
    """How much of a volet the region shares now. `settled`: whether what has left agrees with it."""

    __tablename__ = "sharing"

    volet: str = Field(primary_key=True)
    level: str
    settled: bool

    __table_args__ = (_one_of("volet", ("public", "pro")), _one_of("level", LEVELS))


class SharingChange(Model, table=True):
    """A decision of the region about a volet: who took it, when and why. Kept for ever."""

    __tablename__ = "sharing_change"

    id: int | None = Field(
        default=None, sa_column=sa.Column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    )
    volet: str
    before: str
    after: str
    reason: str
    decided_by: str
    decided_at: datetime = _instant()

    __table_args__ = (_one_of("volet", ("public", "pro")),)


class Pulse(Model, table=True):
    """The newest heartbeat, as it was sent, and how far the instance was behind itself then."""

    __tablename__ = "pulse"

    only_row: bool = Field(
        default=True,
        sa_column=sa.Column(
            sa.Boolean,
            sa.CheckConstraint("only_row", name="only_row"),
            primary_key=True,
            server_default=sa.true(),
        ),
    )
    version: int = Field(sa_type=sa.BigInteger)
    beat_at: datetime = _instant()
    lag: int
    headers: dict[str, str] | None = Field(default=None, sa_type=JSONB)
    payload: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
