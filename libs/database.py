"""A service's own database: its engine, its transactions and the one commit."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias
from urllib.parse import quote, urlsplit

import asyncpg
import orjson
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Constraint names that migrations can rely on; every service's metadata uses them."""


Plain: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""A connection in a plain transaction."""

_PLAIN_CONNECTIONS = 4
_PATIENCE_SECONDS = 10.0
_PLANNED_FOR_GROWTH = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "lock_timeout": "500ms",
}


def _json(value: object) -> str:
    """UUIDs and instants as text; never a number that JSON doesn't have."""
    return orjson.dumps(value, default=str).decode()


async def _leave_as_it_is(_connection: object) -> None:
    """A plain transaction leaves nothing on its connection that would have to be cleaned up."""


def service_metadata() -> MetaData:
    """A fresh registry of tables: each service has its own, so none can see another's."""
    return MetaData(naming_convention=NAMING_CONVENTION)


class Database:
    """Transactions on one service's database.

    `committed` callbacks run after each commit that announced something, so that the relay needn't wait
    for its next poll.
    """

    def __init__(self, url: str, *, pool_size: int = 5, application_name: str = "tournee") -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=pool_size,
            max_overflow=pool_size,
            json_serializer=_json,
            hide_parameters=True,  # an error's text would quote personal data into the log
            connect_args={"server_settings": {"application_name": application_name}},
        )
        self.on_commit: list[Callable[[], None]] = []
        self._plain: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()
        self._application_name = application_name

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One unit of work: committed when the block ends, rolled back when it raises.

        This is the only place in the code base that commits.
        """
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session
            await session.commit()
        self.announced()

    @asynccontextmanager
    async def plain_transaction(self, *, patient: bool = False) -> AsyncIterator["Plain"]:
        """`transaction` in plain SQL, for a path that many requests share; call `announced` afterwards.

        Its statements are planned for tables that have grown: by index, whatever their size was when the
        plan was made. A lock that isn't had within half a second ends it, five if `patient`.
        """
        async with (await self._plain_pool()).acquire() as connection, connection.transaction():
            if patient:
                await connection.execute("set local lock_timeout = '5s'")
            yield connection

    @asynccontextmanager
    async def plain_statements(self) -> AsyncIterator["Plain"]:
        """As `plain_transaction`, but each statement is a transaction of its own, committed when it ends."""
        async with (await self._plain_pool()).acquire() as connection:
            yield connection

    @asynccontextmanager
    async def plain_connection(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection of its own, hung up after the block: for who holds a lock as long as a connection.

        Each statement is a transaction; they are planned as in `plain_transaction`, and wait for locks.
        """
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            self.url,
            timeout=_PATIENCE_SECONDS,
            command_timeout=_PATIENCE_SECONDS,
            server_settings={"application_name": self._application_name}
            | _PLANNED_FOR_GROWTH
            | {"lock_timeout": "0"},
        )
        try:
            yield connection
        finally:
            # Not politely: a server that is away or slow would hold up the end.
            connection.terminate()

    async def _plain_pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._plain is not None:
            return self._plain
        async with self._opening:
            if self._plain is None:
                self._plain = await asyncpg.create_pool(
                    self.url,
                    min_size=0,
                    max_size=_PLAIN_CONNECTIONS,
                    command_timeout=_PATIENCE_SECONDS,
                    reset=_leave_as_it_is,
                    server_settings={"application_name": self._application_name} | _PLANNED_FOR_GROWTH,
                )
            return self._plain

    def announced(self) -> None:
        """Something was committed that the relay should carry out."""
        for callback in self.on_commit:
            callback()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session for queries; whatever it changed is rolled back."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    async def close(self) -> None:
        plain, self._plain = self._plain, None
        if plain is not None:
            await plain.close()
        await self.engine.dispose()


def is_unavailable(error: BaseException) -> bool:
    """Whether `error` says that the database is away, so that trying again later may help."""
    if isinstance(error, ValueError):
        return False  # asyncpg's own complaint about a parameter, a kind of InterfaceError
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, (OperationalError, InterfaceError)) or (
        isinstance(error, DBAPIError) and error.orig is not None and error.orig.__cause__ is not None
    ):
        cause = error.orig.__cause__ if error.orig is not None else None
        return cause is None or is_unavailable(cause)
    return isinstance(
        error,
        (
            ConnectionError,
            TimeoutError,
            PoolExhausted,
            asyncpg.PostgresConnectionError,
            asyncpg.CannotConnectNowError,
            asyncpg.AdminShutdownError,
            asyncpg.CrashShutdownError,
            asyncpg.TooManyConnectionsError,
            asyncpg.InterfaceError,
            # What asyncpg says between the server's farewell and the end of the connection.
            asyncpg.InternalClientError,
        ),
    )


def database_name(instance: str, service: str) -> str:
    """The database and role of `service` in `instance`: both carry the same name."""
    return f"tournee_{instance.replace('-', '_')}_{service}"


def service_url(
    server_url: str, instance: str, service: str, secret: str, *, database: str | None = None
) -> str:
    """Where `service` connects as its own role: its own database, unless another is named."""
    parts = urlsplit(server_url)
    name = database_name(instance, service)
    host = parts.netloc.rpartition("@")[2]
    query = f"?{parts.query}" if parts.query else ""
    return f"postgresql://{name}:{quote(_password(secret, name))}@{host}/{database or name}{query}"


def _password(secret: str, role: str) -> str:
    """A role's password follows from the instance's secret, so nothing else has to be kept."""
    return hmac.new(secret.encode(), f"role:{role}".encode(), hashlib.sha256).hexdigest()


_CLOCK = """
create schema if not exists clock;
create table if not exists clock.shift (only_row boolean primary key default true check (only_row),
    by interval not null default '0');
insert into clock.shift default values on conflict do nothing;
create or replace function clock.decision_time() returns timestamptz language sql volatile
    as 'select clock_timestamp() + (select by from clock.shift)';
grant usage on schema clock to "{name}";
grant select on clock.shift to "{name}";
"""


async def provision(server_url: str, instance: str, service: str, secret: str) -> str:
    """Create the role and database of `service` if they are missing; returns its own URL.

    The server's administrator owns the database, the extensions and the decision clock, so that the
    service itself can't shift time; the service's role may create tables in it and connects to no other.
    """
    name = database_name(instance, service)
    admin = await asyncpg.connect(server_url)
    try:
        await ensure_role(admin, name, secret)
        await ensure_database(admin, name)
        await admin.execute(f'grant connect, create, temporary on database "{name}" to "{name}"')
    finally:
        await admin.close()
    owner = await asyncpg.connect(in_database(server_url, name))
    try:
        await owner.execute("create extension if not exists unaccent")
        await owner.execute("create extension if not exists pg_trgm")
        await owner.execute(f'grant usage, create on schema public to "{name}"')
        await owner.execute(_CLOCK.format(name=name))
    finally:
        await owner.close()
    return service_url(server_url, instance, service, secret)


async def ensure_role(admin: "asyncpg.Connection[asyncpg.Record]", name: str, secret: str) -> None:
    """Create the role `name`, or give it back the password that follows from `secret`."""
    known = await admin.fetchval("select true from pg_roles where rolname = $1", name)
    verb = "alter" if known else "create"
    await admin.execute(f"{verb} role \"{name}\" login password '{_password(secret, name)}'")


async def ensure_database(admin: "asyncpg.Connection[asyncpg.Record]", name: str) -> None:
    """Create the database `name` if it is missing; nobody may connect to it until granted."""
    if not await admin.fetchval("select true from pg_database where datname = $1", name):
        await admin.execute(f"create database \"{name}\" encoding 'UTF8' template template0")
    await admin.execute(f'revoke all on database "{name}" from public')


def in_database(server_url: str, name: str) -> str:
    """The same server and credentials, another database."""
    parts = urlsplit(server_url)
    return parts._replace(scheme="postgresql", path=f"/{name}").geturl()
