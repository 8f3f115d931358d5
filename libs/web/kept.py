"""Public answers that many people ask for at once, made once and kept for a moment.

An answer is kept for everybody, so nothing personal may come near: a request that says who sends it (a
token, the staff's cookie) is neither answered from here nor kept. What holds between several processes is
time alone; beside that, a process forgets what it kept as soon as it has changed something itself.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import monotonic

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.web.auth import COOKIE
from libs.web.conditional import CONDITIONS, IF_MODIFIED_SINCE, IF_NONE_MATCH, is_known
from libs.web.i18n import language_of
from libs.web.incoming import Incoming

Clock = Callable[[], float]
"""Seconds that only go forward."""
RawHeader = tuple[bytes, bytes]
Key = tuple[str, str, tuple[tuple[str, str], ...]]
"""Address, language, and the part of the query that matters, in order."""

LONGEST_QUERY = 2_000
_NOT_IN_304 = (b"content-length", b"content-type", b"content-disposition")


@dataclass(frozen=True, slots=True)
class Keep:
    """Answers of `path` may be `seconds` old; `parameters` are the names in the query that they depend on.

    They must not depend on anything else of a request but its language. From half that age on one request
    has the answer made again, while the others still get the kept one: nobody else waits for it.
    """

    path: str
    parameters: frozenset[str]
    seconds: float

    @property
    def path_format(self) -> str:
        """The route, as the log and the figures call it."""
        return self.path


@dataclass(slots=True)
class Answer:
    """A whole answer. `began` is when its making began: what it says was true then or later."""

    began: float
    status: int
    headers: list[RawHeader]
    body: bytes

    def header(self, wanted: bytes) -> str | None:
        return next((value.decode("latin-1") for name, value in self.headers if name == wanted), None)

    @property
    def size(self) -> int:
        return len(self.body)

    async def send_to(self, incoming: Incoming, send: Send) -> None:
        """The answer, or 304 to a reader who has it."""
        if self.status == 200 and not CONDITIONS.isdisjoint(incoming.headers) and self._is_known(incoming):
            headers = [header for header in self.headers if header[0] not in _NOT_IN_304]
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})

    def _is_known(self, incoming: Incoming) -> bool:
        etag, modified = self.header(b"etag"), self.header(b"last-modified")
        return etag is not None and is_known(
            etag=etag,
            modified=parsedate_to_datetime(modified) if modified is not None else None,
            if_none_match=incoming.text(IF_NONE_MATCH),
            if_modified_since=incoming.text(IF_MODIFIED_SINCE),
        )


class _Making:
    """An answer that is being made; others who ask for it wait for `done`."""

    __slots__ = ("answer", "done")

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.answer: Answer | None = None


class KeptAnswers:
    """Keeps the 200 answers to GET that `keeps` allows, the newest `most` of them in `most_bytes` at most.

    Requests for one answer that come together wait for the first of them. An answer with an ETag that has
    become too old is asked for with `If-None-Match`: if the application answers 304 it is good again.
    """

    def __init__(
        self,
        keeps: Sequence[Keep],
        *,
        clock: Clock = monotonic,
        most: int = 256,
        most_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self.keeps: Mapping[str, Keep] = {keep.path: keep for keep in keeps}
        self.clock = clock
        self.most = most
        self.most_bytes = most_bytes
        self.bytes = 0
        self._answers: dict[Key, Answer] = {}
        self._making: dict[Key, _Making] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def around(self, app: ASGIApp) -> ASGIApp:
        """`app` behind the kept answers."""

        async def answered(scope: Scope, receive: Receive, send: Send) -> None:
            keep = self.keeps.get(scope["path"]) if scope["type"] == "http" else None
            incoming = Incoming(scope) if keep is not None and scope["method"] == "GET" else None
            if keep is not None and incoming is not None and _is_public(incoming):
                scope["route"] = keep
                await self._answer(app, keep, incoming, receive, send)
            elif scope["type"] == "http" and scope["method"] not in {"GET", "HEAD"}:
                await self._change(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return answered

    def forget(self) -> None:
        """Something has changed: no request from now on gets what was, or is being, made before."""
        self._answers.clear()
        self._making.clear()
        self.bytes = 0

    async def _change(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Whoever changed something finds it changed; with a refusal nothing is."""

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self.forget()
            await send(message)

        await app(scope, receive, watch)

    async def _answer(
        self, app: ASGIApp, keep: Keep, incoming: Incoming, receive: Receive, send: Send
    ) -> None:
        key, now = _key(keep, incoming), self.clock()
        answer = self._answers.get(key)
        if answer is None or answer.began <= now - keep.seconds:
            answer = await self._made_for_others(key, now - keep.seconds)
        elif answer.began <= now - keep.seconds / 2 and key not in self._making:
            answer = None
        if answer is None:
            answer = await self._make(app, key, incoming.scope, receive)
        await answer.send_to(incoming, send)

    async def _made_for_others(self, key: Key, earliest: float) -> Answer | None:
        """The answer that is being made for somebody else, if that began after `earliest`."""
        while (making := self._making.get(key)) is not None:
            await making.done.wait()
            # None: refused, or its reader went away. Then each asks for itself; errors aren't kept.
            if making.answer is None or making.answer.began > earliest:
                return making.answer
            # It was too old for us, but others of us may have had it made again since.
            answer = self._answers.get(key)
            if answer is not None and answer.began > earliest:
                return answer
        return None

    async def _make(self, app: ASGIApp, key: Key, scope: Scope, receive: Receive) -> Answer:
        """Ask the application, and keep what it says."""
        making = self._making[key] = _Making()
        old = self._answers.get(key)
        try:
            answer = await _whole_answer(app, scope, receive, self.clock(), old)
            if answer.status == 200:
                making.answer = answer
                if self._making.get(key) is making:
                    self._keep(key, answer)
            return answer
        finally:
            making.done.set()
            if self._making.get(key) is making:
                del self._making[key]

    def _keep(self, key: Key, answer: Answer) -> None:
        self._drop(key)
        if answer.size > self.most_bytes // 4:
            return
        self._answers[key] = answer
        self.bytes += answer.size
        # The first is the oldest.
        while len(self._answers) > self.most or self.bytes > self.most_bytes:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: Key) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None:
            self.bytes -= answer.size


def _is_public(incoming: Incoming) -> bool:
    return (
        b"authorization" not in incoming.headers
        and not incoming.has_cookie(COOKIE)
        and len(incoming.scope["query_string"]) <= LONGEST_QUERY
    )


def _key(keep: Keep, incoming: Incoming) -> Key:
    language = language_of(Request(incoming.scope))
    return keep.path, language, _that_matters(incoming.scope["query_string"], keep.parameters)


@lru_cache(maxsize=1024)
def _that_matters(query: bytes, names: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """The pairs whose order doesn't matter, in one order; several values of one name stay in theirs."""
    pairs = (pair for pair in QueryParams(query).multi_items() if pair[0] in names)
    return tuple(sorted(pairs, key=lambda pair: pair[0]))


async def _whole_answer(
    app: ASGIApp, scope: Scope, receive: Receive, began: float, old: Answer | None
) -> Answer:
    """What `app` says, `old` if that is still good. What it raises is raised."""
    sent = scope["headers"]
    # The first reader's own conditions aren't those of the others.
    headers = [header for header in sent if header[0] not in CONDITIONS]
    etag = old.header(b"etag") if old is not None else None
    if etag is not None:
        headers.append((IF_NONE_MATCH, etag.encode("latin-1")))
    start: Message = {}
    body: list[bytes] = []

    async def take(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            body.append(message.get("body", b""))

    scope["headers"] = headers
    try:
        await app(scope, receive, take)
    finally:
        scope["headers"] = sent
    if old is not None and start["status"] == 304:
        return Answer(began, old.status, old.headers, old.body)
    return Answer(began, start["status"], list(start["headers"]), b"".join(body))
