"""The bus that BUS_URL names: a Kafka, or else a PostgreSQL server."""

from collections.abc import Sequence

from libs.messaging.bus import Bus
from libs.messaging.kafka.address import SCHEME
from libs.messaging.kafka.provision import CannotServe, provision_kafka
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.postgres import PostgresBus, bus_url, provision_bus
from libs.messaging.topics import Topic
from libs.settings import BadSettings, Settings


def is_kafka(url: str | None) -> bool:
    return url is not None and url.startswith(SCHEME)


async def provision_streams(address: str, settings: Settings, topics: Sequence[Topic]) -> None:
    """Make the streams of the instance that are missing on the bus at `address`.

    Raises `BadSettings` when a Kafka has them other than declared, or can't be reached.
    """
    if not is_kafka(address):
        await provision_bus(address, settings.instance, settings.secret, topics)
        return
    try:
        await provision_kafka(address, settings.instance, topics, replication=settings.kafka_replication)
    except CannotServe as error:
        raise BadSettings(f"BUS_URL : {error}.") from error


def open_bus(address: str, settings: Settings, service: str) -> Bus:
    """The bus at `address` as `service` has it; it connects at its first use."""
    if is_kafka(address):
        return KafkaBus(address, instance=settings.instance, service=service)
    return PostgresBus(bus_url(address, settings.instance, service, settings.secret))
