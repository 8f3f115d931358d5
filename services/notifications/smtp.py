"""Handing mail to the server of `SMTP_URL`, over a few connections that are used again."""

import asyncio
import logging
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notifications.handing import NotNow, Refused

log = logging.getLogger(__name__)

COMMAND_SECONDS = 60.0
"""How long a server may take for one answer; RFC 5321, 4.5.3.2 would grant more, but people wait."""
IDLE_SECONDS = 20.0
"""A connection that rested for longer is asked (NOOP) before it is trusted with a message."""
MESSAGES_PER_CONNECTION = 200
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed over, read from `smtp://user:password@host:port` or `smtps://…`.

    `here`: it is this machine. Nobody stands in between then: no encryption is asked for, no certificate
    is checked.
    """

    host: str
    port: int
    tls: bool
    here: bool
    user: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, url: str) -> "Server":
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname or "",
            port=parts.port or (465 if tls else 587 if parts.username else 25),
            tls=tls,
            here=parts.hostname in _LOOPBACK,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    def client(self) -> aiosmtplib.SMTP:
        """A client that insists on TLS before it says anything, unless the server is this machine."""
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user,
            password=self.password,
            timeout=COMMAND_SECONDS,
            use_tls=self.tls,
            start_tls=False if self.tls else None if self.here else True,
            tls_context=_unchecked() if self.here else None,
            local_hostname="localhost" if self.here else None,
        )


class Post:
    """A small pool of connections to one server; each is used by one message at a time."""

    def __init__(self, server: Server, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._server = server
        self._idle_seconds = idle_seconds
        self._resting: list[_Connection] = []

    async def send(self, message: bytes, *, sender: str, recipient: str) -> None:
        """Hand `message` over; returning means that the server has taken it. Raises `NotNow`, `Refused`."""
        async with self._connection() as client:
            await _hand_over(client, message, sender, recipient)

    async def close(self) -> None:
        """Say goodbye on every resting connection."""
        while self._resting:
            await self._resting.pop().leave()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        connection = await self._fresh_or_rested()
        try:
            yield connection.client
        except BaseException:
            # After anything but a clean end, nobody knows what the server will answer to.
            connection.drop()
            raise
        connection.used()
        if connection.messages < MESSAGES_PER_CONNECTION:
            self._resting.append(connection)
        else:
            await connection.leave()

    async def _fresh_or_rested(self) -> "_Connection":
        while self._resting:
            connection = self._resting.pop()
            if await connection.is_alive(self._idle_seconds):
                return connection
            connection.drop()
        client = self._server.client()
        try:
            await client.connect()
        except Exception as error:
            client.close()
            raise NotNow(_code("CONNECT", error)) from None
        return _Connection(client)


class _Connection:
    """One open connection and how long it has been resting."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.messages = 0
        self._last_used = time.monotonic()

    def used(self) -> None:
        self.messages += 1
        self._last_used = time.monotonic()

    async def is_alive(self, idle_seconds: float) -> bool:
        if not self.client.is_connected:
            return False
        if time.monotonic() - self._last_used < idle_seconds:
            return True
        try:
            await self.client.noop()
        except _TROUBLE:
            return False
        return True

    async def leave(self) -> None:
        with suppress(*_TROUBLE):
            async with asyncio.timeout(2):
                await self.client.quit()
        self.drop()

    def drop(self) -> None:
        self.client.close()


# A server may answer anything at all: what aiosmtplib can't read arrives as one of these.
_TROUBLE = (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError, RuntimeError, EOFError)


async def _hand_over(client: aiosmtplib.SMTP, message: bytes, sender: str, recipient: str) -> None:
    step = "MAIL"
    try:
        options = [] if recipient.isascii() else ["SMTPUTF8"]
        if options and not client.supports_extension("smtputf8"):
            raise Refused("MAIL no SMTPUTF8")
        await client.mail(sender, options=options, encoding="utf-8")
        step = "RCPT"
        await client.rcpt(recipient, encoding="utf-8")
        step = "DATA"
        await client.data(message)
    except Refused:
        raise
    except aiosmtplib.SMTPResponseException as error:
        # A refused sender or a lost session is ours to mend: only what concerns this recipient is final.
        if step != "MAIL" and 500 <= error.code <= 599:
            raise Refused(_code(step, error), no_such_address=step == "RCPT" and _no_such(error)) from None
        raise NotNow(_code(step, error)) from None
    except _TROUBLE as error:
        raise NotNow(_code(step, error)) from None


def _no_such(error: aiosmtplib.SMTPResponseException) -> bool:
    """Whether the address itself doesn't exist (RFC 3463, X.1.x), not a policy or a full mailbox."""
    enhanced = _enhanced(error)
    return enhanced in _BAD_ADDRESS if enhanced else error.code in (550, 551, 553)


_BAD_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


def _enhanced(error: aiosmtplib.SMTPResponseException) -> str:
    found = _ENHANCED.match(error.message)
    return found[1] if found else ""


def _code(step: str, error: Exception) -> str:
    """`RCPT 550 5.1.1`, `CONNECT ConnectionRefusedError`: never a server's words, which quote addresses."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{step} {error.code} {_enhanced(error)}".strip()
    return f"{step} {type(error).__name__}"


@cache
def _unchecked() -> ssl.SSLContext:
    """Made once: reading the machine's certificates takes tens of milliseconds."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
