"""What a call or a letter leads to: done, another try later, or another route."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from libs.messaging.contracts import ContactDetails
from services.notifications.mailing import ROUTES, next_route

Effect = Literal["done", "again", "other_route"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`routes`: where staff may choose it. `wait`: how long until the next try, when it is `again`."""

    effect: Effect
    routes: tuple[str, ...]
    wait: timedelta = timedelta()


_BY_PHONE = ("mobile", "phone")
_ANY = ROUTES

OUTCOMES: Mapping[str, Outcome] = {
    "reached": Outcome("done", _BY_PHONE),
    "told": Outcome("done", _ANY),
    "posted": Outcome("done", ("postal",)),
    "left_message": Outcome("again", _BY_PHONE, timedelta(hours=4)),
    "no_answer": Outcome("again", _BY_PHONE, timedelta(hours=2)),
    "wrong_number": Outcome("other_route", _BY_PHONE),
    "returned": Outcome("other_route", ("postal",)),
    "gave_up": Outcome("other_route", _BY_PHONE),
}
"""`told`: in person or in another way; `gave_up`: after several tries by this route."""


@dataclass(frozen=True, slots=True)
class After:
    """Where a delivery stands after an outcome; `failed` means that no route is left."""

    status: Literal["queued", "done", "failed"]
    route: str
    tried: tuple[str, ...]
    wait: timedelta = timedelta()


def outcomes_for(route: str) -> tuple[str, ...]:
    """What can come of a try by `route`, in the order in which it is offered."""
    return tuple(name for name, outcome in OUTCOMES.items() if route in outcome.routes)


def after(
    name: str,
    *,
    route: str,
    tried: Collection[str],
    contact: ContactDetails,
    left: timedelta | None = None,
    sms: bool = False,
) -> After:
    """What follows the outcome `name` of a try by `route`; `left`: until when the news is of use.

    The next try comes when half of that time is over at the latest: an offer of minutes can't wait hours.
    """
    outcome = OUTCOMES[name]
    if outcome.effect == "done":
        return After("done", route, tuple(tried))
    if outcome.effect == "again":
        wait = outcome.wait if left is None or left <= timedelta() else min(outcome.wait, left / 2)
        return After("queued", route, tuple(tried), wait)
    return without(route, tried=tried, contact=contact, sms=sms)


def without(route: str, *, tried: Collection[str], contact: ContactDetails, sms: bool = False) -> After:
    """What follows when `route` leads nowhere: the person's next one, else the list of the unreached.

    `sms`: as for `mailing.next_route`.
    """
    gone = (*(item for item in tried if item != route), route)
    following = next_route(contact, gone, sms=sms)
    return After("failed", route, gone) if following is None else After("queued", following, gone)
