"""Taking in what the instances say: believed and newer into the read model, doubted into quarantine."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from libs.database import Database, Plain
from libs.messaging.bus import Received
from libs.web.loops import is_expected
from services.national import ingesting_sql as sql
from services.national import registry
from services.national.applying import Changes, apply
from services.national.believing import Believed, Doubt, Reason, Registry, judge, session_named
from services.national.quarantine import Doubted, keep

log = logging.getLogger(__name__)

LIVE = frozenset({"building", "serving"})
_AT_ONCE = 25
"""Messages judged before other requests of this process get their turn: some 3 ms."""


@dataclass(slots=True)
class _Judged:
    """A batch told apart, by one version of the registry. `believed` holds the newest of each key."""

    version: int
    believed: dict[str, tuple[Received, Believed]] = field(default_factory=dict)
    doubted: list[Doubted] = field(default_factory=list)
    unclaimed: set[str] = field(default_factory=set)
    """Sessions that nobody has spoken of until now."""

    def believe(self, received: Received, message: Believed) -> None:
        before = self.believed.get(message.envelope.subject)
        if before is None or _rank(message) > _rank(before[1]):
            self.believed[message.envelope.subject] = received, message


class _RegistryChanged(Exception):
    """The registry is another than the one that the batch was judged by."""


class Ingest:
    """Fills one generation of the read model."""

    def __init__(self, database: Database, generation: int) -> None:
        self.generation = generation
        self._database = database
        self._registry: tuple[int, Registry] = (-1, {})

    async def handle(self, batch: Sequence[Received]) -> None:
        """One transaction for the batch; if it fails, one for each member. A bus handler."""
        try:
            await self.take_in(batch)
        except Exception as error:
            if is_expected(error):
                raise
            name = batch[0].message.topic.name
            log.warning("a batch of %s is taken in one by one: %s", name, type(error).__name__)
            for received in batch:
                await self._take_in_alone(received)

    async def take_in(self, batch: Sequence[Received], *, again: bool = False) -> list[Doubted]:
        """Judge and apply messages of one partition; those that are doubted, which are in quarantine now.

        `again`: they come from the quarantine, not from the stream.
        """
        while True:
            judged = await self._judged(batch)
            try:
                await self._write(batch[-1], judged, again)
            except _RegistryChanged:
                continue
            return judged.doubted

    async def _take_in_alone(self, received: Received) -> None:
        try:
            await self.take_in([received])
        except Exception as error:
            if is_expected(error):
                raise
            # Without the error's own text, which may quote what the message says.
            name, detail = received.message.topic.name, type(error).__name__
            log.error("a message goes into quarantine: %s %s", name, detail)
            async with self._database.plain_transaction(patient=True) as connection:
                await keep(connection, [Doubted(received, Reason.MALFORMED, detail)])
                await self._advance(connection, received)

    async def _judged(self, batch: Sequence[Received]) -> _Judged:
        named = {id_ for one in batch if (id_ := session_named(one.message)) is not None}
        async with self._database.plain_statements() as connection:
            read = orjson.loads(await connection.fetchval(sql.READ, list(named)))
            if read["version"] != self._registry[0]:
                self._registry = registry.snapshot(await connection.fetchval(registry.READ))
        version, known = self._registry
        owners = read["owners"] or {}
        now = datetime.fromisoformat(read["now"])
        judged = _Judged(version)
        for number, received in enumerate(batch, start=1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                message = judge(received.message, known, owners, now)
            except Doubt as doubt:
                judged.doubted.append(Doubted(received, doubt.reason, doubt.detail))
                continue
            judged.believe(received, message)
            if message.session_id is not None and message.payload is not None:
                judged.unclaimed.add(message.session_id)
        judged.unclaimed -= owners.keys()
        return judged

    async def _write(self, last: Received, judged: _Judged, again: bool) -> None:
        instance = last.message.topic.instance or ""
        async with self._database.plain_transaction(patient=True) as connection:
            await connection.execute(sql.LOCK, self.generation, instance)
            check = await connection.fetchrow(sql.CHECK, self.generation)
            if check is None or check["state"] not in LIVE:
                return
            if check["version"] != judged.version:
                raise _RegistryChanged
            await _claim(connection, instance, judged)
            if judged.believed:
                believed = [message for _, message in judged.believed.values()]
                changes = await apply(connection, self.generation, instance, believed)
                await self._pulse(connection, instance, believed, changes)
            await keep(connection, judged.doubted)
            if not again:
                await self._advance(connection, last)
        self._database.announced()

    async def _pulse(
        self, connection: Plain, instance: str, believed: Sequence[Believed], changes: Changes
    ) -> None:
        newest = max(message.envelope.time for message in believed)
        await connection.execute(
            sql.PULSE, self.generation, instance, newest, changes.sessions, changes.seats, changes.tallies
        )

    async def _advance(self, connection: Plain, last: Received) -> None:
        position = last.offset + 1
        await connection.execute(
            sql.PROGRESS, self.generation, last.message.topic.name, last.partition, position
        )


async def _claim(connection: Plain, instance: str, judged: _Judged) -> None:
    """Make sessions that nobody spoke of the instance's; doubt those that another has claimed meanwhile."""
    if not judged.unclaimed:
        return
    ids = list(judged.unclaimed)
    await connection.execute(sql.CLAIM, ids, instance)
    for row in await connection.fetch(sql.OWNERS, ids):
        if row["instance"] != instance:
            received, _ = judged.believed.pop(str(row["session_id"]))
            judged.doubted.append(Doubted(received, Reason.NOT_THEIRS))


def _rank(message: Believed) -> tuple[int, int, bool]:
    """What is newer; of two that are as new the one that takes back."""
    return (*message.envelope.newness, message.payload is None)
