"""Forms as people send them: cleaned the same way everywhere, refused when they can't be text."""

import pytest
from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError

from libs.web.forms import Form, FormErrors, clean, read_form
from libs.web.i18n import _
from tests.libs.web.conftest import AppFactory, client_of

URLENCODED = "application/x-www-form-urlencoded"


@pytest.fixture
async def client(make_app: AppFactory):
    routes = APIRouter()

    @routes.post("/formulaire")
    async def send(request: Request) -> dict[str, object]:
        form = await read_form(request)
        return {"form": form, "targets": form.all("targets")}

    async with client_of(make_app(routes)) as client:
        yield client


async def test_a_form_is_read_as_clean_text(client) -> None:
    body = {"name": "  Zoé\u0301  ", "note": "a\r\nb\rc ", "targets": ["a", "b"], "empty": ""}
    answer = (await client.post("/formulaire", data=body)).json()
    assert answer["form"] == {"name": "Zoé\u0301", "note": "a\nb\nc", "targets": "b", "empty": ""}
    assert answer["targets"] == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"name=a%00b", URLENCODED, 422),
        (b"na%00me=a", URLENCODED, 422),
        (b"name=%FF%FE", URLENCODED, 400),
        (b"name=\xff", URLENCODED, 400),
        (b"&".join(b"a=1" for _n in range(201)), URLENCODED, 400),
        (b"name=a", "text/plain", 415),
        (b"--x--", "multipart/form-data; boundary=x", 415),
        (b"", "text/plain", 200),
        (b"name=a", URLENCODED + "; charset=UTF-8", 200),
    ],
)
async def test_what_cannot_be_text_is_refused_clearly(
    client, body: bytes, media_type: str, status: int
) -> None:
    response = await client.post("/formulaire", content=body, headers={"Content-Type": media_type})
    assert response.status_code == status


def test_text_is_kept_in_one_normal_form() -> None:
    assert clean("e\u0301") == "é"
    assert clean("\u00a0 Aline\t") == "Aline"


def test_errors_keep_their_order_and_the_first_message_of_a_field() -> None:
    errors = FormErrors()
    errors.add("name", _("Donnez un texte."))
    errors.add("email", _("Donnez une liste."))
    errors.add("name", _("Donnez un nombre."))
    assert list(errors) == ["name", "email"]
    assert str(errors["name"]) == "Donnez un texte."
    assert not FormErrors()


def test_what_pydantic_finds_becomes_errors_of_the_form() -> None:
    class Answers(BaseModel):
        name: str
        party: int

    with pytest.raises(ValidationError) as caught:
        Answers.model_validate(Form([("party", "many")]))
    errors = FormErrors.from_validation(caught.value)
    assert {name: str(message) for name, message in errors.items()} == {
        "name": "Cette réponse est nécessaire.",
        "party": "Donnez un nombre entier.",
    }
