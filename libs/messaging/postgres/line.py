"""One connection to the bus database: opened when first needed, and again after it broke."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import asyncpg

from libs.database import is_unavailable
from libs.messaging.bus import BusUnavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_CONNECT_SECONDS = 5.0
_CLOSE_SECONDS = 0.2
ANSWER_SECONDS = 15.0
"""A server that is silent for longer counts as away."""


class Line:
    """Lends one connection to one caller at a time.

    `on_open` runs on each new connection before anybody else uses it.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        answer_seconds: float | None = ANSWER_SECONDS,
        on_open: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._url = url
        self._name = name
        self._answer_seconds = answer_seconds
        self._on_open = on_open
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """The connection, for this block alone; `BusUnavailable` when the server is away."""
        async with self._lock:
            try:
                yield await self._connected()
            except Exception as error:
                if not (is_unavailable(error) or isinstance(error, OSError)):
                    raise
                self._drop()
                raise BusUnavailable(f"the bus database is away: {type(error).__name__}") from error

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = None
            connection: Connection = await asyncpg.connect(
                self._url,
                timeout=_CONNECT_SECONDS,
                command_timeout=self._answer_seconds,
                server_settings={"application_name": self._name},
            )
            self._connection = connection
            if self._on_open is not None:
                await self._on_open(connection)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Hang up; politely if the server listens."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            # A server that is away or slow needn't hear it.
            with contextlib.suppress(Exception):
                await connection.close(timeout=_CLOSE_SECONDS)
