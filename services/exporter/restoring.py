"""After a backup was put back: what left since is known to be out, so that it is taken back."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from libs.messaging.bus import Message
from libs.messaging.envelope import read_envelope


async def remember(tx: AsyncSession, epoch: int, out: Mapping[str, Mapping[str, Message]]) -> int:
    """Raise the epoch, which makes `restating` sign everything again, and note what is out; how many.

    `out`: the newest message about each key of each stream, where it isn't a tombstone. What the backup
    knows nothing of is said no more inside the instance either, or is said anew in the new epoch.
    """
    await tx.execute(sa.text("update epoch set epoch = :epoch"), {"epoch": epoch})
    rows = []
    for stream, messages in out.items():
        for key, message in messages.items():
            envelope = read_envelope(message)
            rows.append(
                {
                    "stream": stream,
                    "key": key,
                    "epoch": envelope.epoch,
                    "version": envelope.version,
                    "at": envelope.time,
                    "headers": dict(message.headers),
                }
            )
    if rows:
        await tx.execute(_REMEMBER, rows)
    return len(rows)


_REMEMBER = sa.text(
    """
    insert into thing (stream, key, needs, epoch, version, said, said_epoch, said_version, said_at, headers)
    values (:stream, :key, 'sessions', 0, 0, true, :epoch, :version, :at, :headers)
    on conflict (stream, key) do update set said = true, said_epoch = excluded.said_epoch,
        said_version = excluded.said_version, said_at = excluded.said_at, headers = excluded.headers,
        fingerprint = null
    where (excluded.said_epoch, excluded.said_version) > (thing.said_epoch, thing.said_version)
    """
).bindparams(sa.bindparam("headers", type_=JSONB))
