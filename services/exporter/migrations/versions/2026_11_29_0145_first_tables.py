"""First tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "202611290145"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "epoch",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_epoch_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_epoch")),
    )
    op.execute("insert into epoch (epoch) values (1)")
    op.create_table(
        "erased",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("topic", "key", name=op.f("pk_erased")),
    )
    op.create_table(
        "inbox",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name=op.f("pk_inbox")),
    )
    op.create_index(op.f("ix_inbox_received_at"), "inbox", ["received_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        postgresql_with={"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "1000"},
    )
    op.create_table(
        "parked",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("partition_key", sa.Text(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked")),
    )
    op.create_table(
        "pulse",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lag", sa.Integer(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("only_row", name=op.f("ck_pulse_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_pulse")),
    )
    op.execute("insert into pulse (version, beat_at, lag) values (0, '-infinity', 0)")
    op.create_table(
        "sharing",
        sa.Column("volet", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "level in ('nothing', 'sessions', 'counts', 'profile')", name=op.f("ck_sharing_level")
        ),
        sa.CheckConstraint("volet in ('public', 'pro')", name=op.f("ck_sharing_volet")),
        sa.PrimaryKeyConstraint("volet", name=op.f("pk_sharing")),
    )
    op.execute("insert into sharing values ('public', 'counts', true), ('pro', 'counts', true)")
    op.create_table(
        "sharing_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("volet", sa.String(), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("after", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("volet in ('public', 'pro')", name=op.f("ck_sharing_change_volet")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_change")),
    )
    op.create_table(
        "thing",
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("volet", sa.String(), nullable=True),
        sa.Column("needs", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("said", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("said_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("said_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "needs in ('nothing', 'sessions', 'counts', 'profile')", name=op.f("ck_thing_needs")
        ),
        sa.CheckConstraint("stream in ('sessions', 'seats', 'tallies')", name=op.f("ck_thing_stream")),
        sa.PrimaryKeyConstraint("stream", "key", name=op.f("pk_thing")),
    )
    op.create_index("ix_thing_said", "thing", ["stream"], unique=False, postgresql_where=sa.text("said"))
    op.create_index("ix_thing_said_at", "thing", ["stream", "said_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_thing_said_at", table_name="thing")
    op.drop_index("ix_thing_said", table_name="thing", postgresql_where=sa.text("said"))
    op.drop_table("thing")
    op.drop_table("sharing_change")
    op.drop_table("sharing")
    op.drop_table("pulse")
    op.drop_table("parked")
    op.drop_table("outbox")
    op.drop_index(op.f("ix_inbox_received_at"), table_name="inbox")
    op.drop_table("inbox")
    op.drop_table("erased")
    op.drop_table("epoch")
