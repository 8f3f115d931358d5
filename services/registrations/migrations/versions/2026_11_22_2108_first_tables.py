"""First tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "202611222108"
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
        "idempotency_key",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_index(op.f("ix_idempotency_key_created_at"), "idempotency_key", ["created_at"], unique=False)
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
        "session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("access_epoch", sa.Integer(), nullable=False),
        sa.Column("access_version", sa.BigInteger(), nullable=False),
        sa.Column("online_url", sa.String(), nullable=True),
        sa.Column("staff_notes", sa.String(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("next_release_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seats_version", sa.BigInteger(), nullable=False),
        sa.Column("seats_dirty", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
    )
    op.create_index(
        "ix_session_dirty", "session", ["id"], unique=False, postgresql_where=sa.text("seats_dirty")
    )
    op.create_index(op.f("ix_session_next_release_at"), "session", ["next_release_at"], unique=False)
    op.create_index(op.f("ix_session_starts_at"), "session", ["starts_at"], unique=False)
    op.create_table(
        "registration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("seat_kind", sa.String(), nullable=False),
        sa.Column("pool_channel", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("party_size", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("mobile", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("postal", sa.String(), nullable=True),
        sa.Column("organisation", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("target_groups", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("confirmation_number", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("offer_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("invited", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("reminded", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'offered') = (offer_expires_at is not null)",
            name=op.f("ck_registration_offer_has_an_end"),
        ),
        sa.CheckConstraint(
            "(status in ('confirmed', 'offered', 'attended', 'absent', 'excused')) = (pool_channel is not null)",
            name=op.f("ck_registration_seat_has_a_pool"),
        ),
        sa.CheckConstraint(
            "coalesce(email, mobile, phone, postal) is not null or name = ''",
            name=op.f("ck_registration_can_be_reached"),
        ),
        sa.CheckConstraint("seat_kind in ('on_site', 'online')", name=op.f("ck_registration_seat_kind")),
        sa.CheckConstraint(
            "status in ('pending', 'waitlisted', 'offered', 'confirmed', 'expired', 'declined', 'cancelled', 'attended', 'absent', 'excused')",
            name=op.f("ck_registration_status"),
        ),
        sa.CheckConstraint("party_size = 1", name=op.f("ck_registration_party_size")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name=op.f("fk_registration_session_id_session")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration")),
        sa.UniqueConstraint("confirmation_number", name=op.f("uq_registration_confirmation_number")),
        sa.UniqueConstraint("session_id", "seq", name=op.f("uq_registration_session_id_seq")),
    )
    op.create_index(
        "ix_registration_line",
        "registration",
        ["session_id", "seq"],
        unique=False,
        postgresql_where=sa.text("status = 'waitlisted'"),
    )
    op.create_index(
        "ix_registration_offers_due",
        "registration",
        ["offer_expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'offered'"),
    )
    op.create_index("ix_registration_same_person", "registration", ["session_id", "name_key"], unique=False)
    op.create_index(op.f("ix_registration_session_id"), "registration", ["session_id"], unique=False)
    op.create_table(
        "seat_pool",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("seat_kind", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("effective", sa.Integer(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("offered", sa.Integer(), nullable=False),
        sa.CheckConstraint("seat_kind in ('on_site', 'online')", name=op.f("ck_seat_pool_seat_kind")),
        sa.CheckConstraint("confirmed + offered <= effective", name=op.f("ck_seat_pool_no_oversell")),
        sa.CheckConstraint("confirmed >= 0 and offered >= 0", name=op.f("ck_seat_pool_not_negative")),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_seat_pool_session_id_session")),
        sa.PrimaryKeyConstraint("session_id", "seat_kind", "channel", name=op.f("pk_seat_pool")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "accommodation_request",
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("need", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["registration_id"],
            ["registration.id"],
            name=op.f("fk_accommodation_request_registration_id_registration"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("registration_id", "need", name=op.f("pk_accommodation_request")),
    )
    op.create_table(
        "consent",
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("wording", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["registration_id"],
            ["registration.id"],
            name=op.f("fk_consent_registration_id_registration"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("registration_id", "purpose", name=op.f("pk_consent")),
    )
    op.create_table(
        "registration_cause",
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["registration_id"],
            ["registration.id"],
            name=op.f("fk_registration_cause_registration_id_registration"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "registration_id", "epoch", "version", "cause", name=op.f("pk_registration_cause")
        ),
    )
    op.create_index(op.f("ix_registration_cause_at"), "registration_cause", ["at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_registration_cause_at"), table_name="registration_cause")
    op.drop_table("registration_cause")
    op.drop_table("consent")
    op.drop_table("accommodation_request")
    op.drop_table("seat_pool")
    op.drop_index(op.f("ix_registration_session_id"), table_name="registration")
    op.drop_index("ix_registration_same_person", table_name="registration")
    op.drop_index(
        "ix_registration_offers_due",
        table_name="registration",
        postgresql_where=sa.text("status = 'offered'"),
    )
    op.drop_index(
        "ix_registration_line", table_name="registration", postgresql_where=sa.text("status = 'waitlisted'")
    )
    op.drop_table("registration")
    op.drop_index(op.f("ix_session_starts_at"), table_name="session")
    op.drop_index(op.f("ix_session_next_release_at"), table_name="session")
    op.drop_index("ix_session_dirty", table_name="session", postgresql_where=sa.text("seats_dirty"))
    op.drop_table("session")
    op.drop_table("parked")
    op.drop_table("outbox")
    op.drop_index(op.f("ix_inbox_received_at"), table_name="inbox")
    op.drop_table("inbox")
    op.drop_index(op.f("ix_idempotency_key_created_at"), table_name="idempotency_key")
    op.drop_table("idempotency_key")
    op.drop_table("erased")
    op.drop_table("epoch")
