"""Log lines as JSON, one request id through all of them, and nothing personal in any."""

import json
import logging
import os
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

import orjson
from starlette.types import Scope

from libs.web.incoming import Incoming
from libs.web.metrics import Metrics

_root = logging.getLogger()
access = logging.getLogger("tournee.access")
request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request being answered; empty in background loops."""

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SECRET_AFTER = re.compile(r"^(/(?:mon-inscription|mon-attente|connexion|desabonnement))/.+", re.DOTALL)
# What PostgreSQL and SQLAlchemy add to an error: the values of the row, which are a person's.
_VALUES = re.compile(r"^\s*(?:DETAIL:|\[parameters:|\[SQL:).*$", re.MULTILINE)


class RequestLog:
    """Gives each request its id (or keeps a caller's `X-Request-ID`), counts it and writes one line."""

    def __init__(self, *, service: str, metrics: Metrics) -> None:
        self.service = service
        self.metrics = metrics

    def identity(self, incoming: Incoming) -> str:
        """The id that names this request in the answer, in every line and in problems."""
        given = incoming.text(b"x-request-id")
        if given is not None and _GIVEN_ID.fullmatch(given):
            return given
        return os.urandom(8).hex()

    def answered(self, incoming: Incoming, status: int, seconds: float) -> None:
        """Count and write down a request once its answer is complete."""
        route = route_of(incoming.scope)
        self.metrics.observe(incoming.method, route or "-", status, seconds)
        place = ("route", route) if route else ("path", _writable(masked(incoming.path)))
        write_access_line(self.service, incoming.method, place, status, seconds)


def write_access_line(service: str, method: str, place: tuple[str, str], status: int, seconds: float) -> None:
    """One line for a request, to the streams that `configure` chose; `place` is its route, or its path.

    It has the members that `JsonFormatter` would give it. But it is written for every request, and the
    way through `logging` (finding the caller, a record, a formatter) costs more than many answers do.
    """
    if not access.isEnabledFor(logging.INFO):
        return
    line = orjson.dumps(
        {
            "time": datetime.now(UTC),
            "level": "info",
            "logger": access.name,
            "message": "request",
            "request_id": request_id.get(),
            "service": service,
            "method": method,
            place[0]: place[1],
            "status": status,
            "ms": int(seconds * 10_000) / 10,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
    for handler in _root.handlers:
        if isinstance(handler, JsonLines):
            handler.write(line.decode())


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


def _writable(path: str) -> str:
    """A path that nobody serves may hold anything; JSON can't hold half a character."""
    return path.encode("utf-8", "replace").decode()


class JsonLines(logging.StreamHandler[TextIO]):
    """Writes records, and ready lines, to one stream."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter())
        # Standard error is by lines already; flushing it once more is not free.
        self._by_lines = bool(getattr(stream, "line_buffering", False))

    def write(self, line: str) -> None:
        """Write a line that is JSON already, between those of other threads."""
        assert self.lock is not None
        with self.lock:
            self.stream.write(line)
            if not self._by_lines:
                self.stream.flush()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request id, `extra={"data": {…}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
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
    _root.handlers[:] = [JsonLines(stream or sys.stderr)]
    _root.setLevel(level)
    # Their lines hold whole addresses, with whatever stands in them.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"
