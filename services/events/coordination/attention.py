"""Attention: which coming sessions a coordinator should look at first, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

SOON = timedelta(days=7)
FEW = 1 / 3
"""A session that starts soon with less of its seats taken than this may need an invitation, or a new day."""


class _Watched(Protocol):
    @property
    def status(self) -> str: ...
    @property
    def starts_at_utc(self) -> datetime: ...
    @property
    def capacity(self) -> int: ...
    @property
    def taken(self) -> int: ...
    @property
    def available(self) -> int: ...
    @property
    def waitlisted(self) -> int: ...
    @property
    def counts_seats(self) -> bool: ...
    @property
    def is_counted(self) -> bool: ...
    @property
    def has_trainer(self) -> bool: ...


Row = TypeVar("Row", bound=_Watched)


@dataclass(frozen=True, slots=True)
class Attention(Generic[Row]):
    """Sessions by what is wrong with them; each list in the order of their start."""

    late_drafts: tuple[Row, ...]
    drafts: tuple[Row, ...]
    full: tuple[Row, ...]
    quiet: tuple[Row, ...]
    without_trainer: tuple[Row, ...]

    def __bool__(self) -> bool:
        return bool(self.late_drafts or self.drafts or self.full or self.quiet or self.without_trainer)


def attention(sessions: Sequence[Row], now: datetime) -> Attention[Row]:
    """Sort out `sessions` (not over yet, by start). `now` is an instant.

    A draft is late when it starts within SOON: nobody will have heard of it. Somebody to deliver a
    session is looked for two weeks ahead.
    """
    live = [s for s in sessions if s.status == "published" and s.starts_at_utc > now]
    drafts = [s for s in sessions if s.status == "draft"]
    soon = now + SOON
    return Attention(
        late_drafts=tuple(s for s in drafts if s.starts_at_utc <= soon),
        drafts=tuple(s for s in drafts if s.starts_at_utc > soon),
        full=tuple(s for s in live if s.available <= 0 and s.waitlisted > 0),
        quiet=tuple(s for s in live if s.starts_at_utc <= soon and _is_quiet(s)),
        without_trainer=tuple(s for s in live if s.starts_at_utc <= now + 2 * SOON and not s.has_trainer),
    )


def _is_quiet(session: _Watched) -> bool:
    known = session.counts_seats and session.is_counted and session.capacity > 0
    return known and session.taken < session.capacity * FEW
