"""The runner: ready from an empty folder, stopped cleanly, back after any end with nothing lost."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from deploy import postgres
from deploy.hosting import SERVICES
from libs.database import database_name, in_database
from tests.deploy.process import ROOT, Runner, as_nobody, kill_database
from tests.waiting import eventually

Start = Callable[..., Runner]

SESSION = {
    "title": "Le courriel, pas à pas",
    "stream": "public",
    "theme": "courriel",
    "level": "beginner",
    "language": "fr",
    "modality": "online",
    "venue_id": None,
    "online_url": "https://example.org/salle",
    "region": "03",
    "tour_id": None,
    "starts_at": "2030-02-05T13:30",
    "ends_at": "2030-02-05T15:30",
    "timezone": "America/Toronto",
    "capacity": 12,
    "registration_modes": ["web", "phone"],
}


@pytest.fixture
def start(data_dir: Path) -> Iterator[Start]:
    """Starts runners on `data_dir`; whatever is still running after the test is ended."""
    runners: list[Runner] = []

    def start(environment: dict[str, str] | None = None, **options: Any) -> Runner:
        runners.append(Runner(data_dir, environment or {}, **options))
        return runners[-1]

    yield start
    for runner in runners:
        runner.stop(signal.SIGKILL)
    postgres.stop_leftovers(data_dir / "postgres")


def test_an_empty_folder_becomes_a_whole_instance(start: Start, data_dir: Path) -> None:
    runner = start().ready()
    with runner.client as client:
        health = client.get("/health")
        assert health.status_code == 200, health.text
        assert set(health.json()["services"]) == set(SERVICES)
        for name in SERVICES:
            assert client.get(f"/health/{name}").json()["service"] == name
        assert "tournee_requests_total" in client.get("/metrics").text
        assert client.get("/").status_code == 200
        assert client.get("/boite-envoi.json").json() == {"items": [], "next": None}
        assert client.get(f"/connexion/{runner.token}").status_code == 200
    for secret in ("secret-key", "admin-token", "signing-key", "postgres-password"):
        assert stat.S_IMODE((data_dir / secret).stat().st_mode) == 0o600


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_cleanly(start: Start, data_dir: Path, how: signal.Signals) -> None:
    runner = start().ready()
    assert runner.stop(how) == 0
    assert not postgres.at_work_in(data_dir / "postgres")
    assert "Traceback" not in runner.errors


def test_a_signal_during_the_start_gives_it_up(start: Start, data_dir: Path) -> None:
    runner = start()
    assert runner.process.stdout is not None
    runner.process.stdout.readline()
    assert runner.stop() == 0
    assert not postgres.at_work_in(data_dir / "postgres")


def test_a_second_start_says_that_the_folder_is_in_use(start: Start, data_dir: Path) -> None:
    first = start().ready()
    second = start()
    assert second.end() == 1
    assert str(data_dir) in second.errors
    assert str(first.process.pid) in second.errors
    assert httpx.get(f"{first.url}/health").status_code == 200


async def test_nothing_is_lost_when_everything_is_killed(start: Start, data_dir: Path) -> None:
    runner = start().ready()
    with runner.client as client:
        created = client.post("/api/events/v1/sessions", json=SESSION)
        assert created.status_code == 201, created.text
    runner.process.kill()
    kill_database(data_dir)
    again = start().ready()
    assert again.token == runner.token
    with again.client as client:
        kept = client.get(f"/api/events/v1/sessions/{created.json()['id']}")
        assert kept.json()["title"] == SESSION["title"]


def test_a_database_that_is_killed_while_it_is_prepared_ends_the_start_in_words(
    start: Start, data_dir: Path
) -> None:
    runner = start()
    assert runner.process.stdout is not None
    for line in runner.process.stdout:
        if "se préparent" in line:
            break
    kill_database(data_dir)

    assert runner.end() == 1
    assert "PostgreSQL s’est arrêté" in runner.errors
    assert "Traceback" not in runner.errors


@pytest.fixture
def make(tmp_path: Path) -> list[str]:
    """`make run` without the installation."""
    (tmp_path / "Makefile").write_text(
        f"run:\n\t@exec {sys.executable} -m deploy.local --until-parent-ends\n"
    )
    return ["make", "-f", str(tmp_path / "Makefile")]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_make_alone_may_get_the_signal(
    start: Start, data_dir: Path, make: list[str], how: signal.Signals
) -> None:
    runner = start(command=make).ready()
    runner.stop(how)
    assert not postgres.at_work_in(data_dir / "postgres")


def test_the_runner_ends_with_the_make_that_started_it(start: Start, make: list[str]) -> None:
    runner = start(command=make).ready()
    runner.process.kill()
    runner.end()
    assert start().ready().stop() == 0


async def test_a_broken_loop_ends_the_process_loudly(start: Start, data_dir: Path) -> None:
    runner = start().ready()
    name = database_name("demo", "registrations")
    connection = await asyncpg.connect(in_database(postgres.server_url(data_dir), name))
    await connection.execute("drop table outbox")
    await connection.close()
    assert runner.end() == 70
    assert '"level": "critical"' in runner.errors


async def test_the_database_may_die_and_come_back(start: Start, data_dir: Path) -> None:
    runner = start().ready()
    postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    async with httpx.AsyncClient(base_url=runner.url, timeout=30) as client:

        async def is_back() -> bool:
            return (await client.get("/health")).status_code == 200

        await eventually(lambda: int_of(data_dir) not in {None, postmaster})
        await eventually(is_back)
    assert runner.stop() == 0


def int_of(data_dir: Path) -> int | None:
    try:
        return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError):
        return None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("DATABASE_URL", "postgresql://tournee@127.0.0.1:9/postgres"),
        ("BUS_URL", "kafka://127.0.0.1:9092"),
    ],
)
def test_a_bad_value_stops_the_start_and_names_the_variable(start: Start, variable: str, value: str) -> None:
    runner = start({variable: value})
    assert runner.end() == 2
    assert variable in runner.errors
    assert "Traceback" not in runner.errors


def test_a_taken_port_is_named(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        runner = start({"PORT": str(taken.getsockname()[1])})
        assert runner.end() == 2
    assert "PORT" in runner.errors


def test_a_closed_parent_folder_is_named(start: Start, data_dir: Path) -> None:
    closed = data_dir / "closed"
    closed.mkdir(mode=0o700 if os.geteuid() == 0 else 0o500)
    runner = start({"DATA_DIR": str(closed / "var")})
    assert runner.end() == 1
    assert str(closed) in runner.errors


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user already runs all of these tests")
def test_an_ordinary_user_runs_it_too(start: Start, data_dir: Path) -> None:
    ordinary = as_nobody(data_dir)
    own = data_dir / "own"
    own.mkdir()
    os.chown(own, 65534, 65534)
    runner = start({"DATA_DIR": str(own)}, **ordinary).ready()
    assert httpx.get(f"{runner.url}/health").status_code == 200
    assert (own / "postgres").stat().st_uid == 65534
    assert runner.stop() == 0


def test_a_server_of_ones_own_and_a_mail_server_are_used(
    start: Start, data_dir: Path, postgres_url: str
) -> None:
    runner = start(
        {"DATABASE_URL": postgres_url, "SMTP_URL": "smtp://127.0.0.1:9", "INSTANCE": "own-server"}
    ).ready()
    with runner.client as client:
        assert client.get("/health").status_code == 200
        assert client.get("/boite-envoi").status_code == 404
    assert not (data_dir / "postgres").exists()
    assert runner.stop() == 0


def test_help_is_what_make_says_by_itself() -> None:
    # Without what a make that runs these tests hands down: a make below it says which folder it enters.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(["make"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "make run" in done.stdout
    assert len(done.stdout.splitlines()) <= 10
