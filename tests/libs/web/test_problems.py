"""Refusals have one shape: RFC 9457 for programs, a page for people, both in the reader's language."""

import logging
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field, field_validator

from libs.messaging.bus import BusUnavailable
from libs.web.app import Reading
from libs.web.i18n import _
from libs.web.problems import Conflict, Gone, Malformed, PreconditionRequired, Unavailable
from libs.web.validation import FieldError
from tests.libs.web.conftest import AppFactory, client_of

SECRET_VALUE = "what-the-person-typed"


class SessionFull(Conflict):
    slug = "session-full"
    title = _("Ce lien n’est plus valable")


class Contact(BaseModel):
    email: Annotated[str, Field(min_length=5)]


class Body(BaseModel):
    name: Annotated[str, Field(max_length=3)]
    channel: Literal["web", "phone"]
    party_size: Annotated[int, Field(ge=1)]
    starts_at: datetime
    session: UUID
    contact: Contact
    note: str = ""

    @field_validator("note")
    @classmethod
    def _no_note(cls, value: str) -> str:
        if value:
            raise ValueError(_("Laissez ce champ vide."))
        return value


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/full")
    @routes.get("/api/events/v1/full")
    async def full() -> None:
        raise SessionFull(alternatives=["s1"], until=_("Donnez un texte."))

    @routes.get("/seances/{id}")
    @routes.get("/api/events/v1/sessions/{id}")
    async def session(id: UUID) -> None:
        raise Gone

    @routes.get("/liste")
    async def listing(limit: int) -> None: ...

    @routes.post("/api/events/v1/sessions")
    async def create(body: Body) -> None: ...

    @routes.get("/database")
    @routes.get("/api/events/v1/database")
    async def database(session: Reading) -> None:
        await session.connection()

    @routes.get("/bus")
    async def bus() -> None:
        raise BusUnavailable

    @routes.get("/broken")
    @routes.get("/api/events/v1/broken")
    async def broken() -> None:
        raise RuntimeError(SECRET_VALUE)

    @routes.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, SECRET_VALUE)

    @routes.get("/version")
    async def version() -> None:
        raise PreconditionRequired

    return routes


@pytest.fixture
async def client(make_app: AppFactory):
    async with client_of(make_app(router())) as client:
        yield client


def slug(response: httpx.Response) -> str:
    return response.json()["type"].removeprefix("urn:tournee:problem:")


async def test_a_program_gets_a_problem_document_with_its_own_members(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/events/v1/full", headers={"X-Request-ID": "request-0001"})
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "type": "urn:tournee:problem:session-full",
        "title": "Ce lien n’est plus valable",
        "status": 409,
        "instance": "urn:tournee:request:request-0001",
        "alternatives": ["s1"],
        "until": "Donnez un texte.",
    }


@pytest.mark.parametrize(
    ("accepted", "title"),
    [
        ("en-CA,en;q=0.9,fr;q=0.5", "This link no longer works"),
        ("en;q=0.4, fr-CA;q=0.8", "Ce lien n’est plus valable"),
        ("de, *;q=0.1", "Ce lien n’est plus valable"),
        ("en;q=wrong", "Ce lien n’est plus valable"),
    ],
)
async def test_a_program_is_answered_in_the_language_it_accepts(
    client: httpx.AsyncClient, accepted: str, title: str
) -> None:
    response = await client.get("/api/events/v1/full", headers={"Accept-Language": accepted})
    assert response.json()["title"] == title


async def test_a_person_gets_a_page_in_the_language_of_the_pages(client: httpx.AsyncClient) -> None:
    french = await client.get("/full", headers={"Accept": "text/html", "Accept-Language": "en"})
    assert french.status_code == 409
    assert french.headers["content-type"].startswith("text/html")
    assert '<html lang="fr"' in french.text
    assert "Ce lien n’est plus valable" in french.text
    english = await client.get("/full?lang=en", headers={"Accept": "text/html"})
    assert '<html lang="en"' in english.text
    assert "This link no longer works" in english.text


async def test_a_program_may_ask_a_page_for_json(client: httpx.AsyncClient) -> None:
    response = await client.get("/full", headers={"Accept": "application/json"})
    assert slug(response) == "session-full"


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/api/events/v1/nothing", 404, "not-found"),
        ("GET", "/api/events/v1/sessions/not-an-id", 404, "not-found"),
        ("DELETE", "/api/events/v1/sessions", 405, "method-not-allowed"),
        ("GET", "/api/events/v1/broken", 500, "internal"),
        ("GET", "/api/events/v1/database", 503, "unavailable"),
    ],
)
async def test_what_the_framework_refuses_has_the_same_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int, expected: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, slug(response)) == (status, expected)
    assert {"type", "title", "status", "instance"} <= response.json().keys()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/seances/not-an-id", 404),
        ("/liste?limit=abc", 422),
        ("/version", 428),
        ("/teapot", 400),
        ("/broken", 500),
        ("/bus", 503),
        ("/database", 503),
    ],
)
async def test_every_refusal_has_a_page(client: httpx.AsyncClient, path: str, status: int) -> None:
    response = await client.get(path, headers={"Accept": "text/html"})
    assert response.status_code == status
    assert "<h1>" in response.text
    assert SECRET_VALUE not in response.text


async def test_a_wrong_method_says_which_ones_work(client: httpx.AsyncClient) -> None:
    response = await client.delete("/api/events/v1/sessions")
    assert response.headers["allow"] == "POST"


async def test_a_database_that_is_away_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/events/v1/database")
    assert int(response.headers["retry-after"]) > 0
    assert Unavailable(retry_after=60).headers["Retry-After"] == "60"


async def test_an_unexpected_error_is_logged_and_told_without_details(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = await client.get("/api/events/v1/broken")
    assert SECRET_VALUE not in response.text
    assert any(record.exc_info for record in caplog.records)


async def test_malformed_input_names_each_field_in_plain_words(client: httpx.AsyncClient) -> None:
    body = {
        "name": SECRET_VALUE,
        "channel": SECRET_VALUE,
        "party_size": 0,
        "starts_at": SECRET_VALUE,
        "session": SECRET_VALUE,
        "contact": {"email": "a@b"},
        "note": SECRET_VALUE,
    }
    response = await client.post(
        "/api/events/v1/sessions", json=body, headers={"Origin": "http://testserver"}
    )
    assert (response.status_code, slug(response)) == (422, "malformed")
    assert response.json()["errors"] == [
        {"field": "name", "message": "Écrivez au plus 3 caractères."},
        {"field": "channel", "message": "Choisissez une des réponses proposées\u00a0: web, phone."},
        {"field": "party_size", "message": "Donnez un nombre d’au moins 1."},
        {"field": "starts_at", "message": "Donnez une date et une heure, comme 2027-02-03T13:30."},
        {"field": "session", "message": "Cet identifiant n’a pas la bonne forme."},
        {"field": "contact/email", "message": "Écrivez au moins 5 caractères."},
        {"field": "note", "message": "Laissez ce champ vide."},
    ]
    assert SECRET_VALUE not in response.text


@pytest.mark.parametrize("body", [b"{not json", b"[1, 2]", b"\xff\xfe", b"null", b'"text"', b""])
async def test_a_body_that_is_not_the_expected_json_is_malformed(
    client: httpx.AsyncClient, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    response = await client.post("/api/events/v1/sessions", content=body, headers=headers)
    assert response.status_code in {400, 422}
    assert slug(response) in {"malformed", "bad-request"}


async def test_a_trailing_slash_leads_to_the_page_and_never_to_another_site(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/liste/?limit=3")
    assert (response.status_code, response.headers["location"]) == (308, "/liste?limit=3")
    for path in ("//evil.example/", "/%5Cevil.example/"):
        response = await client.get(httpx.URL("http://testserver", raw_path=path.encode()))
        location = response.headers.get("location", "/")
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))


def test_extra_members_read_like_attributes() -> None:
    problem = Malformed(errors=[FieldError("name", _("Donnez un texte."))], next_href="/")
    assert problem.next_href == "/"
    assert not hasattr(problem, "next_label")
