"""Draws: when one closes, for how many lots a first time counts, and how far it has come."""

import sqlalchemy as sa
from alembic import op

revision = "202611290620"
down_revision = "202611290610"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session", sa.Column("draw_closes_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "session", sa.Column("draw_first_time_lots", sa.Integer(), server_default="1", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_session_draw_has_a_closing"),
        "session",
        "(waitlist_policy = 'draw') = (draw_closes_at is not null)",
    )
    op.create_check_constraint(
        op.f("ck_session_draw_first_time_lots"), "session", "draw_first_time_lots between 1 and 3"
    )
    op.add_column("session_seats", sa.Column("draw", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("session_seats", "draw")
    op.drop_constraint(op.f("ck_session_draw_first_time_lots"), "session", type_="check")
    op.drop_constraint(op.f("ck_session_draw_has_a_closing"), "session", type_="check")
    op.drop_column("session", "draw_first_time_lots")
    op.drop_column("session", "draw_closes_at")
