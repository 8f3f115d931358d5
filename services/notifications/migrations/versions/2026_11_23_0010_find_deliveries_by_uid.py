"""Find deliveries by the UID of their calendar entry."""

from alembic import op

revision = "202611230010"
down_revision = "202611222121"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_delivery_uid", "delivery", ["uid"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_delivery_uid", table_name="delivery")
