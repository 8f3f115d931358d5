"""What a gateway says became of a text message: whether it is really the gateway, and what it says."""

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha1, sha256
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import orjson

from services.notifications.sms import Gateway, clean_code

TIMESTAMP: Final = "x-tournee-timestamp"
SIGNATURE: Final = "x-tournee-signature"
TWILIO_SIGNATURE: Final = "x-twilio-signature"
WINDOW: Final = timedelta(minutes=5)
"""A generic receipt signed longer ago, or as far ahead, isn't taken: the gateway signs it again."""

Fate = Literal["delivered", "undelivered"]
_FATES: Final[Mapping[str, Fate]] = {
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "undelivered",
    "canceled": "undelivered",
}
"""The words of both dialects that are the last one; any other (`queued`, `sent` …) is on the way there."""


class BadSignature(Exception):
    """The receipt isn't from the gateway, or too old to tell."""


class Unreadable(Exception):
    """It is from the gateway, but no receipt."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """`fate` is None while the message is still on its way; `code` is the gateway's, or empty."""

    id: UUID
    fate: Fate | None
    code: str = ""


def read_receipt(
    gateway: Gateway, headers: Mapping[str, str], body: bytes, query: str, now: datetime
) -> Receipt:
    """The receipt in a request, once its signature holds. Raises `BadSignature`, `Unreadable`.

    `query` is the raw query string of its address.
    """
    if gateway.dialect == "twilio":
        return _twilio(gateway, headers, body, query)
    check_signature(gateway.token, headers, body, now)
    try:
        given = orjson.loads(body)
        return Receipt(UUID(given["id"]), _FATES.get(given["status"]), clean_code(given.get("code")))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unreadable from None


def signature_of(token: str, timestamp: str, body: bytes) -> str:
    """`v1=` and the hex HMAC-SHA-256 of timestamp, a dot and the body, keyed with the shared secret."""
    return "v1=" + hmac.new(token.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()


def check_signature(token: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Raises `BadSignature`; compares in constant time, and the time only once the signature holds."""
    timestamp = headers.get(TIMESTAMP, "")
    expected = signature_of(token, timestamp, body)
    if not hmac.compare_digest(headers.get(SIGNATURE, "").encode(), expected.encode()):
        raise BadSignature
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 12):
        raise BadSignature
    if abs(now.timestamp() - int(timestamp)) > WINDOW.total_seconds():
        raise BadSignature


def twilio_signature(token: str, address: str, fields: Sequence[tuple[str, str]]) -> str:
    """Base64 of HMAC-SHA-1 over the whole address and every field, by name: twilio.com, Webhooks security."""
    signed = address + "".join(name + value for name, value in sorted(set(fields)))
    return b64encode(hmac.new(token.encode(), signed.encode(), sha1).digest()).decode()


def _twilio(gateway: Gateway, headers: Mapping[str, str], body: bytes, query: str) -> Receipt:
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200, errors="strict")
    except ValueError:
        fields = []
    given = headers.get(TWILIO_SIGNATURE, "").encode()
    # Built from PUBLIC_URL, which the callback was, and never from the Host header.
    holds = [
        hmac.compare_digest(given, twilio_signature(gateway.token, address, fields).encode())
        for address in _spellings(f"{gateway.callback}?{query}")
    ]
    if not any(holds):
        raise BadSignature
    said = dict(fields)
    try:
        id_ = UUID(dict(parse_qsl(query))["id"])
    except (ValueError, KeyError):
        raise Unreadable from None
    return Receipt(id_, _FATES.get(said.get("MessageStatus", "")), clean_code(said.get("ErrorCode")))


def _spellings(address: str) -> tuple[str, ...]:
    """The address as it was given, and with the port that its scheme implies: Twilio signs either."""
    parts = urlsplit(address)
    if parts.port is not None:
        return (address,)
    port = 443 if parts.scheme == "https" else 80
    return address, parts._replace(netloc=f"{parts.netloc}:{port}").geturl()
