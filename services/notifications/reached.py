"""Announcing whom the notices reached and whom not, by which routes it was tried: the stream `reached`.

Triggers on `delivery` and `attempt` mark what changed in the transaction of the change, a late receipt too;
many changes of one registration are said as one, a second later at most.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.database import Database, is_unavailable
from libs.messaging.backoff import backoff_seconds, pause
from libs.messaging.contracts import Attempt, NoticeOutcome, ReachedState
from libs.messaging.envelope import pack
from libs.messaging.outbox import announce_all
from libs.messaging.topics import REACHED
from libs.settings import Settings

log = logging.getLogger(__name__)

SECONDS = 1.0
AT_ONCE = 100
"""Registrations announced in one transaction."""
NEWEST = 30
"""So many notices of one registration are said: what came before them decides nothing any more."""

_OUTCOMES = {
    "sent": "told",
    "done": "told",
    "queued": "waiting",
    "failed": "not_told",
    "superseded": "overtaken",
}


class Reaching:
    """Safe to run in several processes at once: what one is about to say, the others leave to it."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def run(self, stop: asyncio.Event) -> None:
        """Once a second until `stop`; a database that is away is waited for."""
        failures = 0
        while not stop.is_set():
            try:
                await announce_reached(self._database, self._settings)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                failures += 1
                log.warning("saying who was reached waits for the database: %s", type(error).__name__)
                await pause(stop, backoff_seconds(failures))
                continue
            failures = 0
            await pause(stop, SECONDS)


async def announce_reached(database: Database, settings: Settings) -> int:
    """Announce every registration that is marked and that nobody is at work on; how many that was."""
    count = 0
    while True:
        async with database.transaction() as tx:
            done = await _announce_next(tx, settings)
        count += done
        if done < AT_ONCE:
            return count


async def _announce_next(tx: AsyncSession, settings: Settings) -> int:
    rows = (await tx.execute(_MARKED, {"limit": AT_ONCE})).all()
    if not rows:
        return 0
    # Read after the marks were locked: whoever changes a notice now has to wait, and marks it again.
    notices = await _notices(tx, [row.registration_id for row in rows if not row.gone])
    await announce_all(
        tx,
        [
            pack(
                REACHED,
                instance=settings.instance,
                key=str(row.registration_id),
                partition_key=str(row.session_id),
                epoch=row.epoch,
                version=row.version,
                time=row.now,
                payload=None
                if row.gone
                else ReachedState(
                    registration_id=row.registration_id,
                    session_id=row.session_id,
                    notices=tuple(notices.get(row.registration_id, ())[-NEWEST:]),
                ),
            )
            for row in rows
        ],
    )
    return len(rows)


async def _notices(tx: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[NoticeOutcome]]:
    """What became of each notice of these registrations, in the order of their causes."""
    tries: dict[UUID, list[Attempt]] = {}
    for row in await tx.execute(_ATTEMPTS, {"ids": list(ids)}):
        tries.setdefault(row.delivery_id, []).append(
            Attempt(
                route=row.route,
                result=row.result,
                at=row.at,
                number=row.number,
                code=row.code,
                times=row.times,
            )
        )
    found: dict[UUID, list[NoticeOutcome]] = {}
    for row in await tx.execute(_DELIVERIES, {"ids": list(ids)}):
        found.setdefault(row.registration_id, []).append(
            NoticeOutcome(
                epoch=row.epoch,
                version=row.version,
                cause=row.cause,
                outcome=_OUTCOMES[row.status],
                route=row.route,
                at=row.sent_at or row.created_at,
                tried=every_try(row.tried_routes, tries.get(row.id, ())),
            )
        )
    return found


def every_try(given_up: Collection[str], kept: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """The tries of a notice in their order, first the routes that were given up before tries were kept."""
    known = {attempt.route for attempt in kept}
    before = [Attempt(route=route, result="refused") for route in given_up if route not in known]
    return (*before, *kept)


_MARKED = sa.text(
    """
    with marked as (
        select registration_id from reached where dirty order by registration_id
        limit :limit for no key update skip locked
    )
    update reached set dirty = false, version = version + 1 from marked
    where reached.registration_id = marked.registration_id
    returning reached.registration_id, session_id, version, gone,
        (select epoch from epoch) as epoch, clock.decision_time() as now
    """
)
_DELIVERIES = sa.text(
    """
    select id, registration_id, epoch, version, cause, status, route, tried_routes, sent_at, created_at
    from delivery where registration_id = any(:ids) order by registration_id, epoch, version, cause
    """
)
_ATTEMPTS = sa.text(
    """
    select a.delivery_id, a.number, a.at, a.route, a.result, a.code, a.times
    from attempt a join delivery d on d.id = a.delivery_id
    where d.registration_id = any(:ids) order by a.delivery_id, a.number
    """
)
