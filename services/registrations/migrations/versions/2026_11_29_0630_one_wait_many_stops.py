"""One wait, many stops."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "202611290630"
down_revision = "202611290620"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wait",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("mobile", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("postal", sa.String(), nullable=True),
        sa.Column("organisation", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("another_person", sa.Boolean(), nullable=False),
        sa.Column("accommodations", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("theme", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("regions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("km", sa.Float(), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("spoken", sa.String(), nullable=True),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("due", sa.Boolean(), nullable=False),
        sa.Column("confirmation_number", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("causes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'open') = (ended_at is null)", name=op.f("ck_wait_open_or_ended")),
        sa.CheckConstraint(
            "coalesce(email, mobile, phone, postal) is not null or name = ''",
            name=op.f("ck_wait_can_be_reached"),
        ),
        sa.CheckConstraint("status in ('open', 'found', 'ended', 'over')", name=op.f("ck_wait_status")),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_wait_period")),
        sa.CheckConstraint(
            "num_nulls(latitude, longitude, km) in (0, 3) and (km is null or km > 0)",
            name=op.f("ck_wait_around"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wait")),
        sa.UniqueConstraint("confirmation_number", name=op.f("uq_wait_confirmation_number")),
    )
    op.create_index(
        "ix_wait_due", "wait", ["id"], unique=False, postgresql_where=sa.text("due and status = 'open'")
    )
    op.create_index(
        "ix_wait_open",
        "wait",
        ["theme", "created_at"],
        unique=False,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index("ix_wait_same_person", "wait", ["name_key"], unique=False)
    op.add_column("registration", sa.Column("wait_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_registration_wait",
        "registration",
        ["wait_id", "session_id"],
        unique=True,
        postgresql_where=sa.text("wait_id is not null"),
    )
    op.create_foreign_key(op.f("fk_registration_wait_id_wait"), "registration", "wait", ["wait_id"], ["id"])
    op.add_column("session", sa.Column("joins_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_session_joins",
        "session",
        ["joins_at"],
        unique=False,
        postgresql_where=sa.text("joins_at is not null"),
    )


def downgrade() -> None:
    op.drop_index("ix_session_joins", table_name="session", postgresql_where=sa.text("joins_at is not null"))
    op.drop_column("session", "joins_at")
    op.drop_constraint(op.f("fk_registration_wait_id_wait"), "registration", type_="foreignkey")
    op.drop_index(
        "ix_registration_wait", table_name="registration", postgresql_where=sa.text("wait_id is not null")
    )
    op.drop_column("registration", "wait_id")
    op.drop_index("ix_wait_same_person", table_name="wait")
    op.drop_index("ix_wait_open", table_name="wait", postgresql_where=sa.text("status = 'open'"))
    op.drop_index("ix_wait_due", table_name="wait", postgresql_where=sa.text("due and status = 'open'"))
    op.drop_table("wait")
