"""A generation's number is never given again: its consumer group has a place in the streams."""

import sqlalchemy as sa
from alembic import op

revision = "202611290442"
down_revision = "202611290200"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("generation_number")))
    op.execute(
        "select setval('generation_number', max(number)) from generation having max(number) is not null"
    )


def downgrade() -> None:
    op.execute(sa.schema.DropSequence(sa.Sequence("generation_number")))
