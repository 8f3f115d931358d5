"""Services that start in any order, stop for a while, and hear everything twice and backwards."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from libs.database import in_database
from libs.messaging import topics
from libs.messaging.bus import Message
from libs.messaging.postgres import PostgresBus, bus_url
from libs.messaging.postgres.tables import log_table
from libs.messaging.topics import Topic
from tests.conftest import SECRET
from tests.flows.processes import Letters, ServiceProcess, mail_server
from tests.flows.running import ADMIN_TOKEN
from tests.waiting import eventually

STAFF = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
SESSION = {
    "title": "La tablette : premiers gestes",
    "stream": "public",
    "theme": "tablette",
    "modality": "on_site",
    "starts_at": "2027-02-03T13:30",
    "ends_at": "2027-02-03T15:30",
    "timezone": "America/Toronto",
    "capacity": 1,
    "registration_modes": ["web"],
}


@dataclass
class Network:
    """The three services of one instance, none started yet."""

    instance: str
    server_url: str
    services: dict[str, ServiceProcess]
    letters: Letters

    async def start(self, *names: str) -> None:
        for name in names:
            await self.services[name].start()

    async def post(self, service: str, path: str, body: Any) -> dict[str, Any]:
        answer = await self.services[service].client.post(path, json=body, headers=STAFF)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def publish(self) -> str:
        venues = await self.services["events"].client.get("/api/events/v1/venues", params={"q": "Lévis"})
        venue = venues.json()["items"][0]["id"]
        session = await self.post("events", "/api/events/v1/sessions", SESSION | {"venue_id": venue})
        await self.post("events", f"/api/events/v1/sessions/{session['id']}/publish", {})
        return str(session["id"])

    async def register(self, session_id: str, name: str) -> dict[str, Any]:
        body = {"channel": "web", "name": name, "contact": {"email": f"{name.lower()}@example.org"}}
        path = f"/api/registrations/v1/sessions/{session_id}/registrations"

        async def answered() -> dict[str, Any]:
            answer = await self.services["registrations"].client.post(path, json=body)
            if answer.status_code == 404:
                return {}  # the session's message is still on its way
            assert answer.is_success, answer.text
            return dict(answer.json())

        found: dict[str, Any] = await eventually(answered)
        return found

    async def status(self, registration: dict[str, Any]) -> str:
        path = f"/api/registrations/v1/registrations/{registration['id']}"
        return str((await self.services["registrations"].client.get(path, headers=STAFF)).json()["status"])

    async def quiet(self) -> None:
        """Wait until nobody has anything left to read or to send."""

        async def nothing_left() -> bool:
            reports = [await service.health() for service in self.services.values()]
            return all(report.get("lag") == 0 and report.get("queued", 0) == 0 for report in reports)

        await eventually(nothing_left)

    async def repeat_backwards(self, *repeated: Topic) -> None:
        """Publish every message of these topics again, the newest first."""
        admin = await asyncpg.connect(in_database(self.server_url, f"tournee_{self.instance}_bus"))
        for topic in repeated:
            rows = await admin.fetch(f"select * from {log_table(topic)} order by partition, position desc")
            bus = PostgresBus(bus_url(self.server_url, self.instance, topic.writer, SECRET))
            await bus.publish([_message(topic, row) for row in rows])
            await bus.close()
        await admin.close()


def _message(topic: Topic, row: asyncpg.Record) -> Message:
    return Message(topic, row["key"], row["value"], row["partition_key"], orjson.loads(row["headers"]))


@pytest.fixture
async def network(postgres_url: str, data_dir: Path) -> AsyncIterator[Network]:
    instance = f"t{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        smtp_url, letters = await stack.enter_async_context(mail_server())
        services = {}
        for name in ("events", "registrations", "notifications"):
            service = ServiceProcess(
                name,
                data_dir / f"{name}.log",
                DATABASE_URL=postgres_url,
                INSTANCE=instance,
                SMTP_URL=smtp_url,
            )
            stack.push_async_callback(service.close)
            services[name] = service
        yield Network(instance, postgres_url, services, letters)


async def test_services_may_start_in_any_order(network: Network) -> None:
    await network.start("notifications", "registrations", "events")
    session = await network.publish()

    people = [await network.register(session, name) for name in ("Aline", "Bruno")]
    await network.quiet()

    assert [await network.status(person) for person in people] == ["confirmed", "waitlisted"]
    assert [len(network.letters.to(name)) for name in ("aline", "bruno")] == [1, 1]


async def test_a_service_that_was_away_catches_up_and_tells_everybody_once(network: Network) -> None:
    await network.start("events", "registrations", "notifications")
    session = await network.publish()
    aline = await network.register(session, "Aline")
    bruno = await network.register(session, "Bruno")

    network.services["notifications"].kill()
    path = f"/api/registrations/v1/registrations/{aline['id']}"
    await network.services["registrations"].client.delete(path, headers=STAFF)
    network.services["registrations"].kill()
    # Registrations is away when the plan is raised; events answers all the same.
    venue_page = await network.services["events"].client.get(f"/seances/{session}")
    await network.post(
        "events",
        f"/api/events/v1/sessions/{session}/reschedule",
        {
            "starts_at": "2027-02-05T13:30",
            "ends_at": "2027-02-05T15:30",
            "timezone": "America/Toronto",
            "reason": "Tempête de neige",
        },
    )
    await network.start("registrations", "notifications")
    await eventually(lambda: len(network.letters.to("bruno")) >= 2)

    assert venue_page.status_code == 200
    assert await network.status(bruno) == "offered"
    identities = [str(mail["Message-ID"]) for mail in network.letters.mails]
    assert len(identities) == len(set(identities))


async def test_messages_heard_twice_and_backwards_change_and_send_nothing(network: Network) -> None:
    await network.start("events", "registrations", "notifications")
    session = await network.publish()
    people = [await network.register(session, name) for name in ("Aline", "Bruno", "Chloe")]
    path = f"/api/registrations/v1/registrations/{people[0]['id']}"
    await network.services["registrations"].client.delete(path, headers=STAFF)
    await network.quiet()
    before = [await network.status(person) for person in people]
    sent = len(network.letters.mails)

    await network.repeat_backwards(*topics.ALL)
    await network.quiet()

    assert [await network.status(person) for person in people] == before
    assert len(network.letters.mails) == sent
    public = await network.services["events"].client.get(f"/api/events/v1/sessions/{session}")
    assert public.json()["seats"]["offered"] == 1
