"""When a notice that could not leave is tried again, and when somebody must call instead."""

from datetime import datetime, timedelta

from libs.messaging.contracts import Cause

FIRST = timedelta(seconds=2)
LONGEST = timedelta(minutes=30)
GIVE_UP = timedelta(days=2)


def wait_after(attempts: int, chance: float, *, asked: timedelta | None = None) -> timedelta:
    """The pause after the n-th failed attempt: doubling from 2 s to 30 min, a quarter of it left to chance.

    `chance` is in [0, 1): it keeps those who failed together from coming back together. `asked`: the pause
    that the server wants at least; it is given, up to the longest, and a quarter more at most.
    """
    longest = min(LONGEST, FIRST * 2.0 ** min(max(attempts - 1, 0), 16))
    wait = longest * (0.75 + chance / 4)
    return wait if asked is None else max(wait, min(asked, LONGEST) * (1 + chance / 4))


def gives_up_at(cause: Cause, created_at: datetime) -> datetime:
    """From when on a notice goes by another route: 2 days, or half of the time that is left to act on it.

    Half of an offer's time is left for the call, and half of the time to the session for its other news.
    """
    end = cause.session.starts_at_utc
    if cause.status == "offered" and cause.offer_expires_at is not None:
        end = cause.offer_expires_at
    half = (end - created_at) / 2
    return created_at + (min(half, GIVE_UP) if half > timedelta() else GIVE_UP)
