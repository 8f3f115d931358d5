"""The bus that BUS_URL names: Kafka, PostgreSQL, or, when nothing is named, the instance's own server."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from libs.messaging.bus import Bus
from libs.messaging.kafka.address import SCHEME
from libs.messaging.kafka.provision import CannotServe, provision_kafka
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.postgres import PostgresBus, bus_url, provision_bus
from libs.messaging.topics import Topic
from libs.settings import BadSettings, Settings


async def provision_streams(server_url: str, settings: Settings, topics: Sequence[Topic]) -> None:
    """Make the streams that are missing. Raises `BadSettings` when they are there and other than declared."""
    if not _is_kafka(settings.bus_url):
        bus_server = _server(server_url, settings)
        await provision_bus(bus_server, settings.instance, settings.secret, topics)
        return
    assert settings.bus_url is not None
    try:
        await provision_kafka(
            settings.bus_url, settings.instance, topics, replication=settings.kafka_replication
        )
    except CannotServe as error:
        raise BadSettings(f"BUS_URL : {error}.") from error


def open_bus(name: str, settings: Settings, server_url: str) -> Bus:
    """The bus as the service `name` has it; it connects at its first use."""
    if _is_kafka(settings.bus_url):
        assert settings.bus_url is not None
        return KafkaBus(settings.bus_url, instance=settings.instance, service=name)
    return PostgresBus(bus_url(_server(server_url, settings), settings.instance, name, settings.secret))


def open_national_bus(url: str, instance: str) -> Bus:
    """The national bus as the bridge of `instance` has it; `url` is what the national instance gave it."""
    if _is_kafka(url):
        return KafkaBus(url, instance=instance, service="bridge")
    return PostgresBus(url)


def server_database(url: str) -> str:
    """The server's address with a database to connect to: `postgres` unless the address names one."""
    parts = urlsplit(url)
    path = parts.path if parts.path.strip("/") else "/postgres"
    return parts._replace(scheme="postgresql", path=path).geturl()


def _is_kafka(url: str | None) -> bool:
    return url is not None and url.startswith(SCHEME)


def _server(server_url: str, settings: Settings) -> str:
    return server_url if settings.bus_url is None else server_database(settings.bus_url)
