"""Cells tell languages apart, words are looked for among few texts, and outcomes stand in an index."""

import sqlalchemy as sa
from alembic import op

revision = "202611290605"
down_revision = "202611290442"
branch_labels = None
depends_on = None

SUMS = "sessions, with_seats, minutes, planned, capacity, confirmed, offered, held, available, waitlisted"
SUMMED = ", ".join(f"sum({name}) as {name}" for name in SUMS.split(", "))
ENDED = ("attended", "absent", "excused", "cancelled", "expired", "declined")


def upgrade() -> None:
    op.add_column("session_cell", sa.Column("language", sa.String(), nullable=False, server_default=""))
    op.execute("alter table session_cell alter column language drop default")
    op.drop_constraint("pk_session_cell", "session_cell", type_="primary")
    op.execute("delete from session_cell")
    op.execute(
        f"""
        insert into session_cell (generation, instance, month, region, stream, theme, modality, language,
            status, {SUMS})
        select generation, instance, month, coalesce(region, ''), stream, coalesce(theme, ''), modality,
            language, status, count(*), count(seats_updated_at), sum(minutes), sum(planned), sum(capacity),
            sum(confirmed), sum(offered), sum(held), sum(available), sum(waitlisted)
        from session where title is not null group by 1, 2, 3, 4, 5, 6, 7, 8, 9
        """  # noqa: S608  # no value stands in it
    )
    _key("language, status")
    op.create_table(
        "search_text",
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("text", name=op.f("pk_search_text")),
    )
    op.execute("insert into search_text (text) select distinct search from session")
    op.create_index("ix_session_search", "session", ["search", "generation"])
    op.create_index(
        "ix_tally_outcomes",
        "tally",
        ["generation", "month", "stream", "theme", "modality", "region", "instance"],
        postgresql_include=[*(f"of_{state}" for state in ENDED), "walk_ins", "as_of"],
    )
    op.drop_index("ix_tally_generation_month", table_name="tally")


def downgrade() -> None:
    op.create_index("ix_tally_generation_month", "tally", ["generation", "month"])
    op.drop_index("ix_tally_outcomes", table_name="tally")
    op.drop_index("ix_session_search", table_name="session")
    op.drop_table("search_text")
    op.drop_constraint("pk_session_cell", "session_cell", type_="primary")
    kept = "generation, instance, month, region, stream, theme, modality"
    op.execute(
        f"""
        create temporary table cell on commit drop as
        select {kept}, status, {SUMMED}
        from session_cell group by {kept}, status
        """  # noqa: S608
    )
    op.execute("delete from session_cell")
    op.drop_column("session_cell", "language")
    op.execute(f"insert into session_cell ({kept}, status, {SUMS}) select * from cell")  # noqa: S608
    _key("status")


def _key(last: str) -> None:
    op.execute(
        "alter table session_cell add constraint pk_session_cell primary key"
        f" (generation, instance, month, region, stream, theme, modality, {last})"
    )
