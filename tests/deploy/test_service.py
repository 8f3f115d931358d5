"""Services as processes of their own: started together in any number, each answering for itself."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.hosting import SERVICES
from tests.conftest import SECRET
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


@pytest.mark.parametrize("missing", ["DATABASE_URL", "SECRET_KEY"])
def test_what_several_processes_must_share_has_to_be_given(
    data_dir: Path, environment: dict[str, str], missing: str
) -> None:
    del environment[missing]
    runner = Runner(data_dir, environment, module=["deploy.service", "events"])
    assert runner.end() == 2
    assert missing in runner.errors
