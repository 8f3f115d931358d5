"""Answers leave in one piece, and whole, whatever their length and whoever reads them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.hosting import web_server

PIECES = [bytes([number % 251]) * 50_000 for number in range(40)]


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in PIECES:
            yield piece

    app = StreamingResponse(pieces()) if scope["path"] == "/long" else Response(b"bonjour")
    await app(scope, receive, send)


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = web_server(app)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await server.answering.wait()
        yield listening.getsockname()[1]
        server.should_exit = True
        await serving


async def ask(port: int, path: str, *, slowly: bool = False) -> tuple[bytes, bytes]:
    """The first thing that arrives, and everything."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024 if slowly else 2**20)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
    first = await reader.read(65_536)
    rest = []
    while part := await reader.read(512 if slowly else 65_536):
        rest.append(part)
    writer.close()
    await writer.wait_closed()
    return first, first + b"".join(rest)


async def test_a_short_answer_arrives_at_once() -> None:
    async with served(answering) as port:
        first, whole = await ask(port, "/")

    assert first == whole
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b"\r\n\r\nbonjour")


@pytest.mark.parametrize("slowly", [False, True])
async def test_a_long_answer_arrives_whole(slowly: bool) -> None:
    async with served(answering) as port:
        _first, whole = await ask(port, "/long", slowly=slowly)

    _head, _, body = whole.partition(b"\r\n\r\n")
    said = []
    while body:
        length, _, body = body.partition(b"\r\n")
        said.append(body[: int(length, 16)])
        body = body[int(length, 16) + 2 :]
    assert b"".join(said) == b"".join(PIECES)


async def test_requests_on_one_connection_are_answered_in_their_order() -> None:
    async with served(answering) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 5)
        for _ in range(5):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(7) == b"bonjour"
        writer.close()
        await writer.wait_closed()
