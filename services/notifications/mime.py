"""An e-mail's bytes, laid out so that Outlook, Gmail and Apple Mail all find the invitation in it.

Written out by hand: the same facts always give the same bytes, and it costs a tenth of `email.message`.
"""

import re
from base64 import b64encode, encodebytes
from binascii import b2a_qp
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256

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

    `sender` and `recipient` are as `wire_address` gives them.
    """
    headers = [
        f"From: {_mailbox(sender_name, sender)}",
        f"To: {_mailbox(recipient_name, recipient)}",
        f"Subject: {_words(one_line(content.subject))}",
        f"Date: {format_datetime(date)}",
        f"Message-ID: {message_id}",
        f"Content-Language: {content.language}",
        # RFC 3834: no out-of-office answer to this, please; Exchange has its own word for it.
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: OOF, AutoReply",
        "MIME-Version: 1.0",
    ]
    return _lines(headers) + _body(content, boundary=sha256(message_id.encode()).hexdigest()[:24])


def wire_address(address: str) -> str:
    """`address` as servers take it, its domain in ASCII (RFC 5890). Raises `BadAddress`."""
    local, _at, domain = address.strip().rpartition("@")
    try:
        wired = f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise BadAddress from error
    if len(wired.encode()) > 254 or not _ADDRESS.fullmatch(wired):
        raise BadAddress
    return wired


def one_line(text: str) -> str:
    """`text` without what could end a header: control characters and every line end become spaces."""
    return " ".join(_UNSAFE.sub(" ", text).split(" ")).strip()


_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ADDRESS = re.compile(
    r"""[^\s\x00-\x20\x7f-\x9f\ud800-\udfff<>()\[\],;:\\"@]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"""
)
_PLAIN = re.compile(r"[A-Za-z0-9 !#$%&'*+/?^_`{|}~,;:.()@<>\[\]-]{0,60}")
_PHRASE = re.compile(r"[A-Za-z0-9 !#$%&'*+/?^_`{|}~-]{1,60}")


def _body(content: Content, boundary: str) -> bytes:
    outer, inner = f"m-{boundary}", f"a-{boundary}"
    parts = [_text("plain", content.text), _text("html", content.html)]
    if content.calendar is None:
        return _multipart("alternative", inner, parts)
    # Outlook reads only this inline part, whose `method` must equal METHOD, and no quoted-printable in it.
    kind = f"text/calendar; charset=utf-8; method={content.calendar.method}"
    parts.append(_part([f"Content-Type: {kind}"], content.calendar.content))
    attached = ["Content-Type: application/ics", 'Content-Disposition: attachment; filename="invite.ics"']
    alternative = _multipart("alternative", inner, parts)
    return _multipart("mixed", outer, [alternative, _part(attached, content.calendar.content)])


def _multipart(kind: str, boundary: str, parts: list[bytes]) -> bytes:
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'
    inside = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    return head.encode() + inside + f"--{boundary}--\r\n".encode()


def _text(kind: str, text: str) -> bytes:
    content = "\r\n".join(text.encode("utf-8", "replace").decode().splitlines()) + "\r\n"
    head = [f"Content-Type: text/{kind}; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"]
    return _lines(head) + b"\r\n" + b2a_qp(content.encode(), istext=True)


def _part(head: list[str], content: bytes) -> bytes:
    encoded = encodebytes(content).replace(b"\n", b"\r\n")
    return _lines([*head, "Content-Transfer-Encoding: base64"]) + b"\r\n" + encoded


def _lines(headers: list[str]) -> bytes:
    return "".join(f"{header}\r\n" for header in headers).encode()


def _mailbox(name: str, address: str) -> str:
    """`name <address>`; the name as an atom phrase or in encoded words, so that no quoting can go wrong."""
    shown = one_line(name)
    if not shown:
        return address
    return f"{shown if _PHRASE.fullmatch(shown) else _encoded(shown)}\r\n <{address}>"


def _words(text: str) -> str:
    """A header's free text."""
    return text if _PLAIN.fullmatch(text) and "=?" not in text else _encoded(text)


def _encoded(text: str) -> str:
    """Encoded words (RFC 2047, 2 and 5): at most 75 characters each, never cut inside a character."""
    words, chunk = [], b""
    for character in text:
        piece = character.encode()
        if len(chunk) + len(piece) > 42:
            words.append(chunk)
            chunk = b""
        chunk += piece
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in [*words, chunk])
