"""Another site can't make a browser act here; scripts, phones and mail providers can."""

import httpx
import pytest
from fastapi import APIRouter

from tests.libs.web.conftest import BEARER, AppFactory, client_of

OURS, THEIRS = "http://testserver", "https://evil.example"


def router() -> APIRouter:
    routes = APIRouter()

    @routes.api_route("/seances", methods=["GET", "POST", "PATCH", "DELETE"])
    @routes.post("/desabonnement/{token}")
    async def act() -> str:
        return "done"

    return routes


@pytest.fixture
async def client(make_app: AppFactory):
    async with client_of(make_app(router())) as client:
        yield client


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": OURS}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": OURS}, 200),
        ({}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": THEIRS}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://other.testserver"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": THEIRS}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Origin": THEIRS, **BEARER}, 200),
    ],
)
async def test_an_unsafe_request_must_come_from_our_pages(
    client: httpx.AsyncClient, method: str, headers: dict[str, str], status: int
) -> None:
    assert (await client.request(method, "/seances", headers=headers)).status_code == status


async def test_reading_is_open_to_every_site(client: httpx.AsyncClient) -> None:
    headers = {"Origin": THEIRS, "Sec-Fetch-Site": "cross-site"}
    assert (await client.get("/seances", headers=headers)).status_code == 200


async def test_with_a_session_a_request_must_say_where_it_comes_from(client: httpx.AsyncClient) -> None:
    client.cookies.set("equipe", "any-session")
    refused = await client.post("/seances")
    assert refused.status_code == 403
    assert "Cette demande vient d’un autre site" in refused.text
    assert (await client.post("/seances", headers={"Origin": OURS})).status_code == 200


async def test_the_public_address_counts_as_ours_behind_a_proxy(make_app: AppFactory) -> None:
    async with client_of(make_app(router(), changed={"public_url": "https://tournee.example"})) as client:
        response = await client.post("/seances", headers={"Origin": "https://tournee.example"})
    assert response.status_code == 200


async def test_a_mail_provider_may_unsubscribe_with_one_click(client: httpx.AsyncClient) -> None:
    response = await client.post("/desabonnement/abc", headers={"Origin": THEIRS})
    assert response.status_code == 200
