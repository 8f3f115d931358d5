"""The registry: every change is asked for by somebody, logged with its reason, and takes effect at once."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.messaging.bus import Message
from libs.messaging.signing import Signer, new_secret
from libs.settings import Settings
from services.national import registry
from services.national.problems import InstanceKnown, InstanceUnknown, KeyKnown, NotASlug
from services.national.registry import register_own
from tests.national.conftest import STAFF, US, Nation
from tests.national.speaking import NOON, Speaker, new_ids

API = "/api/national/v1"


async def registered(client: httpx.AsyncClient, speaker: Speaker, **more: Any) -> httpx.Response:
    body = {"instance": speaker.slug, "name": "BIBLIO Estrie", "reason": "Convention 12"} | more
    return await client.post(f"{API}/instances", json=body)


def base64_of(signer: Signer) -> str:
    return base64.b64encode(signer.public_key).decode()


async def test_an_instance_is_registered_with_its_key_and_regions(
    nation: Nation, client: httpx.AsyncClient
) -> None:
    estrie = Speaker("estrie")
    answer = await registered(
        client,
        estrie,
        regions=[{"region": "05"}, {"region": "16", "valid_until": "2021-07-01"}],
        public_key=base64_of(estrie.signer),
        valid_from="2026-11-01T00:00:00-04:00",
    )
    assert answer.status_code == 201
    shown = answer.json()
    assert answer.headers["Location"] == f"{API}/instances/estrie"
    assert [key["key_id"] for key in shown["keys"]] == [estrie.signer.key_id]
    assert shown["keys"][0]["public_key"] == base64_of(estrie.signer)
    assert shown["regions"][1] == {"region": "16", "valid_from": "2000-01-01", "valid_until": "2021-07-01"}
    assert (shown["last_seen"], shown["stale"], shown["offline_since"]) == (None, True, None)
    await nation.hear(estrie.session(uuid4()), estrie.session(uuid4(), region="16"))
    assert await nation.doubted() == ["region-not-theirs"]
    log = (await client.get(f"{API}/registry/log")).json()["items"]
    assert [(one["who"], one["what"], one["reason"]) for one in log] == [
        ("admin", "key-added", "Convention 12"),
        ("admin", "registered", "Convention 12"),
    ]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"instance": "Estrie!"}, 422),
        ({"instance": ""}, 422),
        ({"reason": ""}, 422),
        ({"reason": None}, 422),
        ({"name": "a\0b"}, 422),
        ({"public_key": "x"}, 422),
        ({"regions": [{"region": "99"}]}, 422),
        ({"regions": [{"region": "05", "valid_from": "0001-01-01"}]}, 422),
        ({"regions": [{"region": "05", "valid_from": 1}]}, 422),
        ({"valid_from": "2026-11-01T00:00:00"}, 422),
        ({"instance": "laval"}, 409),
    ],
)
async def test_what_cannot_be_registered_is_refused(
    nation: Nation, client: httpx.AsyncClient, change: dict[str, Any], status: int
) -> None:
    await nation.register(Speaker("laval"))
    answer = await registered(client, Speaker("estrie"), **change)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [row.slug for row in await nation.rows("select slug from instance")] == ["laval"]


async def test_a_patch_needs_the_version_that_was_read(nation: Nation, client: httpx.AsyncClient) -> None:
    await nation.register(Speaker("estrie"))
    address = f"{API}/instances/estrie"
    etag = (await client.get(address)).headers["ETag"]
    body = {"name": "Estrie", "regions": [{"region": "05"}], "reason": "Nouveau nom"}
    assert (await client.patch(address, json=body)).status_code == 428
    changed = await client.patch(address, json=body, headers={"If-Match": etag})
    assert (changed.status_code, changed.json()["name"]) == (200, "Estrie")
    assert changed.headers["ETag"] != etag
    assert (await client.patch(address, json=body, headers={"If-Match": etag})).status_code == 412
    assert (await client.get(f"{API}/instances/nowhere")).status_code == 404


async def test_keys_rotate_overlap_end_and_are_revoked(nation: Nation, client: httpx.AsyncClient) -> None:
    estrie = Speaker("estrie")
    old, new = estrie.signer, Signer.from_secret(new_secret())
    await registered(client, estrie, public_key=base64_of(old), valid_from="2026-01-01T00:00:00Z")
    keys = f"{API}/instances/estrie/keys"
    body = {"public_key": base64_of(new), "valid_from": NOON.isoformat(), "reason": "Rotation"}
    assert (await client.post(keys, json=body)).status_code == 201
    assert (await client.post(keys, json=body)).json()["type"].endswith("key-known")
    (id_,) = new_ids(1)

    async def said(signer: Signer, version: int, time: datetime = NOON) -> str:
        message: Message = estrie.session(id_, version=version, signer=signer, time=time)
        before = len(await nation.doubted())
        await nation.hear(message)
        doubted = await nation.doubted()
        return doubted[-1] if len(doubted) > before else "believed"

    assert await said(old, 1) == "believed"
    assert await said(new, 2) == "believed"
    assert await said(new, 3, NOON - timedelta(seconds=1)) == "key-not-valid"
    end = {"valid_until": (NOON + timedelta(hours=1)).isoformat(), "reason": "Fin du chevauchement"}
    assert (await client.post(f"{keys}/{old.key_id}/end", json=end)).status_code == 200
    assert await said(old, 4, NOON + timedelta(minutes=59)) == "believed"
    assert await said(old, 5, NOON + timedelta(hours=1)) == "key-not-valid"
    assert (await client.post(f"{keys}/{new.key_id}/revoke", json={"reason": "Volée"})).status_code == 200
    assert await said(new, 6) == "key-not-valid"
    assert (await client.post(f"{keys}/{new.key_id}/revoke", json={"reason": "Volée"})).status_code == 409
    assert (await client.post(f"{keys}/unknown/revoke", json={"reason": "Volée"})).status_code == 404


async def test_an_instance_is_suspended_activated_and_retired(
    nation: Nation, client: httpx.AsyncClient, estrie: Speaker
) -> None:
    (id_,) = new_ids(1)
    address = f"{API}/instances/estrie"
    why = {"reason": "Chiffres douteux"}
    await nation.hear(estrie.seats(id_, confirmed=1))
    assert (await client.post(f"{address}/suspend", json=why)).json()["status"] == "suspended"
    assert (await client.post(f"{address}/suspend", json=why)).status_code == 409
    await nation.hear(estrie.seats(id_, version=2, confirmed=2))
    assert (await nation.one("select confirmed from session")).confirmed == 1
    assert (await client.post(f"{address}/activate", json=why)).json()["status"] == "active"
    assert (await client.post(f"{API}/quarantine/replay", json={"instance": "estrie"})).json()["applied"] == 1
    assert (await nation.one("select confirmed from session")).confirmed == 2
    retired = (await client.post(f"{address}/retire", json=why)).json()
    assert retired["status"] == "retired"
    assert retired["keys"][0]["valid_until"] is not None
    # What was signed before stays believable; what is signed afterwards isn't.
    await nation.hear(estrie.seats(id_, version=3, confirmed=3))
    later = datetime.now(UTC) + timedelta(hours=1)
    await nation.hear(estrie.seats(id_, version=4, confirmed=4, time=later))
    assert (await nation.one("select confirmed from session")).confirmed == 3
    assert await nation.doubted() == ["key-not-valid"]


async def test_a_new_epoch_waits_for_its_confirmation(
    nation: Nation, client: httpx.AsyncClient, estrie: Speaker
) -> None:
    (id_,) = new_ids(1)
    await nation.hear(estrie.seats(id_, version=9, confirmed=9), estrie.seats(id_, epoch=2, confirmed=1))
    assert await nation.doubted() == ["unconfirmed-epoch"]
    address = f"{API}/instances/estrie/confirm-epoch"
    body = {"epoch": 2, "reason": "Restauration du 3 décembre, confirmée au téléphone"}
    assert (await client.post(address, json=body)).json()["epoch"] == 2
    assert (await client.post(address, json=body)).json()["type"].endswith("epoch-not-newer")
    await client.post(f"{API}/quarantine/replay", json={})
    assert (await nation.one("select confirmed from session")).confirmed == 1


async def test_the_own_instance_registers_itself_once(nation: Nation, settings: Settings) -> None:
    own = Speaker(settings.instance)
    for _ in range(2):
        await register_own(nation.database, settings, own.signer.public_key)
    assert len(await nation.rows("select 1 from registry_entry")) == 2
    # Its epochs need nobody's confirmation, and neither does what it signed before.
    await nation.hear(own.session(uuid4(), epoch=5, time=NOON - timedelta(days=900)))
    assert await nation.doubted() == []
    # A new key, when DATA_DIR was lost, beside the old one.
    await register_own(nation.database, settings, Speaker().signer.public_key)
    assert len(await nation.rows("select 1 from instance_key")) == 2
    # What national staff decided stays.
    async with nation.database.transaction() as session:
        await registry.suspend(session, US, settings.instance)
    await register_own(nation.database, settings, own.signer.public_key)
    assert (await nation.one("select status from instance")).status == "suspended"


async def test_a_stranger_with_the_same_name_does_not_become_the_own_instance(
    nation: Nation, settings: Settings
) -> None:
    other = await nation.register(Speaker(settings.instance))
    await register_own(nation.database, settings, Speaker().signer.public_key)
    rows = await nation.rows("select key_id from instance_key")
    assert [row.key_id for row in rows] == [other.signer.key_id]


async def test_refusals_change_nothing(nation: Nation, estrie: Speaker) -> None:
    async def refused(problem: type[Exception], change: Any) -> None:
        with pytest.raises(problem):
            async with nation.database.transaction() as session:
                await change(session)

    entries = len(await nation.rows("select 1 from registry_entry"))
    await refused(InstanceKnown, lambda s: registry.register(s, US, "estrie", "x"))
    await refused(NotASlug, lambda s: registry.register(s, US, "estrie.federated", "x"))
    await refused(InstanceUnknown, lambda s: registry.suspend(s, US, "nowhere"))
    await refused(KeyKnown, lambda s: registry.add_key(s, US, "estrie", estrie.signer.public_key))
    assert len(await nation.rows("select 1 from registry_entry")) == entries


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_changes_or_reads_the_registry_without_the_role(
    client: httpx.AsyncClient, method: str
) -> None:
    client.headers.pop("Authorization")
    assert (await client.request(method, f"{API}/instances", json={})).status_code == 401
    wrong = {"Authorization": "Bearer wrong-token-wrong-token"}
    assert (await client.request(method, f"{API}/instances", json={}, headers=wrong)).status_code == 401
    assert (await client.request("GET", f"{API}/instances", headers=STAFF)).status_code == 200
