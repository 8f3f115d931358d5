"""Noticing that something changed in the read model, once for everybody who watches."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from libs.database import Database
from libs.web.loops import is_expected
from services.national.figures import SERVING

log = logging.getLogger(__name__)

EVERY: Final = 1.0
"""Seconds between two looks: nobody is told more often."""
MOST: Final = 100
"""Streams of one process. Who comes later is asked to come back, and loses nothing but the liveliness."""

# Every batch that is believed writes its instance's row, whatever it changed: hence who wrote it last.
_VERSION = sa.text(
    f"""
    select md5(concat_ws(' ', {SERVING}, count(*) filter (where silent),
        string_agg(concat_ws(' ', instance, written), ',' order by instance)))
    from (
        select instance, xmin::text as written,
            received_at < clock.decision_time() - interval '2 minutes' as silent
        from pulse where generation = {SERVING}
    ) as pulse
    """  # noqa: S608  # no value stands in it
)


async def version(session: AsyncSession) -> str:
    """A short text that is another one as soon as anything was received, or an instance fell silent."""
    digest: str = (await session.execute(_VERSION)).scalar_one()
    return digest[:16]


class Changes:
    """One look a second at the database while anybody watches, none while nobody does."""

    def __init__(self, database: Database, *, every: float = EVERY, most: int = MOST) -> None:
        self._database = database
        self._every, self._most = every, most
        self._watchers: set[asyncio.Queue[str]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._last = ""

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    @property
    def full(self) -> bool:
        """Whether this process has as many streams as it can bear."""
        return len(self._watchers) >= self._most

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[asyncio.Queue[str]]:
        """A queue that holds the newest version alone; the first is that of now, or of the last look."""
        news: asyncio.Queue[str] = asyncio.Queue(maxsize=1)
        self._watchers.add(news)
        if self._looking is not None and self._last:
            # Who comes later has a page that may be older than the last look.
            news.put_nowait(self._last)
        if self._looking is None:
            self._last = ""
            self._looking = asyncio.create_task(self._look(), name="national: changes")
        try:
            yield news
        finally:
            self._watchers.discard(news)
            if not self._watchers and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        while True:
            try:
                async with self._database.reading() as session:
                    now = await version(session)
            except Exception as error:
                # A database that is away is no news; the page says itself how old its figures are.
                if not is_expected(error):
                    raise
                log.info("Nothing can be seen just now", extra={"data": {"why": type(error).__name__}})
            else:
                if now != self._last:
                    self._tell(now)
                self._last = now
            await asyncio.sleep(self._every)

    def _tell(self, version: str) -> None:
        for news in self._watchers:
            # Only the newest matters to who hasn't read the one before.
            if news.full():
                news.get_nowait()
            news.put_nowait(version)
