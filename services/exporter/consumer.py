"""What the exporter hears of sessions, their seats and the counts, and what follows for the outside."""

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.database import Database
from libs.messaging.contracts import Payload, SeatsState, SessionState
from libs.messaging.envelope import Envelope, NotUnderstood
from libs.messaging.federated import Federated, FederatedSession, FederatedTally, Level
from libs.messaging.inbox import Inbox
from libs.messaging.topics import SEATS, SESSIONS, TALLIES
from services.exporter.allowing import (
    allowed_seats,
    allowed_session,
    allowed_tally,
    checked_key,
    key_of,
    level_for,
    volet_of,
)
from services.exporter.saying import Row, Voice, bring_in_line


def inbox(database: Database, voice: Voice, base_url: str) -> Inbox:
    """The inbox of the three streams; `base_url` is where the instance's public pages are."""
    hearing = Hearing(voice, base_url)
    return Inbox(database, {SESSIONS: hearing.session, SEATS: hearing.seats, TALLIES: hearing.tally})


class Hearing:
    """The handlers of the streams inside the instance."""

    def __init__(self, voice: Voice, base_url: str) -> None:
        self._voice = voice
        self._base_url = base_url

    async def session(self, tx: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
        """A session's facts; its seats, which may have come first, leave with them or not at all."""
        facts: FederatedSession | None = None
        if payload is not None:
            assert isinstance(payload, SessionState)
            facts = allowed_session(payload, self._base_url)
        volet = volet_of(facts) if facts else None
        await _lock_session(tx, envelope)
        things = await _hear(tx, "sessions", envelope, facts, volet)
        if things:
            seats = await tx.execute(_SEATS_FOLLOW, {"key": envelope.subject, "volet": volet})
            await bring_in_line(tx, self._voice, [*things, *seats.all()])

    async def seats(self, tx: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
        """A session's seats: kept until its facts are here and say which volet decides."""
        counts = None
        if payload is not None:
            assert isinstance(payload, SeatsState)
            counts = allowed_seats(payload)
        await _lock_session(tx, envelope)
        volet = (await tx.execute(_VOLET, {"key": envelope.subject})).scalar_one_or_none()
        await bring_in_line(tx, self._voice, await _hear(tx, "seats", envelope, counts, volet))

    async def tally(self, tx: AsyncSession, envelope: Envelope, payload: Payload | None) -> None:
        """A cell of counts."""
        tally: FederatedTally | None = None
        if payload is not None:
            assert isinstance(payload, FederatedTally)
            tally = allowed_tally(payload)
        volet = volet_of(tally) if tally else None
        await bring_in_line(tx, self._voice, await _hear(tx, "tallies", envelope, tally, volet))


async def _hear(
    tx: AsyncSession, stream: str, envelope: Envelope, payload: Federated | None, volet: str | None
) -> list[Row]:
    """Keep what is newer than what was known: its row, locked; nothing for old news."""
    key = checked_key(stream, envelope.subject)
    if payload is not None and key_of(payload) != envelope.subject:
        raise NotUnderstood("the key is not the one of what is said")
    needs: Level = level_for(payload) if payload is not None else "sessions"
    value = None if payload is None else orjson.dumps(payload.model_dump(mode="json"))
    row = {
        "stream": stream,
        "key": key,
        "volet": volet,
        "needs": needs,
        "epoch": envelope.epoch,
        "version": envelope.version,
        "payload": value,
    }
    return list((await tx.execute(_HEAR, row)).all())


async def _lock_session(tx: AsyncSession, envelope: Envelope) -> None:
    """One at a time per session: facts and seats that arrive together would not see each other."""
    await tx.execute(_LOCK, {"key": envelope.subject})


_LOCK = sa.text("select pg_advisory_xact_lock(hashtextextended(:key, 0))")
_VOLET = sa.text("select volet from thing where stream = 'sessions' and key = :key and payload is not null")
_HEAR = sa.text("""
insert into thing (stream, key, volet, needs, epoch, version, payload)
values (:stream, :key, :volet, :needs, :epoch, :version, :payload)
on conflict (stream, key) do update set volet = excluded.volet, needs = excluded.needs,
    epoch = excluded.epoch, version = excluded.version, payload = excluded.payload
where (excluded.epoch, excluded.version) > (thing.epoch, thing.version)
returning *
""")
_SEATS_FOLLOW = sa.text("update thing set volet = :volet where stream = 'seats' and key = :key returning *")
