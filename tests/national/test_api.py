"""What programs of national staff read: sessions of the country, and how each instance is doing."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from libs.messaging.federated import StreamDeclared
from libs.messaging.postgres import PostgresBus
from libs.web.app import Service
from services.national import queries
from services.national.main import create
from tests.national.conftest import Nation
from tests.national.speaking import Speaker, new_ids

API = "/api/national/v1"


async def items(client: httpx.AsyncClient, **asked: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"{API}/sessions", params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_a_session_is_shown_as_its_instance_says_it(
    nation: Nation, client: httpx.AsyncClient, estrie: Speaker
) -> None:
    (id_,) = new_ids(1)
    await nation.hear(estrie.session(id_))
    (shown,) = await items(client)
    assert shown["seats"] is None
    await nation.hear(estrie.seats(id_, confirmed=3, available=9))
    (shown,) = await items(client)
    assert shown["id"] == str(id_)
    assert (shown["instance"], shown["region"], shown["planned"]) == ("estrie", "05", 12)
    assert shown["starts_at"] == "2027-02-03T13:30:00-05:00"
    assert shown["starts_at_local"] == "2027-02-03T13:30:00"
    assert shown["url"] == f"https://estrie.example/seances/{id_}"
    assert shown["venue"]["municipality"] == "Sherbrooke"
    assert shown["seats"]["confirmed"] == 3
    assert shown["seats"]["by_kind"]["on_site"]["available"] == 9
    assert (await client.get(f"{API}/sessions/{id_}")).json() == shown
    assert (await client.get(f"{API}/sessions/{uuid4()}")).status_code == 404


async def test_sessions_are_found_by_what_they_are(nation: Nation, client: httpx.AsyncClient) -> None:
    estrie, laval = await nation.register(Speaker("estrie")), await nation.register(Speaker("laval"))
    one, two, three = new_ids(3)
    await nation.hear(
        estrie.session(one, title="Le courriel, pas à pas", theme="courriel"),
        estrie.session(two, status="cancelled", stream="pro", language="en", modality="online", region=None),
        laval.session(three, region="13", starts_at=datetime.fromisoformat("2027-03-31T23:30")),
        laval.seats(uuid4()),
    )

    async def found(**asked: Any) -> set[str]:
        return {item["id"] for item in await items(client, **asked)}

    assert await found() == {str(one), str(two), str(three)}
    assert await found(instance="laval") == {str(three)}
    assert await found(region="05") == {str(one)}
    assert await found(theme="courriel") == {str(one)}
    assert await found(stream="pro", language="en", modality="online", status="cancelled") == {str(two)}
    assert await found(q="éva sénécal COURRIEL") == {str(one)}
    assert await found(q="%") == set()
    assert await found(**{"from": "2027-03-31"}) == {str(three)}
    assert await found(to="2027-03-30") == {str(one), str(two)}
    assert await found(**{"from": "2027-03-31", "to": "2027-03-31"}) == {str(three)}


async def test_pages_of_sessions_follow_each_other(
    nation: Nation, client: httpx.AsyncClient, estrie: Speaker
) -> None:
    start = datetime.fromisoformat("2027-02-03T13:30")
    ids = new_ids(7)
    await nation.hear(
        *(estrie.session(id_, starts_at=start + timedelta(days=n // 3)) for n, id_ in enumerate(ids))
    )
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        answer = (await client.get(f"{API}/sessions", params=asked)).json()
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next"]
    assert sorted(seen) == sorted(str(id_) for id_ in ids)
    starts = [item["starts_at"] for item in await items(client)]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    "asked",
    ["cursor=x", "limit=0", "limit=9999", "from=yesterday", "from=0001-01-01", "status=draft", "stream=x"],
)
async def test_a_question_that_makes_no_sense_is_refused(client: httpx.AsyncClient, asked: str) -> None:
    answer = await client.get(f"{API}/sessions?{asked}")
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_an_instance_shows_how_far_it_can_be_trusted_today(
    nation: Nation, client: httpx.AsyncClient
) -> None:
    now = datetime.now(UTC)
    estrie, laval = await nation.register(Speaker("estrie")), await nation.register(Speaker("laval"))
    streams = {"sessions": StreamDeclared(count=2), "seats": StreamDeclared(count=1)}
    await nation.hear(
        estrie.session(uuid4(), time=now),
        estrie.heartbeat(time=now, streams=streams, lag=4),
        laval.heartbeat(time=now - timedelta(minutes=3)),
        laval.session(uuid4(), epoch=2),
    )
    shown = {one["instance"]: one for one in (await client.get(f"{API}/instances")).json()["items"]}
    heard, silent = shown["estrie"], shown["laval"]
    assert (heard["stale"], heard["offline_since"], heard["lag"]) == (False, None, 4)
    assert heard["shares"] == {"public": "counts", "pro": "nothing"}
    assert heard["completeness"] == {
        "sessions": {"declared": 2, "received": 1},
        "seats": {"declared": 1, "received": 0},
        "tallies": {"declared": None, "received": 0},
    }
    assert silent["stale"]
    assert silent["offline_since"] == silent["last_seen"]
    assert silent["quarantined"] == 1


async def test_health_counts_what_needs_somebody(nation: Nation, client: httpx.AsyncClient) -> None:
    await nation.register(Speaker("estrie"))
    await nation.hear(Speaker("laval").session(uuid4()))
    async with nation.database.reading() as session:
        health = await queries.health(session)
    assert health == {
        "quarantined": 1,
        "quarantine": {"unknown-instance": 1},
        "generations": {"1": "serving"},
        "stale_instances": 1,
    }


async def test_the_national_token_opens_the_national_view_alone(
    nation: Nation, client: httpx.AsyncClient
) -> None:
    token = "a-national-token-for-tests"
    settings = nation.settings.model_copy(update={"national_token": SecretStr(token)})
    bearer = {"Authorization": f"Bearer {token}"}
    # Without the setting nobody holds it.
    assert (await client.get(f"{API}/instances", headers=bearer)).status_code == 401
    app = create(Service("national", settings, nation.database, PostgresBus(nation.database.url)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as other:
        assert (await other.get(f"{API}/instances", headers=bearer)).status_code == 200
        body = {"instance": "estrie", "name": "Estrie", "reason": "Convention"}
        assert (await other.post(f"{API}/instances", json=body, headers=bearer)).status_code == 201
        log = (await other.get(f"{API}/registry/log", headers=bearer)).json()["items"]
        assert log[0]["who"] == "national"
        # By the form: the cookie opens the same, and leads to the national view.
        signed_in = await other.post("/connexion", data={"token": token})
        assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "/national")
        assert (await other.get(f"{API}/instances")).status_code == 200
