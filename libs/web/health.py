"""Whether a service is ready, and what stands in its queues: for operators and load balancers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from sqlalchemy import text

from libs.database import Database
from libs.web.loops import Loops, is_expected

Report = Mapping[str, object]
PATIENCE = 2.0
"""Seconds after which a database that doesn't answer counts as away."""


class Health:
    """`await health()` is the report of one service; `ready` false means 503."""

    def __init__(
        self, service: str, database: Database, loops: Loops, more: Callable[[], Awaitable[Report]] | None
    ) -> None:
        self.service = service
        self.database = database
        self.loops = loops
        self.more = more
        self.is_leaving: Callable[[], bool] = lambda: False
        """Whether the process is about to end; set by whoever runs it."""

    async def __call__(self) -> dict[str, object]:
        """`service`, `ready`, `leaving`, `database` (`up`, `down`), `loops`, and what the service adds.

        Who leaves isn't ready, but still answers: a proxy that asks here sends the next requests elsewhere.
        """
        up, leaving = await self._database_answers(), self.is_leaving()
        crashed = "crashed" in self.loops.states.values()
        report: dict[str, object] = {
            "service": self.service,
            "ready": up and not crashed and not leaving,
            "leaving": leaving,
            "database": "up" if up else "down",
            "loops": dict(self.loops.states),
        }
        return {**report, **await self._more(up)}

    async def _database_answers(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE), self.database.reading() as session:
                await session.execute(text("select 1"))
        except Exception as error:
            if not is_expected(error):
                raise
            return False
        return True

    async def _more(self, up: bool) -> Report:
        if self.more is None or not up:
            return {}
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.more()
        except Exception as error:
            if not is_expected(error):
                raise
            return {"bus": "down"}
