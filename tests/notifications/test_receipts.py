"""Whether a receipt is really the gateway's, and what it says."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.attempts import last_word
from services.notifications.receipts import (
    BadSignature,
    Receipt,
    Unreadable,
    read_receipt,
    signature_of,
    twilio_signature,
)
from services.notifications.sms import Gateway
from tests.notifications import gateway
from tests.notifications.gateway import TOKEN

NOW = datetime.now(UTC)
GENERIC = Gateway("generic", "https://gateway.example.org/", TOKEN)
ADDRESS = "https://agenda.example.org/api/notifications/v1/sms/receipts"
TWILIO = Gateway("twilio", "https://api.twilio.com/", TOKEN, account="AC1", callback=ADDRESS)
ID = uuid4()


def receipt(id_: UUID, status: str, **given: Any) -> tuple[bytes, dict[str, str]]:
    """A generic receipt signed at NOW."""
    return gateway.receipt(id_, status, **({"at": NOW} | given))


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def read(body: bytes, headers: Mapping[str, str], now: datetime = NOW) -> Receipt:
    return read_receipt(GENERIC, lower(headers), body, "", now)


def test_a_signed_receipt_is_read() -> None:
    assert read(*receipt(ID, "delivered")) == Receipt(ID, "delivered")
    assert read(*receipt(ID, "undelivered", code=30003)) == Receipt(ID, "undelivered", "30003")
    assert read(*receipt(ID, "queued")) == Receipt(ID, None)


@pytest.mark.parametrize("minutes", [-4.9, 0, 4.9])
def test_it_may_be_some_minutes_on_its_way(minutes: float) -> None:
    read(*receipt(ID, "delivered"), NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24])
def test_an_old_one_or_one_of_tomorrow_is_not_taken(minutes: float) -> None:
    with pytest.raises(BadSignature):
        read(*receipt(ID, "delivered"), NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("name", ["X-Tournee-Timestamp", "X-Tournee-Signature"])
@pytest.mark.parametrize("value", ["", "v1=", "0", "é", "-1", "9" * 30, "²"])
def test_without_a_good_signature_nothing_is_read(name: str, value: str) -> None:
    body, headers = receipt(ID, "delivered")
    with pytest.raises(BadSignature):
        read(body, headers | {name: value})


def test_a_signature_of_another_secret_another_body_or_another_time_does_not_hold() -> None:
    body, headers = receipt(ID, "delivered")
    for wrong_body, wrong_headers in (
        receipt(ID, "delivered", token="another-secret-of-this-length"),
        (body + b" ", headers),
        (body, headers | {"X-Tournee-Timestamp": str(int(NOW.timestamp()) + 100)}),
        (body, {}),
    ):
        with pytest.raises(BadSignature):
            read(wrong_body, wrong_headers)


@pytest.mark.parametrize("timestamp", ["soon", "", "12e3", "1.5", "٣"])
def test_a_signed_time_that_is_none_is_not_taken(timestamp: str) -> None:
    body, headers = receipt(ID, "delivered")
    signature = signature_of(TOKEN, timestamp, body)
    with pytest.raises(BadSignature):
        read(body, headers | {"X-Tournee-Timestamp": timestamp, "X-Tournee-Signature": signature})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"id": 3, "status": "delivered"}', b'{"id": "x", "status": 1}', b"\xff"]
)
def test_a_signed_body_that_is_no_receipt_is_unreadable(body: bytes) -> None:
    timestamp = str(int(NOW.timestamp()))
    headers = {"X-Tournee-Timestamp": timestamp, "X-Tournee-Signature": signature_of(TOKEN, timestamp, body)}
    with pytest.raises(Unreadable):
        read(body, headers)


def test_a_code_that_might_be_a_number_or_a_sentence_is_left_out() -> None:
    for code in ("+14185550101", "4185550101", "not for Aline", "x" * 50):
        assert read(*receipt(ID, "undelivered", code=code)).code == ""


def test_twilio_s_own_example_of_a_signature() -> None:
    """From « Webhooks security » in Twilio's documentation, and its libraries' tests."""
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+12349013030",
        "Digits": "1234",
        "From": "+12349013030",
        "To": "+18005551212",
    }
    address = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio_signature("12345", address, list(fields.items())) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


BODY = b"MessageStatus=undelivered&ErrorCode=30006&To=%2B14185550101&Empty="
FIELDS = [
    ("MessageStatus", "undelivered"), ("ErrorCode", "30006"), ("To", "+14185550101"), ("Empty", ""),
]  # fmt: skip


def read_twilio(address: str, query: str, body: bytes = BODY, token: str = TOKEN) -> Receipt:
    headers = {"x-twilio-signature": twilio_signature(token, address, FIELDS)}
    return read_receipt(TWILIO, headers, body, query, NOW)


def test_twilio_s_receipt_names_the_message_in_its_signed_address() -> None:
    query = f"id={ID}"
    assert read_twilio(f"{ADDRESS}?{query}", query) == Receipt(ID, "undelivered", "30006")
    with_port = ADDRESS.replace("example.org/", "example.org:443/")
    assert read_twilio(f"{with_port}?{query}", query).id == ID


def test_twilio_s_signature_covers_the_address_every_field_and_the_token() -> None:
    query = f"id={ID}"
    good = f"{ADDRESS}?{query}"
    for address, other_query, body, token in (
        (good, f"id={uuid4()}", BODY, TOKEN),
        (good.replace("https", "http"), query, BODY, TOKEN),
        (good, query, BODY.replace(b"un", b""), TOKEN),
        (good, query, BODY + b"&More=1", TOKEN),
        (good, query, b"\xff", TOKEN),
        (good, query, BODY, "another-token"),
    ):
        with pytest.raises(BadSignature):
            read_twilio(address, other_query, body, token)
    with pytest.raises(BadSignature):
        read_receipt(TWILIO, {}, BODY, query, NOW)
    with pytest.raises(Unreadable):
        read_twilio(f"{ADDRESS}?id=7", "id=7")


@given(st.lists(st.sampled_from(["delivered", "undelivered"]), min_size=1, max_size=8))
def test_in_whatever_order_receipts_come_what_arrived_has_arrived(said: list[str]) -> None:
    known = None
    for word in said:
        if last_word(known, word):
            known = word
    assert known == ("delivered" if "delivered" in said else "undelivered")
