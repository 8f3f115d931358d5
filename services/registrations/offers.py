"""Offers: how long a freed seat is kept for one person."""

from datetime import datetime, timedelta

SHORTEST = timedelta(minutes=15)
"""Nobody is asked to answer faster than this."""


def expires_at(now: datetime, starts_at: datetime, offer_hours: float) -> datetime:
    """The end of an offer made `now`: the session's own hours, but at most half of the time that is left.

    So two more people can still be asked before the session if the first doesn't answer.
    """
    wanted = timedelta(hours=offer_hours)
    return now + max(SHORTEST, min(wanted, (starts_at - now) / 2))
