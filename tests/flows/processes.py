"""The services as separate processes on one server, and a mail server that keeps what it is given."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.conftest import SECRET
from tests.flows.running import ADMIN_TOKEN, ROOT, free_port
from tests.waiting import eventually


class ServiceProcess:
    """`python -m deploy.service NAME`, which can be stopped, killed and started again on its port."""

    def __init__(self, name: str, log: Path, **environment: str) -> None:
        self.name = name
        self.port = free_port()
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self._log = log
        self._environment = {
            "PORT": str(self.port),
            "SECRET_KEY": SECRET,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "PUBLIC_URL": "http://127.0.0.1:8000",
        } | environment
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = self._launch()
        await eventually(self._is_ready)

    def kill(self) -> None:
        """Kill -9, in the middle of whatever it does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def close(self) -> None:
        await self.client.aclose()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()

    async def health(self) -> dict[str, object]:
        return dict((await self.client.get(f"/health/{self.name}")).json())

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "deploy.service", self.name],
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=log,
            )

    async def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text("utf-8", "replace")
        try:
            return (await self.client.get(f"/health/{self.name}")).status_code == 200
        except httpx.TransportError:
            return False


class Letters:
    """What a mail server was given, in order."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if address in str(mail["To"])]


@asynccontextmanager
async def mail_server() -> AsyncIterator[tuple[str, Letters]]:
    """A mail server on the loopback address: its `SMTP_URL`, and what it gets."""
    loop = asyncio.get_running_loop()
    letters = Letters()

    def protocol() -> SMTP:
        return SMTP(letters, hostname="localhost", enable_SMTPUTF8=True, loop=loop)

    server = await loop.create_server(protocol, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"smtp://{host}:{port}", letters
    finally:
        server.close()
        await server.wait_closed()
