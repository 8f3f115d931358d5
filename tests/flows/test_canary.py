"""A person made of canaries: nothing that says who somebody is leaves the region, whatever happens to them.

Each field that a person or the team writes freely holds a canary. Then every federated stream, the log, the
figures for operators, and the databases of the exporter and of the national view are searched for them.
"""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from deploy.postgres import server_url
from libs.database import database_name, in_database
from libs.messaging import topics
from tests.flows.running import RunningInstance
from tests.waiting import eventually

BIRD = b"canari"
PHONES = {"mobile": "418 555-0163", "phone": "819 555-0174"}
CANARIES = (BIRD, b"4185550163", b"8195550174", b"5550163", b"5550174", b"555-0163", b"555-0174")
PERSON: dict[str, Any] = {
    "name": "Nomcanari Famillecanari",
    "contact": {
        "email": "boitecanari@domainecanari.example.org",
        "postal": "12, rue du Canari\nVillecanari",
        **PHONES,
    },
    "organisation": "Organismecanari",
    "role": "volunteer",
    "accommodations": ["besoincanari"],
    "target_groups": ["handicap", "autochtones"],
    "consents": ["accommodation_data", "statistics_profile", "consentcanari"],
}
SESSION: dict[str, Any] = {
    "stream": "pro",
    "modality": "hybrid",
    "capacity": {"on_site": 1, "online": 1},
    "online_url": "https://rencontre.example.org/liencanari",
    "staff_notes": "Notecanari : appeler 418 555-0163",
    "description": "Descriptioncanari",
    "bring": "Apportercanari",
}


@pytest.fixture
async def instance(data_dir: Path) -> AsyncIterator[RunningInstance]:
    """An instance that shares as much as can be shared; people are forgotten when it starts again."""
    async with AsyncExitStack() as stack:
        running = RunningInstance(data_dir)
        stack.push_async_callback(running.close)
        await running.start()
        for volet in ("public", "pro"):
            answer = await running.client.put(
                "/api/exporter/v1/sharing",
                json={"volet": volet, "level": "profile", "reason": "Raisoncanari"},
                headers=running.staff,
            )
            assert answer.is_success, answer.text
        yield running


async def test_not_one_canary_leaves_the_region(instance: RunningInstance) -> None:
    session = await instance.published(**SESSION)
    other = await instance.published(
        **SESSION | {"starts_at": "2027-02-10T13:30", "ends_at": "2027-02-10T15:30"}
    )
    first = await instance.register(session["id"], seat_kind="on_site", **PERSON)
    second = await instance.register(
        session["id"], seat_kind="on_site", channel="phone", another_person=True, **PERSON
    )
    assert [first["status"], second["status"]] == ["confirmed", "waitlisted"]
    await said(instance, session["id"], confirmed=1, waitlisted=1)
    assert await sung(instance) == []
    assert await at_home(instance) > 20, "the canaries are there: where they may be, they are found"

    # The team acts for them, each time with a reason in its own words.
    why = {"reason": "Raisoncanari"}
    registrations = "/api/registrations/v1/registrations"
    await instance.post(f"{registrations}/{second['id']}/grant", why)
    await instance.post(f"{registrations}/{second['id']}/transfer", why | {"session_id": other["id"]})
    await instance.client.get("/guichet/recherche", params={"q": "Nomcanari"}, headers=instance.staff)
    moved = {"starts_at": "2027-02-04T13:30", "ends_at": "2027-02-04T15:30", "timezone": "America/Toronto"}
    await instance.post(f"/api/events/v1/sessions/{session['id']}/reschedule", moved | why)
    await said(instance, session["id"], confirmed=1, waitlisted=0)
    assert await sung(instance) == []

    await instance.act(first, "cancel")
    await instance.post(f"/api/events/v1/sessions/{other['id']}/cancel", why)
    await said(instance, session["id"], confirmed=0, waitlisted=0)
    assert await sung(instance) == []

    # A year later everybody is forgotten; the instance has been restarted meanwhile.
    await instance.shift_clock("registrations", 400 * 86400)
    instance.stop()
    await instance.start()
    await eventually(lambda: forgotten(instance, first["id"]))
    await instance.settled("lag")
    assert await sung(instance) == []


async def test_a_canary_that_did_leave_would_be_heard(instance: RunningInstance) -> None:
    """A title is a public fact: this one leaves, and is found everywhere that it comes to."""
    session = await instance.published(title="Titrecanari", capacity=1)
    await said(instance, session["id"], confirmed=0, waitlisted=0)
    assert {"bus.log_demo.federated.sessions", "exporter.thing"} <= set(await sung(instance))

    await at_the_server(instance, "exporter", _PLANT, "Clecanari")
    await instance.client.get("/nulle-part/canari")
    found = set(await sung(instance))
    assert {"exporter.parked", "log"} <= found


_PLANT = """
insert into parked (topic, key, partition_key, headers, reason) values ('seats', $1, '', '{}', '')
"""


@pytest.mark.parametrize(
    "hidden",
    [
        b"Nomcanari",
        b"NOMCANARI",
        base64.b64encode(b"Nomcanari Famillecanari"),
        b"\\\\x" + b"Nomcanari".hex().encode(),
        b"+14185550163",
    ],
)
def test_the_search_finds_a_canary_in_its_disguises(hidden: bytes) -> None:
    assert is_canary(b"before " + hidden + b" after")
    assert not is_canary(b"before after 12345")


async def sung(instance: RunningInstance) -> list[str]:
    """The places outside the region's own doors in which a canary was found."""
    return sorted(name for name, content in (await outside(instance)).items() if is_canary(content))


def is_canary(content: bytes) -> bool:
    """Whether a canary is in there, in any case, in base64 or in hexadecimal."""
    lowered = content.lower()
    if any(canary in lowered or canary.hex().encode() in lowered for canary in CANARIES):
        return True
    # The bird in base64, at each of the three places in a group of bytes that it may start.
    spelt = [
        base64.b64encode(b" " * start + word)[4:-4]
        for start in range(1, 4)
        for word in (b"Nomcanari", b"Famillecanari", b"boitecanari")
    ]
    return any(text in content for text in spelt)


async def outside(instance: RunningInstance) -> Mapping[str, bytes]:
    """Everything that is, or may be, seen outside: by what it is called."""
    found = {"log": instance.log().encode()}
    for path in ("/metrics", "/health", *(f"/health/{name}" for name in ("exporter", "national"))):
        found[path] = (await instance.client.get(path)).content
    names = {f"log_{topic.name}" for topic in topics.federated("demo").values()}
    logs = await tables(instance, "bus", "bus")
    assert names <= logs.keys()
    found |= {f"bus.{name}": content for name, content in logs.items() if ".federated." in name}
    for service in ("exporter", "national"):
        of_service = await tables(instance, service, "public")
        assert of_service
        found |= {f"{service}.{name}": content for name, content in of_service.items()}
    # Why the region decided so stays in the exporter: it is said nowhere else.
    return {name: content for name, content in found.items() if name != "exporter.sharing_change"}


async def at_home(instance: RunningInstance) -> int:
    """How many tables of the region's own services have canaries."""
    services = ("events", "registrations", "notifications")
    found = [content for name in services for content in (await tables(instance, name, "public")).values()]
    found += (await tables(instance, "bus", "bus")).values()
    return sum(content.lower().count(BIRD) for content in found)


async def tables(instance: RunningInstance, service: str, schema: str) -> dict[str, bytes]:
    """Every table of a database with all that is in it, bytes as they are."""
    connection = await asyncpg.connect(
        in_database(server_url(instance.data_dir), database_name("demo", service))
    )
    try:
        names = await connection.fetch("select tablename from pg_tables where schemaname = $1", schema)
        return {
            name: b"\n".join(
                value if isinstance(value, bytes) else str(value).encode()
                for row in await connection.fetch(f'select * from {schema}."{name}"')
                for value in row
            )
            for (name,) in names
        }
    finally:
        await connection.close()


async def at_the_server(instance: RunningInstance, service: str, statement: str, value: str) -> Any:
    """What the statement gives, as only the database's administrator can ask."""
    connection = await asyncpg.connect(
        in_database(server_url(instance.data_dir), database_name("demo", service))
    )
    try:
        return await connection.fetchval(statement, value)
    finally:
        await connection.close()


async def said(instance: RunningInstance, session_id: str, *, confirmed: int, waitlisted: int) -> None:
    """Wait until these seats of the session have left the region, and nothing else is on its way."""

    async def have_left() -> bool:
        seats = orjson.loads(await at_the_server(instance, "bus", _LAST_SEATS, session_id) or b"{}")
        return bool((seats.get("confirmed"), seats.get("waitlisted")) == (confirmed, waitlisted))

    await eventually(have_left)
    await instance.settled("lag", "queued")


_LAST_SEATS = """
select value from bus."log_demo.federated.seats" where key = $1 order by position desc limit 1
"""


async def forgotten(instance: RunningInstance, registration_id: str) -> bool:
    """Whether the region itself no longer knows who this was."""
    home = (await tables(instance, "registrations", "public"))["registration"]
    return registration_id.encode() in home and b"Nomcanari" not in home
