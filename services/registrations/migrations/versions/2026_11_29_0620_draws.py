"""Draws: what each commits to, its ranks, and who has been served this year."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "202611290620"
down_revision = "202611290610"
branch_labels = None
depends_on = None

# Whoever published a hash can't take it back, not even by a statement typed by hand.
KEEPS_ITS_WORD = """
create function a_draw_keeps_its_word() returns trigger language plpgsql as $body$
begin
    if tg_op = 'DELETE' or new.session_id <> old.session_id or new.rules <> old.rules
        or new.seed <> old.seed or new.commitment <> old.commitment or new.closes_at <> old.closes_at
        or new.opened_at <> old.opened_at
    then
        raise exception 'a draw keeps what it has committed to'
            using errcode = 'check_violation', constraint = 'a_draw_keeps_its_word';
    end if;
    if (old.closed_at, old.last_ticket, old.tickets, old.tickets_hash) is distinct from
        (new.closed_at, new.last_ticket, new.tickets, new.tickets_hash) and old.closed_at is not null
        or old.drawn_at is not null or old.cancelled_at is not null
    then
        raise exception 'a draw keeps what it has published'
            using errcode = 'check_violation', constraint = 'a_draw_keeps_its_word';
    end if;
    return new;
end
$body$
"""


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "draw",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=False),
        sa.Column("commitment", sa.String(), nullable=False),
        sa.Column("opened_at", instant, nullable=False),
        sa.Column("closes_at", instant, nullable=False),
        sa.Column("closed_at", instant, nullable=True),
        sa.Column("last_ticket", sa.BigInteger(), nullable=True),
        sa.Column("tickets", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("tickets_hash", sa.String(), nullable=True),
        sa.Column("drawn_at", instant, nullable=True),
        sa.Column("result", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("cancelled_at", instant, nullable=True),
        sa.Column("cancel_reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(closed_at, last_ticket, tickets, tickets_hash) in (0, 4)",
            name=op.f("ck_draw_closed_as_a_whole"),
        ),
        sa.CheckConstraint("num_nonnulls(drawn_at, result) in (0, 2)", name=op.f("ck_draw_drawn_as_a_whole")),
        sa.CheckConstraint(
            "drawn_at is null or closed_at is not null", name=op.f("ck_draw_closed_before_it_is_drawn")
        ),
        sa.CheckConstraint(
            "num_nonnulls(drawn_at, cancelled_at) < 2", name=op.f("ck_draw_drawn_or_cancelled")
        ),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_draw_session_id_session")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_draw")),
    )
    op.create_index(
        "ix_draw_to_come",
        "draw",
        ["closes_at"],
        postgresql_where=sa.text("num_nonnulls(drawn_at, cancelled_at) = 0"),
    )
    op.execute(KEEPS_ITS_WORD)
    op.execute(
        "create trigger a_draw_keeps_its_word before update or delete on draw"
        " for each row execute function a_draw_keeps_its_word()"
    )
    op.create_table(
        "served",
        sa.Column("pseudonym", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("pseudonym", "session_id", name=op.f("pk_served")),
    )
    op.create_index(op.f("ix_served_year"), "served", ["year"])
    op.add_column("registration", sa.Column("draw_rank", sa.Integer(), nullable=True))
    op.add_column("session", sa.Column("draw_stage", sa.String(), nullable=True))
    op.create_check_constraint(
        op.f("ck_session_draw_stage"), "session", "draw_stage in ('to_come', 'drawn', 'cancelled')"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_session_draw_stage"), "session", type_="check")
    op.drop_column("session", "draw_stage")
    op.drop_column("registration", "draw_rank")
    op.drop_index(op.f("ix_served_year"), table_name="served")
    op.drop_table("served")
    op.execute("drop trigger a_draw_keeps_its_word on draw")
    op.execute("drop function a_draw_keeps_its_word()")
    op.drop_index("ix_draw_to_come", table_name="draw")
    op.drop_table("draw")
