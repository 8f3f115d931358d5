"""The clock of offers made by hand, who was reached, and who still comes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "202611290640"
down_revision = "202611290630"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Whoever is registered keeps the clock that they were told of, and that the ledger has.
    op.add_column(
        "registration", sa.Column("by_hand", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("session", sa.Column("office", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column(
        "registration",
        sa.Column(
            "reconfirm_asked",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
    )
    op.add_column("registration", sa.Column("reconfirmed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "registration_reach",
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("notices", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("registration_id", name=op.f("pk_registration_reach")),
    )


def downgrade() -> None:
    op.drop_table("registration_reach")
    op.drop_column("registration", "reconfirmed_at")
    op.drop_column("registration", "reconfirm_asked")
    op.drop_column("session", "office")
    op.drop_column("registration", "by_hand")
