"""Kafka's jars: fetched once with Maven, kept outside the tree by version.

`python -m deploy.kafka.jars` fetches them if they aren't there yet.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
_INSTALL = "bash deploy/install.sh kafka"


class NoKafka(Exception):
    """Kafka's programs can't be had; the text says what is missing, for the person at the terminal."""


def class_path() -> str:
    """What Java needs to run Kafka's programs; fetches the jars on first use. Raises `NoKafka`."""
    return f"{_jars()}/*"


def java() -> str:
    """The Java program; `NoKafka` when there is none."""
    return _program("java")


def _jars() -> Path:
    """The folder with the jars that the pom pins: another pom is another folder."""
    pom = POM.read_bytes()
    version = re.search(rb"<kafka\.version>([^<]+)<", pom)
    assert version is not None
    name = f"{version[1].decode()}-{hashlib.sha256(pom).hexdigest()[:8]}"
    folder = _cache() / name
    if not folder.exists():
        with _one_at_a_time(folder.with_name(f"{name}.lock")):
            if not folder.exists():
                _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    print("Les programmes de Kafka sont téléchargés (une seule fois)…", file=sys.stderr, flush=True)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [_program("mvn"), "--batch-mode", "--quiet", "--file", str(POM)]
    command += ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"]
    done = subprocess.run(command, cwd="/", capture_output=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise NoKafka(f"Maven n’a pas pu télécharger Kafka :\n{said[-2000:]}")
    # Renamed when complete: never half of them.
    unfinished.rename(folder)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise NoKafka(f"Il manque « {name} », dont Kafka a besoin. Lancez : {_INSTALL}")
    return path


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "tournee" / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        print(class_path())
    except NoKafka as error:
        sys.exit(str(error))
