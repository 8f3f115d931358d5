"""No facts are SQL's null, not the null of JSON."""

from alembic import op

revision = "202611290730"
down_revision = "202611290640"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("update session set facts = null where facts = 'null'")
    op.execute("update tally set cell = null where cell = 'null'")


def downgrade() -> None:
    """What reads the null of JSON reads this one too."""
