"""Offers: how long a freed seat is kept for one person."""

from datetime import datetime, timedelta

SHORTEST = timedelta(minutes=15)
"""Nobody is asked to answer faster than this."""
LAST_DAY = timedelta(hours=24)
"""So near the session an offer lasts no longer than that, or one call that nobody answers."""


def expires_at(now: datetime, starts_at: datetime, offer_hours: float) -> datetime:
    """The end of an offer made `now`: the session's own hours, but at most half of the time that is left.

    So two more people can still be asked before the session if the first doesn't answer. From 24 hours
    before it, an offer lasts 15 minutes.
    """
    left = starts_at - now
    if left <= LAST_DAY:
        return now + SHORTEST
    return now + max(SHORTEST, min(timedelta(hours=offer_hours), left / 2))
