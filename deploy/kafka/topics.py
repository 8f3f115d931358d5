"""`python -m deploy.kafka.topics`: makes or checks INSTANCE's topics on the Kafka of BUS_URL.

Services do the same at their start; on a Kafka with permissions their accounts may only check.
"""

import asyncio
import sys

from libs.messaging import topics
from libs.messaging.kafka.address import SCHEME
from libs.messaging.kafka.provision import CannotServe, provision_kafka
from libs.settings import BadSettings, Settings, read_settings


def main() -> int:
    try:
        asyncio.run(_provision(read_settings()))
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    return 0


async def _provision(settings: Settings) -> None:
    if settings.bus_url is None or not settings.bus_url.startswith(SCHEME):
        raise BadSettings("BUS_URL : donnez l’adresse d’un Kafka, kafka://hôte:port.")
    streams = [*topics.ALL, *topics.federated(settings.instance).values()]
    try:
        await provision_kafka(
            settings.bus_url, settings.instance, streams, replication=settings.kafka_replication
        )
    except CannotServe as error:
        raise BadSettings(f"BUS_URL : {error}.") from error
    print(f"Les {len(streams)} sujets de {settings.instance} sont là.")


if __name__ == "__main__":
    sys.exit(main())
