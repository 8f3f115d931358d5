"""The messages that would have left, kept as .eml files in one folder, newest first."""

import os
import re
import secrets
import time
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from functools import cached_property, lru_cache
from pathlib import Path

_ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list. `to` is whom the envelope named."""

    id: str
    to: str
    subject: str
    sent_at: datetime


class Mailbox:
    """A folder of messages. Ids are opaque to everybody else; they rise with time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ids = sorted(path.stem for path in folder.glob("*.eml") if _ID.fullmatch(path.stem))
        self._last = int(self._ids[-1][:16], 16) if self._ids else 0

    def next_id(self) -> str:
        """An id that sorts after every one given before, also when the clock steps back."""
        self._last = max(self._last + 1, time.time_ns())
        return f"{self._last:016x}{secrets.token_hex(4)}"

    def write(self, identity: str, sender: str, recipients: Sequence[str], content: bytes) -> None:
        """Put one message on disk, whole or not at all; `add` makes it visible. Safe in a thread.

        The envelope is added on top, as a server does on final delivery (RFC 5321, 4.4).
        """
        lines = [f"Return-Path: <{sender}>", *(f"Delivered-To: {address}" for address in recipients)]
        envelope = "".join(f"{_one_line(line)}\r\n" for line in lines).encode()
        partial = self._folder / f".{identity}.partial"
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(envelope + content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(self._folder / f"{identity}.eml")

    def add(self, identity: str) -> None:
        insort(self._ids, identity)

    def newest(self, limit: int, before: str | None = None) -> tuple[list[Summary], str | None]:
        """Up to `limit` messages older than the id `before`, and the cursor to go on with, if any."""
        end = len(self._ids) if before is None else bisect_left(self._ids, before)
        start = max(0, end - limit)
        chosen = self._ids[start:end][::-1]
        return [self._summary(identity) for identity in chosen], chosen[-1] if chosen and start else None

    def raw(self, identity: str) -> bytes | None:
        """The whole .eml, or None for an id that was never given: nothing else is looked up on disk."""
        place = bisect_left(self._ids, identity)
        if place == len(self._ids) or self._ids[place] != identity:
            return None
        return (self._folder / f"{identity}.eml").read_bytes()

    def _summary(self, identity: str) -> Summary:
        return _summary(self._folder, identity)


class Letter:
    """One message as a person reads it; whatever is malformed in it is shown, never raised."""

    def __init__(self, content: bytes) -> None:
        self._message = message_from_bytes(content, policy=policy.default)
        self._headers = BytesHeaderParser(policy=policy.compat32).parsebytes(content)

    def header(self, name: str) -> str:
        return _decoded(self._headers.get(name))

    @property
    def to(self) -> str:
        return ", ".join(self._headers.get_all("Delivered-To", []))

    @cached_property
    def text(self) -> str | None:
        return self._body("text/plain")

    @cached_property
    def html(self) -> str | None:
        return self._body("text/html")

    @property
    def attachments(self) -> list[tuple[str, str]]:
        """(type, file name) of every part that is neither the text nor the HTML."""
        leaves = (part for part in self._message.walk() if not part.is_multipart())
        others = (part for part in leaves if part.get_content_type() not in {"text/plain", "text/html"})
        return [(part.get_content_type(), _file_name(part)) for part in others]

    def _body(self, kind: str) -> str | None:
        for part in self._message.walk():
            if part.get_content_type() == kind:
                return _text_of(part)
        return None


def _text_of(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else str(part.get_payload()).encode()
    try:
        return content.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:  # A charset that nobody knows.
        return content.decode(errors="replace")


def _file_name(part: Message) -> str:
    try:
        return part.get_filename() or ""
    except (ValueError, LookupError):
        return ""


@lru_cache(maxsize=10_000)
def _summary(folder: Path, identity: str) -> Summary:
    with (folder / f"{identity}.eml").open("rb") as file:
        headers = BytesHeaderParser(policy=policy.compat32).parse(file)
    sent_at = datetime.fromtimestamp(int(identity[:16], 16) / 1_000_000_000, UTC)
    to = ", ".join(map(str, headers.get_all("Delivered-To", [])))
    return Summary(identity, to, _decoded(headers.get("Subject")), sent_at)


def _decoded(value: object) -> str:
    """A header's text, RFC 2047 words decoded; as it stands when they are malformed."""
    raw = "" if value is None else str(value)
    try:
        return _one_line(str(make_header(decode_header(raw))))
    except (ValueError, LookupError):
        return _one_line(raw)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
