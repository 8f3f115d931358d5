"""An e-mail's bytes, laid out so that Outlook, Gmail and Apple Mail all find the invitation in it."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from services.notifications.itip import CalendarPart


class BadAddress(ValueError):
    """No e-mail can be addressed to this; the text doesn't repeat it."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a person reads. `html` stands beside `text`, which is complete by itself."""

    subject: str
    text: str
    html: str
    language: str
    calendar: CalendarPart | None = None


def build(
    content: Content,
    *,
    sender_name: str,
    sender: str,
    recipient_name: str,
    recipient: str,
    message_id: str,
    date: datetime,
) -> bytes:
    """multipart/mixed( multipart/alternative( text, html, calendar ), invite.ics ), or the alternative alone.

    Outlook reads only the inline calendar, whose `method` must equal METHOD, and breaks on
    quoted-printable: base64. Raises `BadAddress`.
    """
    to = _address(recipient_name, wire_address(recipient))
    policy = SMTP if to.addr_spec.isascii() else SMTPUTF8
    message = EmailMessage(policy=policy.clone(max_line_length=78))
    message["From"] = _address(sender_name, sender)
    message["To"] = to
    message["Subject"] = one_line(content.subject)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = message_id
    message["Content-Language"] = content.language
    # RFC 3834: no out-of-office answer to this, please; Exchange has its own word for it.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    message.set_content(content.text, cte="quoted-printable")
    message.add_alternative(content.html, subtype="html", cte="quoted-printable")
    if content.calendar is not None:
        _add_calendar(message, content.calendar)
    return message.as_bytes()


def wire_address(address: str) -> str:
    """`address` as servers take it, its domain in ASCII (RFC 5890). Raises `BadAddress`."""
    local, _at, domain = address.strip().rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode()
    except UnicodeError as error:
        raise BadAddress from error
    if not local or not ascii_domain or _UNSAFE.search(address):
        raise BadAddress
    return f"{local}@{ascii_domain}"


def one_line(text: str) -> str:
    """`text` without what could end a header: control characters and every line end become spaces."""
    return " ".join(_UNSAFE.sub(" ", text).split(" ")).strip()


def _add_calendar(message: EmailMessage, part: CalendarPart) -> None:
    message.add_alternative(
        part.content.decode(),
        subtype="calendar",
        charset="utf-8",
        cte="base64",
        params={"method": part.method},
    )
    message.add_attachment(part.content, maintype="application", subtype="ics", filename="invite.ics")


def _address(name: str, address: str) -> Address:
    try:
        parsed = Address(display_name=one_line(name), addr_spec=address)
    except Exception as error:  # the parser's own errors have no common base
        raise BadAddress from error
    if not parsed.username or not parsed.domain:
        raise BadAddress
    return parsed


_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
