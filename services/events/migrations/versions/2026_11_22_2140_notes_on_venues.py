"""Notes on venues."""

import sqlalchemy as sa
from alembic import op

revision = "202611222140"
down_revision = "202611222121"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("venue", sa.Column("notes", sa.String(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("venue", "notes")
