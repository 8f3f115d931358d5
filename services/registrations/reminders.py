"""Reminders: which one a confirmed person is due, if any."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta


def due(
    *,
    now: datetime,
    starts_at: datetime,
    confirmed_at: datetime,
    already: Collection[str],
    days: Sequence[int],
) -> str | None:
    """The mark of the reminder to send now, such as `7d@2027-02-03T18:30:00+00:00`, or None.

    Only the latest that is due counts: after an outage nobody gets two. Who got the seat after a
    reminder's moment has just been told everything and doesn't need it. Once per start time.
    """
    if now >= starts_at:
        return None
    passed = [day for day in days if starts_at - timedelta(days=day) <= now]
    if not passed:
        return None
    day = min(passed)
    mark = f"{day}d@{starts_at.isoformat()}"
    if confirmed_at >= starts_at - timedelta(days=day) or mark in already:
        return None
    return mark


def cause_of(mark: str) -> str:
    """The cause that a mark stands for: `reminder_7d`."""
    return f"reminder_{mark.partition('@')[0]}"
