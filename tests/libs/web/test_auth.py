"""Signing in: a token in a form or a link, a cookie afterwards, and no way to be led elsewhere."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from libs.settings import Settings
from libs.web.auth import MaybeStaff, NationalStaff, Staff, local_path
from tests.conftest import ADMIN_TOKEN
from tests.libs.web.conftest import BEARER, AppFactory, client_of, cookie_names


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/coordination/tournees")
    @routes.post("/coordination/tournees")
    @routes.get("/api/events/v1/tours")
    async def tours(staff: Staff) -> str:
        return staff.id

    @routes.get("/api/national/v1/instances")
    @routes.get("/national")
    async def instances(staff: NationalStaff) -> str:
        return staff.id

    @routes.get("/api/events/v1/sessions")
    async def sessions(staff: MaybeStaff) -> str:
        return staff.id if staff else "public"

    return routes


@pytest.fixture
async def client(make_app: AppFactory):
    async with client_of(make_app(router())) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, token: str = ADMIN_TOKEN, suite: str = "") -> httpx.Response:
    return await client.post("/connexion", data={"token": token, "suite": suite})


async def test_the_bearer_token_opens_api_and_pages(client: httpx.AsyncClient) -> None:
    for path in ("/api/events/v1/tours", "/coordination/tournees", "/api/events/v1/sessions"):
        assert (await client.get(path, headers=BEARER)).json() == "admin"


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Bearer ", "Basic YTpi", "", "Bearer é"])
async def test_a_wrong_bearer_token_is_401_for_api_and_pages(client: httpx.AsyncClient, header: str) -> None:
    headers = {"Authorization": header.encode()} if header else {}
    response = await client.get("/api/events/v1/tours", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["type"] == "urn:tournee:problem:unauthorized"
    assert (await client.get("/api/events/v1/sessions", headers=headers)).json() == "public"


async def test_a_person_who_is_not_signed_in_is_led_to_the_form_and_back(client: httpx.AsyncClient) -> None:
    away = await client.get("/coordination/tournees?page=2")
    assert away.status_code == 303
    assert away.headers["location"] == "/connexion?suite=/coordination/tournees%3Fpage%3D2"
    form = await client.get(away.headers["location"])
    assert 'value="/coordination/tournees?page=2"' in form.text
    back = await sign_in(client, suite="/coordination/tournees?page=2")
    assert (back.status_code, back.headers["location"]) == (303, "/coordination/tournees?page=2")
    assert (await client.get("/coordination/tournees")).json() == "admin"


async def test_a_form_sent_after_the_session_ended_leads_to_the_sign_in(client: httpx.AsyncClient) -> None:
    response = await client.post("/coordination/tournees")
    assert (response.status_code, response.headers["location"]) == (303, "/connexion")


async def test_the_cookie_is_signed_and_out_of_reach_of_scripts(client: httpx.AsyncClient) -> None:
    cookie = (await sign_in(client)).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert ADMIN_TOKEN not in cookie
    value = cookie.partition(";")[0].partition("=")[2]
    client.cookies.clear()
    # Not the last character: two of its six bits stand for nothing.
    client.cookies.set("equipe", value[:-9] + ("A" if value[-9] != "A" else "B") + value[-8:])
    assert (await client.get("/api/events/v1/tours")).status_code == 401


async def test_the_cookie_travels_by_https_only_where_there_is_https(make_app: AppFactory) -> None:
    async with client_of(make_app(changed={"public_url": "https://tournee.example"})) as client:
        response = await sign_in(client)
    assert "Secure" in response.headers["set-cookie"]
    assert "strict-transport-security" in response.headers


async def test_the_cookie_is_valid_in_every_service_of_the_instance_and_in_no_other(
    make_app: AppFactory, client: httpx.AsyncClient
) -> None:
    await sign_in(client)
    value = client.cookies["equipe"]
    for changed, status in (
        ({}, 200),
        ({"secret_key": SecretStr("another-secret-key")}, 401),
        ({"admin_token": SecretStr("another-admin-token")}, 401),
    ):
        async with client_of(make_app(router(), changed=changed)) as other:
            other.cookies.set("equipe", value)
            assert (await other.get("/api/events/v1/tours")).status_code == status


async def test_a_wrong_token_gets_the_form_again_with_a_clear_message(client: httpx.AsyncClient) -> None:
    response = await sign_in(client, token="not-the-token", suite="/coordination/tournees")
    assert response.status_code == 401
    assert "Ce jeton n’est pas le bon." in response.text
    assert "not-the-token" not in response.text
    assert 'value="/coordination/tournees"' in response.text
    assert cookie_names(response) == []


async def test_following_the_link_signs_nobody_in_until_the_button_is_pressed(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get(f"/connexion/{ADMIN_TOKEN}")
    assert page.status_code == 200
    assert cookie_names(page) == []
    assert page.headers["cache-control"] == "no-store"
    pressed = await client.post(f"/connexion/{ADMIN_TOKEN}")
    assert (pressed.status_code, pressed.headers["location"]) == (303, "/coordination")
    assert (await client.get("/coordination/tournees")).json() == "admin"
    assert (
        await client.post("/connexion/wrong-token-here", headers={"Origin": "http://testserver"})
    ).status_code == 401


async def test_signing_out_ends_the_session(client: httpx.AsyncClient) -> None:
    await sign_in(client)
    response = await client.post("/deconnexion", headers={"Origin": "http://testserver"})
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert (await client.get("/api/events/v1/tours")).status_code == 401


async def test_without_an_admin_token_nobody_gets_in(make_app: AppFactory, settings: Settings) -> None:
    async with client_of(make_app(router(), changed={"admin_token": None})) as client:
        assert (await sign_in(client, token="")).status_code == 401
        headers = {"Authorization": "Bearer "}
        assert (await client.get("/api/events/v1/tours", headers=headers)).status_code == 401


NATIONAL = "a-national-token-for-tests"


@pytest.fixture
async def of_both(make_app: AppFactory) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(router(), changed={"national_token": SecretStr(NATIONAL)})) as client:
        yield client


async def test_the_national_token_opens_the_national_view_and_nothing_of_the_region(
    of_both: httpx.AsyncClient,
) -> None:
    bearer = {"Authorization": f"Bearer {NATIONAL}"}
    assert (await of_both.get("/api/national/v1/instances", headers=bearer)).json() == "national"
    refused = await of_both.get("/api/events/v1/tours", headers=bearer)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:tournee:problem:forbidden")
    assert (await of_both.get("/coordination/tournees", headers=bearer)).status_code == 403
    # Where staff see more than the public, they don't.
    assert (await of_both.get("/api/events/v1/sessions", headers=bearer)).json() == "public"
    assert (await of_both.get("/api/national/v1/instances", headers=BEARER)).json() == "admin"


async def test_national_staff_sign_in_to_the_national_view(of_both: httpx.AsyncClient) -> None:
    response = await sign_in(of_both, NATIONAL)
    assert (response.status_code, response.headers["location"]) == (303, "/national")
    assert (await of_both.get("/national")).json() == "national"
    assert (await of_both.get("/coordination/tournees")).status_code == 403


async def test_without_a_national_token_nobody_has_that_role_alone(client: httpx.AsyncClient) -> None:
    assert (await sign_in(client, NATIONAL)).status_code == 401
    assert (await client.get("/national")).status_code == 303


async def test_a_new_national_token_ends_the_sessions_of_the_old_one(
    of_both: httpx.AsyncClient, make_app: AppFactory
) -> None:
    await sign_in(of_both, NATIONAL)
    cookie = {"Cookie": f"equipe={of_both.cookies['equipe']}"}
    changed = {"national_token": SecretStr("another-national-token")}
    async with client_of(make_app(router(), changed=changed)) as other:
        assert (await other.get("/api/national/v1/instances", headers=cookie)).status_code == 401


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "/\n/evil.example", " /a", "evil.example", "", "javascript:alert(1)",
        "/a\r\nSet-Cookie: b=c",
    ],
)  # fmt: skip
def test_a_sign_in_never_leads_to_another_site(address: str) -> None:
    assert local_path(address) == "/coordination"


@given(st.text())
def test_whatever_the_address_the_next_page_is_ours(address: str) -> None:
    following = local_path(address)
    assert following.startswith("/")
    assert not following.startswith(("//", "/\\"))
    assert local_path("/seances/1?a=%20b") == "/seances/1?a=%20b"
