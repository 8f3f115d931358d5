"""The manage token: the link by which a person reaches their own registration, without an account."""

from dataclasses import dataclass
from uuid import UUID

from libs.web.tokens import BadToken, sign, verify

__all__ = ["BadToken", "ManageClaim", "manage_token", "read_manage_token"]

_PURPOSE = "manage"
_LENGTH = 18  # a UUID and two bytes of generation


@dataclass(frozen=True, slots=True)
class ManageClaim:
    """What a token says: this registration, at this generation. The row says which generation holds."""

    registration_id: UUID
    generation: int


def manage_token(secret: str, registration_id: UUID, generation: int) -> str:
    """Registration id, generation and HMAC of both; derived whenever it is needed, never stored."""
    return sign(secret, _PURPOSE, registration_id.bytes + generation.to_bytes(2, "big"))


def read_manage_token(secret: str, token: str) -> ManageClaim:
    """The claim of a genuine token, or `BadToken`."""
    body = verify(secret, _PURPOSE, token)
    if len(body) != _LENGTH:
        raise BadToken
    return ManageClaim(UUID(bytes=body[:16]), int.from_bytes(body[16:], "big"))
