"""The pages of sharing, as the team uses them."""

import re

import httpx

from libs.messaging.signing import Signer
from services.exporter.saying import Voice
from tests.conftest import SIGNING_KEY
from tests.exporter.conftest import SESSION, Region, counts, said, seats_state, session_state

FORM = {"level": "nothing", "reason": "Le comité l’a décidé", "initials": "ab"}


def text(answer: httpx.Response) -> str:
    """What one reads, without the marks and with plain spaces."""
    main = answer.text.partition("<main")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", main).replace("\u00a0", " ").split())


async def test_the_page_says_what_leaves_what_stays_and_how_much(client: httpx.AsyncClient) -> None:
    page = text(await client.get("/partage"))
    assert "Ce qui ne sort jamais" in page
    assert page.count("Partagé aujourd’hui : Les ateliers, et les décomptes de chaque jour") == 2
    assert "Personne n’a encore rien changé." in page


async def test_it_gives_the_public_key_to_send(client: httpx.AsyncClient) -> None:
    signer = Signer.from_secret(SIGNING_KEY)
    page = (await client.get("/partage")).text
    assert signer.key_id in page
    assert SIGNING_KEY not in page
    key = (await client.get("/api/exporter/v1/key")).json()
    assert key == {
        "instance": "demo",
        "algorithm": "Ed25519",
        "key_id": signer.key_id,
        "public_key": "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
    }


async def test_only_the_team_sees_it(client: httpx.AsyncClient) -> None:
    client.headers.pop("authorization")
    for path in ("/partage", "/partage/public", "/partage/messages"):
        assert (await client.get(path, headers={"accept": "text/html"})).status_code == 303
    for path in ("sharing", "key", "parked"):
        assert (await client.get(f"/api/exporter/v1/{path}")).status_code == 401


async def test_a_decision_says_first_what_it_will_do(client: httpx.AsyncClient, region: Region) -> None:
    await region.hear(said(session_state(), 1), said(seats_state(), 1), said(counts(), 1))

    asked = await client.post("/partage/public", data=FORM)

    page = text(asked)
    assert asked.status_code == 200
    assert "1 atelier sera retiré de la vue nationale, avec ses places." in page
    assert "1 décompte sera retiré de la vue nationale." in page
    assert "« non partagé » pour ces ateliers, jamais zéro" in page
    assert "« non partagé » pour le profil" not in page, "it wasn’t shared before either"
    assert (await client.get("/api/exporter/v1/sharing")).json()["items"][0]["level"] == "counts"

    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
    done = await client.post("/partage/public", data=hidden)

    assert (done.status_code, done.headers["location"]) == (303, "/partage")
    page = text(await client.get("/partage"))
    assert "Le comité l’a décidé" in page
    assert "par AB" in page
    assert "Le changement est en cours." in page
    await region.restate()
    assert "Le changement est en cours." not in text(await client.get("/partage"))


async def test_sharing_more_says_what_will_leave(client: httpx.AsyncClient) -> None:
    page = text(await client.post("/partage/pro", data=FORM | {"level": "profile"}))
    assert "Le profil connu partira tout de suite, puis chaque mois." in page
    assert "retiré" not in page
    assert "Les ateliers et leurs places partiront" not in page, "they leave already"


async def test_what_is_missing_is_asked_for_and_what_was_typed_kept(client: httpx.AsyncClient) -> None:
    answer = await client.post("/partage/public", data={"level": "x", "reason": "", "initials": "à vous"})
    assert answer.status_code == 422
    page = text(answer)
    assert "Choisissez ce que votre région partage." in page
    assert "Dites pourquoi, en une phrase" in page
    assert 'value="à vous"' in answer.text
    same = await client.post("/partage/public", data=FORM | {"level": "counts"})
    assert same.status_code == 422
    assert "C’est déjà le niveau d’aujourd’hui." in text(same)


async def test_a_page_that_is_out_of_date_changes_nothing(client: httpx.AsyncClient, region: Region) -> None:
    await region.decide("sessions")
    late = await client.post("/partage/public", data=FORM | {"confirmed": "1", "seen": "counts"})
    assert late.status_code == 409
    assert "entre-temps" in text(late)
    assert (await client.get("/api/exporter/v1/sharing")).json()["items"][0]["level"] == "sessions"


async def test_an_unknown_volet_is_no_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/partage/secret")).status_code == 404
    assert (await client.post("/partage/secret", data=FORM)).status_code == 404


async def test_the_messages_are_shown_as_they_left(client: httpx.AsyncClient, region: Region) -> None:
    assert "Rien n’est encore parti." in text(await client.get("/partage/messages"))
    await region.hear(said(session_state(), 1), said(seats_state(confirmed=3), 7), said(counts(), 1))
    await region.beat()
    sent = {one.topic.logical: one for one in await region.raw()}

    page = await client.get("/partage/messages")

    assert text(page).count("Signature valide, clé") == 4
    for one in sent.values():
        assert one.headers["signature"] in page.text.replace("&#43;", "+").replace("&#61;", "=")
    assert "&#34;confirmed&#34;: 3" in page.text

    await region.decide("nothing")
    assert (
        text(await client.get("/partage/messages")).count("Ce message retire ce qui avait été partagé.") == 3
    )


async def test_a_message_of_an_earlier_key_is_told_apart(client: httpx.AsyncClient, region: Region) -> None:
    region.voice = Voice("demo", Signer.from_secret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh4="))
    await region.beat()
    assert "Signé avec une autre clé" in text(await client.get("/partage/messages"))


async def test_the_api_changes_a_level_with_its_reason(client: httpx.AsyncClient, region: Region) -> None:
    body = {"volet": "pro", "level": "sessions", "reason": "Entente signée", "seen": "counts"}
    answer = await client.put("/api/exporter/v1/sharing", json=body)
    public, pro = answer.json()["items"]
    assert public["level"] == "counts"
    assert public["reason"] is None
    assert (pro["level"], pro["reason"], pro["decided_by"], pro["settled"]) == (
        "sessions",
        "Entente signée",
        "admin",
        False,
    )
    again = await client.put("/api/exporter/v1/sharing", json=body)
    assert (again.status_code, again.json()["type"].rpartition(":")[2]) == (409, "changed-meanwhile")
    assert (await client.put("/api/exporter/v1/sharing", json=body | {"reason": " "})).status_code == 422


async def test_parked_messages_are_seen_and_tried_again(client: httpx.AsyncClient, region: Region) -> None:
    await region.hear(said(session_state(theme="chez Aline"), 1))
    (parked,) = (await client.get("/api/exporter/v1/parked")).json()["items"]
    assert (parked["topic"], parked["key"], parked["reason"]) == (
        "sessions",
        str(SESSION),
        "theme is not in its vocabulary",
    )
    replayed = await client.post("/api/exporter/v1/parked/replay")
    assert replayed.json() == {"applied": 0, "parked": 1}
