"""The signature of what leaves a region: Ed25519 (RFC 8032) over the stream, the attributes and the value.

docs/federation.md says the signed bytes one by one, with an example, so that anybody can check them.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.messaging.bus import Message

KEY_ID = "ce_keyid"
"""The header that names the key; it is signed with the others."""
SIGNATURE = "signature"
"""The header with the signature in base64 (RFC 4648, section 4); the one that can't be signed."""
KEY_BYTES = 32
_SIGNED = "ce_"
# What is signed here must never be a valid signature of something else.
_CONTEXT = b"tournee federated message, version 1"
_GONE, _STATE = b"\x00", b"\x01"


class Signer:
    """An instance's private key. It says who it is by its public half alone, in logs too."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.public_key = private_key.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public_key)

    @classmethod
    def from_secret(cls, secret: str) -> Self:
        """The signer with the private key in `secret`, base64 of 32 bytes; `ValueError` for anything else."""
        return cls(Ed25519PrivateKey.from_private_bytes(read_key(secret)))

    def sign(self, message: Message) -> Message:
        """`message` with this key's id and signature among its headers."""
        kept = {name: value for name, value in message.headers.items() if name != SIGNATURE}
        named = replace(message, headers={**kept, KEY_ID: self.key_id})
        signature = base64.b64encode(self._private_key.sign(signed_bytes(named))).decode()
        return replace(named, headers={**named.headers, SIGNATURE: signature})


def new_secret() -> str:
    """A private key for `Signer.from_secret`, from the system's own source of chance."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_key(text: str) -> bytes:
    """The 32 bytes of a key, private or public, given in base64; `ValueError` for anything else."""
    try:
        key = base64.b64decode(text.strip().encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("donnez une clé de 32 octets en base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError("donnez une clé de 32 octets en base64")
    return key


def key_id_of(public_key: bytes) -> str:
    """The name of a public key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def signed_by(message: Message) -> str | None:
    """The id of the key that `message` claims to be signed with; None for an unsigned one."""
    return message.headers.get(KEY_ID) if SIGNATURE in message.headers else None


def verify(message: Message, public_key: bytes) -> bool:
    """Whether the holder of `public_key` (32 bytes) has signed exactly this message, key and value.

    Whose key that is, and what it may speak of, is for the reader's registry to say.
    """
    signature = _signature(message)
    # The reader stores by `key`, which is signed as `ce_subject`.
    if signature is None or message.headers.get("ce_subject") != message.key:
        return False
    try:
        _verifier(public_key).verify(signature, signed_bytes(message))
    except (InvalidSignature, UnicodeEncodeError):
        return False
    return True


def signed_bytes(message: Message) -> bytes:
    """What the signature covers. Every part says its length first, so no byte can change sides."""
    attributes = sorted(
        (name.encode(), value.encode()) for name, value in message.headers.items() if name.startswith(_SIGNED)
    )
    parts = [_CONTEXT, message.topic.logical.encode()]
    value = _GONE if message.value is None else _STATE + _sized([message.value])
    pairs = _sized(part for attribute in attributes for part in attribute)
    return _sized(parts) + len(attributes).to_bytes(4) + pairs + value


def _sized(parts: Iterable[bytes]) -> bytes:
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def _signature(message: Message) -> bytes | None:
    """The signature's 64 bytes, written in the one way that base64 has for them; None otherwise."""
    text = message.headers.get(SIGNATURE)
    try:
        signature = base64.b64decode((text or "").encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return signature if len(signature) == 64 and base64.b64encode(signature).decode() == text else None


@lru_cache(maxsize=10_000)
def _verifier(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)
