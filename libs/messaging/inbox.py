"""The inbox: each message takes effect once, and one that can't be understood is parked, never lost."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from libs.database import Database, is_unavailable
from libs.messaging import topics
from libs.messaging.bus import Message, Received
from libs.messaging.contracts import Payload
from libs.messaging.envelope import Envelope, NotUnderstood, unpack
from libs.messaging.topics import Topic

log = logging.getLogger(__name__)

Apply = Callable[[AsyncSession, Envelope, Payload | None], Awaitable[None]]
"""The effect of one message in the transaction given; the payload is None when the thing is gone."""


class NotYet(Exception):
    """A prerequisite of this message has not arrived; it will be delivered again after a back-off."""


_SEEN = sa.text("insert into inbox (source, id) values (:source, :id) on conflict do nothing returning true")
_PARK = sa.text(
    "insert into parked (topic, key, partition_key, headers, value, reason)"
    " values (:topic, :key, :partition_key, :headers, :value, :reason)"
).bindparams(sa.bindparam("headers", type_=JSONB))


class Inbox:
    """Applies messages of several topics to one service's database.

    `by_key`: the messages of a batch take effect in the order of their keys, those of one key as they came.
    For handlers that lock what the key names: two batches, or a batch and somebody else who locks several
    of these things in the order of their ids, then never wait for each other.
    """

    def __init__(self, database: Database, handlers: Mapping[Topic, Apply], *, by_key: bool = False) -> None:
        self._database = database
        self._handlers = handlers
        self._by_key = by_key

    @property
    def topics(self) -> Sequence[Topic]:
        return tuple(self._handlers)

    async def handle(self, batch: Sequence[Received]) -> None:
        """One transaction for the batch; if it fails, one for each member. A bus handler."""
        messages = [received.message for received in batch]
        if self._by_key:
            messages.sort(key=lambda message: message.key)
        try:
            await self._apply_all(messages)
        except Exception as error:
            if is_unavailable(error):
                raise
            for message in messages:
                await self._apply_alone(message)

    async def replay_parked(self) -> tuple[int, int]:
        """Try every parked message again; returns (applied, still parked)."""
        async with self._database.reading() as session:
            rows = (await session.execute(sa.text("select * from parked order by id"))).all()
        applied = 0
        for row in rows:
            message = Message(
                topic=topics.named(row.topic),
                key=row.key,
                value=None if row.value is None else bytes(row.value),
                partition_key=row.partition_key,
                headers=row.headers,
            )
            try:
                async with self._database.transaction() as session:
                    await self._apply(session, message)
                    await session.execute(sa.text("delete from parked where id = :id"), {"id": row.id})
                applied += 1
            except Exception as error:
                if is_unavailable(error):
                    raise
                log.warning("message stays parked: %s", _reason(error))
        return applied, len(rows) - applied

    async def _apply_all(self, messages: Sequence[Message]) -> None:
        async with self._database.transaction() as session:
            for message in messages:
                await self._apply(session, message)

    async def _apply_alone(self, message: Message) -> None:
        try:
            await self._apply_all([message])
        except Exception as error:
            if isinstance(error, NotYet) or is_unavailable(error):
                raise
            # The stack without the error's own text, which may quote personal data.
            stack = "".join(traceback.format_tb(error.__traceback__))
            log.error("message parked: %s %s\n%s", message.topic.name, _reason(error), stack)
            await self._park(message, _reason(error))

    async def _apply(self, session: AsyncSession, message: Message) -> None:
        envelope, payload = unpack(message)
        row = {"source": envelope.source, "id": envelope.id}
        # Never check, then insert: two deliveries of one message may run at the same time.
        if (await session.execute(_SEEN, row)).first() is None:
            return
        await self._handlers[message.topic](session, envelope, payload)

    async def _park(self, message: Message, reason: str) -> None:
        async with self._database.transaction() as session:
            await session.execute(
                _PARK,
                {
                    "topic": message.topic.name,
                    "key": message.key,
                    "partition_key": message.partition_key,
                    "headers": dict(message.headers),
                    "value": message.value,
                    "reason": reason,
                },
            )


def _reason(error: Exception) -> str:
    """What went wrong without a value of the message: a driver's text may quote personal data."""
    return str(error) if isinstance(error, NotUnderstood) else type(error).__name__


async def count_parked(session: AsyncSession) -> int:
    """How many messages wait for an operator."""
    count: int = (await session.execute(sa.text("select count(*) from parked"))).scalar_one()
    return count


async def is_news(session: AsyncSession, topic: Topic, envelope: Envelope) -> bool:
    """Whether a message about something unknown is not the late copy of something erased."""
    found = await session.execute(
        sa.text("select epoch, version from erased where topic = :topic and key = :key"),
        {"topic": topic.name, "key": envelope.subject},
    )
    row = found.first()
    return row is None or envelope.newness > (row.epoch, row.version)


async def remember_erased(session: AsyncSession, topic: Topic, envelope: Envelope) -> None:
    """Keep that this thing was erased, so that a late duplicate doesn't bring it back."""
    await session.execute(
        sa.text(
            "insert into erased (topic, key, epoch, version) values (:topic, :key, :epoch, :version)"
            " on conflict (topic, key) do update set epoch = excluded.epoch, version = excluded.version,"
            " erased_at = now() where (excluded.epoch, excluded.version) > (erased.epoch, erased.version)"
        ),
        {
            "topic": topic.name,
            "key": envelope.subject,
            "epoch": envelope.epoch,
            "version": envelope.version,
        },
    )


async def prune(session: AsyncSession, days: int = 14) -> None:
    """Forget the messages taken in longer ago: by then no transport delivers them again."""
    await session.execute(
        sa.text("delete from inbox where received_at < now() - make_interval(days => :days)"), {"days": days}
    )
