"""Log lines: JSON, one request id throughout, no token, no query string, nobody's data."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from fastapi import APIRouter

from libs.web import logs
from libs.web.incoming import Incoming
from libs.web.logs import RequestLog, masked, without_values
from libs.web.metrics import Metrics
from tests.libs.web.conftest import AppFactory, client_of


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def parsed(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_request_is_one_line_with_its_route_and_without_its_secrets(
    make_app: AppFactory, lines: io.StringIO
) -> None:
    routes = APIRouter()

    @routes.get("/mon-inscription/{token}")
    async def personal(token: str) -> str:
        logging.getLogger("tournee.test").info("hello")
        return "yours"

    async with client_of(make_app(routes)) as client:
        response = await client.get(
            "/mon-inscription/s3cret?q=Aline", headers={"X-Request-ID": "given-by-proxy"}
        )
        await client.get("/mon-inscription/s3cret/unknown?q=Aline")
    assert response.headers["x-request-id"] == "given-by-proxy"
    inside, first, second = parsed(lines)
    assert inside["request_id"] == first["request_id"] == "given-by-proxy"
    assert first["route"] == "/mon-inscription/{token}"
    assert (first["service"], first["method"], first["status"]) == ("events", "GET", 200)
    assert isinstance(first["ms"], float)
    assert second["path"] == "/mon-inscription/***"
    assert "s3cret" not in lines.getvalue()
    assert "Aline" not in lines.getvalue()


async def test_the_line_of_a_request_has_the_shape_of_every_line(
    make_app: AppFactory, lines: io.StringIO
) -> None:
    async with client_of(make_app()) as client:
        await client.get("/nothing")
    logs.access.info("request", extra={"data": {}})
    written, formatted = parsed(lines)
    assert list(written)[:4] == list(formatted)[:4] == ["time", "level", "logger", "message"]
    for name in ("level", "logger", "message"):
        assert written[name] == formatted[name]
    for line in (written, formatted):
        moment = datetime.fromisoformat(str(line["time"]))
        assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize("path", ["/é", "/\udcff", "/a\x00b"])
def test_a_line_can_hold_any_path(lines: io.StringIO, path: str) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    RequestLog(service="events", metrics=Metrics("events")).answered(Incoming(scope), 404, 0.0123)
    (line,) = parsed(lines)
    assert str(line["path"]).startswith("/")
    assert line["ms"] == 12.3


def test_a_process_that_only_warns_writes_no_lines_for_requests(lines: io.StringIO) -> None:
    logs.configure(lines, level=logging.WARNING)
    logs.write_access_line("events", "GET", ("route", "/"), 200, 0.1)
    assert lines.getvalue() == ""


@pytest.mark.parametrize("given", ["short", "with space in it", 'quote"quote', "x" * 65, "é" * 10])
async def test_a_request_id_that_could_break_a_log_line_is_replaced(make_app: AppFactory, given: str) -> None:
    async with client_of(make_app()) as client:
        response = await client.get("/health", headers={"X-Request-ID": given.encode()})
    assert response.headers["x-request-id"] != given


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/mon-inscription/abc", "/mon-inscription/***"),
        ("/mon-attente/abc/terminer", "/mon-attente/***"),
        ("/mon-inscription/abc/annuler", "/mon-inscription/***"),
        ("/connexion/abc\nx", "/connexion/***"),
        ("/desabonnement/abc", "/desabonnement/***"),
        ("/connexion", "/connexion"),
        ("/seances/1", "/seances/1"),
    ],
)
def test_tokens_in_addresses_are_masked(path: str, shown: str) -> None:
    assert masked(path) == shown


def test_the_values_that_a_database_error_repeats_stay_out_of_the_log() -> None:
    error = (
        "duplicate key\nDETAIL:  Key (email)=(aline@example.org) already exists.\n[parameters: ('Aline',)]"
    )
    assert without_values(error).strip() == "duplicate key"
