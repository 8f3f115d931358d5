"""Say every try."""

from alembic import op

revision = "202611291000"
down_revision = "202611290650"
branch_labels = None
depends_on = None

# A receipt that only changes what is known of a try, and leaves its delivery as it is, is news too.
_MARK = """
create function attempt_marks_reached() returns trigger language plpgsql as $body$
begin
    insert into reached (registration_id, session_id)
        select registration_id, session_id from delivery where id = new.delivery_id
        on conflict (registration_id) do update set dirty = true where not reached.dirty;
    return null;
end
$body$
"""
_ON_CHANGE = """
create trigger attempt_says_more after insert or update of at, route, result, code, times on attempt
    for each row execute function attempt_marks_reached()
"""
# What was said of these lacks tries, or what came of them; of who got one mail nothing was missing.
_SAY_AGAIN = """
update reached set dirty = true where not gone and exists (
    select from delivery d join attempt a on a.delivery_id = d.id
    where d.registration_id = reached.registration_id and a.result <> 'sent')
"""


def upgrade() -> None:
    for statement in (_MARK, _ON_CHANGE, _SAY_AGAIN):
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop trigger attempt_says_more on attempt")
    op.execute("drop function attempt_marks_reached")
