"""First tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "202611290137"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erased",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "instance", "stream", "key", name=op.f("pk_erased")),
    )
    op.create_table(
        "generation",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("consumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.CheckConstraint("state in ('building', 'serving', 'retired')", name=op.f("ck_generation_state")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_generation")),
    )
    op.create_index(
        "uq_generation_serving",
        "generation",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'serving'"),
    )
    op.create_table(
        "instance",
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status in ('active', 'suspended', 'retired')", name=op.f("ck_instance_status")),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_instance")),
    )
    op.create_table(
        "profile",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("region", sa.String(), nullable=True),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("dimension", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("rounded", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("generation", "instance", "key", name=op.f("pk_profile")),
    )
    op.create_table(
        "progress",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "topic", "partition", name=op.f("pk_progress")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "pulse",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("software", sa.String(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("streams", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("shares", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("lag", sa.Integer(), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.Column("seats", sa.BigInteger(), nullable=False),
        sa.Column("tallies", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "instance", name=op.f("pk_pulse")),
    )
    op.create_table(
        "quarantined",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined")),
        sa.UniqueConstraint("topic", "digest", name=op.f("uq_quarantined_topic_digest")),
    )
    op.create_index("ix_quarantined_instance_reason", "quarantined", ["instance", "reason"], unique=False)
    op.create_table(
        "registry_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_entry")),
    )
    op.create_index(op.f("ix_registry_entry_instance"), "registry_entry", ["instance"], unique=False)
    op.create_table(
        "session",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("stream", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("theme", sa.String(), nullable=True),
        sa.Column("level", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("modality", sa.String(), nullable=True),
        sa.Column("delivered_by", sa.String(), nullable=True),
        sa.Column("region", sa.String(), nullable=True),
        sa.Column("month", sa.Date(), nullable=True),
        sa.Column("starts_at", sa.DateTime(), nullable=True),
        sa.Column("ends_at", sa.DateTime(), nullable=True),
        sa.Column("timezone", sa.String(), nullable=True),
        sa.Column("starts_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at_utc", sa.DateTime(timezone=True), nullable=True),
        sa.Column("venue_id", sa.Uuid(), nullable=True),
        sa.Column("venue_name", sa.String(), nullable=True),
        sa.Column("municipality", sa.String(), nullable=True),
        sa.Column("province", sa.String(), nullable=True),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("registration_modes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("planned", sa.Integer(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("search", sa.String(), nullable=False),
        sa.Column("seats_epoch", sa.Integer(), nullable=False),
        sa.Column("seats_version", sa.BigInteger(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("offered", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("available", sa.Integer(), nullable=False),
        sa.Column("waitlisted", sa.Integer(), nullable=False),
        sa.Column("by_kind", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seats_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("generation", "id", name=op.f("pk_session")),
        postgresql_with={"fillfactor": "60"},
    )
    op.create_index(
        "ix_session_generation_instance_month", "session", ["generation", "instance", "month"], unique=False
    )
    op.create_index(
        "ix_session_generation_starts_at_utc", "session", ["generation", "starts_at_utc"], unique=False
    )
    op.create_table(
        "session_cell",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("theme", sa.String(), nullable=False),
        sa.Column("modality", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.Column("with_seats", sa.BigInteger(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("planned", sa.BigInteger(), nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("confirmed", sa.BigInteger(), nullable=False),
        sa.Column("offered", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("waitlisted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "generation",
            "instance",
            "month",
            "region",
            "stream",
            "theme",
            "modality",
            "status",
            name=op.f("pk_session_cell"),
        ),
        postgresql_with={"fillfactor": "60"},
    )
    op.create_table(
        "snapshot",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("month", "version", name=op.f("pk_snapshot")),
    )
    op.create_table(
        "tally",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("region", sa.String(), nullable=True),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("theme", sa.String(), nullable=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("modality", sa.String(), nullable=False),
        sa.Column("registrations", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("confirmed_at_start", sa.Integer(), nullable=False),
        sa.Column("waitlisted_at_start", sa.Integer(), nullable=False),
        sa.Column("attended_minutes", sa.BigInteger(), nullable=False),
        sa.Column("walk_ins", sa.Integer(), nullable=False),
        sa.Column("walk_in_minutes", sa.BigInteger(), nullable=False),
        sa.Column("offers_made", sa.Integer(), nullable=False),
        sa.Column("offers_accepted", sa.Integer(), nullable=False),
        sa.Column("answer_minutes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("minutes_from_opening", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("generation", "instance", "key", name=op.f("pk_tally")),
    )
    op.create_index("ix_tally_generation_month", "tally", ["generation", "month"], unique=False)
    op.create_table(
        "instance_key",
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(public_key) = 32", name=op.f("ck_instance_key_ed25519")),
        sa.ForeignKeyConstraint(
            ["instance"], ["instance.slug"], name=op.f("fk_instance_key_instance_instance")
        ),
        sa.PrimaryKeyConstraint("instance", "key_id", name=op.f("pk_instance_key")),
    )
    op.create_table(
        "instance_region",
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance"], ["instance.slug"], name=op.f("fk_instance_region_instance_instance")
        ),
        sa.PrimaryKeyConstraint("instance", "region", "valid_from", name=op.f("pk_instance_region")),
    )
    op.create_table(
        "session_owner",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance"], ["instance.slug"], name=op.f("fk_session_owner_instance_instance")
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_owner")),
    )
    op.create_index(op.f("ix_session_owner_instance"), "session_owner", ["instance"], unique=False)
    op.create_table(
        "snapshot_figure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("indicator", sa.String(), nullable=False),
        sa.Column("cell", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["month", "version"],
            ["snapshot.month", "snapshot.version"],
            name=op.f("fk_snapshot_figure_month_version_snapshot"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot_figure")),
    )
    op.create_index(
        "ix_snapshot_figure_of", "snapshot_figure", ["month", "version", "indicator"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_snapshot_figure_of", table_name="snapshot_figure")
    op.drop_table("snapshot_figure")
    op.drop_index(op.f("ix_session_owner_instance"), table_name="session_owner")
    op.drop_table("session_owner")
    op.drop_table("instance_region")
    op.drop_table("instance_key")
    op.drop_index("ix_tally_generation_month", table_name="tally")
    op.drop_table("tally")
    op.drop_table("snapshot")
    op.drop_table("session_cell")
    op.drop_index("ix_session_generation_starts_at_utc", table_name="session")
    op.drop_index("ix_session_generation_instance_month", table_name="session")
    op.drop_table("session")
    op.drop_index(op.f("ix_registry_entry_instance"), table_name="registry_entry")
    op.drop_table("registry_entry")
    op.drop_index("ix_quarantined_instance_reason", table_name="quarantined")
    op.drop_table("quarantined")
    op.drop_table("pulse")
    op.drop_table("progress")
    op.drop_table("profile")
    op.drop_table("instance")
    op.drop_index(
        "uq_generation_serving", table_name="generation", postgresql_where=sa.text("state = 'serving'")
    )
    op.drop_table("generation")
    op.drop_table("erased")
