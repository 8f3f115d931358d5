"""Reconfirming: when a confirmed person is asked whether they still come, and what their silence means."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.messaging.contracts import NoticeOutcome
from services.registrations.reaching import told

CAUSE = "reconfirm_asked"
AGAIN = 3
"""Days before the session at which somebody who has said nothing is asked once more."""
LAST_DAY = timedelta(days=1)
"""From then on nobody is asked any more, and silence may free a seat."""
TIME_TO_ANSWER = timedelta(days=1)
"""So long after the second telling nobody's silence counts."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One time that somebody was asked: `mark` like a reminder's (`7d@…`), `version` the cause's."""

    mark: str
    version: int
    at: datetime


def due(
    *,
    now: datetime,
    starts_at: datetime,
    confirmed_at: datetime,
    reconfirmed: bool,
    asked: Sequence[Asked],
    days: int | None,
) -> str | None:
    """The mark of the question to ask now, or None.

    First `days` before the session, once more `AGAIN` days before it if they say nothing. Who got the seat
    after the first of these moments has just said that they come. After an outage nobody is asked twice in
    a row, and on the last day nobody is asked at all. Once per start time.
    """
    if days is None or reconfirmed or now >= starts_at - LAST_DAY:
        return None
    if confirmed_at >= starts_at - timedelta(days=days):
        return None
    moments = [day for day in dict.fromkeys((days, AGAIN)) if day <= days]
    passed = [day for day in moments if starts_at - timedelta(days=day) <= now]
    if not passed:
        return None
    mark = mark_of(min(passed), starts_at)
    return None if mark in {one.mark for one in asked} else mark


def mark_of(day: int, starts_at: datetime) -> str:
    return f"{day}d@{starts_at.isoformat()}"


def asked_about(asked: Collection[Asked], starts_at: datetime) -> tuple[Asked, ...]:
    """The times that somebody was asked about the session as it is planned now."""
    return tuple(one for one in asked if one.mark.endswith(f"@{starts_at.isoformat()}"))


def is_freed(
    *,
    now: datetime,
    starts_at: datetime,
    silence: str,
    reconfirmed: bool,
    asked: Sequence[Asked],
    notices: Sequence[NoticeOutcome],
) -> bool:
    """Whether somebody's silence gives their seat away: only where the session says so, on the last day.

    They must really have been told twice of this very session, the second time a day ago at least. Who
    wasn't reached keeps the seat, however often it was tried.
    """
    if silence != "free" or reconfirmed or not starts_at - LAST_DAY <= now < starts_at:
        return False
    versions = {one.version for one in asked_about(asked, starts_at)}
    heard = told(notices, CAUSE, versions)
    return len(heard) >= 2 and max(one.at for one in heard) <= now - TIME_TO_ANSWER
