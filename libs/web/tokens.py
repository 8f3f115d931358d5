"""Short signed tokens: who holds one may act; nothing is stored. Each purpose has its own key."""

import base64
import binascii
import hashlib
import hmac
from functools import lru_cache

MAC_BYTES = 16
"""128 bits of HMAC-SHA-256 (RFC 2104 allows truncating to half the hash); guessing is hopeless."""


class BadToken(ValueError):
    """The token was not signed here for this purpose, or was altered."""


def sign(secret: str, purpose: str, payload: bytes) -> str:
    """`payload` and its signature, URL-safe without padding. The payload is readable, not secret."""
    return _encode(payload + _mac(secret, purpose, payload))


def verify(secret: str, purpose: str, token: str) -> bytes:
    """The payload that `sign` was given for `purpose`, or `BadToken`; compares in constant time."""
    raw = _decode(token)
    payload, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, purpose, payload)):
        raise BadToken
    return payload


@lru_cache(maxsize=64)
def derived_key(secret: str, purpose: str) -> bytes:
    """The key of one purpose, so that a token made for one never counts for another."""
    return hmac.new(secret.encode(), b"tournee:" + purpose.encode(), hashlib.sha256).digest()


def same_secret(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that tells neither where they differ nor their length."""
    return hmac.compare_digest(
        hashlib.sha256(given.encode()).digest(), hashlib.sha256(expected.encode()).digest()
    )


def _mac(secret: str, purpose: str, payload: bytes) -> bytes:
    return hmac.digest(derived_key(secret, purpose), payload, "sha256")[:MAC_BYTES]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadToken from error
    # Base64 has several spellings of the same bytes; only ours counts, so one token is one string.
    if len(raw) < MAC_BYTES or _encode(raw) != token:
        raise BadToken
    return raw
