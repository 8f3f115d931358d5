"""Parties: several seats for one registration, counted as what they are, and seats that gather for them."""

import re

import sqlalchemy as sa
from alembic import op

revision = "202611290610"
down_revision = "202611290218"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("registration", sa.Column("seats", sa.Integer(), server_default="1", nullable=False))
    op.add_column("registration", sa.Column("gather_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "registration", sa.Column("gathered", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("registration", sa.Column("split_from", sa.Uuid(), nullable=True))
    op.drop_constraint(op.f("ck_registration_party_size"), "registration")
    op.create_check_constraint(
        op.f("ck_registration_party_size"),
        "registration",
        "party_size between 1 and 99 and seats between 1 and party_size and party_size - seats <= 1",
    )
    op.create_check_constraint(
        op.f("ck_registration_gathers_while_waiting"),
        "registration",
        "gather_until is null or (status = 'waitlisted' and seats > 1 and not gathered)",
    )
    op.create_index(
        "ix_registration_gatherings_due",
        "registration",
        ["gather_until"],
        postgresql_where=sa.text("gather_until is not null"),
    )
    op.add_column("seat_pool", sa.Column("gathering", sa.Integer(), server_default="0", nullable=False))
    # Never more than one party of a kind of seat at a time, and each pool counts its own.
    op.create_check_constraint(
        op.f("ck_seat_pool_gathering"), "seat_pool", "gathering between 0 and 1 and gathering <= waiting"
    )
    _run(*COUNTING, COUNT_WHO_WAITS, NOBODY_OVERTAKEN, SMALLER_FITS)


def _run(*blocks: str) -> None:
    for statements in blocks:
        # One statement at a time, as the driver wants it; each begins a line with `create` or `drop`.
        for statement in re.split(r"^(?=create |drop )", statements, flags=re.MULTILINE)[1:]:
            op.execute(statement)


# As before, but a party counts with each of its seats where seats are counted, and once where it waits.
_SHARES = """
    select session_id, seat_kind, pool_channel as channel,
        {sign} * seats * (status <> 'offered')::int as confirmed,
        {sign} * seats * (status = 'offered')::int as offered, 0 as waiting,
        {sign} * seats * granted::int as granted, 0 as gathering
    from {rows} where pool_channel is not null
    union all
    select session_id, seat_kind, own.channel, 0, 0, {sign}, 0, {sign} * (gather_until is not null)::int
    from {rows}, unnest(array['', {rows}.channel]) as own (channel) where status = 'waitlisted'
"""
_COUNT = """
create or replace function count_{name}_registrations() returns trigger language plpgsql as $body$
declare
    stray record;
begin
    with change as materialized (
        select session_id, seat_kind, channel, sum(confirmed)::int as confirmed, sum(offered)::int as offered,
            sum(waiting)::int as waiting, sum(granted)::int as granted, sum(gathering)::int as gathering
        from ({shares}) as share group by session_id, seat_kind, channel
        having sum(confirmed) <> 0 or sum(offered) <> 0 or sum(waiting) <> 0 or sum(granted) <> 0
            or sum(gathering) <> 0
    ), counted as (
        update seat_pool set confirmed = seat_pool.confirmed + change.confirmed,
            offered = seat_pool.offered + change.offered, waiting = seat_pool.waiting + change.waiting,
            granted = seat_pool.granted + change.granted,
            gathering = seat_pool.gathering + change.gathering
        from change
        where seat_pool.session_id = change.session_id and seat_pool.seat_kind = change.seat_kind
            and seat_pool.channel = change.channel
        returning seat_pool.session_id, seat_pool.seat_kind, seat_pool.channel
    )
    select change.* into stray from change
    where (change.confirmed <> 0 or change.offered <> 0 or change.channel = '') and not exists (
        select from counted where counted.session_id = change.session_id
            and counted.seat_kind = change.seat_kind and counted.channel = change.channel
    ) limit 1;
    if found then
        raise exception 'session % has no pool (%, "%")', stray.session_id, stray.seat_kind, stray.channel
            using errcode = 'foreign_key_violation';
    end if;
    return null;
end
$body$;
"""


def _counting(name: str, rows: dict[str, int]) -> str:
    shares = " union all ".join(_SHARES.format(rows=table, sign=sign) for table, sign in rows.items())
    return _COUNT.format(name=name, shares=shares)


COUNTING = (
    _counting("new", {"new_rows": 1}),
    _counting("changed", {"new_rows": 1, "old_rows": -1}),
    _counting("gone", {"old_rows": -1}),
)
COUNT_WHO_WAITS = """
create or replace function count_who_waits() returns trigger language plpgsql as $body$
begin
    -- A pool that is new finds people who already wait for its seats; nobody is seated in it yet.
    select count(*), count(gather_until) into new.waiting, new.gathering from registration
    where session_id = new.session_id and seat_kind = new.seat_kind and status = 'waitlisted'
        and new.channel in ('', channel);
    new.confirmed := 0;
    new.offered := 0;
    new.granted := 0;
    return new;
end
$body$;
drop trigger only_people_count on seat_pool;
create trigger only_people_count before update of confirmed, offered, waiting, granted, gathering on seat_pool
    for each row when (pg_trigger_depth() = 0) execute function only_people_count();
"""

# Rule S2, at the commit: while a session is on, nobody waits for as many seats as are free, or fewer, unless
# they gather for a party.
NOBODY_OVERTAKEN = """
create or replace function nobody_waits_for_a_free_seat() returns trigger language plpgsql as $body$
declare
    pool seat_pool;
begin
    select * into pool from seat_pool
    where session_id = new.session_id and seat_kind = new.seat_kind and channel = new.channel;
    if pool.waiting > 0 and pool.gathering = 0 and pool.effective > pool.confirmed + pool.offered and exists (
        select from session where id = pool.session_id and status = 'published'
            and starts_at > clock.decision_time()
    ) and exists (
        select from registration where session_id = pool.session_id and status = 'waitlisted'
            and seat_kind = pool.seat_kind and pool.channel in ('', channel)
            and seats <= pool.effective - pool.confirmed - pool.offered
    ) then
        raise exception 'a seat of session % (%, "%") is free while somebody waits for it',
            pool.session_id, pool.seat_kind, pool.channel
            using errcode = 'check_violation', constraint = 'nobody_waits_for_a_free_seat';
    end if;
    return null;
end
$body$;
drop trigger nobody_waits_for_a_free_seat on seat_pool;
create constraint trigger nobody_waits_for_a_free_seat after update on seat_pool
    deferrable initially deferred for each row when (
        new.waiting > 0 and new.gathering = 0 and new.effective > new.confirmed + new.offered and (
            new.waiting > old.waiting or new.gathering < old.gathering
            or new.effective - new.confirmed - new.offered > old.effective - old.confirmed - old.offered
        )
    ) execute function nobody_waits_for_a_free_seat();
"""

# A party that became smaller while it waits changes no pool, but may fit now.
SMALLER_FITS = """
create function nobody_smaller_waits() returns trigger language plpgsql as $body$
begin
    if exists (
        select from registration
        join seat_pool as pool using (session_id, seat_kind)
        join session on session.id = registration.session_id
        where registration.id = new.id and registration.status = 'waitlisted'
            and pool.channel in ('', registration.channel) and pool.gathering = 0
            and registration.seats <= pool.effective - pool.confirmed - pool.offered
            and session.status = 'published' and session.starts_at > clock.decision_time()
    ) then
        raise exception 'a party of session % has become small enough for the seats that are free',
            new.session_id using errcode = 'check_violation', constraint = 'nobody_smaller_waits';
    end if;
    return null;
end
$body$;
create constraint trigger nobody_smaller_waits after update of seats on registration
    deferrable initially deferred for each row when (new.seats < old.seats and new.status = 'waitlisted')
    execute function nobody_smaller_waits();
"""


def downgrade() -> None:
    raise NotImplementedError("a party can't be told as one person: restore a backup instead")
