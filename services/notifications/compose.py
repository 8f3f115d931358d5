"""From the facts of a notice to the e-mail or text message that says it; pure, so it runs outside any
transaction."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from textwrap import shorten
from typing import Any

from services.notifications import gsm7, mime
from services.notifications.itip import CalendarPart, calendar_part, method_of
from services.notifications.sender import Sender
from services.notifications.wording import Facts, say


def email(facts: Facts, *, recipient: str, message_id: str, sender: Sender, now: datetime) -> bytes:
    """The whole message for `recipient`, the person's address as `mime.wire_address` gives it."""
    content = mime.Content(
        subject=say(f"{facts.folder}/subject.txt", facts, sender, now),
        text=say(f"{facts.folder}/body.txt", facts, sender, now),
        html=say(f"{facts.folder}/body.html", facts, sender, now),
        language=facts.language,
        calendar=_calendar(facts, sender, now),
    )
    return mime.build(
        content,
        sender_name=sender.name,
        sender=sender.mailbox,
        recipient_name=facts.state.name,
        recipient=recipient,
        message_id=message_id,
        date=now,
    )


MOST_SEGMENTS = 2
_TITLE_LENGTHS = (60, 40, 25)


def text_message(facts: Facts, *, sender: Sender, now: datetime) -> str:
    """The text message: GSM-7, `MOST_SEGMENTS` at most; the place goes first, then the end of the title.

    Only an instance with a very long name or PUBLIC_URL can need more: the link is never cut.
    """
    text = ""
    for shorter in _shorter(facts):
        text = gsm7.spelled(say(f"{facts.folder}/sms.txt", shorter, sender, now))
        if gsm7.segments(text) <= MOST_SEGMENTS:
            break
    return text


def _shorter(facts: Facts) -> Iterator[Facts]:
    """The same facts with less and less to say of the session; its day and hour always stay."""
    title = gsm7.spelled(facts.cause.session.title)
    yield _with(facts, title=title)
    yield _with(facts, title=title, venue=None)
    for length in _TITLE_LENGTHS:
        yield _with(facts, title=shorten(title, length, placeholder="...") or title[:length], venue=None)
    yield _with(facts, title="", venue=None)


def _with(facts: Facts, **changes: Any) -> Facts:
    session = facts.cause.session.model_copy(update=changes)
    return replace(facts, cause=facts.cause.model_copy(update={"session": session}))


def _calendar(facts: Facts, sender: Sender, now: datetime) -> CalendarPart | None:
    if method_of(facts.cause) is None:
        return None
    return calendar_part(
        facts.state,
        facts.cause,
        organizer_name=sender.name,
        mailbox=sender.mailbox,
        description=say("calendar.txt", facts, sender, now),
        place=say("calendar_place.txt", facts, sender, now),
    )
