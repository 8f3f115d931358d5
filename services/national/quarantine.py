"""What was not believed: kept as it came, counted by reason, and tried again when the registry changed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from libs.database import Plain
from libs.messaging.bus import Message, Received
from services.national import ingesting_sql as sql
from services.national.believing import Reason


@dataclass(frozen=True, slots=True)
class Doubted:
    """A message and why it isn't believed."""

    received: Received
    reason: Reason
    detail: str = ""

    @property
    def digest(self) -> bytes:
        return digest_of(self.received.message)


async def keep(connection: Plain, doubted: Sequence[Doubted]) -> None:
    """Put these into quarantine, each once however often it comes; a new reason replaces an old one."""
    # The same message may stand twice in one batch.
    kept = list({(one.received.message.topic.name, one.digest): one for one in doubted}.values())
    if not kept:
        return
    await connection.execute(
        sql.QUARANTINE,
        orjson.dumps([_row(one) for one in kept]).decode(),
        [one.received.message.value for one in kept],
        [one.digest for one in kept],
    )


def digest_of(message: Message) -> bytes:
    """SHA-256 of all that a message is; every part says its length first."""
    found = hashlib.sha256()
    parts = [message.key, *(part for header in sorted(message.headers.items()) for part in header)]
    for part in parts:
        encoded = part.encode(errors="surrogatepass")
        found.update(len(encoded).to_bytes(8) + encoded)
    found.update(b"\x00" if message.value is None else b"\x01" + message.value)
    return found.digest()


def _row(doubted: Doubted) -> dict[str, object]:
    message = doubted.received.message
    return {
        "topic": message.topic.name,
        "instance": message.topic.instance or "",
        "position": doubted.received.offset,
        "key": _storable(message.key),
        "headers": {_storable(name): _storable(text) for name, text in message.headers.items()},
        "reason": doubted.reason,
        "detail": _storable(doubted.detail),
    }


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")
