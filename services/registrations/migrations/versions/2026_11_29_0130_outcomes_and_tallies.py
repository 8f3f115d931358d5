"""Outcomes and tallies: who came to a session, and the counts that leave the region."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "202611290130"
down_revision = "202611230019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "session_outcome",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("walk_ins", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("walk_ins >= 0", name=op.f("ck_session_outcome_walk_ins")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name=op.f("fk_session_outcome_session_id_session")
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_outcome")),
    )
    op.create_index(op.f("ix_session_outcome_changed_at"), "session_outcome", ["changed_at"])
    op.create_table(
        "tally",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("cell", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_tally")),
    )
    op.create_index(op.f("ix_tally_month"), "tally", ["month"])
    op.create_table(
        "tally_month",
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_tally_month")),
    )
    op.create_table(
        "tally_run",
        sa.Column("only_row", sa.Boolean(), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("only_row", name=op.f("ck_tally_run_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_tally_run")),
    )
    op.create_table(
        "profile_kept",
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("dimension", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint("count > 0", name=op.f("ck_profile_kept_count")),
        sa.PrimaryKeyConstraint(
            "month", "region", "stream", "dimension", "value", name=op.f("pk_profile_kept")
        ),
    )
    op.execute(one_way(back="'confirmed', "))


def one_way(back: str) -> str:
    """The seat machine; `back`: where a noted outcome may return to, besides the other outcomes."""
    return f"""
create or replace function registrations_go_one_way() returns trigger language plpgsql as $body$
begin
    if new.seq <> old.seq or new.session_id <> old.session_id then
        raise exception 'a registration keeps its session and its number'
            using errcode = 'check_violation', constraint = 'registrations_keep_their_number';
    end if;
    if new.status <> old.status and not (case old.status
        when 'pending' then new.status in ('confirmed', 'waitlisted', 'cancelled')
        when 'waitlisted' then new.status in ('offered', 'cancelled')
            or (new.status = 'confirmed' and new.granted)
        when 'offered' then new.status in ('confirmed', 'expired', 'declined', 'cancelled')
        when 'confirmed' then new.status in ('cancelled', 'attended', 'absent', 'excused')
        when 'attended' then new.status in ({back}'absent', 'excused')
        when 'absent' then new.status in ({back}'attended', 'excused')
        when 'excused' then new.status in ({back}'attended', 'absent')
        else false
    end) then
        raise exception 'a registration that is % does not become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'registrations_go_one_way';
    end if;
    return new;
end
$body$
"""


def downgrade() -> None:
    op.execute(one_way(back=""))
    for table in ("profile_kept", "tally_run", "tally_month", "tally", "session_outcome"):
        op.drop_table(table)
