"""The lane: requests for seats that arrive together are carried out together, in their order.

While one batch is written the next one gathers and is decided: the busier it gets, the cheaper each is.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from starlette.requests import Request

from libs.database import Database, is_unavailable
from libs.settings import Settings
from libs.web.problems import Unavailable
from services.registrations.known_sessions import KnownSessions
from services.registrations.problems import TooManyAtOnce
from services.registrations.registering import (
    Ask,
    Decided,
    NotSettled,
    Outcome,
    Overtaken,
    Registered,
    decide,
    register_all,
    write,
)

BOUND = 2_000
"""Requests that may wait; the next one is told to come back, before any work is done for it."""
LARGEST_BATCH = 200
_TRIES = 4
_PAUSE_SECONDS = 0.1
_LOCKING_SECONDS = 1.0
"""How long the lane locks first once it was overtaken: others are at work on the same sessions."""

Settle = Callable[[UUID], Awaitable[None]]
"""Records what is due on a session, in a transaction of its own."""


@dataclass(slots=True, eq=False)
class _Waiting:
    ask: Ask
    answer: "asyncio.Future[Registered]"


@dataclass(frozen=True, slots=True)
class _Writing:
    """A batch on its way into the database; the task says whether it got there as it was decided."""

    decided: Decided
    task: "asyncio.Task[bool]"


class Lane:
    """One per process. It has no loop to keep alive: whoever finds it idle sets it going."""

    def __init__(self, database: Database, settings: Settings, settle: Settle, *, bound: int = BOUND) -> None:
        self._database = database
        self._settings = settings
        self._settle = settle
        self._bound = bound
        self._known = KnownSessions(settings)
        self._queue: deque[_Waiting] = deque()
        self._working: asyncio.Task[None] | None = None
        self._writing: _Writing | None = None
        self._gathering: asyncio.Future[None] | None = None
        self._apart: set[asyncio.Task[None]] = set()
        self._unanswered = 0
        self._locking_until = 0.0

    def check_room(self) -> None:
        """Raises `TooManyAtOnce` when as many wait for an answer as may."""
        if self._unanswered >= self._bound:
            raise TooManyAtOnce(retry_after=2)

    async def register(self, ask: Ask) -> Registered:
        """Register somebody, once: the same key, or id with the same content, answers the same.

        Raises a `Problem`: `SessionUnknown`, `RegistrationClosed`, `NotOpenYet`, `SessionCancelled`,
        `SessionFull`, `MaybeDuplicate`, `KeyReused`, `SeatKindUnknown`, `Malformed` for a professional
        session without organisation and role, `TooManyAtOnce`, and `Unavailable`.
        """
        self.check_room()
        waiting = _Waiting(ask, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="lane")
        self._unanswered += 1
        if self._is_enough():
            self._stop_gathering()
        try:
            return await waiting.answer
        finally:
            self._unanswered -= 1

    async def _work(self) -> None:
        """Carry out what has gathered until nothing is left."""
        try:
            while self._queue:
                await self._gather()
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._size()))]
                await self._next([one for one in batch if not one.answer.done()])
        finally:
            self._working = None
            # Only a cancelled task leaves anybody here: nobody waits for a worker that is gone.
            for waiting in self._queue:
                _fail(waiting, Unavailable())
            self._queue.clear()

    async def _gather(self) -> None:
        """While a batch is being written, wait until the next one is worth its turn, or has it."""
        if self._before is not None and not self._is_enough():
            self._gathering = asyncio.get_running_loop().create_future()
            await self._gathering

    def _is_enough(self) -> bool:
        return len(self._queue) >= self._size()

    def _stop_gathering(self) -> None:
        if self._gathering is not None and not self._gathering.done():
            self._gathering.set_result(None)

    @property
    def _before(self) -> _Writing | None:
        """The batch that is being written, if one is."""
        return self._writing if self._writing is not None and not self._writing.task.done() else None

    async def _next(self, batch: Sequence[_Waiting]) -> None:
        """Decide while the batch before is being written; write once that is done."""
        before = self._before
        decided = await self._decide(batch, before.decided if before is not None else None)
        if (before is not None and not await before.task) or decided is None:
            await self._carry_out(batch)
        elif decided.changes_something:
            task = asyncio.create_task(self._write(batch, decided), name="lane writes")
            task.add_done_callback(lambda _: self._stop_gathering())
            self._writing = _Writing(decided, task)
        else:
            _answer(batch, decided.outcomes)

    async def _decide(self, batch: Sequence[_Waiting], after: Decided | None) -> Decided | None:
        """What each comes to as long as nobody else decides about these sessions; None: the careful way."""
        if time.monotonic() < self._locking_until:
            return None
        asks = [waiting.ask for waiting in batch]
        try:
            async with self._database.plain_statements() as connection:
                return await decide(connection, self._settings, self._known, asks, after=after)
        except Exception:
            # Nothing was written: the careful way meets the same again, and knows what to do about it.
            return None

    async def _write(self, batch: Sequence[_Waiting], decided: Decided) -> bool:
        """Write and answer; where it can't be written as it was decided, go the careful way."""
        try:
            async with self._database.plain_statements() as connection:
                await write(connection, decided)
        except Exception as error:
            if isinstance(error, Overtaken):
                self._lock_first()
            elif is_unavailable(error):
                _may_exist(batch)
            await self._carry_out(batch)
            return False
        except asyncio.CancelledError:
            _fail_all(batch, Unavailable())
            raise
        self._database.announced()
        _answer(batch, decided.outcomes)
        return True

    def _lock_first(self) -> None:
        self._locking_until = time.monotonic() + _LOCKING_SECONDS

    def _size(self) -> int:
        """Half of those who wait: while they are written, the others can be read, decided and answered.

        Taking everybody would make the process and PostgreSQL take turns, each idle half of the time.
        """
        return min(max(1, self._unanswered // 2), LARGEST_BATCH)

    async def _carry_out(self, batch: Sequence[_Waiting], *, alone: bool = False) -> None:
        """The careful way: everybody is answered, and one that can't be written spoils nobody else's."""
        try:
            await self._try(batch, alone=alone)
        except asyncpg.LockNotAvailableError:
            self._set_apart(batch, alone=alone)
        except Exception as error:
            if is_unavailable(error):
                _fail_all(batch, Unavailable())
            elif len(batch) == 1:
                _fail_all(batch, error)
            else:
                for one in batch:
                    await self._carry_out([one], alone=alone)
        except asyncio.CancelledError:
            _fail_all(batch, Unavailable())
            raise

    async def _try(self, batch: Sequence[_Waiting], *, alone: bool) -> None:
        """Again on a new connection when one is lost: a request that was committed is found by its id."""
        for attempt in range(_TRIES):
            try:
                outcomes = await self._once([waiting.ask for waiting in batch], alone=alone)
            except NotSettled as unsettled:
                for session_id in unsettled.session_ids:
                    await self._settle(session_id)
            except asyncpg.UniqueViolationError:
                # Two confirmation numbers in a billion were the same; the next ones won't be.
                if attempt == _TRIES - 1:
                    raise
            except Exception as error:
                if not is_unavailable(error) or attempt == _TRIES - 1:
                    raise
                _may_exist(batch)
                await asyncio.sleep(_PAUSE_SECONDS * 2**attempt)
            else:
                _answer(batch, outcomes)
                return
        raise Unavailable

    async def _once(self, asks: Sequence[Ask], *, alone: bool) -> list[Outcome]:
        """With the sessions locked first: others are at work on them."""
        async with self._database.plain_transaction(patient=alone) as connection:
            decided = await register_all(connection, self._settings, self._known, asks)
        if decided.changes_something:
            self._database.announced()
        return decided.outcomes

    def _set_apart(self, batch: Sequence[_Waiting], *, alone: bool) -> None:
        """A session that is locked for long must not hold up the others: each goes on by itself."""
        if alone:
            _fail_all(batch, Unavailable())
            return
        by_session: dict[UUID, list[_Waiting]] = {}
        for waiting in batch:
            by_session.setdefault(waiting.ask.session_id, []).append(waiting)
        for its in by_session.values():
            task = asyncio.create_task(self._alone(its), name="lane apart")
            self._apart.add(task)
            task.add_done_callback(self._apart.discard)

    async def _alone(self, its: Sequence[_Waiting]) -> None:
        try:
            await self._carry_out(its, alone=True)
        finally:
            _fail_all(its, Unavailable())


def lane_of(request: Request) -> Lane:
    """The lane of the service that answers `request`."""
    lane: Lane = request.app.state.lane
    return lane


def _answer(batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, Registered):
            if not waiting.answer.done():
                waiting.answer.set_result(outcome)
        else:
            _fail(waiting, outcome)


def _may_exist(batch: Sequence[_Waiting]) -> None:
    """Nobody knows whether the commit came through: the next try looks for its own registrations first."""
    for waiting in batch:
        waiting.ask.may_exist = waiting.ask.tried = True


def _fail_all(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        _fail(waiting, error)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
