"""What national staff decide on an instance's page, and what it does."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from services.national import registry
from services.national.ingest import Ingest
from services.national.registry import BEFORE_ALL
from tests.conftest import ADMIN_TOKEN
from tests.national.conftest import US
from tests.national.pages.conftest import Land, Page
from tests.national.speaking import Speaker, received

ESTRIE = "/national/instances/estrie"
WHY = {"reason": "Son équipe l’a dit au téléphone", "initials": "ab"}


async def waits(land: Land, epoch: int, position: int = 1) -> None:
    """A message of a new epoch, which its instance has signed, is kept apart."""
    await land.run(
        "insert into quarantined"
        " (topic, instance, position, key, headers, digest, reason, detail, received_at)"
        " values ('estrie.federated.sessions', 'estrie', :position, 'k',"
        " jsonb_build_object('ce_epoch', cast(:epoch as text)), :digest, 'unconfirmed-epoch', '', now())",
        position=position,
        epoch=str(epoch),
        digest=bytes([position]),
    )


async def value(land: Land, query: str) -> Any:
    async with land.database.reading() as session:
        return await session.scalar(sa.text(query))


async def followed(land: Land, answer: httpx.Response) -> str:
    """The page that a decision leads back to."""
    assert answer.status_code == 303, answer.text
    page = await land.staff.get(answer.headers["location"])
    assert page.status_code == 200
    return Page(page.text).text


async def test_a_restoration_is_confirmed_by_the_number_that_its_team_reads_out(land: Land) -> None:
    await waits(land, 2)
    await waits(land, 9, position=2)
    assert f'href="{ESTRIE}/restauration"' in (await land.page(ESTRIE)).html
    asked = await land.page(f"{ESTRIE}/restauration")
    assert "Messages en attente : 2." in asked.text
    assert "Aujourd’hui : 1." in asked.text

    answer = await land.staff.post(f"{ESTRIE}/restauration", data=WHY | {"epoch": "2"})

    page = await followed(land, answer)
    assert "La restauration est confirmée." in page
    assert "Restauration confirmée Son équipe l’a dit au téléphone admin, AB" in page
    assert await value(land, "select epoch from instance where slug = 'estrie'") == 2


@pytest.mark.parametrize("epoch", ["", "1", "3", "deux", "²", "9" * 40])
async def test_another_number_confirms_nothing(land: Land, epoch: str) -> None:
    await waits(land, 2)
    answer = await land.staff.post(f"{ESTRIE}/restauration", data=WHY | {"epoch": epoch})
    assert answer.status_code == 422
    assert "Aucun message n’attend sous ce numéro." in Page(answer.text).text
    assert WHY["reason"] in answer.text, "what was typed is kept"
    assert await value(land, "select epoch from instance where slug = 'estrie'") == 1


async def test_where_nothing_waits_there_is_nothing_to_confirm(land: Land) -> None:
    for path in (f"{ESTRIE}/restauration", "/national/instances/personne/restauration"):
        assert (await land.staff.get(path)).status_code == 404


async def test_a_key_is_revoked_once_it_was_said_what_that_does(land: Land) -> None:
    path = f"{ESTRIE}/cles/estrie-1/revoquer"
    assert f'href="{path}"' in (await land.page(ESTRIE)).html
    assert "C’est la seule clé en vigueur" in (await land.page(path)).text

    page = await followed(land, await land.staff.post(path, data=WHY))

    assert "La clé est révoquée." in page
    assert "estrie-1 Révoquée" in page
    assert "Clé révoquée Son équipe l’a dit au téléphone admin, AB" in page
    assert (await land.staff.get(path)).status_code == 404
    assert (await land.staff.post(path, data=WHY)).status_code == 409


@pytest.mark.parametrize("missing", ["reason", "initials"])
async def test_nothing_is_decided_without_a_reason_and_initials(land: Land, missing: str) -> None:
    answer = await land.staff.post(f"{ESTRIE}/cles/estrie-1/revoquer", data=WHY | {missing: " "})
    assert answer.status_code == 422
    assert f'href="#{missing}"' in answer.text
    assert await value(land, "select count(*) from instance_key where revoked_at is not null") == 0


async def test_the_quarantine_is_read_again_when_somebody_asks(land: Land) -> None:
    speaker = Speaker("estrie")
    known, unreadable = speaker.session(uuid4()), speaker.session(uuid4(), signer=Speaker("estrie").signer)
    await Ingest(land.database, 1).handle(received([known, unreadable]))
    assert "Clé inconnue 2" in (await land.page(ESTRIE)).text
    async with land.database.transaction() as session:
        await registry.add_key(session, US, "estrie", speaker.signer.public_key, BEFORE_ALL)

    page = await followed(land, await land.staff.post(f"{ESTRIE}/relire"))

    assert "Crus maintenant : 1. Encore gardés à part : 1." in page
    assert "Clé inconnue 1" in page
    assert await value(land, f"select count(*) from session where id = '{known.key}'") == 1


async def test_only_national_staff_decide_and_only_from_our_own_pages(land: Land) -> None:
    await waits(land, 2)
    paths = (f"{ESTRIE}/restauration", f"{ESTRIE}/cles/estrie-1/revoquer", f"{ESTRIE}/relire")
    for path in paths:
        refused = await land.stranger.post(path, data=WHY | {"epoch": "2"}, headers={"Accept": "text/html"})
        assert refused.status_code == 303
        assert refused.headers["location"].startswith("/connexion")
    await land.stranger.post("/connexion", data={"token": ADMIN_TOKEN})
    for path in paths:
        elsewhere = await land.stranger.post(
            path,
            data=WHY | {"epoch": "2"},
            headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        )
        assert elsewhere.status_code == 403
    assert await value(land, "select count(*) from registry_entry") == 0
