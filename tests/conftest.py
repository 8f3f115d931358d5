"""What every test can ask for: a real PostgreSQL server, fresh databases, waiting without sleeping."""

import ipaddress
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncpg
import hypothesis
import pytest

from deploy import postgres
from deploy.kafka import broker
from libs.database import Database, database_name, provision, service_url
from libs.migrations import migrate
from libs.settings import Settings
from tests.waiting import eventually

__all__ = ["ADMIN_TOKEN", "SECRET", "DatabaseFactory", "eventually"]

SECRET = "a-secret-for-tests-only-0123456789"
ADMIN_TOKEN = "an-admin-token-for-tests"
SIGNING_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
_MAJOR = int(os.environ.get("TEST_POSTGRES", "18"))

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


class StrangerCalled(Exception):
    """A test tried to reach another machine."""


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in {"socket.connect", "socket.sendto"} or not isinstance(arguments[1], tuple):
        return
    host = str(arguments[1][0])
    if host == "localhost":
        return
    try:
        allowed = ipaddress.ip_address(host).is_loopback
    except ValueError:
        allowed = False
    if not allowed:
        raise StrangerCalled(f"tests talk to this machine only, not to {host}")


# An audit hook sees every socket, whichever library opens it, and can't be patched away.
sys.addaudithook(_only_loopback)


_MEMORY = Path("/dev/shm")
_MUCH = 6 * 2**30
"""Bytes: many times what the folders of a whole run come to."""


def open_folder() -> Path:
    """A new folder that the database's account can pass through, which pytest's own tmp_path isn't.

    In memory where there is plenty: a database is hundreds of files, and on a disk they take most of the
    time of a test that makes a new one.
    """
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _MUCH
    folder = Path(tempfile.mkdtemp(prefix="tournee-test-", dir=_MEMORY if roomy else None))
    folder.chmod(0o711)
    return folder


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty DATA_DIR, removed afterwards."""
    folder = open_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The administrator's URL of a real server: the embedded 18, or Debian's with TEST_POSTGRES=15."""
    if _MAJOR != 18:
        # A missing server is installed or fails the run; it never skips a test.
        subprocess.run(["bash", "deploy/install.sh", "postgres"], check=True)
    folder = open_folder()
    try:
        # Nothing here must outlive a power cut, so nothing waits for the disk.
        with postgres.running(folder, major=_MAJOR, durable=False) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """`host:port` of a real Apache Kafka that many tests share: KAFKA_BOOTSTRAP's, or one of our own.

    Tests keep out of each other's way with instance names of their own.
    """
    given = os.environ.get("KAFKA_BOOTSTRAP")
    if given:
        yield given
        return
    subprocess.run(["bash", "deploy/install.sh", "kafka"], check=True)
    folder = Path(tempfile.mkdtemp(prefix="tournee-kafka-"))
    try:
        with broker.running(folder) as cluster:
            yield cluster.bootstrap
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class DatabaseFactory(Protocol):
    async def __call__(self, service: str, *, pool_size: int = 5) -> Database: ...


@dataclass
class _Templates:
    """One migrated database per service, cloned for each test: a migration runs once per test run."""

    server_url: str
    ready: set[str] = field(default_factory=set)

    async def clone(self, service: str) -> str:
        """The URL of a fresh database of `service`, as the service's own role."""
        if service not in self.ready:
            url = await provision(self.server_url, "template", service, SECRET)
            if (Path("services") / service / "migrations").is_dir():
                await migrate(url, f"services.{service}")
            self.ready.add(service)
        role = database_name("template", service)
        name = f"test_{service}_{secrets.token_hex(6)}"
        admin = await asyncpg.connect(self.server_url)
        try:
            await admin.execute(f'create database "{name}" template "{role}"')
            await admin.execute(f'revoke all on database "{name}" from public')
            await admin.execute(f'grant connect, create, temporary on database "{name}" to "{role}"')
        finally:
            await admin.close()
        url = service_url(self.server_url, "template", service, SECRET)
        return urlsplit(url)._replace(path=f"/{name}").geturl()

    async def drop(self, url: str) -> None:
        admin = await asyncpg.connect(self.server_url)
        try:
            await admin.execute(f'drop database "{urlsplit(url).path[1:]}" with (force)')
        finally:
            await admin.close()


@pytest.fixture(scope="session")
def _templates(postgres_url: str) -> _Templates:
    return _Templates(postgres_url)


@pytest.fixture
async def database_url(_templates: _Templates) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """`await database_url("events")`: the URL of a fresh, migrated database, dropped after the test."""
    async with AsyncExitStack() as stack:

        async def make(service: str) -> str:
            url = await _templates.clone(service)
            stack.push_async_callback(_templates.drop, url)
            return url

        yield make


@pytest.fixture
async def database_factory(database_url: Callable[[str], Awaitable[str]]) -> AsyncIterator[DatabaseFactory]:
    """`await database_factory("events")`: a `Database` on a fresh, migrated database."""
    async with AsyncExitStack() as stack:

        async def make(service: str, *, pool_size: int = 5) -> Database:
            database = Database(await database_url(service), pool_size=pool_size)
            stack.push_async_callback(database.close)
            return database

        yield make


@pytest.fixture
async def provisioned(database_factory: DatabaseFactory) -> Database:
    """A fresh database with the extensions and the clock, and no tables: for the tests of `libs`."""
    return await database_factory("empty")


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    """Settings of an instance under test, untouched by the environment."""
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    chosen = {
        "data_dir": data_dir,
        "public_url": "http://testserver",
        "secret_key": SECRET,
        "admin_token": ADMIN_TOKEN,
        "signing_key": SIGNING_KEY,
        "calendar_domain": "test.tournee.internal",
        "smtp_url": "smtp://127.0.0.1:9",
    }
    return Settings(**(defaults | chosen))
