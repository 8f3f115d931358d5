"""The stream of changes: only news, not all the time, never too many, and it ends with the process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from services.national.watching import Changes, version
from tests.national.pages.conftest import STAFF, Land
from tests.waiting import eventually

ACCEPT = STAFF | {"Accept": "text/event-stream"}


async def test_a_version_changes_with_what_is_received_and_with_silence(land: Land) -> None:
    async def now() -> str:
        async with land.database.reading() as session:
            return await version(session)

    first = await now()
    assert await now() == first
    await land.run(
        "update pulse set received_at = received_at + interval '1 second' where instance = 'estrie'"
    )
    second = await now()
    assert second != first
    await land.run("update pulse set sessions = sessions + 1 where instance = 'estrie'")
    assert await now() != second


async def test_watchers_are_told_of_the_newest_alone(land: Land) -> None:
    changes = Changes(land.database, every=0.01)
    async with changes.watched() as news:
        first = await news.get()
        for _number in range(3):
            await land.run("update pulse set version = version + 1 where instance = 'estrie'")

        async def newest() -> bool:
            async with land.database.reading() as session:
                return not news.empty() and news._queue[0] == await version(session)  # type: ignore[attr-defined]

        await eventually(newest)
        assert news.qsize() == 1
        assert await news.get() != first


async def test_who_comes_later_is_told_what_is_now_at_once(land: Land) -> None:
    changes = Changes(land.database, every=0.01)
    async with changes.watched() as first:
        now = await first.get()
        async with changes.watched() as second:
            assert second.get_nowait() == now


async def test_nobody_watching_is_nobody_looking(land: Land) -> None:
    changes = Changes(land.database, every=0.01)
    async with changes.watched(), changes.watched():
        assert changes.watchers == 2
    assert changes.watchers == 0
    assert changes._looking is None


async def test_a_page_that_isnt_a_stream_reader_is_refused(land: Land) -> None:
    answer = await land.staff.get("/national/flux", headers={"Accept": "text/html"})
    assert answer.status_code == 406


async def test_beyond_the_bound_one_is_asked_to_come_back(land: Land) -> None:
    land.app.state.changes = Changes(land.database, most=0)
    answer = await land.staff.get("/national/flux", headers=ACCEPT)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"


async def test_strangers_get_no_stream(land: Land) -> None:
    answer = await land.staff.get(
        "/national/flux", headers={"Authorization": "Bearer x", "Accept": "text/event-stream"}
    )
    assert answer.status_code in {303, 401}


@asynccontextmanager
async def served(land: Land) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """The application on a port of its own, as the runner serves it."""
    config = uvicorn.Config(land.app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    await eventually(lambda: server.started)
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        land.app.state.ending.set()
        server.should_exit = True
        await task


async def lines(reader: asyncio.StreamReader, wanted: str) -> str:
    """The next line that starts with `wanted`."""
    while True:
        line = (await reader.readline()).decode()
        assert line, "the stream has ended"
        if line.startswith(wanted):
            return line.strip()


@pytest.mark.parametrize("readers", [1, 5])
async def test_a_stream_tells_of_changes_and_ends_with_the_process(land: Land, readers: int) -> None:
    land.app.state.changes = Changes(land.database, every=0.02)
    async with served(land) as (server, port):
        open_streams = []
        for _number in range(readers):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            headers = "".join(f"{name}: {value}\r\n" for name, value in ACCEPT.items())
            writer.write(f"GET /national/flux HTTP/1.1\r\nHost: testserver\r\n{headers}\r\n".encode())
            assert "200" in await lines(reader, "HTTP/1.1")
            open_streams.append((reader, writer, await lines(reader, "data:")))
        await land.run("update pulse set version = version + 1 where instance = 'estrie'")
        for reader, _writer, first in open_streams:
            assert await lines(reader, "data:") != first
        started = asyncio.get_running_loop().time()
        land.app.state.ending.set()
        server.should_exit = True
        for reader, writer, _first in open_streams:
            while await reader.readline():
                pass
            writer.close()
        # The web server would have cut them after five seconds.
        assert asyncio.get_running_loop().time() - started < 4
    changes: Changes = land.app.state.changes
    assert changes.watchers == 0
