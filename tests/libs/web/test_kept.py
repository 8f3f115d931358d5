"""Answers kept for everybody: fresh enough, one making for a crowd, nobody's own, and never many."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from libs.web.i18n import language_of
from libs.web.incoming import Incoming
from libs.web.kept import LONGEST_QUERY, Keep, KeptAnswers
from libs.web.problems import Conflict
from tests.libs.web.conftest import BEARER, AppFactory, client_of

PATH = "/api/events/v1/sessions"
KEEP = Keep(PATH, frozenset({"theme", "page", "lang"}), seconds=1.0)
TAGGED = Keep("/calendrier.ics", frozenset({"theme"}), seconds=1.0)


class Board:
    """What the application would say; counts how often it was asked, and may be slow or fail."""

    def __init__(self) -> None:
        self.text = "first"
        self.now = 0.0
        self.made = 0
        self.bodies = 0
        self.failure: Exception | None = None
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    def clock(self) -> float:
        return self.now

    def router(self) -> APIRouter:
        routes = APIRouter()

        @routes.get(PATH)
        async def sessions(request: Request) -> Response:
            self.made += 1
            said = self.text
            self.begun.put_nowait(said)
            await self.may_go_on.wait()
            if self.failure is not None:
                raise self.failure
            query = "&".join(
                f"{k}={v}" for k, v in request.query_params.multi_items() if k in KEEP.parameters
            )
            known = "authorization" in request.headers
            return Response(f"{said} {language_of(request)} {query} {known}", media_type="text/plain")

        @routes.get(TAGGED.path)
        async def feed(request: Request) -> Response:
            self.made += 1
            headers = {"ETag": f'"{self.text}"', "Last-Modified": "Mon, 23 Nov 2026 00:00:00 GMT"}
            if request.headers.get("if-none-match") == headers["ETag"]:
                return Response(status_code=304, headers=headers)
            self.bodies += 1
            return Response(self.text, headers=headers | {"Content-Disposition": "inline"})

        @routes.post("/change")
        async def change(text: str) -> None:
            if text == "refused":
                raise Conflict
            self.text = text

        return routes


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def kept(board: Board) -> KeptAnswers:
    return KeptAnswers([KEEP, TAGGED], clock=board.clock, most=50, most_bytes=4_000)


@pytest.fixture
def app(make_app: AppFactory, board: Board, kept: KeptAnswers) -> FastAPI:
    return make_app(board.router(), kept=kept)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


async def test_an_answer_is_made_once_a_second(client: httpx.AsyncClient, board: Board) -> None:
    first = await client.get(PATH)
    board.text, board.now = "second", 0.499
    again = await client.get(PATH)
    assert again.text == first.text == "first fr  False"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["cache-control"] == "no-cache"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert board.made == 1
    board.now = 1.0
    assert (await client.get(PATH)).text == "second fr  False"


async def test_from_half_the_time_on_one_request_renews_it_and_the_others_dont_wait(
    client: httpx.AsyncClient, board: Board
) -> None:
    await client.get(PATH)
    await board.begun.get()
    board.text, board.now = "second", 0.5
    board.may_go_on.clear()
    renewing = asyncio.create_task(client.get(PATH))
    assert await board.begun.get() == "second"
    board.now = 0.99
    assert (await client.get(PATH)).text.startswith("first")
    board.now = 1.0
    waiting = asyncio.create_task(client.get(PATH))
    board.may_go_on.set()
    assert (await renewing).text.startswith("second")
    assert (await waiting).text.startswith("second")
    assert board.made == 2


async def test_kept_answers_are_counted_under_their_route(client: httpx.AsyncClient) -> None:
    await client.get(PATH)
    await client.get(PATH)
    figures = (await client.get("/metrics")).text
    labels = f'method="GET",route="{PATH}",service="events",status="200"'
    assert f"tournee_requests_total{{{labels}}} 2.0" in figures


async def test_a_crowd_waits_for_one_making(client: httpx.AsyncClient, board: Board) -> None:
    board.may_go_on.clear()
    crowd = [asyncio.create_task(client.get(PATH)) for _ in range(50)]
    await board.begun.get()
    board.may_go_on.set()
    assert {answer.text for answer in await asyncio.gather(*crowd)} == {"first fr  False"}
    assert board.made == 1


async def test_whoever_comes_late_to_a_slow_making_waits_for_the_next(
    client: httpx.AsyncClient, board: Board
) -> None:
    board.may_go_on.clear()
    slow = asyncio.create_task(client.get(PATH))
    await board.begun.get()
    board.text, board.now = "second", 1.0
    late = [asyncio.create_task(client.get(PATH)) for _ in range(20)]
    await asyncio.sleep(0)
    board.may_go_on.set()
    assert (await slow).text == "first fr  False"
    assert {answer.text for answer in await asyncio.gather(*late)} == {"second fr  False"}
    assert board.made == 2


async def test_an_error_is_nobodys_answer_but_the_askers(client: httpx.AsyncClient, board: Board) -> None:
    board.failure = RuntimeError()
    board.may_go_on.clear()
    crowd = [asyncio.create_task(client.get(PATH)) for _ in range(3)]
    await board.begun.get()
    board.may_go_on.set()
    assert [answer.status_code for answer in await asyncio.gather(*crowd)] == [500] * 3
    board.failure = Conflict()
    assert (await client.get(PATH)).status_code == 409
    board.failure = None
    assert (await client.get(PATH)).status_code == 200


async def test_the_others_dont_depend_on_the_first_reader(client: httpx.AsyncClient, board: Board) -> None:
    board.may_go_on.clear()
    first, *others = [asyncio.create_task(client.get(PATH)) for _ in range(5)]
    await board.begun.get()
    first.cancel()
    board.may_go_on.set()
    assert {answer.status_code for answer in await asyncio.gather(*others)} == {200}


async def test_a_change_made_here_shows_at_once(client: httpx.AsyncClient, board: Board) -> None:
    await client.get(PATH)
    board.text = "unseen"
    assert (await client.post("/change?text=refused")).status_code == 409
    assert (await client.get(PATH)).text.startswith("first")
    await client.post("/change?text=second")
    assert (await client.get(PATH)).text.startswith("second")


async def test_what_was_being_made_during_a_change_isnt_kept(client: httpx.AsyncClient, board: Board) -> None:
    board.may_go_on.clear()
    before = asyncio.create_task(client.get(PATH))
    await board.begun.get()
    await client.post("/change?text=second")
    after = asyncio.create_task(client.get(PATH))
    await board.begun.get()
    board.may_go_on.set()
    assert (await before).text.startswith("first")
    assert (await after).text.startswith("second")
    assert (await client.get(PATH)).text.startswith("second")


@pytest.mark.parametrize(
    "headers",
    [BEARER, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}, {"Cookie": "a=b; equipe=x"}],
)
async def test_who_says_who_they_are_is_neither_served_from_here_nor_kept(
    client: httpx.AsyncClient, board: Board, kept: KeptAnswers, headers: dict[str, str]
) -> None:
    await client.get(PATH, headers=headers)
    assert len(kept) == 0
    await client.get(PATH)
    board.text = "second"
    assert (await client.get(PATH, headers=headers)).text.startswith("second")
    assert (await client.get(PATH)).text == "first fr  False"


async def test_languages_and_queries_are_never_mixed(client: httpx.AsyncClient, board: Board) -> None:
    asked = [
        ("", {}, "fr "),
        ("", {"Accept-Language": "en"}, "en "),
        ("", {"Cookie": "langue=en"}, "en "),
        ("?lang=en", {}, "en lang=en"),
        ("?lang=fr", {"Cookie": "langue=en"}, "fr lang=fr"),
        ("?theme=a", {}, "fr theme=a"),
        ("?theme=b", {}, "fr theme=b"),
        ("?theme=a&theme=b", {}, "fr theme=a&theme=b"),
        ("?theme=b&theme=a", {}, "fr theme=b&theme=a"),
        ("?theme=", {}, "fr theme="),
        ("?theme=a%26page%3D2", {}, "fr theme=a&page=2"),
        ("?theme=a&page=2", {}, "fr theme=a&page=2"),
    ]
    for _round in range(2):
        for query, headers, expected in asked:
            answer = await client.get(PATH + query, headers=headers)
            assert answer.text == f"first {expected} False"


async def test_what_doesnt_matter_doesnt_make_another_answer(client: httpx.AsyncClient, board: Board) -> None:
    for query in ("?theme=a&page=2", "?page=2&theme=a", "?utm_source=x&page=2&theme=a", "?page=2&theme=%61"):
        await client.get(PATH + query)
    assert board.made == 1


async def test_ten_thousand_hostile_queries_take_no_more_room(
    client: httpx.AsyncClient, board: Board, kept: KeptAnswers
) -> None:
    board.text = "x" * 60
    for number in range(10_000):
        incoming = {"type": "http", "method": "GET", "path": PATH, "headers": [], "scheme": "http"}
        await _ask(kept, board, incoming | {"query_string": f"theme={number}".encode()})
        assert len(kept) <= 50
        assert kept.bytes <= 4_000
    assert kept.bytes == sum(answer.size for answer in kept._answers.values())
    assert not kept._making
    board.text = "x" * 3_000
    await client.get(PATH)
    assert kept.bytes <= 4_000, "one large answer doesn't push out all others"
    before = board.made
    for _time in range(2):
        await client.get(f"{PATH}?theme={'y' * LONGEST_QUERY}")
    assert board.made == before + 2, "a query that nobody types isn't kept at all"


async def _ask(kept: KeptAnswers, board: Board, scope: dict[str, object]) -> None:
    async def app(_scope: object, _receive: object, send: object) -> None:
        await Response(board.text)(scope, _nothing, send)  # type: ignore[arg-type]

    await kept.around(app)(scope, _nothing, _ignored)


async def _nothing() -> dict[str, object]:
    raise AssertionError("nobody reads a body here")


async def _ignored(message: object) -> None: ...


async def test_an_old_answer_with_a_tag_is_confirmed_rather_than_made_again(
    client: httpx.AsyncClient, board: Board
) -> None:
    first = await client.get(TAGGED.path)
    for board.now in (1.0, 1.6, 3.0):
        again = await client.get(TAGGED.path)
        assert (again.status_code, again.text, again.headers["etag"]) == (200, "first", '"first"')
        assert again.headers["content-disposition"] == first.headers["content-disposition"]
    assert (board.made, board.bodies) == (4, 1)
    board.text, board.now = "second", 4.0
    assert (await client.get(TAGGED.path)).text == "second"
    assert board.bodies == 2


@pytest.mark.parametrize("now", [0.5, 1.5])
async def test_a_reader_who_has_it_gets_304_and_the_others_the_whole(
    client: httpx.AsyncClient, board: Board, now: float
) -> None:
    known = {"If-None-Match": 'W/"first", "x"'}
    assert (await client.get(TAGGED.path, headers=known)).status_code == 304
    whole = await client.get(TAGGED.path)
    assert (whole.status_code, whole.text) == (200, "first")
    board.now = now
    again = await client.get(TAGGED.path, headers=known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"first"')
    assert not {"content-length", "content-type", "content-disposition"} & again.headers.keys()
    since = {"If-Modified-Since": "Tue, 24 Nov 2026 00:00:00 GMT"}
    assert (await client.get(TAGGED.path, headers=since)).status_code == 304
    for other in ({"If-None-Match": '"x"'}, {"If-Modified-Since": "Sun, 22 Nov 2026 00:00:00 GMT"}):
        assert (await client.get(TAGGED.path, headers=other)).status_code == 200


async def test_head_has_the_headers_alone(client: httpx.AsyncClient, board: Board) -> None:
    whole = await client.get(PATH)
    head = await client.head(PATH)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert board.made == 1


STEPS = st.one_of(
    st.tuples(st.just("pass"), st.floats(0, 1.5, allow_nan=False)),
    st.tuples(st.just("change"), st.just(0.0)),
    st.tuples(st.sampled_from(["ask", "ask a", "ask with tag"]), st.floats(0, 0.7, allow_nan=False)),
)


@given(st.lists(STEPS, max_size=40))
@settings(deadline=None)
def test_nobody_gets_an_answer_that_was_true_more_than_a_second_ago(steps: list[tuple[str, float]]) -> None:
    """Changes are made behind its back, as another process makes them; making takes its time."""
    now, version = 0.0, 0
    replaced: dict[str, float] = {}
    kept = KeptAnswers([TAGGED], clock=lambda: now)

    async def ask(query: bytes, takes: float) -> None:
        nonlocal now
        arrived = now
        said: list[dict[str, object]] = []

        async def app(scope: dict[str, object], receive: object, send: object) -> None:
            nonlocal now
            tag = f'"{version}"'
            known = Incoming(scope).text(b"if-none-match") == tag
            now += takes
            answer = (
                Response(status_code=304) if known else Response(tag, headers={"ETag": tag})
            )  # what was true when it began
            await answer(scope, receive, send)  # type: ignore[arg-type]

        async def send(message: dict[str, object]) -> None:
            said.append(message)

        scope = {"type": "http", "method": "GET", "path": TAGGED.path, "headers": [], "query_string": query}
        await kept.around(app)(scope | {"scheme": "http"}, _nothing, send)  # type: ignore[arg-type]
        body = said[1]["body"]
        assert isinstance(body, bytes)
        assert replaced.get(body.decode(), arrived) >= arrived - TAGGED.seconds

    async def run() -> None:
        nonlocal now, version
        for what, amount in steps:
            if what == "pass":
                now += amount
            elif what == "change":
                replaced[f'"{version}"'] = now
                version += 1
            else:
                await ask(b"theme=a" if what == "ask a" else b"", amount)

    asyncio.run(run())
