"""Commands that take no argument: whoever gives one, or asks what they do, sets nothing going."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("command", ["audit", "prepare", "restore", "tallies"])
@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("tout", 2)])
def test_an_argument_sets_nothing_going(data_dir: Path, command: str, argument: str, code: int) -> None:
    folder = data_dir / "var"
    ended = subprocess.run(
        [sys.executable, "-m", f"deploy.{command}", argument],
        env={"DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code
    assert f"python -m deploy.{command}" in ended.stdout + ended.stderr
    assert not folder.exists()
