"""HTTP/1.1 as a crowd needs it: kept connections, and the difference between refused and never answered."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


class Lost(Exception):
    """No whole answer came. Whether the request took effect is unknown."""


class Away(Exception):
    """Nobody listens there: the request never left."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is the parsed JSON; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: Any


_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire:
    """Connections of one client process to the processes of a service, kept between requests."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._idle: defaultdict[int, list[_Connection]] = defaultdict(list)

    async def request(
        self, port: int, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """One request to the process on `port`.

        Raises `Away` when it isn't there, `Lost` when the answer breaks off or lasts too long.
        """
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._patience):
                connection = await self._connect(port)
                answer = await _exchange(connection, method, path, headers, body)
        except ConnectionRefusedError:
            raise Away from None
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise Lost(type(error).__name__) from None
        else:
            if answer.headers.get("connection") != "close":
                self._idle[port].append(connection)
                connection = None
            return answer
        finally:
            if connection is not None:
                connection[1].close()

    async def _connect(self, port: int) -> _Connection:
        while self._idle[port]:
            reader, writer = self._idle[port].pop()
            # A process that was killed has closed its side.
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", port)

    def close(self) -> None:
        for connections in self._idle.values():
            for _reader, writer in connections:
                writer.close()


async def _exchange(
    connection: _Connection, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    reader, writer = connection
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    found = dict(_header(line) for line in head[1:] if line)
    content = await reader.readexactly(int(found["content-length"]))
    return Answer(int(head[0].split()[1]), found, _parsed(content))


def _parsed(content: bytes) -> Any:
    """What isn't JSON is kept as text: no answer of the API should be."""
    try:
        return orjson.loads(content) if content else None
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace")


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()
