"""The stream `reached`: whom the notices reached and whom not, by which routes, once per change."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson

from libs.messaging.contracts import Attempt, ContactDetails
from services.notifications import records
from services.notifications.reached import announce_reached, every_try
from services.notifications.receipts import Receipt
from services.notifications.restoring import restate
from services.notifications.settling import settle
from tests.notifications.conftest import Office
from tests.notifications.facts import Person
from tests.notifications.test_sending_sms import MOBILE, with_gateway

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


async def test_every_try_is_said_with_its_number_its_code_and_how_often(
    office: Office, client: httpx.AsyncClient
) -> None:
    both = ContactDetails(email="aline@example.org", phone="+14185550142")
    person = Person(contact=both).after("confirmed")
    await office.hear(person)
    for result in (
        records.Again(await now(office), "CONNECT 421"),
        records.Again(await now(office), "CONNECT 421"),
        records.Refusal("RCPT 550 5.1.1"),
    ):
        async with office.database.transaction() as tx:
            (item,) = await records.claim(tx, "email", "me", (), 4, timedelta(seconds=15))
            await records.record(tx, office.settings, item, result)
    await call(client, office, person, "no_answer", 1)

    (notice,) = (await said(office, person))[-1]["notices"]
    tried = notice["tried"]
    assert [(one["number"], one["route"], one["result"], one["code"], one["times"]) for one in tried] == [
        (1, "email", "delayed", "CONNECT 421", 2),
        (2, "email", "refused", "RCPT 550 5.1.1", 1),
        (3, "phone", "no_answer", None, 1),
    ]
    assert [one["at"] for one in tried] == sorted(one["at"] for one in tried)


async def test_a_late_receipt_that_only_changes_a_try_is_news(office: Office) -> None:
    office = with_gateway(office, "https://gateway.example.org/")
    person = Person(contact=MOBILE).after("confirmed")
    await office.hear(person)
    async with office.database.transaction() as tx:
        (item,) = await records.claim(tx, "sms", "me", (), 4, timedelta(seconds=15))
        await records.record(tx, office.settings, item, records.Sent("gw-1"))
    before = await said(office, person)
    assert [one["result"] for one in before[-1]["notices"][0]["tried"]] == ["sent"]

    for count in (1, 1):  # the gateway says it twice
        async with office.database.transaction() as tx:
            await settle(tx, office.settings, Receipt(item.id, "delivered"))
        after = await said(office, person)
        assert len(after) == len(before) + count
    (notice,) = after[-1]["notices"]
    assert (notice["outcome"], notice["tried"][0]["result"]) == ("told", "delivered")


def test_routes_that_were_given_up_before_tries_were_kept_are_named_first() -> None:
    kept = [Attempt(route="phone", result="no_answer", number=1)]
    assert [(one.route, one.result, one.number) for one in every_try(["email", "phone"], kept)] == [
        ("email", "refused", None),
        ("phone", "no_answer", 1),
    ]


async def now(office: Office) -> datetime:
    (row,) = await office.rows("select clock.decision_time() as now")
    moment: datetime = row.now
    return moment


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
