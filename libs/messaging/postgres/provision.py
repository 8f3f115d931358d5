"""Making the bus database: its tables, and the grants that let each service do its part and no more."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import asyncpg

from libs.database import database_name, ensure_database, ensure_role, in_database, service_url
from libs.messaging.postgres import tables
from libs.messaging.postgres.line import Connection
from libs.messaging.topics import Topic, federated

_PROVISION_LOCK = 7_310_402  # any number that no other advisory lock of this database uses

_GRANTED = """
select distinct grantee::regrole::text from pg_class c, aclexplode(c.relacl) where c.oid = $1::regclass
    and grantee not in (c.relowner, 0)
"""
_WRITER = 'grant insert, select, delete on {log} to "{role}"; grant select, update on {head} to "{role}"'
_READER = 'grant select on {log} to "{role}"'
_OWN_GROUPS = 'grant select, insert, update, delete on bus.member, bus.place to "{role}"'


async def provision_bus(server_url: str, instance: str, secret: str, topics: Sequence[Topic]) -> None:
    """Create the log of `instance`, or bring an existing one up to date with `topics`.

    `server_url` is the administrator's, who owns the log. A topic's writer may append to it and compact
    it, its readers may read it and keep their groups' positions, nobody else may do anything. Topics
    that are no longer named stay as they are. Raises ValueError when a topic's number of partitions
    changed: the order of its keys would be lost.
    """
    name = bus_database(instance)
    roles = {service: database_name(instance, service) for service in _services(topics)}
    admin: Connection = await asyncpg.connect(server_url)
    try:
        await ensure_database(admin, name)
        for role in roles.values():
            await ensure_role(admin, role, secret)
            await admin.execute(f'grant connect on database "{name}" to "{role}"')
    finally:
        await admin.close()
    owner: Connection = await asyncpg.connect(in_database(server_url, name))
    try:
        async with owner.transaction():
            await owner.execute("select pg_advisory_xact_lock($1)", _PROVISION_LOCK)
            # What exists already is no news to anybody.
            await owner.execute("set local client_min_messages = warning")
            await owner.execute(tables.SCHEMA)
            for role in roles.values():
                await owner.execute(f'grant usage on schema bus to "{role}"')
            for topic in topics:
                await _provision_topic(owner, topic, roles)
    finally:
        await owner.close()


async def provision_guest(server_url: str, instance: str, secret: str, guest: str) -> str:
    """Let the instance `guest` bring its federated streams to the bus of `instance`.

    Returns what it sets as NATIONAL_BUS_URL: a role that may append to these streams and do nothing else.
    `ValueError` for the instance itself, whose own exporter writes them.
    """
    if guest == instance:
        raise ValueError(f"{instance} needs no way to its own bus")
    # The names of two instances would be too long for one role's.
    role = f"from_{hashlib.sha256(guest.encode()).hexdigest()[:12]}"
    streams = [replace(topic, writer=role, readers=("national",)) for topic in federated(guest).values()]
    await provision_bus(server_url, instance, secret, streams)
    return bus_url(server_url, instance, role, secret)


async def _provision_topic(owner: Connection, topic: Topic, roles: dict[str, str]) -> None:
    await owner.execute(tables.topic_tables(topic))
    await owner.execute(tables.topic_heads(topic), topic.partitions)
    heads = await owner.fetchval(tables.with_tables("select count(*) from {head}", topic))
    if heads != topic.partitions:
        raise ValueError(f"topic {topic.name} has {heads} partitions already, not {topic.partitions}")
    for table in (tables.log_table(topic), tables.head_table(topic)):
        for grantee in await owner.fetch(_GRANTED, table):
            await owner.execute(f"revoke all on {table} from {grantee[0]}")
    for service in topic.readers:
        await _grant(owner, _READER, topic, roles[service])
        await _grant(owner, _OWN_GROUPS, topic, roles[service])
    await _grant(owner, _WRITER, topic, roles[topic.writer])


async def _grant(owner: Connection, statement: str, topic: Topic, role: str) -> None:
    await owner.execute(
        statement.format(log=tables.log_table(topic), head=tables.head_table(topic), role=role)
    )


def bus_database(instance: str) -> str:
    return database_name(instance, "bus")


def bus_url(server_url: str, instance: str, service: str, secret: str) -> str:
    """Where `service` reaches the bus: the log's database, as its own role."""
    return service_url(server_url, instance, service, secret, database=bus_database(instance))


def _services(topics: Sequence[Topic]) -> set[str]:
    return {service for topic in topics for service in (topic.writer, *topic.readers)}
