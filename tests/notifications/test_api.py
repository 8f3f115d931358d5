"""What operators and programs may ask of the deliveries."""

import httpx
import pytest

from libs.messaging.contracts import ContactDetails
from services.notifications import queries
from tests.notifications.conftest import Office
from tests.notifications.facts import Person

URL = "/api/notifications/v1/deliveries"


async def test_the_notices_of_a_registration_without_anybodys_name(
    client: httpx.AsyncClient, office: Office
) -> None:
    person = Person().after("waitlisted", "confirmed")
    await office.hear(person, Person(name="Quelqu’un d’autre").after("confirmed"))
    answer = await client.get(URL, params={"registration_id": str(person.id)})
    body = answer.json()
    assert [item["cause"] for item in body["items"]] == ["waitlisted", "confirmed"]
    assert body["next"] is None
    assert {item["status"] for item in body["items"]} == {"queued"}
    assert body["items"][0]["uid"] == person.state.uid
    assert "Aline" not in answer.text
    assert "@example.org" not in answer.text
    one = await client.get(f"{URL}/{body['items'][0]['id']}")
    assert one.json() == body["items"][0]


async def test_a_list_goes_on_where_it_ended(client: httpx.AsyncClient, office: Office) -> None:
    await office.hear(*(Person().after("confirmed") for _ in range(7)))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        body = (await client.get(URL, params=params)).json()
        seen += [item["id"] for item in body["items"]]
        cursor = body["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize("cursor", ["x", "'", "bm90IGEgY3Vyc29y", "AAAA\u00e9"])
async def test_a_cursor_that_means_nothing_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get(URL, params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_only_staff_may_ask(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL, headers={"Authorization": "Bearer no"})
    assert answer.status_code == 401


async def test_health_counts_what_waits(client: httpx.AsyncClient, office: Office) -> None:
    await office.hear(
        Person().after("confirmed"), Person(contact=ContactDetails(phone="+14185550102")).after("confirmed")
    )
    async with office.database.reading() as session:
        figures = await queries.health(session)
    assert figures["queued"] == 1
    assert figures["calls"] == 1
    assert figures["failed"] == figures["parked"] == 0
