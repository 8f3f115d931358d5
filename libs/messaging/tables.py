"""The tables that tie a service's database to the bus; every service has its own set of them."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB


@dataclass(frozen=True, slots=True)
class MessagingTables:
    outbox: sa.Table
    inbox: sa.Table
    parked: sa.Table
    erased: sa.Table
    epoch: sa.Table


# An outbox empties as fast as it fills: vacuum by count, not by share of the table.
_BUSY = {"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "1000"}


def messaging_tables(metadata: sa.MetaData) -> MessagingTables:
    """Declare the tables in a service's own `metadata`."""
    outbox = sa.Table(
        "outbox",
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("partition_key", sa.Text, nullable=False),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("value", sa.LargeBinary),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        postgresql_with=_BUSY,
    )
    inbox = sa.Table(
        "inbox",
        metadata,
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            index=True,
        ),
    )
    parked = sa.Table(
        "parked",
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("partition_key", sa.Text, nullable=False),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("value", sa.LargeBinary),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    erased = sa.Table(
        "erased",
        metadata,
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    epoch = sa.Table(
        "epoch",
        metadata,
        sa.Column(
            "only_row",
            sa.Boolean,
            sa.CheckConstraint("only_row", name="only_row"),
            primary_key=True,
            server_default=sa.true(),
        ),
        sa.Column("epoch", sa.Integer, nullable=False),
    )
    return MessagingTables(outbox, inbox, parked, erased, epoch)
