"""Write down each attempt, and send text messages."""

import sqlalchemy as sa
from alembic import op

revision = "202611290650"
down_revision = "202611290641"
branch_labels = None
depends_on = None

_ROUTES = "'email', 'sms', 'mobile', 'phone', 'postal'"
_RESULTS = (
    "'sent', 'delivered', 'undelivered', 'refused', 'delayed', 'reached', 'told', 'posted', 'left_message',"
    " 'no_answer', 'wrong_number', 'returned', 'gave_up'"
)


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"route in ({_ROUTES})", name=op.f("ck_attempt_route")),
        sa.CheckConstraint(f"result in ({_RESULTS})", name=op.f("ck_attempt_result")),
        sa.CheckConstraint("number > 0 and times > 0", name=op.f("ck_attempt_number")),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_attempt_delivery_id_delivery"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_attempt")),
    )
    # What is known of the tries so far: what left, and what was noted of calls. A mail that never left has
    # no time of its own; its delivery still names the route.
    op.execute(
        """
        insert into attempt (delivery_id, number, at, route, result, times)
        select delivery_id, row_number() over (partition by delivery_id order by at, number), at, route, result, 1
        from (
            select id as delivery_id, 0 as number, sent_at as at, route, 'sent' as result
            from delivery where status = 'sent'
            union all
            select delivery_id, number, at, route, outcome from call_outcome
        ) as known
        """
    )
    op.drop_constraint(op.f("ck_delivery_route"), "delivery", type_="check")
    op.create_check_constraint(op.f("ck_delivery_route"), "delivery", f"route in ({_ROUTES})")
    op.drop_index("ix_delivery_to_send", table_name="delivery")
    op.create_index(
        "ix_delivery_to_send",
        "delivery",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' and route in ('email', 'sms')"),
    )
    op.drop_index("ix_delivery_calls", table_name="delivery")
    op.create_index(
        "ix_delivery_calls",
        "delivery",
        ["call_before", "id"],
        unique=False,
        postgresql_where=sa.text("route in ('mobile', 'phone', 'postal')"),
    )


def downgrade() -> None:
    op.execute("update delivery set route = 'mobile' where route = 'sms'")
    op.drop_index("ix_delivery_calls", table_name="delivery")
    op.create_index(
        "ix_delivery_calls",
        "delivery",
        ["call_before", "id"],
        unique=False,
        postgresql_where=sa.text("route <> 'email'"),
    )
    op.drop_index("ix_delivery_to_send", table_name="delivery")
    op.create_index(
        "ix_delivery_to_send",
        "delivery",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' and route = 'email'"),
    )
    op.drop_constraint(op.f("ck_delivery_route"), "delivery", type_="check")
    op.create_check_constraint(
        op.f("ck_delivery_route"), "delivery", "route in ('email', 'mobile', 'phone', 'postal')"
    )
    op.drop_table("attempt")
