"""How each instance is heard, what it shares, what is missing, and what isn't believed."""

from datetime import UTC, datetime, timedelta

from tests.national.pages.conftest import Land


async def quarantined(land: Land, instance: str, reason: str, position: int) -> None:
    await land.run(
        "insert into quarantined"
        " (topic, instance, position, key, headers, digest, reason, detail, received_at)"
        " values (:topic, :instance, :position, 'k', '{}', :digest, :reason, '', now())",
        topic=f"{instance}.federated.sessions",
        instance=instance,
        position=position,
        digest=bytes([position]),
        reason=reason,
    )


async def test_every_instance_is_listed_with_how_it_is_heard(land: Land) -> None:
    await land.heard("nord-du-quebec", timedelta(hours=2, minutes=10))
    await land.shares("laurentides", "nothing", "counts")
    page = await land.page("/national/instances")
    assert len(page.rows()) == 12
    assert page.row("Nord-du-Québec")[1:3] == ["Hors ligne", "il y a 2 h 10"]
    assert page.row("Estrie")[1] == "En ligne"
    assert page.row("Laurentides")[5:7] == ["non partagé", "décomptes"]


async def test_what_is_missing_is_counted(land: Land) -> None:
    here = len([row for row in land.country.sessions if row["instance"] == "estrie"])
    await land.run(
        "update pulse set streams = jsonb_set(streams, '{sessions,count}', to_jsonb(cast(:n as int)))"
        " where instance = 'estrie'",
        n=2 * here,
    )
    assert (await land.page("/national/instances")).row("Estrie")[3] == "50 %"
    page = await land.page("/national/instances/estrie")
    assert f"Séances {here} {2 * here} 50 %" in page.text
    assert "Décomptes 0 pas encore dit –" in page.text


async def test_what_isnt_believed_is_counted_by_reason(land: Land) -> None:
    for position, (instance, reason) in enumerate(
        [
            ("estrie", "bad-signature"),
            ("estrie", "not-theirs"),
            ("estrie", "not-theirs"),
            ("x", "unknown-instance"),
        ]
    ):
        await quarantined(land, instance, reason, position)
    page = await land.page("/national/instances")
    assert page.row("Estrie")[7] == "3"
    assert "x : Instance inconnue (1)" in page.text
    page = await land.page("/national/instances/estrie")
    assert "Séance d’une autre instance 2" in page.text
    assert "Signature fausse 1" in page.text


async def test_keys_are_shown_with_their_validity(land: Land) -> None:
    now = datetime.now(UTC)
    for name, since, until, revoked in (
        ("old", now - timedelta(days=9), now - timedelta(days=1), None),
        ("lost", now - timedelta(days=9), None, now),
        ("next", now + timedelta(days=9), None, None),
    ):
        await land.run(
            "insert into instance_key (instance, key_id, public_key, valid_from, valid_until, revoked_at)"
            " values ('estrie', :name, :key, :since, :until, :revoked)",
            name=name,
            key=bytes(32),
            since=since,
            until=until,
            revoked=revoked,
        )
    page = await land.page("/national/instances/estrie")
    for words in ("estrie-1 En vigueur", "old Échue", "lost Révoquée", "next À venir"):
        assert words in page.text


async def test_a_suspended_instance_is_shown_as_such(land: Land) -> None:
    await land.run("update instance set status = 'suspended' where slug = 'estrie'")
    assert "Cette instance est suspendue." in (await land.page("/national/instances/estrie")).text
    page = await land.page("/national")
    assert "Estrie : suspendu" in page.text
    assert page.tile("05").endswith("?")


async def test_a_restore_that_waits_is_said(land: Land) -> None:
    assert "Aucune n’attend." in (await land.page("/national/instances/estrie")).text
    await quarantined(land, "estrie", "unconfirmed-epoch", 1)
    page = await land.page("/national/instances/estrie")
    assert "Une restauration attend d’être confirmée." in page.text


async def test_an_unknown_instance_is_no_page(land: Land) -> None:
    answer = await land.staff.get("/national/instances/personne", headers={"Accept": "text/html"})
    assert answer.status_code == 404
