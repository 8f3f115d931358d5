"""The instance's own folder: one runner at a time, and the secrets that nobody had to choose."""

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Self

_LOG_LIMIT = 5_000_000


class DataDirBusy(Exception):
    """Another runner works on this folder."""


class DataDirUnusable(Exception):
    """The folder can't be used; the text says why."""


class DataDir:
    """`DATA_DIR`, locked from `open` until `close` or the end of the process, however it ends."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Create `path` if it is missing and lock it, or raise `DataDirBusy` / `DataDirUnusable`."""
        path = path.resolve()
        try:
            path.mkdir(parents=True, exist_ok=True)
            # A kernel lock and not a pid file: it can't outlive its holder or name a stranger's process.
            lock = os.open(path / "runner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirUnusable(f"DATA_DIR ({path}) est inutilisable : {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "?"
            os.close(lock)
            raise DataDirBusy(
                f"Tournée fonctionne déjà sur {path} (processus {holder}). "
                "Arrêtez-la d’abord, ou choisissez un autre DATA_DIR."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return cls(path, lock)

    def close(self) -> None:
        os.close(self._lock)

    def kept(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
        """The text kept in file `name`, made on first use; readable by its owner only."""
        return kept(self.path / name, make)


def holder(path: Path) -> int | None:
    """The process that works on this folder now; None when nobody does."""
    try:
        lock = os.open(path / "runner.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(lock, 32, 0))
    finally:
        os.close(lock)
    return None


def kept(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
    """The text in file `path`, made and written first if the file is missing or empty."""
    try:
        if text := path.read_text(encoding="utf-8").strip():
            return text
    except FileNotFoundError:
        pass
    text = make()
    write_private(path, f"{text}\n".encode())
    return text


def write_private(path: Path, content: bytes) -> None:
    """Put `content` into `path`, mode 0600, whole or not at all, even when the machine stops meanwhile."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def rotate(log: Path) -> None:
    """Put a log that has grown long aside, in the place of the one before."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
