"""The tables of the log, and who may do what with them.

`bus.log_<topic>` holds the records, `bus.head_<topic>` the next position of each partition. `bus.place`
says up to where a group has read a partition and who holds its lease, `bus.member` who is alive; a
service sees only its own groups there (`owner` is its role).
"""

from libs.messaging.topics import Topic

SCHEMA = """
create schema if not exists bus;
create table if not exists bus.member (
    owner name not null default current_user,
    group_name text not null,
    member text not null,
    topics text[] not null,
    alive_until timestamptz not null,
    primary key (owner, group_name, member)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create table if not exists bus.place (
    owner name not null default current_user,
    group_name text not null,
    topic text not null,
    partition integer not null,
    position bigint not null default 0,
    holder text,
    epoch bigint not null default 0,
    primary key (owner, group_name, topic, partition)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
alter table bus.member enable row level security;
alter table bus.place enable row level security;
drop policy if exists own_groups on bus.member;
drop policy if exists own_groups on bus.place;
create policy own_groups on bus.member using (owner = current_user) with check (owner = current_user);
create policy own_groups on bus.place using (owner = current_user) with check (owner = current_user);
"""

# No index by key: compaction reads the whole table anyway, and appending is what must be fast.
# Records come and go without a pattern, so vacuum goes by their number, not by a share of the table.
# Up to 8 kB they are kept as they come: compressing them takes longer than all the rest of appending.
_TOPIC = """
create table if not exists {log} (
    partition integer not null,
    position bigint not null,
    key text not null,
    partition_key text not null,
    value bytea,
    headers text not null,
    appended_at timestamptz not null default clock_timestamp(),
    primary key (partition, position)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
alter table {log} set (toast_tuple_target = 8160);
create table if not exists {head} (
    partition integer primary key,
    next bigint not null default 0
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
"""
_HEADS = """
insert into {head} (partition) select generate_series(0, $1::integer - 1)
where not exists (select from {head})
"""


def log_table(topic: Topic) -> str:
    return _identifier(f"log_{topic.name}")


def head_table(topic: Topic) -> str:
    return _identifier(f"head_{topic.name}")


def channel(topic: Topic) -> str:
    """Where an append to `topic` is announced; only a hint, nothing is lost with it."""
    return f"log_{topic.name}"


GROUPS_CHANNEL = "bus_groups"
"""Where a group's name is announced when its members or positions changed."""


def topic_tables(topic: Topic) -> str:
    return with_tables(_TOPIC, topic)


def topic_heads(topic: Topic) -> str:
    return with_tables(_HEADS, topic)


def with_tables(statement: str, topic: Topic) -> str:
    """`statement` with `{log}`, `{head}` replaced by the tables of `topic`, `{name}` by its name."""
    name = "'" + topic.name.replace("'", "''") + "'"
    return statement.format(log=log_table(topic), head=head_table(topic), name=name)


def _identifier(name: str) -> str:
    if len(name.encode()) > 63:
        raise ValueError(f"{name} is too long for the name of a table")
    quoted = name.replace('"', '""')
    return f'bus."{quoted}"'
