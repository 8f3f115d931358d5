"""The reverse proxy in front of the replicas: Caddy, with deploy/Caddyfile."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

CADDYFILE = Path(__file__).with_name("Caddyfile")


class NoCaddy(Exception):
    """There is no Caddy on this machine; the text says how to get it."""


def command() -> list[str]:
    """How to run it in the foreground; raises `NoCaddy`."""
    program = shutil.which("caddy")
    if program is None:
        raise NoCaddy(
            "Il manque Caddy, le serveur mandataire. Sur Debian : sudo apt-get install caddy "
            "(ou, comme root : bash deploy/install.sh proxy)."
        )
    return [program, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]


def environment(host: str, port: int, upstreams: Mapping[str, Sequence[str]], home: Path) -> dict[str, str]:
    """What the Caddyfile asks of the environment; `upstreams` are the replicas of each service."""
    names = {name.upper(): " ".join(replicas) for name, replicas in upstreams.items()}
    return names | {"SITE": f":{port}", "BIND": f"[{host}]" if ":" in host else host, "HOME": str(home)}
