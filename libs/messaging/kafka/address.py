"""Where a Kafka is and how to come in: the `kafka://` URL, read strictly.

    kafka://user:password@host:port,host:port?security=sasl_ssl&ca=/path/ca.pem&mechanism=scram-sha-512

`security` is `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`; without it, a user means `sasl_ssl` and
nobody `plaintext`. `ca` is the PEM file that vouches for the brokers (default: the system's). `mechanism`
is `scram-sha-512` (default), `scram-sha-256` or `plain`. Special characters of a password are
percent-encoded.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

SCHEME = "kafka://"
_SECURITY = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
_MECHANISMS = ("scram-sha-512", "scram-sha-256", "plain")
_PARAMETERS = ("security", "ca", "mechanism")
_DEFAULT_PORT = "9092"


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """A cluster as one client sees it; `servers` are those to ask first, `host:port`."""

    servers: tuple[str, ...]
    security: str = "plaintext"
    user: str | None = None
    password: str | None = None
    mechanism: str = "scram-sha-512"
    ca: str | None = None

    def options(self) -> dict[str, Any]:
        """The arguments that each of aiokafka's clients takes to connect."""
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "security_protocol": self.security.upper(),
        }
        if self.security.endswith("ssl"):
            options["ssl_context"] = ssl.create_default_context(cafile=self.ca)
        if self.user is not None:
            options |= {
                "sasl_mechanism": self.mechanism.upper(),
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return options


def read_address(url: str) -> KafkaAddress:
    """The address in `url`; ValueError with a sentence that doesn't quote it, since it holds a password."""
    if not url.startswith(SCHEME):
        raise ValueError("donnez une adresse comme kafka://hôte:port,hôte:port")
    rest, _, query = url.removeprefix(SCHEME).partition("?")
    user_info, at, hosts = rest.rpartition("@")
    user, password = _user(user_info) if at else (None, None)
    given = _parameters(query)
    security = given.get("security", "sasl_ssl" if user is not None else "plaintext")
    if security not in _SECURITY:
        raise ValueError("« security » est l’un de " + ", ".join(_SECURITY))
    if security.startswith("sasl") != (user is not None):
        raise ValueError(
            f"avec security={security}, "
            + ("il faut un compte : kafka://compte:secret@hôte" if user is None else "il n’y a pas de compte")
        )
    mechanism = given.get("mechanism", _MECHANISMS[0])
    if mechanism not in _MECHANISMS:
        raise ValueError("« mechanism » est l’un de " + ", ".join(_MECHANISMS))
    if "mechanism" in given and user is None:
        raise ValueError("« mechanism » ne va qu’avec un compte")
    ca = given.get("ca")
    if ca is not None and not security.endswith("ssl"):
        raise ValueError("« ca » ne va qu’avec security=ssl ou sasl_ssl")
    if ca is not None and not Path(ca).is_file():
        raise ValueError("le fichier que « ca » nomme n’existe pas")
    return KafkaAddress(_servers(hosts.rstrip("/")), security, user, password, mechanism, ca)


def _user(info: str) -> tuple[str, str]:
    user, colon, password = info.partition(":")
    if not (user and colon and password):
        raise ValueError("donnez le compte et son secret : kafka://compte:secret@hôte")
    return unquote(user), unquote(password)


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("ce qui suit le « ? » est fait de nom=valeur, séparés par « & »") from None
    names = [name for name, _ in pairs]
    unknown = sorted(set(names) - set(_PARAMETERS))
    if unknown:
        raise ValueError(f"« {unknown[0]} » n’est pas l’un de " + ", ".join(_PARAMETERS))
    if len(set(names)) < len(names):
        raise ValueError("un paramètre est donné deux fois")
    return dict(pairs)


def _servers(hosts: str) -> tuple[str, ...]:
    return tuple(_server(host) for host in hosts.split(","))


def _server(host: str) -> str:
    name, port = host, _DEFAULT_PORT
    if ":" in host.rpartition("]")[2]:
        name, _, port = host.rpartition(":")
    if not name or "/" in name or (":" in name and not name.startswith("[")):
        raise ValueError("donnez des serveurs comme hôte:port,hôte:port")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError("le port n’est pas un nombre de 1 à 65535")
    return f"{name}:{port}"
