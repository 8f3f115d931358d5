"""Which notices a registration's causes call for, which of them are overtaken, and when each is due."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.messaging.contracts import Cause, ContactDetails

ROUTES = ("email", "sms", "mobile", "phone", "postal")
"""The order in which a person's own ways of being reached are used."""
BY_MACHINE = ("email", "sms")
BY_HAND = ("mobile", "phone", "postal")
"""What somebody of the team does: a mobile is called where no gateway gets a text message through to it."""

QUIET = timedelta(seconds=60)
"""A change waits until nobody has changed the session again for this long …"""
LONGEST_WAIT = timedelta(minutes=5)
"""… but at most this long, counted from the first change that nobody was told of."""

_ENDS = frozenset(
    {
        "cancelled_by_person", "cancelled_by_staff", "session_cancelled", "draw_cancelled", "declined",
        "offer_expired", "wait_ended", "wait_over", "released_unanswered",
    }
)  # fmt: skip
_TELLING = _ENDS | {
    "pending", "confirmed", "waitlisted", "offered", "session_changed", "volunteers_asked", "transferred",
    "wait_noted", "reconfirm_asked",
}  # fmt: skip

Key = tuple[int, int, str]
"""(epoch, version, cause): what a notice of one registration is unique by."""


@dataclass(frozen=True, slots=True)
class Known:
    """A notice that exists already; `open`: nobody has been told by it yet. `by_hand`: a person tells it."""

    key: Key
    open: bool
    by_hand: bool
    waits_since: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """A new notice. One that is `superseded` from the start is kept so that it is never sent later."""

    cause: Cause
    route: str
    waits_since: datetime
    due_at: datetime
    call_before: datetime
    superseded: bool = False

    @property
    def key(self) -> Key:
        return key_of(self.cause)

    @property
    def open(self) -> bool:
        return True

    @property
    def by_hand(self) -> bool:
        return self.route in BY_HAND


@dataclass(frozen=True, slots=True)
class Plan:
    """`superseded` and `hurried` name known notices: not to be sent any more, and not to wait any longer."""

    new: tuple[Notice, ...] = ()
    superseded: tuple[Key, ...] = ()
    hurried: tuple[Key, ...] = ()


def key_of(cause: Cause) -> Key:
    return (cause.epoch, cause.version, cause.cause)


def is_reminder(name: str) -> bool:
    """Reminders are named after their days: `reminder_7d`."""
    return name.startswith("reminder_")


def passes(name: str) -> bool:
    """Whether it is of use until the session alone, and until newer news: a reminder, or a question."""
    return is_reminder(name) or name == "reconfirm_asked"


def calls_for_notice(name: str) -> bool:
    """Whether somebody is told something; a cause that only a newer peer knows waits for the upgrade."""
    return name in _TELLING or is_reminder(name)


def next_route(contact: ContactDetails, gone: Collection[str] = (), *, sms: bool = False) -> str | None:
    """The first way of reaching this person that isn't `gone`; None if there is none left.

    `sms`: whether there is a gateway that takes text messages for their mobile. Where a call showed that
    the mobile isn't theirs, no text message goes there either.
    """
    ways = {
        "email": contact.email,
        "sms": contact.mobile if sms and "mobile" not in gone else None,
        "mobile": contact.mobile,
        "phone": contact.phone,
        "postal": contact.postal,
    }
    return next((route for route in ROUTES if route not in gone and ways[route]), None)


def plan(
    causes: Iterable[Cause],
    known: Sequence[Known],
    route: str,
    now: datetime,
    *,
    status: str = "confirmed",
    reconfirmed: bool = False,
) -> Plan:
    """What the causes of one registration ask for, given the notices that exist already.

    `route`: how this person is told now; `status`: the registration's own. The result is the same however
    often and in whatever company a cause arrives: it is handled once, when it is first seen.

    `reconfirmed`: the person has said that they come, so nobody asks them any more.

    A registration that was cancelled without a cause that says so went over into another one, which tells
    the whole story: nothing that is still to be said of the old one leaves any more.
    """
    seen = {item.key for item in known}
    fresh = sorted((c for c in causes if calls_for_notice(c.cause) and key_of(c) not in seen), key=key_of)
    new = [_notice(cause, route, now) for cause in fresh]
    everything: list[Known | Notice] = sorted([*known, *new], key=lambda item: item.key)
    gone = status == "cancelled" and not any(item.key[2] in _ENDS for item in everything)
    superseded: list[Key] = []
    hurried: list[Key] = []
    for place, item in enumerate(everything):
        if not item.open:
            continue
        later = [other for other in everything[place + 1 :] if other.key[:2] > item.key[:2]]
        answered = reconfirmed and item.key[2] == "reconfirm_asked"
        if gone or answered or any(_overtakes(other, item) for other in later):
            superseded.append(item.key)
        elif later and item.due_at > now:
            # Its news must come first, and what follows must not wait for it.
            hurried.append(item.key)
    waiting = [item for item in everything if item.open and item.key[2] == "session_changed"]
    return Plan(
        new=tuple(
            replace(
                _timed(notice, waiting, now, hurry=notice.key in hurried),
                superseded=notice.key in superseded or is_stale(notice.cause, now),
            )
            for notice in new
        ),
        superseded=tuple(key for key in superseded if key in seen),
        hurried=tuple(key for key in hurried if key in seen),
    )


def is_stale(cause: Cause, now: datetime) -> bool:
    """Whether telling it now is of no use any more. The news of a seat, won or lost, never goes stale."""
    if cause.cause == "offered":
        return cause.offer_expires_at is not None and cause.offer_expires_at <= now
    if cause.cause == "session_changed":
        return cause.session.ends_at_utc <= now
    return passes(cause.cause) and cause.session.starts_at_utc <= now


def _overtakes(following: Known | Notice, item: Known | Notice) -> bool:
    """Whether the notice `item`, not sent yet, needn't be sent because of the `following` one.

    Nobody is called twice in a row, or told on the telephone what is true no more: there, only the
    latest news counts, and the words of a later call say that somebody was transferred. In writing,
    news of a seat is never left out, so that each makes sense.
    """
    later, earlier = following.key[2], item.key[2]
    if item.by_hand:
        return overtakes_a_call(earlier, following_by_hand=following.by_hand)
    if earlier == "session_changed":
        return later == "session_changed" or later in _ENDS
    if earlier == "offered":
        return later in {"confirmed", "offered"} or later in _ENDS
    return passes(earlier) and (later == "session_changed" or passes(later) or later in _ENDS)


def overtakes_a_call(earlier: str, *, following_by_hand: bool) -> bool:
    """Whether a newer notice makes a call about the cause `earlier` unnecessary."""
    return earlier != "transferred" or following_by_hand


def is_over(cause: Cause, status: str) -> bool:
    """Whether a registration in `status` ended without a word: it went over into another, which tells."""
    return status == "cancelled" and cause.cause not in _ENDS


def _notice(cause: Cause, route: str, now: datetime) -> Notice:
    # The instance's clocks may differ a little: nothing waits longer because another clock is ahead.
    happened = min(cause.at, now)
    due_at = happened + QUIET if cause.cause == "session_changed" else now
    return Notice(cause, route, happened, due_at, call_before(cause))


def _timed(notice: Notice, waiting: Sequence[Known | Notice], now: datetime, *, hurry: bool) -> Notice:
    """`session_changed` waits for quiet, but not for ever: the wait counts from the first untold change."""
    if notice.cause.cause != "session_changed":
        return notice
    first = min(
        [notice.waits_since, *(item.waits_since for item in waiting if item.key[:2] < notice.key[:2])]
    )
    due_at = now if hurry else min(notice.due_at, first + LONGEST_WAIT)
    return replace(notice, waits_since=first, due_at=due_at)


def call_before(cause: Cause) -> datetime:
    """Until when a call is of use: the end of an offer, else the (former) start of the session."""
    if cause.status == "offered" and cause.offer_expires_at is not None:
        return cause.offer_expires_at
    starts = [cause.session.starts_at_utc]
    if cause.previous is not None:
        starts.append(cause.previous.starts_at_utc)
    return min(starts)
