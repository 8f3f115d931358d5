"""Seats kept by the database: it counts the people itself, refuses what breaks a rule, and has a ledger."""

import re

import sqlalchemy as sa
from alembic import op

revision = "202611230019"
down_revision = "202611222108"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "seat_ledger",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("command", sa.String(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("touched", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "entry", name=op.f("pk_seat_ledger")),
    )
    op.create_table(
        "staff_action",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("registration_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["registration_id"],
            ["registration.id"],
            name=op.f("fk_staff_action_registration_id_registration"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_action")),
    )
    op.create_index(op.f("ix_staff_action_registration_id"), "staff_action", ["registration_id"])
    _more_of_registrations()
    _more_of_pools()
    _more_of_sessions()
    for statements in (*COUNTING, COUNT_WHO_WAITS, NOBODY_OVERTAKEN, AS_PLANNED, ONE_WAY, APPEND_ONLY):
        # One statement at a time, as the driver wants it; each begins a line with `create`.
        for statement in re.split(r"^(?=create )", statements, flags=re.MULTILINE)[1:]:
            op.execute(statement)


def _more_of_sessions() -> None:
    op.add_column("session", sa.Column("last_entry", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("session", sa.Column("reach_version", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column(
        "session", sa.Column("reach_dirty", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.execute("update session set reach_version = seats_version, reach_dirty = true")
    op.create_index(
        op.f("ix_session_reach_dirty"), "session", ["id"], postgresql_where=sa.text("reach_dirty")
    )
    # Its number within the session finds a session's people as well.
    op.drop_index(op.f("ix_registration_session_id"), table_name="registration")
    # Written once and read as a whole: kept as the text that it comes as.
    op.execute("alter table registration_cause alter column body type json")
    # Counters and messages are written all the time: no old copy of the facts, no compression of a message
    # that leaves within the second.
    op.execute("alter table session set (fillfactor = 50, toast_tuple_target = 128)")
    op.execute("alter table outbox set (toast_tuple_target = 8160)")


def _more_of_registrations() -> None:
    op.add_column(
        "registration", sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False)
    )
    op.add_column("registration", sa.Column("place", sa.Numeric(), nullable=True))
    op.add_column(
        "registration", sa.Column("granted", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("registration", sa.Column("ledger_ref", sa.Uuid(), nullable=True))
    op.add_column("registration", sa.Column("transferred_from", sa.Uuid(), nullable=True))
    op.execute("update registration set ledger_ref = gen_random_uuid() where name <> ''")
    op.create_unique_constraint(op.f("uq_registration_ledger_ref"), "registration", ["ledger_ref"])
    op.create_index(
        "ix_registration_transferred",
        "registration",
        ["transferred_from"],
        postgresql_where=sa.text("transferred_from is not null"),
    )
    op.create_check_constraint(op.f("ck_registration_priority"), "registration", "priority between 0 and 9")
    op.create_check_constraint(
        op.f("ck_registration_grant_is_a_seat"),
        "registration",
        "not (granted and pool_channel is distinct from '')",
    )


def _more_of_pools() -> None:
    for name in ("waiting", "granted"):
        op.add_column("seat_pool", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    op.execute(
        """
        update seat_pool set waiting = (
            select count(*) from registration
            where registration.session_id = seat_pool.session_id and status = 'waitlisted'
                and registration.seat_kind = seat_pool.seat_kind
                and seat_pool.channel in ('', registration.channel)
        )
        """
    )
    op.create_check_constraint(
        op.f("ck_seat_pool_counted"), "seat_pool", "waiting >= 0 and granted between 0 and confirmed"
    )


# Each statement on `registration` adds up what its rows bring to each pool and take from it, and counts
# it once: a batch of two hundred people costs one update. A pool that isn't there can seat nobody.
_SHARES = """
    select session_id, seat_kind, pool_channel as channel, {sign} * (status <> 'offered')::int as confirmed,
        {sign} * (status = 'offered')::int as offered, 0 as waiting, {sign} * granted::int as granted
    from {rows} where pool_channel is not null
    union all
    select session_id, seat_kind, own.channel, 0, 0, {sign}, 0
    from {rows}, unnest(array['', {rows}.channel]) as own (channel) where status = 'waitlisted'
"""
_COUNT = """
create function count_{name}_registrations() returns trigger language plpgsql as $body$
declare
    stray record;
begin
    with change as materialized (
        select session_id, seat_kind, channel, sum(confirmed)::int as confirmed, sum(offered)::int as offered,
            sum(waiting)::int as waiting, sum(granted)::int as granted
        from ({shares}) as share group by session_id, seat_kind, channel
        having sum(confirmed) <> 0 or sum(offered) <> 0 or sum(waiting) <> 0 or sum(granted) <> 0
    ), counted as (
        update seat_pool set confirmed = seat_pool.confirmed + change.confirmed,
            offered = seat_pool.offered + change.offered, waiting = seat_pool.waiting + change.waiting,
            granted = seat_pool.granted + change.granted
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
create trigger count_{name} after {event} on registration referencing {tables}
    for each statement execute function count_{name}_registrations();
"""


def _counting(name: str, event: str, rows: dict[str, int]) -> str:
    shares = " union all ".join(_SHARES.format(rows=table, sign=sign) for table, sign in rows.items())
    tables = " ".join(f"{table.removesuffix('_rows')} table as {table}" for table in rows)
    return _COUNT.format(name=name, event=event, shares=shares, tables=tables)


COUNTING = (
    _counting("new", "insert", {"new_rows": 1}),
    _counting("changed", "update", {"new_rows": 1, "old_rows": -1}),
    _counting("gone", "delete", {"old_rows": -1}),
)
COUNT_WHO_WAITS = """
create function count_who_waits() returns trigger language plpgsql as $body$
begin
    -- A pool that is new finds people who already wait for its seats; nobody is seated in it yet.
    select count(*) into new.waiting from registration
    where session_id = new.session_id and seat_kind = new.seat_kind and status = 'waitlisted'
        and new.channel in ('', channel);
    new.confirmed := 0;
    new.offered := 0;
    new.granted := 0;
    return new;
end
$body$;
create trigger count_who_waits before insert on seat_pool
    for each row execute function count_who_waits();
create function only_people_count() returns trigger language plpgsql as $body$
begin
    raise exception 'the people of a pool are counted from their registrations'
        using errcode = 'check_violation', constraint = 'only_people_count';
end
$body$;
create trigger only_people_count before update of confirmed, offered, waiting, granted on seat_pool
    for each row when (pg_trigger_depth() = 0) execute function only_people_count();
"""

# Rule S2, at the commit: while a session is on, no seat is free that somebody who waits may use.
NOBODY_OVERTAKEN = """
create function nobody_waits_for_a_free_seat() returns trigger language plpgsql as $body$
declare
    pool seat_pool;
begin
    select * into pool from seat_pool
    where session_id = new.session_id and seat_kind = new.seat_kind and channel = new.channel;
    if pool.waiting > 0 and pool.effective > pool.confirmed + pool.offered and exists (
        select from session where id = pool.session_id and status = 'published'
            and starts_at > clock.decision_time()
    ) then
        raise exception 'a seat of session % (%, "%") is free while somebody waits for it',
            pool.session_id, pool.seat_kind, pool.channel
            using errcode = 'check_violation', constraint = 'nobody_waits_for_a_free_seat';
    end if;
    return null;
end
$body$;
create constraint trigger nobody_waits_for_a_free_seat after update on seat_pool
    deferrable initially deferred for each row when (
        new.waiting > 0 and new.effective > new.confirmed + new.offered and (
            new.waiting > old.waiting
            or new.effective - new.confirmed - new.offered > old.effective - old.confirmed - old.offered
        )
    ) execute function nobody_waits_for_a_free_seat();
create constraint trigger nobody_waits_for_a_new_seat after insert on seat_pool
    deferrable initially deferred for each row when (new.waiting > 0)
    execute function nobody_waits_for_a_free_seat();
"""

# Rule S1's other half, at the commit: there are as many seats of a kind as planned and granted, or as are
# in use if that is more. No statement makes seats.
AS_PLANNED = """
create function seats_are_as_planned() returns trigger language plpgsql as $body$
declare
    total bigint;
    used bigint;
    given bigint;
    planned int;
begin
    select sum(effective), sum(confirmed + offered), sum(granted) into total, used, given from seat_pool
    where session_id = new.session_id and seat_kind = new.seat_kind;
    select case when facts ->> 'modality' in ('hybrid', new.seat_kind)
        then coalesce((facts -> 'capacity' ->> new.seat_kind)::int, 0) else 0 end into planned
    from session where id = new.session_id;
    if total <> greatest(planned + given, used) then
        raise exception 'session % has % seats (%), with % planned, % granted and % in use',
            new.session_id, total, new.seat_kind, planned, given, used
            using errcode = 'check_violation', constraint = 'seats_are_as_planned';
    end if;
    return null;
end
$body$;
create constraint trigger seats_are_as_planned after insert or update of effective on seat_pool
    deferrable initially deferred for each row execute function seats_are_as_planned();
"""

# The seat machine goes one way, and a place in the line is never renumbered.
ONE_WAY = """
create function registrations_go_one_way() returns trigger language plpgsql as $body$
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
        when 'attended' then new.status in ('absent', 'excused')
        when 'absent' then new.status in ('attended', 'excused')
        when 'excused' then new.status in ('attended', 'absent')
        else false
    end) then
        raise exception 'a registration that is % does not become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'registrations_go_one_way';
    end if;
    return new;
end
$body$;
create trigger registrations_go_one_way before update of status, seq, session_id on registration
    for each row execute function registrations_go_one_way();
"""

APPEND_ONLY = """
create function the_ledger_only_grows() returns trigger language plpgsql as $body$
begin
    raise exception 'the seat ledger only grows' using errcode = 'check_violation', constraint = 'append_only';
end
$body$;
create trigger the_ledger_only_grows before update or delete or truncate on seat_ledger
    for each statement execute function the_ledger_only_grows();
"""


def downgrade() -> None:
    for trigger, table in (
        ("the_ledger_only_grows", "seat_ledger"),
        ("registrations_go_one_way", "registration"),
        ("seats_are_as_planned", "seat_pool"),
        ("nobody_waits_for_a_new_seat", "seat_pool"),
        ("nobody_waits_for_a_free_seat", "seat_pool"),
        ("only_people_count", "seat_pool"),
        ("count_who_waits", "seat_pool"),
        ("count_gone", "registration"),
        ("count_changed", "registration"),
        ("count_new", "registration"),
    ):
        op.execute(f"drop trigger {trigger} on {table}")
    for function in (
        "the_ledger_only_grows", "registrations_go_one_way", "seats_are_as_planned",
        "nobody_waits_for_a_free_seat", "only_people_count", "count_who_waits", "count_gone_registrations",
        "count_changed_registrations", "count_new_registrations",
    ):  # fmt: skip
        op.execute(f"drop function {function}()")
    op.execute("alter table outbox reset (toast_tuple_target)")
    op.execute("alter table registration_cause alter column body type jsonb")
    op.create_index(op.f("ix_registration_session_id"), "registration", ["session_id"])
    op.execute("alter table session reset (fillfactor, toast_tuple_target)")
    op.drop_index(op.f("ix_session_reach_dirty"), table_name="session")
    for name in ("reach_dirty", "reach_version", "last_entry"):
        op.drop_column("session", name)
    op.drop_constraint(op.f("ck_seat_pool_counted"), "seat_pool")
    for name in ("granted", "waiting"):
        op.drop_column("seat_pool", name)
    op.drop_constraint(op.f("ck_registration_grant_is_a_seat"), "registration")
    op.drop_constraint(op.f("ck_registration_priority"), "registration")
    op.drop_constraint(op.f("uq_registration_ledger_ref"), "registration", type_="unique")
    for name in ("transferred_from", "ledger_ref", "granted", "place", "priority"):
        op.drop_column("registration", name)
    op.drop_table("staff_action")
    op.drop_table("seat_ledger")
