"""A real SMS gateway on loopback, in the generic dialect or Twilio's, that misbehaves as the test says."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl
from uuid import UUID

import httpx

from services.notifications.receipts import signature_of, twilio_signature

TOKEN = "a-shared-secret-with-the-gateway"
NUMBER = "+15815550100"

Answer = tuple[int, dict[str, str], bytes]
TAKEN: Answer = (202, {}, b'{"reference": "gw-1"}')


def says(status: int, *, code: str | int | None = None, **headers: str) -> Answer:
    """An answer of the gateway; `retry_after="30"` is the header Retry-After."""
    body = b"{}" if code is None else json.dumps({"code": code, "message": "To +14185550101"}).encode()
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body


@dataclass(frozen=True)
class Text:
    """One request as it came in."""

    to: str
    text: str
    id: str
    headers: dict[str, str]
    path: str
    form: dict[str, str]
    """Twilio's fields; empty in the generic dialect."""

    @property
    def callback(self) -> str:
        return self.form["StatusCallback"]


@dataclass
class Gateway:
    """`asked` is every request; `sent` what a telephone would have got, a repeated id once only.

    `answer` gives the answer to a request: « drop » takes the message and cuts the connection.
    """

    asked: list[Text] = field(default_factory=list)
    answer: Callable[[Text], Answer | str] = lambda _text: TAKEN
    gate: asyncio.Event | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/messages"

    @property
    def twilio_url(self) -> str:
        return f"twilio://AC0123:{TOKEN}@127.0.0.1:{self.port}?from={NUMBER}"

    @property
    def sent(self) -> dict[str, Text]:
        return {text.id: text for text in self.asked}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Gateway"]:
        """Listen while the block runs; a second run listens on the same port."""
        open_ones: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            open_ones.append(writer)
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._one(reader, writer):
                    pass
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in open_ones:
                writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.strip().split("\r\n")
        headers = {k.lower(): v for k, _colon, v in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        text = _read(line.split(" ")[1], headers, body)
        self.asked.append(text)
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answer(text)
        if isinstance(answer, str):
            return False
        status, more, content = answer
        given = {"content-length": str(len(content)), "content-type": "application/json"} | more
        top = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in given.items())
        writer.write(top.encode() + b"\r\n" + content)
        await writer.drain()
        return True


def _read(path: str, headers: dict[str, str], body: bytes) -> Text:
    if "json" in headers.get("content-type", ""):
        given = json.loads(body)
        return Text(given["to"], given["text"], given["id"], headers, path, {})
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Text(form["To"], form["Body"], form["StatusCallback"].partition("?id=")[2], headers, path, form)


def basic(text: Text) -> str:
    """The user and password that a request carries."""
    return b64decode(text.headers["authorization"].removeprefix("Basic ")).decode()


def receipt(
    id_: UUID | str,
    status: str,
    *,
    code: str | int | None = None,
    token: str = TOKEN,
    at: datetime | None = None,
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a generic receipt, signed at `at` (now)."""
    body = json.dumps({"id": str(id_), "status": status, "code": code}).encode()
    timestamp = str(int((at or datetime.now(UTC)).timestamp()))
    return body, {
        "Content-Type": "application/json",
        "X-Tournee-Timestamp": timestamp,
        "X-Tournee-Signature": signature_of(token, timestamp, body),
    }


PATH = "/api/notifications/v1/sms/receipts"


async def report(client: httpx.AsyncClient, id_: UUID | str, status: str, **given: object) -> int:
    """Post a signed generic receipt; the status of the answer."""
    body, headers = receipt(id_, status, **given)  # type: ignore[arg-type]
    return (await client.post(PATH, content=body, headers=headers)).status_code


async def report_as_twilio(
    client: httpx.AsyncClient, callback: str, status: str, *, token: str = TOKEN, **fields: str
) -> int:
    """Post what Twilio would to `callback`, signed as it signs; the status of the answer."""
    form = {"MessageSid": "SM1", "MessageStatus": status, "To": "+14185550101", "Empty": "", **fields}
    signature = twilio_signature(token, callback, list(form.items()))
    answer = await client.post(callback, data=form, headers={"X-Twilio-Signature": signature})
    return answer.status_code
