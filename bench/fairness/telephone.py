"""The telephone of the desk: a few lines, one queue, and nobody there outside opening hours."""

import heapq
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from services.registrations.office_hours import OfficeHours

_AT_ONCE = timedelta(0)


def answered(calls: Iterable[tuple[datetime, timedelta]], lines: int, office: OfficeHours) -> list[datetime]:
    """When each call ends, at which its person is registered; `calls`: dialled when, in order, how long.

    Whoever is still in the queue at closing time is first the next morning; a call that has begun is
    finished.
    """
    free = [datetime.min.replace(tzinfo=UTC)] * lines
    ends = []
    for dialled, length in calls:
        start = office.after(max(dialled, free[0]), _AT_ONCE)
        heapq.heapreplace(free, start + length)
        ends.append(start + length)
    return ends
