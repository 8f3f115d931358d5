"""Ask whether people still come."""

import sqlalchemy as sa
from alembic import op

revision = "202611290641"
down_revision = "202611290620"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session", sa.Column("reconfirm_days", sa.Integer(), server_default="7", nullable=True))
    op.add_column(
        "session", sa.Column("reconfirm_silence", sa.String(), server_default="keep", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_session_reconfirm_days"), "session", "reconfirm_days between 2 and 30"
    )
    op.create_check_constraint(
        op.f("ck_session_reconfirm_silence"), "session", "reconfirm_silence in ('keep', 'free')"
    )


def downgrade() -> None:
    op.drop_column("session", "reconfirm_silence")
    op.drop_column("session", "reconfirm_days")
