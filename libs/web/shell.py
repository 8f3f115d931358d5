"""The shell around every request: what is checked before a route is chosen, and added to every answer.

It is one layer and not one per job, because each layer that looks at requests costs as much as a route:
the jobs are small classes that are asked in turn, about headers that are read once.
"""

import asyncio
import logging
from time import perf_counter

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.web import problems
from libs.web.csrf import CrossSiteCheck
from libs.web.incoming import Incoming
from libs.web.language_switch import LanguageSwitch
from libs.web.logs import RequestLog, request_id
from libs.web.loops import is_expected
from libs.web.metrics import Metrics
from libs.web.security import BodyLimit, RawHeader, SecurityHeaders

log = logging.getLogger(__name__)


class Shell:
    """`app` with its requests named, counted, logged and checked, and with an answer to each of them."""

    def __init__(self, app: ASGIApp, *, service: str, base_url: str, metrics: Metrics) -> None:
        https = base_url.startswith("https:")
        self.app = app
        self.log = RequestLog(service=service, metrics=metrics)
        self.security = SecurityHeaders(https=https)
        self.languages = LanguageSwitch(https=https)
        self.body_limit = BodyLimit()
        self.cross_site = CrossSiteCheck(base_url=base_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        incoming = Incoming(scope)
        identity = scope["request_id"] = self.log.identity(incoming)
        token = request_id.set(identity)
        answer = Answer(send, self.security, incoming, identity, self.languages.cookie(incoming))
        if incoming.method == "HEAD":
            # HEAD is GET without the body (RFC 9110, 9.3.2), for every route.
            scope["method"] = "GET"
        try:
            await self._answer(incoming, receive, answer)
        finally:
            self.log.answered(incoming, answer.status or 500, perf_counter() - started)
            request_id.reset(token)

    async def _answer(self, incoming: Incoming, receive: Receive, answer: "Answer") -> None:
        """Let the application answer; whatever it or a check raises becomes a problem."""
        try:
            guarded = self.body_limit.guarded(incoming, receive)
            self.cross_site.check(incoming)
            await self.app(incoming.scope, guarded, answer.send)
        except ClientDisconnect:
            log.info("The client went away before its request was read")
        except asyncio.CancelledError:
            # The process ends and can't wait any longer; the web server would call it a fault (500).
            if not answer.started:
                problem = problems.problem_response(Request(incoming.scope), problems.Unavailable())
                await problem(incoming.scope, receive, answer.send)
            raise
        except Exception as error:
            request = Request(incoming.scope, receive)
            response = problems.refusal(request, error) or _unforeseen(request, error)
            if answer.started:
                raise
            await response(incoming.scope, receive, answer.send)


class Answer:
    """An answer on its way out: `send` adds to its start what every answer carries, and watches it."""

    __slots__ = ("cookie", "identity", "incoming", "security", "status", "to_client")

    def __init__(
        self,
        send: Send,
        security: SecurityHeaders,
        incoming: Incoming,
        identity: str,
        cookie: RawHeader | None,
    ) -> None:
        self.to_client = send
        self.security = security
        self.incoming = incoming
        self.identity = identity
        self.cookie = cookie
        self.status = 0

    @property
    def started(self) -> bool:
        return self.status != 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            # A copy: the list may belong to an answer that is sent again.
            headers = message["headers"] = list(message.get("headers", ()))
            headers.append((b"x-request-id", self.identity.encode()))
            if self.cookie is not None:
                headers.append(self.cookie)
            self.security.add_to(headers, self.incoming)
        elif self.incoming.method == "HEAD" and message["type"] == "http.response.body":
            message["body"] = b""
        await self.to_client(message)


def _unforeseen(request: Request, error: Exception) -> Response:
    """Nobody raised this on purpose: what is away passes by itself (503), anything else is a fault (500)."""
    problem: problems.Problem
    if is_expected(error):
        log.warning("Unavailable", extra={"data": {"why": type(error).__name__}})
        problem = problems.Unavailable()
    else:
        log.error("A request failed", exc_info=error)
        problem = problems.Internal()
    return problems.problem_response(request, problem)
