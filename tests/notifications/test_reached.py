"""The stream `reached`: whom the notices reached and whom not, by which routes, once per change."""

from datetime import timedelta
from typing import Any

import httpx
import orjson

from libs.messaging.contracts import ContactDetails
from services.notifications import records
from services.notifications.reached import announce_reached
from services.notifications.restoring import restate
from tests.notifications.conftest import Office
from tests.notifications.facts import Person

BY_PHONE = ContactDetails(phone="+14185550142", postal="12, rue des Érables, Québec")


async def said(office: Office, person: Person) -> list[Any]:
    """The payloads announced about a person, oldest first."""
    await announce_reached(office.database, office.settings)
    rows = await office.rows(
        "select value from outbox where topic = 'reached' and key = :key order by id", key=str(person.id)
    )
    return [None if row.value is None else orjson.loads(bytes(row.value)) for row in rows]


async def call(client: httpx.AsyncClient, office: Office, person: Person, outcome: str, number: int) -> None:
    row = (await office.rows("select id from delivery where registration_id = :id", id=person.id))[0]
    answer = await client.post(
        f"/guichet/appels/{row.id}/resultat",
        data={"outcome": outcome, "initials": "MT", "note": "Sa fille répondra", "number": str(number)},
        headers={"Origin": "http://testserver"},
    )
    assert answer.status_code == 303, answer.text


async def test_a_notice_waits_and_then_has_told(office: Office) -> None:
    person = Person().after("confirmed")
    await office.hear(person)
    assert [notice["outcome"] for notice in (await said(office, person))[-1]["notices"]] == ["waiting"]

    async with office.database.transaction() as tx:
        (item,) = await records.claim(tx, "email", "me", (), 4, timedelta(seconds=15))
        await records.record(tx, office.settings, item, records.Sent())
    (notice,) = (await said(office, person))[-1]["notices"]

    assert (notice["cause"], notice["outcome"], notice["route"]) == ("confirmed", "told", "email")
    assert [(one["route"], one["result"]) for one in notice["tried"]] == [("email", "sent")]


async def test_who_cannot_be_reached_is_named_with_every_route_that_was_tried(
    office: Office, client: httpx.AsyncClient
) -> None:
    person = Person(contact=BY_PHONE).after("confirmed")
    await office.hear(person)
    await call(client, office, person, "no_answer", 1)
    await call(client, office, person, "wrong_number", 2)
    await call(client, office, person, "returned", 3)

    (notice,) = (await said(office, person))[-1]["notices"]
    assert notice["outcome"] == "not_told"
    assert [(one["route"], one["result"]) for one in notice["tried"]] == [
        ("phone", "no_answer"),
        ("phone", "wrong_number"),
        ("postal", "returned"),
    ]


async def test_many_changes_are_said_as_one_and_nothing_is_said_twice(office: Office) -> None:
    person = Person(contact=BY_PHONE).after("waitlisted", "offered", "confirmed")
    await office.hear(person)
    first = await said(office, person)
    assert len(first) == 1
    assert [one["outcome"] for one in first[0]["notices"]] == ["overtaken", "overtaken", "waiting"]
    assert await said(office, person) == first


async def test_nobodys_name_number_or_words_are_in_it(office: Office, client: httpx.AsyncClient) -> None:
    person = Person(contact=BY_PHONE).after("confirmed")
    await office.hear(person)
    await call(client, office, person, "left_message", 1)
    text = orjson.dumps(await said(office, person)).decode()
    for secret in ("Aline", "5550142", "Érables", "fille", "MT"):
        assert secret not in text


async def test_what_was_said_of_an_erased_person_is_taken_back(office: Office) -> None:
    person = Person().after("confirmed")
    await office.hear(person)
    await said(office, person)
    await office.inbox.handle([person.message(erased=True, version=5)])
    assert (await said(office, person))[-1] is None


async def test_after_a_restoration_everything_is_said_again_and_the_unknown_taken_back(
    office: Office,
) -> None:
    person, lost = Person().after("confirmed"), Person()
    await office.hear(person)
    before = await said(office, person)
    async with office.database.transaction() as tx:
        await restate(tx, office.settings, 2, {str(person.id): "session", str(lost.id): "session"})
    assert len(await said(office, person)) == len(before) + 1
    assert await said(office, lost) == [None]
    rows = await office.rows("select distinct headers ->> 'ce_epoch' as epoch from outbox")
    assert "2" in {row.epoch for row in rows}
