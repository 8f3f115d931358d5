"""Services as processes of their own: started together in any number, each answering for itself."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from deploy import hosting
from deploy.hosting import SERVICES
from libs.database import in_database
from tests.conftest import SECRET, SIGNING_KEY
from tests.deploy.process import Runner
from tests.waiting import eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One `python -m deploy.service NAME`."""

    def __init__(self, name: str, data_dir: Path, environment: dict[str, str]) -> None:
        self.name = name
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.runner = Runner(data_dir, {**environment, "PORT": str(port)}, module=["deploy.service", name])

    async def is_ready(self) -> bool:
        assert self.runner.process.poll() is None, self.runner.errors
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.url}/health/{self.name}")).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def environment(postgres_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": postgres_url,
        "SECRET_KEY": SECRET,
        "ADMIN_TOKEN": "an-admin-token-for-tests",
        "SMTP_URL": "smtp://127.0.0.1:9",
        "SIGNING_KEY": SIGNING_KEY,
        "PUBLIC_URL": "http://127.0.0.1:8000",
        "CALENDAR_DOMAIN": "processes.tournee.internal",
        "INSTANCE": "processes",
    }


@pytest.fixture
def processes(data_dir: Path, environment: dict[str, str]) -> Iterator[list[Process]]:
    started = [Process(name, data_dir, environment) for name in ("events", *SERVICES)]
    yield started
    for process in started:
        process.runner.stop(signal.SIGKILL)


async def test_processes_that_start_together_prepare_the_server_once(processes: list[Process]) -> None:
    for process in processes:
        await eventually(process.is_ready)
    assert [process.runner.stop() for process in processes] == [0] * len(processes)


async def test_a_start_that_is_given_up_is_a_clean_end(
    postgres_url: str, data_dir: Path, environment: dict[str, str]
) -> None:
    """As when a machine is shut down while its services wait for one another."""
    guard = await asyncpg.connect(postgres_url)
    try:
        await guard.execute("select pg_advisory_lock($1)", hosting._ONE_AT_A_TIME)
        runner = Runner(data_dir, environment, module=["deploy.service", "events"])
        await eventually(lambda: _somebody_waits(guard))
        assert runner.stop() == 0
    finally:
        await guard.close()
    assert "Traceback" not in runner.errors


async def test_who_leaves_says_so_and_goes_on_answering(data_dir: Path, environment: dict[str, str]) -> None:
    """A proxy has DRAIN_SECONDS to notice; here they would never be over."""
    process = Process("events", data_dir, environment | {"DRAIN_SECONDS": "300"})
    await eventually(process.is_ready)
    process.runner.process.send_signal(signal.SIGTERM)

    async with httpx.AsyncClient(base_url=process.url) as client:

        async def leaving() -> bool:
            answer = await client.get("/health/events")
            return answer.status_code == 503 and answer.json()["leaving"]

        await eventually(leaving)
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/health")).status_code == 503
    # A second signal doesn't wait.
    assert process.runner.stop() == 0


async def test_without_the_administrator_a_service_needs_what_was_prepared(
    data_dir: Path, environment: dict[str, str]
) -> None:
    own = environment | {"INSTANCE": "prepared"}
    parts = urlsplit(own["DATABASE_URL"])
    without = own | {"DATABASE_URL": f"postgresql://{parts.hostname}:{parts.port}/"}

    too_early = Runner(data_dir, without, module=["deploy.service", "registrations"])
    assert too_early.end() == 2
    assert "python -m deploy.prepare" in too_early.errors

    for _time in range(2):
        assert Runner(data_dir, own, module=["deploy.prepare"]).end() == 0
    process = Process("registrations", data_dir, without)
    await eventually(process.is_ready)
    assert process.runner.stop() == 0

    server = await asyncpg.connect(in_database(own["DATABASE_URL"], "tournee_prepared_registrations"))
    await server.execute("alter database tournee_prepared_registrations connection limit 0")
    full = Runner(data_dir, without, module=["deploy.service", "registrations"])
    assert full.end() == 2
    # Nothing is to be prepared, and the reason is the server's alone, on one line.
    assert "too many connections" in full.errors
    assert "deploy.prepare" not in full.errors
    assert len(full.errors.splitlines()) == 1

    await server.execute("alter database tournee_prepared_registrations connection limit -1")
    await server.execute("delete from alembic_version")
    await server.close()
    behind = Runner(data_dir, without, module=["deploy.service", "registrations"])
    assert behind.end() == 2
    assert "n’est pas à jour" in behind.errors


async def _somebody_waits(admin: "asyncpg.Connection[asyncpg.Record]") -> bool:
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    return bool(await admin.fetchval(waiting))


@pytest.mark.parametrize("missing", ["DATABASE_URL", "SECRET_KEY"])
def test_what_several_processes_must_share_has_to_be_given(
    data_dir: Path, environment: dict[str, str], missing: str
) -> None:
    del environment[missing]
    runner = Runner(data_dir, environment, module=["deploy.service", "events"])
    assert runner.end() == 2
    assert missing in runner.errors
