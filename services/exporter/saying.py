"""Saying and taking back: what the national view has been told, brought in line with what it may know."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.clock import utc_now
from libs.messaging.bus import Message
from libs.messaging.envelope import headers_of
from libs.messaging.signing import KEY_ID, Signer
from libs.messaging.topics import federated
from libs.settings import Settings
from services.exporter.sharing import Levels, lets_out, next_newness

Row: TypeAlias = "sa.Row[Any]"
"""A row of `thing`."""


@dataclass(frozen=True, slots=True)
class Voice:
    """In whose name messages leave: the instance's, with its key."""

    instance: str
    signer: Signer

    @classmethod
    def of(cls, settings: Settings) -> "Voice":
        """Raises `BadSettings` without SIGNING_KEY."""
        return cls(settings.instance, Signer.from_secret(settings.signing_secret))

    def message(
        self, stream: str, key: str, newness: tuple[int, int], value: bytes | None, now: datetime
    ) -> Message:
        """The signed message that gives the state of `key`, or with None takes it back."""
        topic = federated(self.instance)[stream]
        headers = headers_of(
            topic,
            instance=self.instance,
            key=key,
            epoch=newness[0],
            version=newness[1],
            time=now.isoformat(),
            erased=value is None,
        )
        return self.signer.sign(Message(topic, key, value, key, headers))


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for the length of a transaction: the levels can't change before it ends."""

    levels: Levels
    epoch: int

    def lets_out(self, volet: str | None, needed: str) -> bool:
        return volet is not None and lets_out(self.levels[volet], needed)


async def standing(tx: AsyncSession) -> Standing:
    """The levels and the service's epoch, read once in a transaction.

    Whoever changes a level waits until the transactions that rest on the old one have ended, and finds
    what they said.
    """
    known: Standing | None = tx.info.get(Standing)
    if known is None:
        rows = (await tx.execute(_STANDING)).all()
        known = Standing({row.volet: row.level for row in rows}, rows[0].epoch)
        tx.info[Standing] = known
    return known


async def bring_in_line(tx: AsyncSession, voice: Voice, things: Sequence[Row]) -> int:
    """Say what may leave and isn't known outside as it is; take back what may not. How many messages.

    `things` are rows of `thing` that this transaction has locked.
    """
    now, held = utc_now(), await standing(tx)
    said = [message for thing in things if (message := _due(voice, held, thing, now))]
    if said:
        await tx.execute(_SAY, {"said": orjson.dumps(said).decode(), "now": now})
    return len(said)


def _due(voice: Voice, held: Standing, thing: Row, now: datetime) -> dict[str, object] | None:
    """The message that is due about `thing`, and what to remember of it."""
    out = thing.payload if held.lets_out(thing.volet, thing.needs) else None
    fingerprint = None if out is None else hashlib.sha256(out).digest()
    if out is None and not thing.said:
        return None
    if out is not None and thing.said and fingerprint == thing.fingerprint and _stands(voice, held, thing):
        return None
    newness = next_newness((thing.epoch, thing.version), held.epoch, (thing.said_epoch, thing.said_version))
    message = voice.message(thing.stream, thing.key, newness, out, now)
    return {
        "topic": message.topic.name,
        "stream": thing.stream,
        "key": thing.key,
        "said": out is not None,
        "epoch": newness[0],
        "version": newness[1],
        "headers": dict(message.headers),
        "fingerprint": fingerprint.hex() if fingerprint else None,
    }


def _stands(voice: Voice, held: Standing, thing: Row) -> bool:
    """Whether what was said last is still believed: it bears the newest epoch and the key of today."""
    newest = thing.said_epoch >= max(thing.epoch, held.epoch)
    return newest and thing.headers is not None and thing.headers.get(KEY_ID) == voice.signer.key_id


# In the order in which who decides locks them.
_STANDING = sa.text("""
select volet, level, (select epoch from epoch) as epoch from sharing order by volet for share of sharing
""")
# The value goes from row to row as it is: the signature is over these bytes.
_SAY = sa.text("""
with due as (
    select * from rows from (json_to_recordset(cast(:said as json)) as (topic text, stream text, key text,
        said boolean, epoch integer, version bigint, headers jsonb, fingerprint text)
    ) with ordinality as d(topic, stream, key, said, epoch, version, headers, fingerprint, n)
), remembered as (
    update thing t set said = d.said, said_epoch = d.epoch, said_version = d.version, said_at = :now,
        headers = d.headers, fingerprint = decode(d.fingerprint, 'hex')
    from due d where t.stream = d.stream and t.key = d.key
)
insert into outbox (topic, key, partition_key, headers, value)
select d.topic, d.key, d.key, d.headers, case when d.said then t.payload end
from due d join thing t on t.stream = d.stream and t.key = d.key order by d.n
""")
