"""The programs that an instance in several processes is made of, and what each of them is told."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from deploy import postgres, proxy
from deploy.child import Child
from deploy.dispatch import OPERATIONS
from deploy.hosting import SERVICES
from deploy.local import say
from libs.messaging.kafka.address import SCHEME
from libs.settings import Settings

_ROOT = Path(__file__).parents[1]
_DRAIN = 2.5
"""Seconds: the proxy looks every second, and has seen in this time who leaves."""


@dataclass(frozen=True, slots=True)
class Programs:
    """`replicas` can be replaced one by one; `others` are there once."""

    replicas: Sequence[Child]
    others: Sequence[Child]

    @property
    def all(self) -> Sequence[Child]:
        return [*self.replicas, *self.others]


def all_programs(settings: Settings, server_url: str, replicas: int, client: httpx.AsyncClient) -> Programs:
    """`replicas` processes of each service, what concerns them all, and the proxy in front of them.

    Each keeps the free port that it gets here over its restarts. `client` asks them how they are.
    """
    names = [name for name in SERVICES for _ in range(replicas)]
    *ports, operations_port, mail_port = _free_ports(len(names) + 2)
    addresses = [(name, f"127.0.0.1:{port}") for name, port in zip(names, ports, strict=True)]
    upstreams: dict[str, list[str]] = {OPERATIONS: [f"127.0.0.1:{operations_port}"]}
    for name, address in addresses:
        upstreams.setdefault(name, []).append(address)
    environment = environment_of(settings, server_url)
    environment["REPLICAS"] = " ".join(f"{name}={address}" for name, address in addresses)
    if settings.mail_catcher:
        environment["SMTP_URL"] = f"smtp://127.0.0.1:{mail_port}"
    logs = settings.data_dir / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)

    def python(name: str, module: Sequence[str], address: str, asked: str) -> Child:
        command = [sys.executable, "-m", *module]
        own = environment | {"PORT": address.rpartition(":")[2]}
        is_ready = _Question(client, f"http://{address}{asked}")
        return Child(name, command, own, logs / f"{name}.log", is_ready, say)

    return Programs(
        [
            python(
                f"{name}-{upstreams[name].index(address) + 1}",
                ["deploy.service", name],
                address,
                f"/health/{name}",
            )
            for name, address in addresses
        ],
        [
            python(OPERATIONS, ["deploy.operations"], upstreams[OPERATIONS][0], "/metrics"),
            _proxy(settings, upstreams, client),
        ],
    )


def _proxy(settings: Settings, upstreams: Mapping[str, Sequence[str]], client: httpx.AsyncClient) -> Child:
    home = settings.data_dir / "caddy"
    home.mkdir(mode=0o700, exist_ok=True)
    here = settings.model_copy(update={"public_url": None}).base_url
    return Child(
        "proxy",
        proxy.command(),
        {"PATH": os.defpath} | proxy.environment(settings.host, settings.port, upstreams, home),
        settings.data_dir / "logs" / "proxy.log",
        # Through it to all of them.
        _Question(client, f"{here}/health"),
        say,
    )


@dataclass(frozen=True, slots=True)
class _Question:
    """Whether `url` answers 200."""

    client: httpx.AsyncClient
    url: str

    async def __call__(self) -> bool:
        try:
            return (await self.client.get(self.url)).status_code == 200
        except httpx.HTTPError:
            return False


def environment_of(settings: Settings, server_url: str) -> dict[str, str]:
    """`settings` as a service of its own reads them, with a database address without the administrator."""
    own = {name: getattr(settings, name) for name in Settings.model_fields}
    own |= {
        "host": "127.0.0.1",
        "database_url": _without_user(server_url),
        "bus_url": _bus_without_user(settings.bus_url),
        "public_url": settings.base_url,
        "drain_seconds": settings.drain_seconds or _DRAIN,
    }
    texts = {name.upper(): _text(value) for name, value in own.items() if value is not None}
    return {"PATH": os.defpath, "PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"} | texts


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _bus_without_user(url: str | None) -> str | None:
    # On Kafka it is the services' own account.
    return url if url is None or url.startswith(SCHEME) else _without_user(url)


def _free_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(postgres.free_port())
    return list(ports)
