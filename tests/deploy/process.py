"""Running instances as people do: whole processes, watched from outside."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from deploy import postgres

ROOT = Path(__file__).parents[2]
READY = "Pour arrêter"


class Runner:
    """`python -m deploy.local` (or another module) on `data_dir`, with nothing else in its environment."""

    def __init__(
        self,
        data_dir: Path,
        environment: Mapping[str, str] = {},
        *,
        module: Sequence[str] = ("deploy.local",),
        python: Sequence[str] = (sys.executable,),
        command: Sequence[str] = (),
        root: Path = ROOT,
        **popen: object,
    ) -> None:
        self.data_dir = data_dir
        self.lines: list[str] = []
        self.errors = ""
        self.process: subprocess.Popen[str] = subprocess.Popen(
            command or [*python, "-m", *module],
            cwd=root,
            env={"PATH": os.defpath, "DATA_DIR": str(data_dir), "PORT": "0", "DEMO": "0", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **popen,  # type: ignore[call-overload]
        )
        # Somebody must read the log, or a full pipe would stop the process.
        self._log = threading.Thread(target=self._keep_errors, daemon=True)
        self._log.start()

    def _keep_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors += line

    def ready(self) -> "Runner":
        """Read what it says until it is ready; fails with its log when it ends instead."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith(READY):
                return self
        self.end()
        raise AssertionError(f"the runner ended with {self.process.returncode}:\n{self.errors}")

    @property
    def url(self) -> str:
        return self._place("Calendrier").rstrip("/")

    @property
    def token(self) -> str:
        return self._place("Coordination").rpartition("/")[2]

    @property
    def client(self) -> httpx.Client:
        """As staff."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30)

    def _place(self, name: str) -> str:
        return next(line.split()[-1] for line in self.lines if line.strip().startswith(name))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.end()

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        code: int = self.process.wait()
        self._log.join()
        if not self.process.stdout.closed:
            self.lines += self.process.stdout.read().splitlines()
            self.process.stdout.close()
            self.process.stderr.close()
        return code


def kill_database(data_dir: Path) -> None:
    """kill -9 for every process of the embedded server; some may be ending already."""
    for pid in postgres.at_work_in(data_dir / "postgres"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def as_nobody(folder: Path) -> dict[str, object]:
    """How an ordinary user runs the same tree: where it can't reach ours, it gets a copy in `folder`.

    For `Runner(…, **as_nobody(folder))`; only root can lend that user.
    """
    account = {"user": 65534, "group": 65534, "extra_groups": []}

    def works(python: str, packages: Path, root: Path) -> bool:
        command = [python, "-c", "import deploy.local"]
        environment = {"PATH": os.defpath, "PYTHONPATH": str(packages)}
        try:
            done: subprocess.CompletedProcess[bytes] = subprocess.run(  # type: ignore[call-overload]
                command, cwd=root, env=environment, capture_output=True, **account
            )
        except OSError:
            return False
        return done.returncode == 0

    packages, root = Path(httpx.__file__).parents[1], ROOT
    pythons = [sys.executable, os.path.realpath(sys.executable), "/usr/bin/python3"]
    for copied in (False, True):
        if copied:
            root, packages = folder / "tree", shutil.copytree(packages, folder / "packages")
            for part in ("libs", "services", "deploy", "data"):
                shutil.copytree(ROOT / part, root / part)
        for python in pythons:
            if works(python, packages, root):
                path = ["/usr/bin/env", f"PYTHONPATH={packages}", python]
                return {"python": path, "root": root, **account}
    raise AssertionError(f"no Python that an ordinary user can run: tried {pythons}")
