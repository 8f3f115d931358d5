"""National calendar entries bear the UID and SEQUENCE that the instances' own have."""

import sqlalchemy as sa
from alembic import op

revision = "202611291010"
down_revision = "202611290605"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session", sa.Column("sequence", sa.Integer(), nullable=True))
    op.add_column("pulse", sa.Column("calendar_domain", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("pulse", "calendar_domain")
    op.drop_column("session", "sequence")
