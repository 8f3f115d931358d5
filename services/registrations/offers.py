"""Offers: how long a freed seat is kept for one person."""

from datetime import datetime, timedelta

from services.registrations.office_hours import OfficeHours

SHORTEST = timedelta(minutes=15)
"""Nobody is asked to answer faster than this."""
LAST_DAY = timedelta(hours=24)
"""So near the session an offer lasts no longer than that, or one call that nobody answers."""


def is_by_hand(email: str | None, mobile: str | None, *, texts: bool) -> bool:
    """Whether somebody of the team has to call or write; `texts`: text messages leave by machine."""
    return not email and not (mobile and texts)


def expires_at(
    now: datetime, starts_at: datetime, offer_hours: float, office: OfficeHours | None = None
) -> datetime:
    """The end of an offer made `now`: the session's own hours, but at most half of the time that is left.

    So two more people can still be asked before the session if the first doesn't answer. From 24 hours
    before it, an offer lasts 15 minutes. An offer made by hand counts its hours while the `office` is open:
    nobody loses a seat in a night or on a holiday in which nobody calls.
    """
    left = starts_at - now
    if left <= LAST_DAY:
        return now + SHORTEST
    hours = timedelta(hours=offer_hours)
    end = now + hours if office is None else office.after(now, hours)
    return max(now + SHORTEST, min(end, now + left / 2))


def counts_office_hours(end: datetime, now: datetime, offer_hours: float, office: OfficeHours | None) -> bool:
    """Whether an offer made `now` ends at `end` because its hours were counted while the `office` is open.

    Not so where half of the time until the session, or the last day, gave its end.
    """
    return office is not None and end == office.after(now, timedelta(hours=offer_hours))
