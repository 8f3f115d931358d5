"""The description of a service's API for programs (OpenAPI 3.1), and the same as a page for people."""

import json
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from libs.web.problems import MEDIA_TYPE
from libs.web.templating import render

METHODS = ("get", "post", "put", "patch", "delete")
PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `type` names the refusal; other members belong to that type.",
    "required": ["type", "title", "status", "instance"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:tournee:problem:not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "Names the request; quote it when you report."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_PROBLEM_RESPONSE = {
    "description": "Problem",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation; `place` is `path`, `query` or `header`."""

    name: str
    place: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as its page shows it; `body` is JSON text, `responses` are (status, description)."""

    path: str
    method: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    body: str
    responses: tuple[tuple[str, str], ...]


def add_docs(app: FastAPI, name: str) -> None:
    """Serve `/api/{name}/openapi.json` and `/api/{name}/docs`."""

    def document() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend the document

    @app.get(f"/api/{name}/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return JSONResponse(document())

    @app.get(f"/api/{name}/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        schemas = {name: _text(schema) for name, schema in document()["components"]["schemas"].items()}
        shown = [_operation(*found) for found in _operations(document())]
        return render(request, "api_docs.html", title=app.title, operations=shown, schemas=schemas)


def _document(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, without the pages, and with our one error shape instead of its own."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    paths = document.get("paths", {}).items()
    document["paths"] = {path: item for path, item in paths if path.startswith("/api/")}
    for _path, _method, operation in _operations(document):
        responses = operation.setdefault("responses", {})
        responses.pop("422", None)
        responses["default"] = _PROBLEM_RESPONSE
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    return document


def _operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def _operation(path: str, method: str, described: dict[str, Any]) -> Operation:
    parameters = tuple(
        Parameter(item["name"], item["in"], item.get("required", False), item.get("description", ""))
        for item in described.get("parameters", ())
    )
    content = described.get("requestBody", {}).get("content", {})
    return Operation(
        path,
        method,
        summary=described.get("summary", ""),
        description=described.get("description", ""),
        parameters=parameters,
        body=_text(content) if content else "",
        responses=tuple((status, item["description"]) for status, item in described["responses"].items()),
    )


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
