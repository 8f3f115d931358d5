"""Reads: how much is shared and why, what has left, and what was said of the instance itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.messaging.federated import StreamDeclared
from services.exporter.models import STREAMS
from services.exporter.sharing import VOLETS


@dataclass(frozen=True, slots=True)
class Shared:
    """A volet now. `reason`, `decided_by` and `decided_at` are None while nobody has changed the default."""

    volet: str
    level: str
    settled: bool
    reason: str | None
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """A decision about a volet."""

    volet: str
    before: str
    after: str
    reason: str
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it left; without a `payload` it took something back."""

    stream: str
    key: str
    headers: Mapping[str, str]
    payload: bytes | None


async def shared(session: AsyncSession) -> Sequence[Shared]:
    """Every volet, the public one first."""
    rows = {row.volet: row for row in await session.execute(_SHARED)}
    return [Shared(*rows[volet]) for volet in VOLETS]


async def changes(session: AsyncSession, limit: int = 50) -> Sequence[Change]:
    """The decisions, newest first."""
    return [Change(*row) for row in await session.execute(_CHANGES, {"limit": limit})]


async def would_be_taken_back(session: AsyncSession, volet: str, still: Sequence[str]) -> Mapping[str, int]:
    """How many things of each stream would leave the national view if only the levels `still` left."""
    rows = await session.execute(_TAKEN_BACK, {"volet": volet, "still": list(still)})
    counts: dict[str, int] = {row.stream: row.things for row in rows}
    return dict.fromkeys(STREAMS, 0) | counts


async def declared(session: AsyncSession) -> dict[str, StreamDeclared]:
    """How much of each stream stands said."""
    rows = await session.execute(_DECLARED, {"streams": list(STREAMS)})
    return {
        row.stream: StreamDeclared(count=row.things, newest_id=row.newest_id, newest_at=row.newest_at)
        for row in rows
    }


async def last_sent(session: AsyncSession, stream: str, limit: int = 3) -> Sequence[Sent]:
    """The newest messages of a stream, as they left."""
    if stream == "heartbeat":
        rows = await session.execute(_LAST_PULSE)
    else:
        rows = await session.execute(_LAST_SENT, {"stream": stream, "limit": limit})
    return [Sent(stream, row.key, row.headers, row.payload) for row in rows]


async def queued(session: AsyncSession) -> int:
    """Messages that are signed and still to be carried out."""
    count: int = (await session.execute(sa.text("select count(*) from outbox"))).scalar_one()
    return count


_SHARED = sa.text("""
select s.volet, s.level, s.settled, c.reason, c.decided_by, c.decided_at from sharing s
left join lateral (
    select * from sharing_change where volet = s.volet order by id desc limit 1
) c on true
""")
_CHANGES = sa.text("""
select volet, before, after, reason, decided_by, decided_at from sharing_change order by id desc limit :limit
""")
_TAKEN_BACK = sa.text("""
select stream, count(*) as things from thing
where said and volet = :volet and needs <> all(cast(:still as text[])) group by stream
""")
_DECLARED = sa.text("""
select s.stream, (select count(*) from thing where said and stream = s.stream) as things,
    n.headers ->> 'ce_id' as newest_id, n.said_at as newest_at
from unnest(cast(:streams as text[])) s (stream) left join lateral (
    select headers, said_at from thing where stream = s.stream and said_at is not null
    order by said_at desc, said_epoch desc, said_version desc limit 1
) n on true
""")
_LAST_SENT = sa.text("""
select key, headers, case when said then payload end as payload from thing
where stream = :stream and said_at is not null order by said_at desc, key limit :limit
""")
_LAST_PULSE = sa.text("""
select headers ->> 'ce_subject' as key, headers, payload from pulse where headers is not null
""")
