"""Text messages from the cause to the receipt: sent once, repeated under one id, a call when they fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa

from libs.messaging.contracts import ContactDetails
from libs.messaging.inbox import Inbox
from libs.messaging.postgres import PostgresBus
from libs.messaging.topics import REGISTRATIONS
from libs.settings import BadSettings
from libs.web.app import Service
from services.notifications.carriers import ByMail, BySms
from services.notifications.consumer import registrations_handler
from services.notifications.deliveries import Deliveries
from services.notifications.housekeeping import Housekeeping
from services.notifications.main import create
from services.notifications.sms import Gateway as Address
from services.notifications.sms import TextMessages
from services.notifications.smtp import Post, Server
from tests.notifications.conftest import STAFF, Office, ShiftClock
from tests.notifications.facts import Person, cause_of, elsewhere, moved, session_facts
from tests.notifications.gateway import PATH, TOKEN, Gateway, receipt, report, report_as_twilio, says
from tests.notifications.sink import Sink
from tests.waiting import eventually

MOBILE = ContactDetails(mobile="+14185550101")
BOTH = ContactDetails(mobile="+14185550101", phone="+14185550102")


@pytest.fixture
async def there() -> AsyncIterator[Gateway]:
    async with Gateway().running() as gateway:
        yield gateway


def with_gateway(office: Office, url: str) -> Office:
    """The same office once an operator has set SMS_URL."""
    settings = office.settings.model_copy(update={"sms_url": url.replace("//", f"//{TOKEN}@", 1)})
    if url.startswith("twilio"):
        settings = office.settings.model_copy(update={"sms_url": url})
    inbox = Inbox(office.database, {REGISTRATIONS: registrations_handler(settings)})
    return replace(office, settings=settings, inbox=inbox)


@pytest.fixture
def mobile_office(office: Office, there: Gateway) -> Office:
    return with_gateway(office, there.url)


@asynccontextmanager
async def sending(office: Office, *, seconds: float = 20.0) -> AsyncIterator[Deliveries]:
    address = Address.of(office.settings)
    assert address is not None
    way = BySms(TextMessages(address, answer_seconds=seconds))
    deliveries = Deliveries(office.database, office.settings, way)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(deliveries.run(stop))
        try:
            yield deliveries
        finally:
            stop.set()


@asynccontextmanager
async def pages(office: Office) -> AsyncIterator[httpx.AsyncClient]:
    service = Service("notifications", office.settings, office.database, PostgresBus(office.database.url))
    transport = httpx.ASGITransport(create(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


async def tries(office: Office) -> list[tuple[str, str, str | None, int]]:
    found = await office.rows(
        "select attempt.route, result, code, times from attempt join delivery d on d.id = delivery_id"
        " order by d.version, number"
    )
    return [tuple(row) for row in found]


async def standing(office: Office) -> list[tuple[str, str, list[str]]]:
    found = await office.rows("select status, route, tried_routes from delivery order by epoch, version, id")
    return [tuple(row) for row in found]


async def becomes(office: Office, *expected: tuple[str, str, list[str]]) -> None:
    async def so() -> bool:
        return await standing(office) == list(expected)

    await eventually(so, f"never became {expected}")


SENT = ("sent", "sms", [])


async def send_one(office: Office, *causes: object, contact: ContactDetails = MOBILE) -> str:
    """The id of the newest delivery to a person who has been sent a text message."""
    person = Person(contact=contact).after(*(causes or ("confirmed",)))  # type: ignore[arg-type]
    await office.hear(person)
    async with sending(office):
        await becomes(office, *[SENT] * len(person.causes))
    (row,) = await office.rows("select id from delivery order by version desc limit 1")
    return str(row.id)


async def test_a_mobile_gets_one_text_message_in_its_own_language(
    mobile_office: Office, there: Gateway
) -> None:
    await mobile_office.hear(Person(contact=MOBILE, language="en").after("confirmed"))
    async with sending(mobile_office):
        await becomes(mobile_office, SENT)
    (text,) = there.asked
    assert text.to == "+14185550101"
    assert "You have a seat." in text.text
    assert "/mon-inscription/" in text.text
    assert await tries(mobile_office) == [("sms", "sent", None, 1)]
    (row,) = await mobile_office.rows(
        "select a.reference, d.id from attempt a join delivery d on d.id = delivery_id"
    )
    assert (row.reference, str(row.id)) == ("gw-1", text.id)


async def test_without_a_gateway_a_mobile_is_called_as_before(office: Office) -> None:
    await office.hear(Person(contact=MOBILE).after("confirmed"))
    assert await standing(office) == [("queued", "mobile", [])]


async def test_who_has_an_address_is_written_to_and_a_landline_is_called(mobile_office: Office) -> None:
    await mobile_office.hear(
        Person(contact=ContactDetails(email="a@example.org", mobile="+14185550101")).after("confirmed")
    )
    await mobile_office.hear(Person(contact=ContactDetails(phone="+14185550102")).after("confirmed"))
    assert sorted(route for _status, route, _tried in await standing(mobile_office)) == ["email", "phone"]


async def test_of_a_refused_mail_the_news_goes_by_text_message(
    mobile_office: Office, there: Gateway, sink: Sink
) -> None:
    sink.rcpt = lambda _address: "550 5.1.1 no such user"
    contact = ContactDetails(email="a@example.org", mobile="+14185550101")
    await mobile_office.hear(Person(contact=contact).after("waitlisted", "confirmed"))
    mail = Deliveries(mobile_office.database, mobile_office.settings, ByMail(Post(Server.of(sink.url))))
    stop = asyncio.Event()
    async with sending(mobile_office), asyncio.TaskGroup() as group:
        group.create_task(mail.run(stop))
        await becomes(mobile_office, ("sent", "sms", ["email"]), ("sent", "sms", ["email"]))
        stop.set()
    # Each in writing, in its order.
    assert ["attente" in text.text for text in there.asked] == [True, False]
    assert [item[:2] for item in await tries(mobile_office)] == [("email", "refused"), ("sms", "sent")] * 2


async def test_what_the_gateway_refuses_becomes_a_call_to_the_same_number(
    mobile_office: Office, there: Gateway
) -> None:
    there.answer = lambda _text: says(422, code="stopped")
    await mobile_office.hear(Person(contact=MOBILE).after("confirmed"))
    async with sending(mobile_office):
        await becomes(mobile_office, ("queued", "mobile", ["sms"]))
    assert await tries(mobile_office) == [("sms", "refused", "SMS 422 stopped", 1)]
    # Who said STOP may say START: the gateway knows, and is asked the next time.
    there.answer = lambda _text: (202, {}, b"{}")
    await mobile_office.hear(Person(contact=MOBILE).after("confirmed"))
    async with sending(mobile_office):
        await eventually(lambda: len(there.asked) == 2)


async def test_a_number_that_takes_no_text_messages_is_called_at_once_from_then_on(
    mobile_office: Office, there: Gateway
) -> None:
    there.answer = lambda _text: says(422, code="not_mobile")
    await mobile_office.hear(Person(contact=MOBILE).after("confirmed"))
    async with sending(mobile_office):
        await becomes(mobile_office, ("queued", "mobile", ["sms"]))
    await mobile_office.hear(Person(contact=MOBILE).after("waitlisted"))
    assert sorted(await standing(mobile_office)) == [("queued", "mobile", []), ("queued", "mobile", ["sms"])]
    assert len(there.asked) == 1


@pytest.mark.parametrize("answer", [says(429, code=20429), says(500), "drop"])
async def test_a_gateway_in_trouble_is_asked_again_under_the_same_id(
    mobile_office: Office, there: Gateway, shift_clock: ShiftClock, answer: object
) -> None:
    there.answer = lambda _text: answer  # type: ignore[assignment,return-value]
    await mobile_office.hear(Person(contact=MOBILE).after("confirmed"))
    async with sending(mobile_office) as deliveries:
        await eventually(lambda: mobile_office.rows("select 1 from attempt where result = 'delayed'"))
        there.answer = lambda _text: (202, {}, b"{}")
        await shift_clock(timedelta(minutes=1))
        deliveries.wake()
        await becomes(mobile_office, SENT)
    assert len(there.asked) >= 2
    assert len(there.sent) == 1
    assert [item[1] for item in await tries(mobile_office)] == ["delayed", "sent"]


async def test_a_server_that_asks_for_a_pause_gets_it(mobile_office: Office, there: Gateway) -> None:
    there.answer = lambda _text: says(429, retry_after="600")
    await mobile_office.hear(Person(contact=MOBILE).after("confirmed"))
    async with sending(mobile_office):
        await eventually(lambda: mobile_office.rows("select 1 from attempt"))
    (row,) = await mobile_office.rows(
        "select next_attempt_at > clock.decision_time() + interval '9 minutes' as later from delivery"
    )
    assert row.later


async def test_the_same_trouble_again_and_again_is_one_line(
    mobile_office: Office, there: Gateway, shift_clock: ShiftClock
) -> None:
    there.answer = lambda _text: says(500)
    await mobile_office.hear(Person(contact=MOBILE).after("confirmed"))
    async with sending(mobile_office) as deliveries:
        for count in (1, 2, 3):
            deliveries.wake()
            await eventually(
                lambda count=count: mobile_office.rows("select 1 from attempt where times >= :n", n=count)
            )
            await shift_clock(timedelta(minutes=1))
    ((_route, result, code, times),) = await tries(mobile_office)
    assert (result, code) == ("delayed", "SMS 500")
    assert times >= 3


async def test_a_gateway_that_stays_away_leaves_half_of_an_offer_to_the_call(
    mobile_office: Office, there: Gateway, shift_clock: ShiftClock
) -> None:
    there.answer = lambda _text: says(503)
    await mobile_office.hear(Person(contact=MOBILE).after("offered"))
    async with sending(mobile_office) as deliveries:
        await eventually(lambda: mobile_office.rows("select 1 from attempt"))
        await shift_clock(timedelta(hours=13))
        deliveries.wake()
        await becomes(mobile_office, ("queued", "mobile", ["sms"]))


async def test_a_slow_gateway_holds_up_no_mail(mobile_office: Office, there: Gateway, sink: Sink) -> None:
    there.gate = asyncio.Event()
    await mobile_office.hear(*(Person(contact=MOBILE).after("confirmed") for _ in range(8)))
    await mobile_office.hear(Person().after("confirmed"))
    mail = Deliveries(mobile_office.database, mobile_office.settings, ByMail(Post(Server.of(sink.url))))
    stop = asyncio.Event()
    async with sending(mobile_office), asyncio.TaskGroup() as group:
        group.create_task(mail.run(stop))
        await eventually(lambda: len(there.asked) == 4)
        await eventually(lambda: len(sink.letters) == 1)
        there.gate.set()
        stop.set()


async def test_a_crash_between_sending_and_recording_repeats_it_under_the_same_id(
    mobile_office: Office, there: Gateway
) -> None:
    there.gate = asyncio.Event()
    await mobile_office.hear(Person(contact=MOBILE).after("confirmed"))
    address = Address.of(mobile_office.settings)
    assert address is not None
    crashing = asyncio.create_task(
        Deliveries(mobile_office.database, mobile_office.settings, BySms(TextMessages(address))).run(
            asyncio.Event()
        )
    )
    await eventually(lambda: len(there.asked) == 1)
    crashing.cancel()
    with suppress(asyncio.CancelledError):
        await crashing
    there.gate.set()
    assert await standing(mobile_office) == [("queued", "sms", [])]
    async with sending(mobile_office):
        async with mobile_office.database.transaction() as session:
            await session.execute(sa.text("update delivery set claimed_until = clock_timestamp()"))
        await becomes(mobile_office, SENT)
    assert len(there.asked) == 2
    assert len(there.sent) == 1


async def test_two_processes_send_each_text_message_once(mobile_office: Office, there: Gateway) -> None:
    await mobile_office.hear(*(Person(contact=MOBILE).after("waitlisted", "confirmed") for _ in range(15)))
    async with sending(mobile_office), sending(mobile_office):
        await becomes(mobile_office, *[SENT] * 30)
    assert len(there.asked) == len(there.sent) == 30


async def test_a_receipt_says_that_it_arrived(mobile_office: Office) -> None:
    id_ = await send_one(mobile_office)
    async with pages(mobile_office) as client:
        for _again in range(2):
            assert await report(client, id_, "sent") == 204
            assert await report(client, id_, "delivered") == 204
        # Late, and of an earlier part: what arrived has arrived.
        assert await report(client, id_, "undelivered", code=30003) == 204
        body = (await client.get(f"/api/notifications/v1/deliveries/{id_}", headers=STAFF)).json()
    assert await standing(mobile_office) == [SENT]
    assert await tries(mobile_office) == [("sms", "delivered", None, 1)]
    assert body["told"] is True
    ((attempt),) = body["tries"]
    assert (attempt["route"], attempt["result"]) == ("sms", "delivered")
    assert attempt["settled_at"] is not None


async def test_what_did_not_arrive_becomes_a_call_and_says_so(mobile_office: Office) -> None:
    id_ = await send_one(mobile_office, contact=BOTH)
    async with pages(mobile_office) as client:
        assert await report(client, id_, "undelivered", code=30003) == 204
        assert await standing(mobile_office) == [("queued", "mobile", ["sms"])]
        assert await report(client, id_, "undelivered", code=30003) == 204
        body = (await client.get(f"/api/notifications/v1/deliveries/{id_}", headers=STAFF)).json()
        page = await client.get(f"/guichet/appels/{id_}", headers=STAFF)
        assert "N’est pas arrivé (30003)" in page.text
        assert (body["told"], body["last_error"]) == (False, "SMS undelivered 30003")
        # Nobody answers either number: the list of the unreached says what was tried, and when.
        for number in ("1", "2"):
            form = {"outcome": "gave_up", "initials": "MB", "number": number}
            await client.post(f"/guichet/appels/{id_}/resultat", data=form, headers=STAFF)
        body = (await client.get("/api/notifications/v1/deliveries?status=failed", headers=STAFF)).json()
        page = await client.get("/guichet/appels?state=unreached", headers=STAFF)
    assert [(t["route"], t["result"]) for t in body["items"][0]["tries"]] == [
        ("sms", "undelivered"),
        ("mobile", "gave_up"),
        ("phone", "gave_up"),
    ]
    assert page.text.index("SMS, ") < page.text.index("Cellulaire, ") < page.text.index("Téléphone, ")
    assert "N’est pas arrivé" in page.text
    assert "14185550101" not in str(body)


async def test_a_receipt_that_is_faster_than_the_answer_counts(mobile_office: Office, there: Gateway) -> None:
    for fate, expected in (("delivered", SENT), ("undelivered", ("queued", "mobile", ["sms"]))):
        there.gate = asyncio.Event()
        there.asked.clear()
        person = Person(contact=MOBILE).after("confirmed")
        await mobile_office.hear(person)
        async with pages(mobile_office) as client, sending(mobile_office):
            await eventually(lambda: len(there.asked) == 1)
            assert await report(client, there.asked[0].id, fate) == 204
            there.gate.set()
            await eventually(
                lambda: mobile_office.rows("select 1 from delivery where claim is null having count(*) > 0")
            )
        (row,) = await mobile_office.rows(
            "select status, route, tried_routes from delivery where registration_id = :id", id=person.id
        )
        assert tuple(row) == expected
        (attempt,) = await mobile_office.rows(
            "select result from attempt join delivery d on d.id = delivery_id where registration_id = :id",
            id=person.id,
        )
        assert attempt.result == fate


async def test_a_message_that_arrived_after_all_takes_the_call_back(mobile_office: Office) -> None:
    id_ = await send_one(mobile_office)
    async with pages(mobile_office) as client:
        await report(client, id_, "failed")
        assert await report(client, id_, "delivered") == 204
        assert await standing(mobile_office) == [SENT]
        form = {"outcome": "reached", "initials": "MB", "number": "1"}
        answer = await client.post(f"/guichet/appels/{id_}/resultat", data=form, headers=STAFF)
    # The person was reached in the meantime: there is no call to write down any more.
    assert answer.status_code in (404, 409)


async def test_a_late_receipt_takes_back_nothing_that_somebody_did(mobile_office: Office) -> None:
    id_ = await send_one(mobile_office)
    async with pages(mobile_office) as client:
        await report(client, id_, "undelivered")
        form = {"outcome": "reached", "initials": "MB", "number": "1"}
        await client.post(f"/guichet/appels/{id_}/resultat", data=form, headers=STAFF)
        assert await report(client, id_, "delivered") == 204
    assert [item[0] for item in await standing(mobile_office)] == ["done"]
    assert [item[1] for item in await tries(mobile_office)] == ["delivered", "reached"]


@pytest.mark.parametrize("last", ["reminder_1d", "session_cancelled"])
async def test_nobody_is_called_about_news_that_newer_news_replaced(mobile_office: Office, last: str) -> None:
    await send_one(mobile_office, "confirmed", last)
    first, second = await mobile_office.rows("select id from delivery order by version")
    async with pages(mobile_office) as client:
        await report(client, first.id, "undelivered")
        assert [item[0] for item in await standing(mobile_office)] == ["superseded", "sent"]
        await report(client, second.id, "undelivered")
    assert await standing(mobile_office) == [("superseded", "sms", []), ("queued", "mobile", ["sms"])]
    assert [item[1] for item in await tries(mobile_office)] == ["undelivered", "undelivered"]


async def test_nobody_is_called_about_an_offer_that_is_over(
    mobile_office: Office, shift_clock: ShiftClock
) -> None:
    id_ = await send_one(mobile_office, "offered")
    await shift_clock(timedelta(hours=25))
    async with pages(mobile_office) as client:
        await report(client, id_, "undelivered")
    assert await standing(mobile_office) == [("superseded", "sms", [])]


async def test_nobody_is_called_about_a_registration_that_went_elsewhere(mobile_office: Office) -> None:
    person = Person(contact=MOBILE).after("confirmed")
    await mobile_office.hear(person)
    async with sending(mobile_office):
        await becomes(mobile_office, SENT)
    (row,) = await mobile_office.rows("select id from delivery")
    old, _new = person.transferred(elsewhere())
    await mobile_office.inbox.handle([old.message(version=2)])
    async with pages(mobile_office) as client:
        await report(client, row.id, "undelivered")
    assert await standing(mobile_office) == [("superseded", "sms", [])]


async def test_a_landline_that_a_receipt_unmasks_is_called_from_then_on(
    mobile_office: Office, there: Gateway
) -> None:
    id_ = await send_one(mobile_office)
    async with pages(mobile_office) as client:
        await report(client, id_, "undelivered", code=30006)
    await mobile_office.hear(Person(contact=MOBILE).after("waitlisted"))
    assert ("queued", "mobile", []) in await standing(mobile_office)
    assert len(there.asked) == 1


async def test_a_receipt_about_somebody_erased_is_taken_and_calls_nobody(mobile_office: Office) -> None:
    person = Person(contact=MOBILE).after("confirmed")
    await mobile_office.hear(person)
    async with sending(mobile_office):
        await becomes(mobile_office, SENT)
    await mobile_office.inbox.handle([person.message(erased=True, version=5)])
    (row,) = await mobile_office.rows("select id from delivery")
    async with pages(mobile_office) as client:
        assert await report(client, row.id, "undelivered") == 204
    assert await standing(mobile_office) == [SENT]
    assert await tries(mobile_office) == [("sms", "undelivered", None, 1)]


async def test_a_receipt_that_is_not_the_gateway_s_changes_nothing(mobile_office: Office) -> None:
    id_ = await send_one(mobile_office)
    good, headers = receipt(id_, "undelivered")
    async with pages(mobile_office) as client:
        answers = [
            await client.post(PATH, content=good),
            await client.post(PATH, content=good.replace(b"un", b""), headers=headers),
            await client.post(PATH, content=good, headers=headers | {"X-Tournee-Timestamp": "1"}),
            await client.post(PATH, content=good, headers=STAFF),
            await client.post(PATH, json={"id": id_, "status": "undelivered"}),
            await client.post(PATH, data={"MessageStatus": "undelivered"}),
        ]
        assert {answer.status_code for answer in answers} == {401}
        assert answers[0].headers["content-type"] == "application/problem+json"
        assert (await client.post(PATH, content=b"x" * 20_000)).status_code == 413
        assert await report(client, id_, "undelivered", token="another-secret-of-this-length") == 401
        assert await report(client, "5e55104e-0000-4000-8000-00000000dead", "delivered") == 404
        assert await report(client, "no id", "delivered") == 422
    assert await tries(mobile_office) == [("sms", "sent", None, 1)]


async def test_without_a_gateway_there_are_no_receipts(client: httpx.AsyncClient) -> None:
    assert await report(client, "5e55104e-0000-4000-8000-00000000dead", "delivered") == 404


async def test_twilio_from_the_message_to_its_receipts(office: Office, there: Gateway) -> None:
    there.answer = lambda _text: (201, {}, b'{"sid": "SM42"}')
    mobile_office = with_gateway(office, there.twilio_url)
    await mobile_office.hear(Person(contact=MOBILE).after("confirmed"))
    async with sending(mobile_office):
        await becomes(mobile_office, SENT)
    callback = there.asked[0].callback
    async with pages(mobile_office) as client:
        assert await report_as_twilio(client, callback, "sent") == 204
        assert await report_as_twilio(client, callback, "delivered", token="wrong") == 401
        assert await report_as_twilio(client, callback.replace("?id=", "?x="), "delivered") == 422
        assert await report_as_twilio(client, callback, "undelivered", ErrorCode="30003") == 204
        assert await standing(mobile_office) == [("queued", "mobile", ["sms"])]
        # A replay of an older receipt says nothing new, whoever sends it.
        assert await report_as_twilio(client, callback, "sent") == 204
        assert await report_as_twilio(client, callback, "undelivered", ErrorCode="30003") == 204
    assert await standing(mobile_office) == [("queued", "mobile", ["sms"])]
    assert await tries(mobile_office) == [("sms", "undelivered", "30003", 1)]


async def test_once_there_is_no_gateway_any_more_what_waited_for_it_is_called_about(
    mobile_office: Office,
) -> None:
    await mobile_office.hear(Person(contact=MOBILE).after("confirmed"))
    await Housekeeping(mobile_office.database, has_sms=False).call_instead()
    assert await standing(mobile_office) == [("queued", "mobile", [])]


async def test_after_a_call_that_found_a_wrong_number_no_text_message_goes_there(
    mobile_office: Office,
) -> None:
    id_ = await send_one(mobile_office, contact=BOTH)
    async with pages(mobile_office) as client:
        await report(client, id_, "undelivered")
        form = {"outcome": "wrong_number", "initials": "MB", "number": "1"}
        await client.post(f"/guichet/appels/{id_}/resultat", data=form, headers=STAFF)
    assert await standing(mobile_office) == [("queued", "phone", ["sms", "mobile"])]


async def test_a_change_is_compared_with_what_really_arrived(
    mobile_office: Office, there: Gateway, shift_clock: ShiftClock
) -> None:
    first = session_facts(days=9)
    there_too = moved(first, days=1)
    person = Person(contact=MOBILE).after(
        cause_of("confirmed", session=first),
        cause_of("session_changed", session=there_too, previous=first),
    )
    await mobile_office.hear(person)
    await shift_clock(timedelta(seconds=61))
    async with sending(mobile_office):
        await becomes(mobile_office, SENT, SENT)
    async with pages(mobile_office) as client:
        await report(client, there.asked[-1].id, "undelivered")
    # Moved back before anybody could say that it was moved: the person knows the right date.
    back = person.after(cause_of("session_changed", session=first, previous=there_too))
    await mobile_office.hear(back)
    await shift_clock(timedelta(seconds=61))
    async with sending(mobile_office):
        await eventually(
            lambda: mobile_office.rows("select 1 from delivery where version = 3 and status = 'superseded'")
        )
    assert [item[0] for item in await standing(mobile_office)] == ["sent", "superseded", "superseded"]
    assert len(there.asked) == 2


def test_a_gateway_without_a_secret_stops_the_start(office: Office) -> None:
    for url in ("https://sms.example.org/", "twilio://AC1:t@api.twilio.com"):
        settings = office.settings.model_copy(update={"sms_url": url})
        with pytest.raises(BadSettings, match="SMS_URL"):
            create(Service("notifications", settings, office.database, PostgresBus(office.database.url)))
