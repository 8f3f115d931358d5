"""Parties."""

import sqlalchemy as sa
from alembic import op

revision = "202611290610"
down_revision = "202611222140"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session", sa.Column("party_limit", sa.Integer(), server_default="1", nullable=False))
    op.add_column("session", sa.Column("party_gather_hours", sa.Float(), server_default="24", nullable=False))
    op.add_column(
        "session",
        sa.Column("companion_takes_seat", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_session_party"), "session", "party_limit between 1 and 12 and party_gather_hours >= 0"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_session_party"), "session")
    for name in ("companion_takes_seat", "party_gather_hours", "party_limit"):
        op.drop_column("session", name)
