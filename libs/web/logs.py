"""Log lines as JSON, one request id through all of them, and nothing personal in any."""

import json
import logging
import re
import secrets
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from typing import TextIO

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.web.metrics import Metrics

access = logging.getLogger("tournee.access")
request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request being answered; empty in background loops."""

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SECRET_AFTER = re.compile(r"^(/(?:mon-inscription|connexion|desabonnement))/.+", re.DOTALL)
# What PostgreSQL and SQLAlchemy add to an error: the values of the row, which are a person's.
_VALUES = re.compile(r"^\s*(?:DETAIL:|\[parameters:|\[SQL:).*$", re.MULTILINE)


class RequestLog:
    """Gives each request its id (or keeps a caller's `X-Request-ID`), counts it and logs one line."""

    def __init__(self, app: ASGIApp, *, service: str, metrics: Metrics) -> None:
        self.app = app
        self.service = service
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        method: str = scope["method"]
        identity = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        scope["request_id"] = identity
        token = request_id.set(identity)
        started, status = perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = identity
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            seconds = perf_counter() - started
            self.metrics.observe(method, route_of(scope) or "-", status, seconds)
            self._log(scope, method, status, seconds)
            request_id.reset(token)

    def _log(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = route_of(scope)
        place = {"route": route} if route else {"path": masked(scope["path"])}
        data = {"service": self.service, "method": method, **place, "status": status}
        access.info("request", extra={"data": {**data, "ms": round(seconds * 1000, 1)}})


def route_of(scope: Scope) -> str | None:
    """The template of the route that answers (`/seances/{id}`), which holds no id and no token."""
    # `route` knows its own router's part of the address; FastAPI keeps the whole of it beside.
    whole = scope.get("fastapi", {}).get("effective_route_context")
    for route in (whole, scope.get("route")):
        template = getattr(route, "path_format", None)
        if isinstance(template, str):
            return template
    return "/static" if scope["path"].startswith("/static/") else None


def masked(path: str) -> str:
    """`path` without the tokens that stand in addresses."""
    return _SECRET_AFTER.sub(r"\1/***", path)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request id, `extra={"data": {…}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_values(record.getMessage()),
        }
        if identity := request_id.get():
            line["request_id"] = identity
        line |= getattr(record, "data", {})
        if record.exc_info:
            line["traceback"] = without_values(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def without_values(text: str) -> str:
    """`text` without the lines in which the database repeats the values of a row."""
    return _VALUES.sub("", text)


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send every log line of the process to `stream` (stderr) as JSON.

    The server must run without its own access log: that one writes tokens and query strings.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Their lines hold whole addresses, with whatever stands in them.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"
