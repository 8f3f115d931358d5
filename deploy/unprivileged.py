"""As whom the database's programs run: PostgreSQL refuses root, so root lends it an ordinary account."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


class _As(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that owns the database's files."""

    name: str
    uid: int
    gid: int

    @property
    def popen(self) -> _As:
        """What `subprocess` needs to run a program as this account; nothing when it is our own."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def first_closed(self, folders: Sequence[Path]) -> Path | None:
        """The first of `folders` that this account can't pass, asked of the system itself."""
        script = 'for folder; do test -x "$folder" || { printf %s "$folder"; exit; }; done'
        command = ["/bin/sh", "-c", script, "sh", *map(str, folders)]
        answer = subprocess.run(command, **self.popen, cwd="/", capture_output=True, check=True)
        return Path(os.fsdecode(answer.stdout)) if answer.stdout else None


def account_for(folder: Path) -> Account:
    """Who runs the server whose files are, or will be, in `folder`.

    Ourselves, unless we are root: then whoever owns the files already, or `postgres`, or `nobody`.
    """
    if os.geteuid() != 0:
        return _account(pwd.getpwuid(os.geteuid()))
    if folder.exists() and folder.stat().st_uid != 0:
        owner = folder.stat()
        return Account(str(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    return Account("65534", 65534, 65534)


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
