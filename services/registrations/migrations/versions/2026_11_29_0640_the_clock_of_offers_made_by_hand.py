"""The clock of offers made by hand: whom the team calls, and when it is there."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "202611290640"
down_revision = "202611290218"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Whoever is registered keeps the clock that they were told of, and that the ledger has.
    op.add_column(
        "registration", sa.Column("by_hand", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("session", sa.Column("office", postgresql.JSONB(astext_type=sa.Text()), nullable=True))


def downgrade() -> None:
    op.drop_column("session", "office")
    op.drop_column("registration", "by_hand")
