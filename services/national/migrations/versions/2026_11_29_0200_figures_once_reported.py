"""Figures once reported never change, and indicators find their places and cancellations quickly."""

import sqlalchemy as sa
from alembic import op

revision = "202611290200"
down_revision = "202611290137"
branch_labels = None
depends_on = None


STATES = (
    "pending",
    "waitlisted",
    "offered",
    "confirmed",
    "attended",
    "absent",
    "excused",
    "cancelled",
    "declined",
    "expired",
)
MADE = {f"of_{state}": f"COALESCE(((registrations ->> '{state}'::text))::integer, 0)" for state in STATES}
MADE |= {f"answer_{i}": f"COALESCE(((answer_minutes ->> {i}))::integer, 0)" for i in range(14)}
MADE |= {f"opening_{i}": f"COALESCE(((minutes_from_opening ->> {i}))::integer, 0)" for i in range(14)}


def upgrade() -> None:
    added = ", ".join(
        f"add column {name} integer generated always as ({sql}) stored" for name, sql in MADE.items()
    )
    op.execute(f"alter table tally {added}")
    op.create_index(
        "ix_session_held",
        "session",
        ["generation", "month", "region", "stream", "theme", "modality", "instance", "venue_id"],
        postgresql_where=sa.text("status = 'held' and venue_id is not null"),
    )
    op.create_index(
        "ix_session_cancelled",
        "session",
        ["generation", "month"],
        postgresql_where=sa.text("status = 'cancelled'"),
    )
    op.execute(
        """
        create function refuse_change() returns trigger language plpgsql as $$
        begin
            raise exception 'a figure once reported never changes: take a new version'
                using errcode = 'restrict_violation';
        end $$
        """
    )
    # Figures join their snapshot in the transaction that makes it, and never afterwards.
    op.execute(
        """
        create function refuse_late_figure() returns trigger language plpgsql as $$
        begin
            if exists (select 1 from added where not exists (
                select 1 from snapshot where snapshot.month = added.month and snapshot.version = added.version
                    and snapshot.xmin::text = (pg_current_xact_id()::xid)::text)) then
                raise exception 'a snapshot takes no figure after it was taken'
                    using errcode = 'restrict_violation';
            end if;
            return null;
        end $$
        """
    )
    for table in ("snapshot", "snapshot_figure"):
        op.execute(
            f"create trigger never_changes before update or delete or truncate on {table}"
            " for each statement execute function refuse_change()"
        )
    op.execute(
        "create trigger never_grows after insert on snapshot_figure referencing new table as added"
        " for each statement execute function refuse_late_figure()"
    )


def downgrade() -> None:
    op.execute("alter table tally " + ", ".join(f"drop column {name}" for name in MADE))
    op.drop_index("ix_session_cancelled", "session")
    op.drop_index("ix_session_held", "session")
    op.execute("drop trigger never_grows on snapshot_figure")
    for table in ("snapshot_figure", "snapshot"):
        op.execute(f"drop trigger never_changes on {table}")
    op.execute("drop function refuse_late_figure()")
    op.execute("drop function refuse_change()")
