"""The description of a service's API for programs (OpenAPI 3.1), and the same as a page for people."""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

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


@dataclass(frozen=True, slots=True)
class Described:
    """What FastAPI would have read from an endpoint's signature; see `described`."""

    answers: Mapping[int, type[BaseModel] | None]
    body: type[BaseModel] | None
    parameters: Sequence[Mapping[str, Any]]
    tags: Sequence[str]


_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


def described(
    *,
    answers: Mapping[int, type[BaseModel] | None],
    body: type[BaseModel] | None = None,
    parameters: Sequence[Mapping[str, Any]] = (),
    tags: Sequence[str] = (),
) -> Callable[[_Endpoint], _Endpoint]:
    """Give a plain Starlette route's endpoint its entry in the document; its docstring describes it.

    `answers` are the bodies of successful answers by status (None: none), `parameters` OpenAPI parameter
    objects beside those of the path. Problems are added as for every operation.
    """

    def describe(endpoint: _Endpoint) -> _Endpoint:
        _DESCRIBED[endpoint] = Described(answers, body, parameters, tags)
        return endpoint

    return describe


_DESCRIBED: WeakKeyDictionary[Callable[..., Any], Described] = WeakKeyDictionary()


def add_docs(app: FastAPI, name: str, direct_routes: Sequence[Route] = ()) -> None:
    """Serve `/api/{name}/openapi.json` and `/api/{name}/docs`."""

    def document() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = _document(app, direct_routes)
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


def _document(app: FastAPI, direct_routes: Sequence[Route]) -> dict[str, Any]:
    """FastAPI's description, without the pages, and with our one error shape instead of its own."""
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    for route in direct_routes:
        _add_direct(document, route)
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


def _add_direct(document: dict[str, Any], route: Route) -> None:
    """Describe a plain route as FastAPI would describe its own."""
    told = _DESCRIBED.get(route.endpoint)
    if told is None:
        return
    schemas = _Schemas(document.setdefault("components", {}).setdefault("schemas", {}))
    operation: dict[str, Any] = {
        "tags": list(told.tags),
        "summary": route.name.replace("_", " ").title(),
        "description": inspect.getdoc(route.endpoint) or "",
        "parameters": [*_path_parameters(route), *told.parameters],
        "responses": {
            str(status): {"description": "Successful Response"}
            | (_content(schemas.add(model, "serialization")) if model else {})
            for status, model in told.answers.items()
        },
    }
    if told.body is not None:
        operation["requestBody"] = {"required": True} | _content(schemas.add(told.body, "validation"))
    for method in sorted((route.methods or set()) - {"HEAD"}):
        name = re.sub(r"\W", "_", f"{route.name}{route.path_format}")
        entry = {**operation, "operationId": f"{name}_{method.lower()}"}
        document.setdefault("paths", {}).setdefault(route.path_format, {})[method.lower()] = entry


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in route.param_convertors
    ]


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


class _Schemas:
    """The document's shared schemas, to which a model and all that it is made of are added."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known

    def add(self, model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
        """The reference to `model`'s schema."""
        references, found = models_json_schema([(model, mode)], ref_template="#/components/schemas/{model}")
        for name, schema in found.get("$defs", {}).items():
            self.known.setdefault(name, schema)
        return references[model, mode]


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
