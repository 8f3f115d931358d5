"""The embedded PostgreSQL server of one data folder: made, started, watched and stopped."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from deploy.binaries import Binaries, find_binaries
from deploy.datadir import kept, rotate, write_private
from deploy.parent import die_with_parent
from deploy.unprivileged import Account, account_for

_ADMIN = "tournee_admin"
_PORTS = range(20_000, 32_000)
"""Below what the kernel hands out to outgoing connections, so that a kept port stays free."""
_PATIENCE = 30.0
"""Seconds for a start, a stop, or the crash recovery that comes first."""
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


class CannotStart(Exception):
    """The server can't be started; the text says why, for the person at the terminal."""


class EmbeddedServer:
    """A PostgreSQL server that is our own child; `url` is its administrator's address.

    Whoever starts one holds the data folder's lock: a server that is found there is a leftover.
    """

    def __init__(self, data_dir: Path, account: Account, binaries: Binaries, *, durable: bool) -> None:
        self._data_dir = data_dir
        self._cluster = data_dir / "postgres"
        self._log = data_dir / "postgres.log"
        self._account = account
        self._binaries = binaries
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return server_url(self._data_dir)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """A fast shutdown: sessions are ended, everything is on disk; does nothing when it is stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        # A fast shutdown is always safe; the harsher signals only cost a recovery at the next start.
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_PATIENCE)
                return

    async def keep_running(self, stop: asyncio.Event) -> None:
        """Start the server again, on the same port, whenever it dies before `stop` is set."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await stop.wait()
            if self._process is not None and self._process.poll() is not None and not stop.is_set():
                print("PostgreSQL s’est arrêté : nouveau démarrage.", flush=True)
                # Not in another thread: the kernel ties the death signal to the thread that starts it.
                for pause in self._starting():
                    await asyncio.sleep(pause)

    def start(self) -> None:
        """Stop what is left of an earlier run, then start and wait until connections are taken."""
        for pause in self._starting():
            time.sleep(pause)

    def _starting(self) -> Iterator[float]:
        """A start, step by step: the caller waits as many seconds as each step says."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            yield from _stopping_leftovers(self._cluster)
            rotate(self._log)
            seen = self._log.stat().st_size if self._log.exists() else 0
            self._process = self._spawn()
            yield from self._becoming_ready(self._process, deadline)
            if self._process.poll() is None:
                return
            said = self._log.read_bytes()[seen:].decode(errors="replace").strip()
            # Memory of a server that was killed is let go within seconds, once its last child has left; and
            # what killed it, as a machine that is out of memory does, may have killed its recovery too.
            passes = "shared memory block" in said or self._process.returncode < 0
            if "could not bind" in said:
                _choose_port(self._data_dir)
            elif not (passes and time.monotonic() < deadline):
                raise CannotStart(f"PostgreSQL n’a pas démarré. Son journal ({self._log}) dit :\n{said}")
            yield 0.2

    def _spawn(self) -> subprocess.Popen[bytes]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(_port(self._data_dir)),
            # No socket file: its path has a limit of 107 bytes, and TCP is all that is needed.
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            # A server that has just been made fills each new 16 MB of its log with zeros: in a rush, half a
            # second's worth of writing, and 50 ms for which everybody waits.
            "wal_init_zero": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # A failing statement or the row it failed on may name a person: neither goes to the log.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
            **({} if self._durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with open(self._log, "ab", opener=_private) as log:
            return subprocess.Popen(
                [self._binaries.program("postgres"), "-D", str(self._cluster), *flags],
                **self._account.popen,
                cwd="/",
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at the terminal is for the runner, which stops the server last.
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGINT),
            )

    def _becoming_ready(self, process: subprocess.Popen[bytes], deadline: float) -> Iterator[float]:
        """Wait until the server says that it takes connections, or has ended."""
        while process.poll() is None:
            lines = _pid_file(self._cluster)
            if len(lines) > 7 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready":
                return
            if time.monotonic() > deadline:
                self.stop()
                raise CannotStart(f"PostgreSQL n’est pas prêt après {_PATIENCE:.0f} s : voir {self._log}.")
            yield 0.01


def start(data_dir: Path, *, major: int | None = None, durable: bool = True) -> EmbeddedServer:
    """Start the server of `data_dir`, made there on first use.

    `major` chooses a version for a new folder (an existing one keeps its own); `durable=False` is for
    tests only. Raises `CannotStart` or `NoPostgres` with a sentence for the person at the terminal.
    Call it from the main thread: the server is told to stop when the thread that started it ends.
    """
    data_dir = data_dir.resolve()
    cluster = data_dir / "postgres"
    account = account_for(cluster)
    _open_the_way(data_dir, account)
    binaries = find_binaries(account, data_dir, _major_of(cluster) or major)
    if _major_of(cluster) is None:
        _create(cluster, account, binaries, kept(data_dir / "postgres-password"))
    server = EmbeddedServer(data_dir, account, binaries, durable=durable)
    server.start()
    return server


@contextlib.contextmanager
def running(data_dir: Path, *, major: int | None = None, durable: bool = True) -> Iterator[str]:
    """`start`, then the administrator's URL, then `stop`."""
    server = start(data_dir, major=major, durable=durable)
    try:
        yield server.url
    finally:
        server.stop()


def server_url(data_dir: Path) -> str:
    """The administrator's URL of the embedded server of `data_dir`, running or not."""
    password = kept(data_dir / "postgres-password")
    return f"postgresql://{_ADMIN}:{password}@127.0.0.1:{_port(data_dir)}/postgres"


def _open_the_way(data_dir: Path, account: Account) -> None:
    """See that `account` reaches the data folder; the folders above belong to others and stay as they are."""
    if not account.popen:
        if not os.access(data_dir, os.W_OK | os.X_OK):
            raise CannotStart(f"DATA_DIR ({data_dir}) n’est pas accessible en écriture.")
        return
    closed = account.first_closed([*reversed(data_dir.parents)])
    if closed is not None:
        raise CannotStart(
            f"PostgreSQL refuse de fonctionner en tant que root. Le compte « {account.name} » "
            f"le fait donc tourner, mais il ne peut pas traverser le dossier {closed}. "
            "Choisissez un DATA_DIR dans un dossier ouvert à tous, par exemple /var/lib/tournee."
        )
    if account.first_closed([data_dir]) is not None:
        # Our own folder: passing through it shows nothing, every file in it is private by itself.
        data_dir.chmod(data_dir.stat().st_mode | 0o011)


def _major_of(cluster: Path) -> int | None:
    try:
        return int((cluster / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise CannotStart(
            f"{cluster} appartient à un autre compte. Démarrez avec le même compte que la première fois."
        ) from error


def _create(cluster: Path, account: Account, binaries: Binaries, password: str) -> None:
    """A new cluster, UTF-8 and passwords only, made aside and renamed: never half of one."""
    unfinished = cluster.with_name("postgres.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file = cluster.with_name("postgres-password.initdb")
    write_private(password_file, password.encode())
    for path in (unfinished, password_file):
        os.chown(path, account.uid, account.gid)
    command = [binaries.program("initdb"), "-D", str(unfinished), "-U", _ADMIN, "-E", "UTF8"]
    command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--locale=C.UTF-8", "-T", "simple"]
    if binaries.major >= 17:
        # The same on every machine: no sort order that changes with the system's C library.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        done = subprocess.run(
            command, **account.popen, cwd="/", env=_ENVIRONMENT, capture_output=True, check=False
        )
    finally:
        password_file.unlink()
    if done.returncode:
        raise CannotStart(
            f"La base de données n’a pas pu être créée :\n{done.stderr.decode(errors='replace').strip()}"
        )
    unfinished.rename(cluster)


def _port(data_dir: Path) -> int:
    text = kept(data_dir / "postgres-port", lambda: str(free_port()))
    return int(text)


def _choose_port(data_dir: Path) -> None:
    write_private(data_dir / "postgres-port", f"{free_port()}\n".encode())


def free_port() -> int:
    """A loopback port that nobody uses just now, and that the kernel gives to nobody by itself."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CannotStart(f"Aucun port libre entre {_PORTS.start} et {_PORTS.stop}.")


def stop_leftovers(cluster: Path) -> None:
    """End what an earlier, killed run left at work in `cluster`."""
    for pause in _stopping_leftovers(cluster):
        time.sleep(pause)


def _stopping_leftovers(cluster: Path) -> Iterator[float]:
    """Gently first; the caller waits as many seconds as each step says."""
    deadline = time.monotonic() + _PATIENCE
    while left := at_work_in(cluster):
        lines = _pid_file(cluster)
        postmaster = int(lines[0]) if lines and lines[0].strip().isdigit() else None
        gently = time.monotonic() < deadline
        for pid in [postmaster] if postmaster in left else left:
            assert pid is not None
            with contextlib.suppress(ProcessLookupError):
                os.kill(
                    pid,
                    (signal.SIGINT if pid == postmaster else signal.SIGQUIT) if gently else signal.SIGKILL,
                )
        yield 0.05
    # Nobody works here: a pid file that is left names a process of another life of the machine.
    if Path("/proc/self").exists():
        (cluster / "postmaster.pid").unlink(missing_ok=True)


def at_work_in(cluster: Path) -> list[int]:
    """The processes whose working folder is `cluster`: a server and its children have it as theirs."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "cwd") == str(cluster):
                found.append(int(entry.name))
    return found


def _pid_file(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
