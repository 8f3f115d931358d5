"""Answers that leave in one piece: uvicorn writes head and body apart, two system calls and two packets.

On a busy process a system call costs more than most of what an answer is made of.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_ENOUGH = 64 * 1024
"""Bytes that are written at once: a long answer isn't gathered, so that its client can slow it down."""


class OnePieceProtocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools, whose writes of one turn of the event loop become one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = Gathering(transport)


class Gathering(asyncio.Transport):
    """What uvicorn uses of a transport; what was written is sent before the next turn of the event loop."""

    __slots__ = ("_kept", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._kept: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._kept:
            asyncio.get_running_loop().call_soon(self._send)
        self._kept.append(bytes(data))
        self._size += len(data)
        if self._size >= _ENOUGH:
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._send()
        self._transport.set_protocol(protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def _send(self) -> None:
        if self._kept:
            kept, self._kept, self._size = self._kept, [], 0
            self._transport.write(b"".join(kept))
