"""Plain Starlette routes stand inside the same shell, and refuse in the same words, as FastAPI's."""

from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from libs.web.i18n import _
from libs.web.openapi import described
from libs.web.problems import Gone, malformed
from tests.libs.web.conftest import AppFactory, client_of


class Contact(BaseModel):
    email: Annotated[str, Field(max_length=20)]


class Body(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=3)]
    session: UUID
    seats: Annotated[int, Field(ge=1)] = 1
    contacts: list[Contact] = []


KEY = {"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}}


def router() -> APIRouter:
    routes = APIRouter()

    @described(answers={201: Contact, 204: None}, body=Body, parameters=[KEY], tags=["plain"])
    async def plain(request: Request) -> Response:
        """Take a body."""
        try:
            body = Body.model_validate_json(await request.body())
        except ValidationError as error:
            raise malformed(error) from error
        return Response(body.name, 201)

    async def refused(request: Request) -> Response:
        match request.path_params["how"]:
            case "gone":
                raise Gone(_("Donnez un texte."))
            case "teapot":
                raise HTTPException(418)
        raise RuntimeError

    routes.add_route("/api/events/v1/plain/{id}", plain, methods=["POST"])
    routes.add_route("/refused/{how}", refused)
    routes.add_route("/api/events/v1/refused/{how}", refused)

    @routes.post("/api/events/v1/usual")
    async def usual(body: Body) -> None:
        """Take a body."""

    @routes.get("/api/events/v1/plain/{id}")
    async def same_address(id: str) -> str:
        return id

    return routes


@pytest.fixture
async def client(make_app: AppFactory):
    async with client_of(make_app(router())) as client:
        yield client


BODIES = [
    {"name": "a", "session": "x", "seats": 0, "contacts": [{"email": "e" * 21}, {}, 3]},
    {"name": "abcd", "session": None, "seats": "many", "contacts": {"a": 1}},
    {"name": 7, "session": str(UUID(int=1)), "seats": 1.5},
    {},
    [1, 2],
    "text",
    7,
]


@pytest.mark.parametrize("body", BODIES, ids=str)
@pytest.mark.parametrize("language", ["fr", "en"])
async def test_malformed_input_is_refused_in_the_words_of_fastapis_routes(
    client: httpx.AsyncClient, body: object, language: str
) -> None:
    headers = {"Accept-Language": language, "X-Request-ID": "the-same-one"}
    plain = await client.post("/api/events/v1/plain/1", json=body, headers=headers)
    usual = await client.post("/api/events/v1/usual", json=body, headers=headers)
    assert plain.status_code == usual.status_code == 422
    assert plain.json() == usual.json()
    assert plain.headers == usual.headers


async def test_text_that_is_not_json_is_refused_in_the_same_words(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    plain = await client.post("/api/events/v1/plain/1", content=b"{not", headers=headers)
    usual = await client.post("/api/events/v1/usual", content=b"{not", headers=headers)
    assert plain.json()["errors"] == usual.json()["errors"]


@pytest.mark.parametrize(
    ("how", "status", "slug"), [("gone", 410, "gone"), ("teapot", 400, "bad-request"), ("x", 500, "internal")]
)
async def test_what_a_plain_route_raises_takes_the_one_shape(
    client: httpx.AsyncClient, how: str, status: int, slug: str
) -> None:
    document = await client.get(f"/api/events/v1/refused/{how}")
    assert document.status_code == status
    assert document.headers["content-type"] == "application/problem+json"
    assert document.json()["type"] == f"urn:tournee:problem:{slug}"
    page = await client.get(f"/refused/{how}", headers={"Accept": "text/html"})
    assert page.status_code == status
    assert "<h1>" in page.text


async def test_a_plain_route_answers_inside_the_shell(
    make_app: AppFactory, client: httpx.AsyncClient
) -> None:
    body = {"name": "abc", "session": str(UUID(int=1))}
    response = await client.post("/api/events/v1/plain/1", json=body)
    assert (response.status_code, response.text) == (201, "abc")
    assert response.headers["x-request-id"]
    assert response.headers["content-security-policy"]
    assert (await client.post("/api/events/v1/plain/1", content=b"x" * 300_000)).status_code == 413
    assert (
        await client.post("/api/events/v1/plain/1", json=body, headers={"Origin": "https://evil.example"})
    ).status_code == 403
    figures = (await client.get("/metrics")).text
    labels = 'method="POST",route="/api/events/v1/plain/{id}",service="events",status="201"'
    assert f"tournee_requests_total{{{labels}}} 1.0" in figures


async def test_one_address_may_have_plain_and_usual_methods(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/events/v1/plain/1")).json() == "1"
    assert (await client.delete("/api/events/v1/plain/1")).status_code == 405


async def test_a_plain_route_is_described_like_the_others(client: httpx.AsyncClient) -> None:
    document = (await client.get("/api/events/openapi.json")).json()
    assert (await client.get("/api/events/docs")).status_code == 200
    usual = document["paths"]["/api/events/v1/usual"]["post"]
    both = document["paths"]["/api/events/v1/plain/{id}"]
    plain = both["post"]
    assert both.keys() == {"get", "post"}
    assert plain["requestBody"] == usual["requestBody"]
    assert (plain["summary"], plain["description"], plain["tags"]) == ("Plain", "Take a body.", ["plain"])
    assert plain["operationId"] == "plain_api_events_v1_plain__id__post"
    assert [parameter["name"] for parameter in plain["parameters"]] == ["id", "Idempotency-Key"]
    assert plain["responses"].keys() == {"201", "204", "default"}
    created = plain["responses"]["201"]["content"]["application/json"]["schema"]
    assert created == {"$ref": "#/components/schemas/Contact"}
    assert {"Body", "Contact"} <= document["components"]["schemas"].keys()
    assert "/api/events/v1/refused/{how}" not in document["paths"]
