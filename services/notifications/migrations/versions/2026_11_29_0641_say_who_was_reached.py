"""Say who was reached."""

import sqlalchemy as sa
from alembic import op

revision = "202611290641"
down_revision = "202611230010"
branch_labels = None
depends_on = None

# The mark is set in the transaction of the change, by whatever statement. A mark that is set already is
# left alone, but its row is locked: whoever is about to say it waits for this change.
_MARK = """
create function delivery_marks_reached() returns trigger language plpgsql as $body$
begin
    insert into reached (registration_id, session_id) values (new.registration_id, new.session_id)
        on conflict (registration_id) do update set dirty = true where not reached.dirty;
    return null;
end
$body$
"""
_ON_INSERT = """
create trigger delivery_is_new after insert on delivery
    for each row execute function delivery_marks_reached()
"""
_ON_UPDATE = """
create trigger delivery_has_an_outcome after update on delivery for each row
    when ((new.status, new.route, new.tried_routes, new.calls, new.last_error)
        is distinct from (old.status, old.route, old.tried_routes, old.calls, old.last_error))
    execute function delivery_marks_reached()
"""


def upgrade() -> None:
    op.create_table(
        "reached",
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dirty", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("gone", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("registration_id", name=op.f("pk_reached")),
    )
    op.create_index("ix_reached_dirty", "reached", ["registration_id"], postgresql_where=sa.text("dirty"))
    for statement in (_MARK, _ON_INSERT, _ON_UPDATE):
        op.execute(statement)
    op.execute(
        "insert into reached (registration_id, session_id)"
        " select d.registration_id, min(d.session_id::text)::uuid from delivery d"
        " join registration r on r.id = d.registration_id group by d.registration_id"
    )


def downgrade() -> None:
    op.execute("drop trigger delivery_has_an_outcome on delivery")
    op.execute("drop trigger delivery_is_new on delivery")
    op.execute("drop function delivery_marks_reached")
    op.drop_table("reached")
