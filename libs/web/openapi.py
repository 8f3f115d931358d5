"""The description of a service's API for programs (OpenAPI 3.1), and the same as a page for people."""

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
        return render(request, "api_docs.html", document=document(), operations=list(operations(document())))


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    document["paths"] = {
        path: item for path, item in document.get("paths", {}).items() if path.startswith("/api/")
    }
    for _path, _method, operation in operations(document):
        responses = operation.setdefault("responses", {})
        responses.pop("422", None)
        responses["default"] = _PROBLEM_RESPONSE
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    return document


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation) of everything that the document describes, in its order."""
    return [
        (path, method, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]
