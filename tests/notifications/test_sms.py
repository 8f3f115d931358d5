"""The way to an SMS gateway: who it is, what it is sent in each dialect, and what its answers mean."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from uuid import uuid4

import pytest
from pydantic import SecretStr

from libs.clock import utc_now
from libs.settings import Settings
from services.notifications.handing import NotNow, Refused
from services.notifications.sms import BadGateway, Gateway, TextMessages
from tests.notifications import gateway as fake
from tests.notifications.gateway import NUMBER, TAKEN, TOKEN, Answer, basic, says

TO = "+14185550101"
CALLBACK = "http://testserver/api/notifications/v1/sms/receipts"


@pytest.fixture
async def there() -> AsyncIterator[fake.Gateway]:
    async with fake.Gateway().running() as gateway:
        yield gateway


def gateway_of(settings: Settings, url: str, token: str | None = None) -> Gateway:
    given = {"sms_url": url, "sms_token": SecretStr(token) if token else None}
    found = Gateway.of(settings.model_copy(update=given))
    assert found is not None
    return found


@asynccontextmanager
async def messages(
    settings: Settings, url: str, *, token: str | None = TOKEN, seconds: float = 20.0
) -> AsyncIterator[TextMessages]:
    way = TextMessages(gateway_of(settings, url, token), answer_seconds=seconds)
    try:
        yield way
    finally:
        await way.close()


def test_the_url_says_where_and_keeps_no_secret(settings: Settings) -> None:
    assert Gateway.of(settings) is None
    for url in (f"https://{TOKEN}@sms.example.org/a?b=c", f"https://me:{TOKEN}@sms.example.org/a?b=c"):
        assert gateway_of(settings, url) == Gateway("generic", "https://sms.example.org/a?b=c", TOKEN)
    other = gateway_of(settings, f"https://me:{TOKEN}@sms.example.org:8443", "the-token-of-the-environment")
    assert (other.url, other.token) == ("https://sms.example.org:8443/", "the-token-of-the-environment")
    assert TOKEN not in repr(gateway_of(settings, f"https://{TOKEN}@sms.example.org/"))


def test_twilio_s_url_names_the_account_and_who_sends(settings: Settings) -> None:
    for sender in ("+15815550100", "%2B15815550100"):
        found = gateway_of(settings, f"twilio://AC1:{TOKEN}@api.twilio.com?from={sender}")
        assert found.url == "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"
        assert (found.account, found.token, found.sender) == ("AC1", TOKEN, ("From", NUMBER))
        assert found.callback == CALLBACK
    service = gateway_of(settings, "twilio://AC1@api.twilio.com?service=MG7", TOKEN)
    assert service.sender == ("MessagingServiceSid", "MG7")


@pytest.mark.parametrize(
    "url",
    [
        "https://sms.example.org/",
        "https://short@sms.example.org/",
        "twilio://AC1@api.twilio.com?from=+15815550100",
        f"twilio://:{TOKEN}@api.twilio.com?from=+15815550100",
        f"twilio://AC1:{TOKEN}@api.twilio.com",
        f"twilio://AC1:{TOKEN}@api.twilio.com?from=BIBLIO",
    ],
)
def test_an_incomplete_gateway_is_said_at_the_start_without_its_secret(settings: Settings, url: str) -> None:
    with pytest.raises(BadGateway) as refused:
        gateway_of(settings, url)
    assert TOKEN not in str(refused.value)


async def test_the_generic_dialect(settings: Settings, there: fake.Gateway) -> None:
    id_ = uuid4()
    async with messages(settings, there.url) as way:
        assert await way.send("Où êtes-vous ?", to=TO, id_=id_) == "gw-1"
    (text,) = there.asked
    assert (text.to, text.text, text.id, text.path) == (TO, "Où êtes-vous ?", str(id_), "/messages")
    assert text.headers["authorization"] == f"Bearer {TOKEN}"
    assert text.headers["idempotency-key"] == str(id_)


async def test_twilio_s_dialect(settings: Settings, there: fake.Gateway) -> None:
    there.answer = lambda _text: (201, {}, b'{"sid": "SM42", "status": "queued"}')
    id_ = uuid4()
    async with messages(settings, there.twilio_url, token=None) as way:
        assert await way.send("Où êtes-vous ?", to=TO, id_=id_) == "SM42"
    (text,) = there.asked
    assert text.path == "/2010-04-01/Accounts/AC0123/Messages.json"
    assert basic(text) == f"AC0123:{TOKEN}"
    assert text.form == {
        "To": TO,
        "From": NUMBER,
        "Body": "Où êtes-vous ?",
        "StatusCallback": f"{CALLBACK}?id={id_}",
    }


@pytest.mark.parametrize("dialect", ["generic", "twilio"])
@pytest.mark.parametrize(
    ("answer", "expected", "gone"),
    [
        (says(422, code="invalid_number"), "SMS 422 invalid_number", True),
        (says(422, code="stopped"), "SMS 422 stopped", False),
        (says(400, code=21211), "SMS 400 21211", True),
        (says(400, code=21614), "SMS 400 21614", True),
        (says(400, code=21610), "SMS 400 21610", False),
        (says(400), "SMS 400", False),
        (says(400, code="Number +14185550101 is wrong"), "SMS 400", False),
        (says(400, code="4185550101"), "SMS 400", False),
    ],
)
async def test_what_will_never_be_taken(
    settings: Settings, there: fake.Gateway, dialect: str, answer: Answer, expected: str, gone: bool
) -> None:
    there.answer = lambda _text: answer
    url = there.url if dialect == "generic" else there.twilio_url
    async with messages(settings, url) as way:
        with pytest.raises(Refused) as refused:
            await way.send("x", to=TO, id_=uuid4())
    assert (str(refused.value), refused.value.no_such_address) == (expected, gone)


@pytest.mark.parametrize("dialect", ["generic", "twilio"])
@pytest.mark.parametrize(
    ("answer", "expected", "after"),
    [
        (says(429, code=20429, retry_after="30"), "SMS 429 20429", timedelta(seconds=30)),
        (says(429, retry_after="soon"), "SMS 429", None),
        (says(500), "SMS 500", None),
        (says(503, retry_after="7"), "SMS 503", timedelta(seconds=7)),
        # Our own fault: the next person would be refused just the same.
        (says(401), "SMS 401", None),
        (says(403), "SMS 403", None),
        (says(404), "SMS 404", None),
        (says(302, location="https://elsewhere.example.org/"), "SMS 302", None),
        ("drop", "SMS RemoteProtocolError", None),
        ((200, {"content-length": "40"}, b"{"), "SMS ReadTimeout", None),
    ],
)
async def test_what_is_worth_another_try(
    settings: Settings,
    there: fake.Gateway,
    dialect: str,
    answer: Answer | str,
    expected: str,
    after: timedelta | None,
) -> None:
    there.answer = lambda _text: answer
    url = there.url if dialect == "generic" else there.twilio_url
    async with messages(settings, url, seconds=0.3) as way:
        with pytest.raises(NotNow) as later:
            await way.send("x", to=TO, id_=uuid4())
    assert (str(later.value), later.value.after) == (expected, after)


async def test_a_date_to_come_back_at_is_understood(settings: Settings, there: fake.Gateway) -> None:
    there.answer = lambda _text: says(
        503, retry_after=format_datetime(utc_now() + timedelta(minutes=2), usegmt=True)
    )
    async with messages(settings, there.url) as way:
        with pytest.raises(NotNow) as later:
            await way.send("x", to=TO, id_=uuid4())
    assert later.value.after is not None
    assert timedelta(minutes=1) < later.value.after <= timedelta(minutes=2)


async def test_twilio_refusing_our_own_number_is_ours_to_mend(
    settings: Settings, there: fake.Gateway
) -> None:
    there.answer = lambda _text: says(400, code=21606)
    async with messages(settings, there.twilio_url) as way:
        with pytest.raises(NotNow, match="SMS 400 21606"):
            await way.send("x", to=TO, id_=uuid4())


async def test_a_repeat_that_the_gateway_knows_has_been_taken(
    settings: Settings, there: fake.Gateway
) -> None:
    there.answer = lambda _text: (409, {}, b'{"reference": "gw-7"}')
    async with messages(settings, there.url) as way:
        assert await way.send("x", to=TO, id_=uuid4()) == "gw-7"


@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b'{"reference": 5}', b'{"reference": "to Aline"}'])
async def test_a_gateway_may_take_it_without_a_word(
    settings: Settings, there: fake.Gateway, body: bytes
) -> None:
    there.answer = lambda _text: (200, {}, body)
    async with messages(settings, there.url) as way:
        assert await way.send("x", to=TO, id_=uuid4()) is None


async def test_a_slow_gateway_is_given_up_on_and_asked_again_with_the_same_id(
    settings: Settings, there: fake.Gateway
) -> None:
    there.gate = asyncio.Event()
    id_ = uuid4()
    async with messages(settings, there.url, seconds=0.2) as way:
        with pytest.raises(NotNow, match="SMS ReadTimeout"):
            await way.send("x", to=TO, id_=id_)
        there.gate.set()
        there.answer = lambda _text: TAKEN
        await way.send("x", to=TO, id_=id_)
    assert [text.id for text in there.asked] == [str(id_)] * 2


async def test_a_gateway_that_is_away(settings: Settings) -> None:
    nobody = fake.Gateway()
    async with nobody.running():
        pass
    async with messages(settings, nobody.url) as way:
        with pytest.raises(NotNow, match="SMS ConnectError"):
            await way.send("x", to=TO, id_=uuid4())


@pytest.mark.parametrize("number", ["", "418 555-0101", "+1", "+1418555010100000000", "+14185550101;x"])
async def test_what_is_no_number_is_sent_nowhere(
    settings: Settings, there: fake.Gateway, number: str
) -> None:
    async with messages(settings, there.url) as way:
        with pytest.raises(Refused, match="SMS NUMBER unreadable"):
            await way.send("x", to=number, id_=uuid4())
    assert there.asked == []


async def test_neither_number_nor_text_nor_secret_is_logged(
    settings: Settings, there: fake.Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with messages(settings, there.url) as way:
        await way.send("Texte privé", to=TO, id_=uuid4())
    for private in (TO, "Texte", TOKEN):
        assert private not in caplog.text
