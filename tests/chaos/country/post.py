"""The mail server of a whole country: it keeps who was sent what, and now and then hangs up too soon."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.parser import BytesHeaderParser

from aiosmtpd.smtp import SMTP, Envelope, Session


class Post:
    """`taken` counts each Message-ID, `to` says whom it was for. `hang_up` letters get no answer."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.to: defaultdict[str, set[str]] = defaultdict(set)
        self.hang_up = 0
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Post"]:
        loop = asyncio.get_running_loop()

        def protocol() -> SMTP:
            return SMTP(self, hostname="localhost", enable_SMTPUTF8=True, loop=loop)

        server = await loop.create_server(protocol, "127.0.0.1", 0)
        self.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd under this name."""
        assert isinstance(envelope.content, bytes)
        headers = BytesHeaderParser().parsebytes(envelope.content)
        self.taken[str(headers["Message-ID"])] += 1
        self.to[str(headers["Message-ID"])] |= set(map(str, envelope.rcpt_tos))
        if self.hang_up:
            # It has the letter, and nobody will know.
            self.hang_up -= 1
            server.transport.close()
        return "250 OK"
