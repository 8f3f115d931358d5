"""From the facts of a notice to the e-mail that says it; pure, so it runs outside any transaction."""

from datetime import datetime

from services.notifications import mime
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
