"""A real mail server that takes, refuses, drops or stalls, as the test says."""

import asyncio
import email
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import cast

from aiosmtpd.smtp import SMTP, Envelope, Session

Answer = Callable[[str], str | None]


@dataclass
class Sink:
    """What was taken, in order. `rcpt` and `data` give the answer to a recipient; None takes the message.

    An answer of « drop » cuts the connection; after DATA the message has then been taken all the same.
    """

    letters: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0
    rcpt: Answer = lambda _address: None
    data: Answer = lambda _address: None
    gate: asyncio.Event | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def message_ids(self) -> list[str]:
        return [str(letter["Message-ID"]) for letter in self.letters]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Sink"]:
        """Listen while the block runs; a second run listens on the same port."""
        loop = asyncio.get_running_loop()
        open_ones: list[SMTP] = []

        def protocol() -> SMTP:
            self.connections += 1
            server = SMTP(self, hostname="localhost", enable_SMTPUTF8=True, loop=loop)
            open_ones.append(server)
            return server

        server = await loop.create_server(protocol, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for connection in open_ones:
                if connection.transport is not None:
                    connection.transport.close()

    async def handle_RCPT(  # aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.rcpt(address)
        if answer == "drop":
            server.transport.close()
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.gate is not None:
            await self.gate.wait()
        address = str(envelope.rcpt_tos[0])
        answer = self.data(address)
        if answer is None or answer == "drop":
            content = envelope.content
            assert isinstance(content, bytes)
            self.letters.append(cast(EmailMessage, email.message_from_bytes(content, policy=default)))
            self.envelopes.append((str(envelope.mail_from), address))
        if answer == "drop":
            server.transport.close()
        return answer or "250 OK"
