"""The whole service: from the bus to the mail server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.messaging.postgres import PostgresBus, bus_url, provision_bus
from libs.messaging.topics import REGISTRATIONS
from libs.settings import BadSettings, Settings
from libs.web.app import Service
from services.notifications.main import create
from tests.conftest import SECRET
from tests.notifications.conftest import Office
from tests.notifications.facts import Person
from tests.notifications.sink import Sink
from tests.waiting import eventually


@asynccontextmanager
async def running(office: Office, settings: Settings, url: str) -> AsyncIterator[PostgresBus]:
    bus = PostgresBus(url)
    app = create(Service("notifications", settings, office.database, bus))
    app.state.on_crash = _fail
    try:
        async with app.router.lifespan_context(app):
            yield bus
    finally:
        await bus.close()


def _fail(name: str, error: BaseException) -> None:
    raise AssertionError(name) from error


async def test_a_message_on_the_bus_becomes_a_mail_and_health_says_so(
    office: Office, settings: Settings, sink: Sink, postgres_url: str
) -> None:
    instance = f"t{office.database.url[-6:]}"
    await provision_bus(postgres_url, instance, SECRET, [REGISTRATIONS])
    writer = PostgresBus(bus_url(postgres_url, instance, "registrations", SECRET))
    mine = settings.model_copy(update={"smtp_url": sink.url})
    people = [Person().after("confirmed") for _ in range(3)]
    async with running(office, mine, bus_url(postgres_url, instance, "notifications", SECRET)):
        await writer.publish([person.message().message for person in people])
        await eventually(lambda: len(sink.letters) == 3)
        # The same again, as after a crash of the relay.
        await writer.publish([person.message().message for person in people])
        last = Person().after("waitlisted")
        await writer.publish([last.message().message])
        await eventually(lambda: any("attente" in str(m["Subject"]) for m in sink.letters))
    assert len(sink.message_ids) == len(set(sink.message_ids)) == 4
    await writer.close()


def test_without_a_mail_server_it_does_not_start(office: Office, settings: Settings) -> None:
    bus = PostgresBus(office.database.url)
    for wrong in ({"smtp_url": None}, {"mail_from": "nobody"}):
        with pytest.raises(BadSettings):
            create(Service("notifications", settings.model_copy(update=wrong), office.database, bus))
