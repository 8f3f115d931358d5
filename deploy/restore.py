"""After a backup of the databases was put back, before anything runs: `python -m deploy.restore`.

Whatever was said since the backup is out: on the bus, in people's calendars, in the national view. So each
service begins a new epoch, above any that stands on the bus, and says everything that it knows again; what
the backup knows nothing of is taken back. Nobody is told: the cause `restored` is silent, and SEQUENCE rises
above any that was sent. National staff must confirm the new epoch before anything of it counts there.

Groups stay where they are on the bus: all that they could have missed is said again, and what they have read
since the backup must not be taken for news (a mail would go out twice). Only the national view, whose streams
come from other instances, reads them again (docs/decisions/0021).
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from secrets import token_hex

import sqlalchemy as sa
import uvloop

from deploy import postgres
from deploy.binaries import NoPostgres
from deploy.buses import open_bus, server_database
from deploy.datadir import DataDir, DataDirBusy, DataDirUnusable
from deploy.hosting import opened, prepare
from deploy.local import completed
from libs.messaging import topics
from libs.messaging.backoff import pause
from libs.messaging.bus import Bus, BusUnavailable, Message, Received
from libs.messaging.envelope import NotUnderstood, read_envelope
from libs.messaging.outbox import Relay
from libs.messaging.topics import Topic
from libs.settings import BadSettings, Settings, read_settings
from libs.web import logs
from libs.web.app import Service
from services.events import restoring as events
from services.exporter import restoring as exporter
from services.national import restoring as national
from services.notifications import restoring as notifications
from services.notifications.reached import announce_reached
from services.registrations import announcing
from services.registrations import restoring as registrations

_RESTORED = ("events", "registrations", "notifications", "exporter")
"""Those that announce something or keep what was announced."""

_LOOK_SECONDS = 0.05

Standing = Mapping[Topic, Mapping[str, Message]]
"""The newest message about each key of each stream, tombstones too."""


def main() -> int:
    """The exit code: 0 done, 1 the instance runs or can't start, 2 a setting is bad."""
    argparse.ArgumentParser(prog="python -m deploy.restore", description=__doc__).parse_args()
    try:
        logs.configure()
        read = read_settings()
        if read.database_url is not None:
            uvloop.run(restore(read, server_database(read.database_url)))
            return 0
        data = DataDir.open(read.data_dir)
        server = postgres.start(data.path)
        try:
            uvloop.run(restore(completed(read, data, read.port), server.url))
        finally:
            server.stop()
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    except BusUnavailable:
        print("BUS_URL : le bus ne répond pas. Démarrez-le, puis recommencez.", file=sys.stderr)
        return 1
    except (DataDirBusy, DataDirUnusable, postgres.CannotStart, NoPostgres) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def restore(settings: Settings, server_url: str) -> None:
    """Begin a new epoch everywhere; done again after a failure it begins another."""
    await prepare(server_url, settings)
    async with AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(opened(name, settings, server_url)) for name in _RESTORED
        }
        standing: dict[Topic, Mapping[str, Message]] = {}
        for topic in topics.streams(settings.instance):
            bus = open_bus(topic.readers[0], settings, server_url)
            stack.push_async_callback(bus.close)
            standing[topic] = await _read(bus, topic)
        epoch = 1 + max([await _epoch(service) for service in services.values()] + [_newest(standing)])
        print(f"L’époque {epoch} commence.", flush=True)
        await _restate(services, epoch, standing)
        for service in services.values():
            await _send(service)
        country = await stack.enter_async_context(opened("national", settings, server_url))
        streams = await national.read_again(country.database, country.bus)
        print(f"  vue nationale : {streams} flux à relire")
    print("Tout est redit. Démarrez l’instance, et prévenez le service national : il confirme l’époque.")


async def _restate(services: Mapping[str, Service], epoch: int, standing: Standing) -> None:
    settings = services["events"].settings
    # Only of what stands can anything be taken back.
    known = {
        topic: {key: one.partition_key for key, one in messages.items() if one.value is not None}
        for topic, messages in standing.items()
    }
    async with services["exporter"].database.transaction() as tx:
        out = {
            stream: {key: one for key, one in standing[topic].items() if one.value is not None}
            for stream, topic in topics.federated(settings.instance).items()
            if stream != "heartbeat"
        }
        await exporter.remember(tx, epoch, out)
    async with services["notifications"].database.transaction() as tx:
        await notifications.restate(tx, settings, epoch, known[topics.REACHED])
        people = await notifications.copies(tx)
    await announce_reached(services["notifications"].database, settings)
    async with services["events"].database.transaction() as tx:
        said = await events.restate(tx, settings, epoch, dict(known))
        print(f"  séances : {said} messages")
    async with services["registrations"].database.transaction() as tx:
        everybody = {**people, **known[topics.REGISTRATIONS]}
        told = await registrations.restate(tx, settings, epoch, {**known, topics.REGISTRATIONS: everybody})
        print(f"  inscriptions : {told}")
    await announcing.announce_seats(services["registrations"].database, settings)
    await announcing.announce_reach(services["registrations"].database, settings)


async def _epoch(service: Service) -> int:
    async with service.database.reading() as tx:
        return int((await tx.execute(sa.text("select epoch from epoch"))).scalar_one())


def _newest(standing: Standing) -> int:
    """The newest epoch on the bus, of an instance that was restored before."""
    found = [0]
    for messages in standing.values():
        for message in messages.values():
            try:
                found.append(read_envelope(message).epoch)
            except NotUnderstood:
                continue
    return max(found)


async def _read(bus: Bus, topic: Topic) -> Mapping[str, Message]:
    """Everything in a stream, as a group that nobody else is in."""
    group, stop = f"restore-{token_hex(4)}", asyncio.Event()
    found: dict[str, Message] = {}

    async def keep(batch: Sequence[Received]) -> None:
        # Messages of one key come in order.
        found.update({received.message.key: received.message for received in batch})

    reading = asyncio.create_task(bus.consume(group, [topic], keep, stop))
    try:
        while not reading.done() and await bus.lag(group, [topic]):
            await pause(stop, _LOOK_SECONDS)
    finally:
        stop.set()
        await reading
    return found


async def _send(service: Service) -> None:
    """Carry out everything that the service has announced."""
    stop = asyncio.Event()
    relaying = asyncio.create_task(Relay(service.database, service.bus).run(stop))
    try:
        while not relaying.done() and await _waits(service):
            await pause(stop, _LOOK_SECONDS)
    finally:
        stop.set()
        await relaying


async def _waits(service: Service) -> bool:
    async with service.database.reading() as tx:
        return (await tx.execute(sa.text("select 1 from outbox limit 1"))).first() is not None


if __name__ == "__main__":
    sys.exit(main())
