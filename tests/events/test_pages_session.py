"""A session's own page, a tour's, the programme on paper, and the small pages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from xml.etree import ElementTree

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from libs.database import Database
from libs.web import formats
from tests.events.public_calendar import save, seats, session, stop, tour, venue, words

ROOM_LINK = "https://video.example/salle-secrete"


async def test_the_page_says_all_one_needs_to_come(public: AsyncClient, database: Database) -> None:
    library = venue()
    one = session(library, bring="Votre tablette", description="Lire un message.\n\nÉcrire une réponse.")
    await save(database, library, one, seats(one, 4))

    page = await public.get(f"/seances/{one.id}")

    text = words(page.text)
    when = formats.capital_first(formats.when(one.starts_at, one.ends_at, "fr"))
    assert " ".join(when.split()) in text
    for fact in (
        "Bibliothèque Monique-Corriveau 1100, route de l’Église Québec (QC) G1V 3V9",
        "4 places libres",
        "Je m’inscris",
        "Par téléphone : 418 555-0142",
        "Au comptoir : Bibliothèque Monique-Corriveau",
        "À apporter Votre tablette",
        "Accès Accès sans marche Boucle auditive",
        "Niveau Débutant",
        "Langue En français",
        "Prix Gratuit",
    ):
        assert fact in text
    assert f'href="/inscription/{one.id}"' in page.text
    assert f'href="/seances/{one.id}.ics"' in page.text
    assert "<p>Écrire une réponse.</p>" in page.text


async def test_a_full_session_offers_to_wait_and_other_dates(public: AsyncClient, database: Database) -> None:
    library = venue()
    full, other, unlike = session(library), session(library, in_days=20), session(library, in_days=2)
    other.title, unlike.title, unlike.theme = "Une autre fois", "Autre chose", "tablette"
    await save(database, library, full, other, unlike, seats(full, 0, 3), seats(other, 2), seats(unlike, 2))

    page = await public.get(f"/seances/{full.id}")

    text = words(page.text)
    assert "Complet 3 personnes en attente." in text
    assert "Attendre une place" in text
    assert "Je m’inscris" not in text
    assert text.index("Une autre fois") < text.index("Autre chose"), "the same subject comes first"


async def test_a_cancelled_session_says_why_and_leads_on(public: AsyncClient, database: Database) -> None:
    library = venue()
    gone = session(library, status="cancelled", cancel_reason="Tempête de neige")
    other = session(library, title="Une autre fois", in_days=12)
    await save(database, library, gone, other, seats(other, 5))

    page = await public.get(f"/seances/{gone.id}")

    text = words(page.text)
    assert "Cet atelier est annulé. Tempête de neige. Voici une autre date" in text
    assert "Une autre fois" in text
    assert "/inscription/" not in page.text


async def test_a_moved_session_says_what_changed(public: AsyncClient, database: Database) -> None:
    library = venue()
    moved = session(library, change_reason="Le chauffage est en panne")
    before = moved.starts_at - timedelta(days=1)
    moved.previous_starts_at, moved.previous_ends_at = before, before + timedelta(hours=2)
    moved.previous_timezone, moved.previous_place = "America/Toronto", "Bibliothèque Gabrielle-Roy"
    await save(database, library, moved)

    text = words((await public.get(f"/seances/{moved.id}")).text)

    known = " ".join(formats.at(before, "fr").split())
    assert "Attention : cet atelier a été déplacé." in text
    assert f"Avant : {known}, Bibliothèque Gabrielle-Roy. Le chauffage est en panne." in text


async def test_what_is_over_says_so(public: AsyncClient, database: Database) -> None:
    library = venue()
    over = session(library, in_days=-2, status="held")
    await save(database, library, over)

    page = await public.get(f"/seances/{over.id}")

    assert "Cet atelier est terminé." in words(page.text)
    assert "/inscription/" not in page.text


@pytest.mark.parametrize(
    ("changes", "sentence", "can_register"),
    [
        ({"registration_modes": ["phone"]}, "Par téléphone : 418 555-0142", False),
        ({"registration_modes": ["contact_venue"]}, "Auprès du lieu : Bibliothèque Monique-Corriveau", False),
        ({"registration_modes": ["drop_in"]}, "Venez quand vous voulez, pendant ces heures.", False),
        ({"registration_modes": ["web", "drop_in"]}, "Vous pouvez aussi venir sans inscription.", True),
        ({"opens_at": datetime.now(UTC) + timedelta(days=2)}, "L’inscription ouvre le", False),
        ({"closes_at": datetime.now(UTC) - timedelta(days=1)}, "Les inscriptions sont terminées.", False),
    ],
)  # fmt: skip
async def test_how_to_take_part_follows_the_session(
    public: AsyncClient, database: Database, changes: dict[str, object], sentence: str, can_register: bool
) -> None:
    library = venue()
    one = session(library, **changes)
    await save(database, library, one, seats(one, 4))

    page = await public.get(f"/seances/{one.id}")

    assert sentence in words(page.text)
    assert (f"/inscription/{one.id}" in page.text) is can_register
    assert "418 555-0142" in words(page.text)


async def test_the_room_link_and_the_notes_stay_inside(public: AsyncClient, database: Database) -> None:
    one = session(None, modality="online", online_url=ROOM_LINK, staff_notes="Note interne")
    await save(database, one, seats(one, 5))

    for path in ("/", f"/seances/{one.id}", f"/seances/{one.id}.ics", "/calendrier.ics", "/programme"):
        answer = await public.get(path)
        assert answer.status_code == 200
        assert "salle-secrete" not in answer.text
        assert "Note interne" not in answer.text


async def test_a_draft_is_for_staff_alone(
    public: AsyncClient, staff: AsyncClient, database: Database
) -> None:
    library = venue()
    draft = session(library, status="draft", published_at=None)
    await save(database, library, draft)

    refused = await public.get(f"/seances/{draft.id}")
    preview = await staff.get(f"/seances/{draft.id}")

    assert refused.status_code == 404
    assert draft.title not in refused.text
    assert preview.status_code == 200
    assert "Ceci est un aperçu." in words(preview.text)
    assert "application/ld+json" not in preview.text
    assert (await staff.get(f"/seances/{draft.id}.ics")).status_code == 404


@pytest.mark.parametrize("path", ["/seances/nope", "/seances/nope.ics", "/tournees/nope", "/seances/%00"])
async def test_an_unknown_address_leads_to_the_calendar(public: AsyncClient, path: str) -> None:
    page = await public.get(path, headers={"Accept": "text/html"})

    assert page.status_code == 404
    assert 'href="/"' in page.text


async def test_unknown_ids_are_not_found(public: AsyncClient) -> None:
    for path in (f"/seances/{uuid4()}", f"/seances/{uuid4()}.ics", f"/tournees/{uuid4()}"):
        assert (await public.get(path)).status_code == 404


async def test_ids_that_a_newer_peer_added_are_shown(public: AsyncClient, database: Database) -> None:
    library = venue(accessibility=["step_free", "sensory_room"])
    one = session(library, theme="robots", level="expert", registration_modes=["web", "pigeon"])
    await save(database, library, one)

    text = words((await public.get(f"/seances/{one.id}")).text)

    assert "sensory_room" in text
    assert "robots" in text
    assert "expert" in text


async def test_a_tour_shows_its_stops_in_their_order(public: AsyncClient, database: Database) -> None:
    plan = tour(description="Deux étapes.")
    here, there = venue("Bibliothèque A"), venue("Bibliothèque B")
    one = session(here, tour_id=plan.id, title="À la première")
    two = session(there, tour_id=plan.id, title="À la seconde", in_days=3)
    loose = session(None, tour_id=plan.id, title="En plus", modality="online")
    secret = session(here, tour_id=plan.id, title="Caché", status="draft", published_at=None)
    first, second = stop(plan, here, 1, one), stop(plan, there, 2, two)
    one.stop_id, two.stop_id = first.id, second.id
    await save(database, here, there, plan, first, second, one, two, loose, secret)

    text = words((await public.get(f"/tournees/{plan.id}")).text)

    assert "2 étapes" in text
    assert text.index("1. Bibliothèque A") < text.index("À la première") < text.index("2. Bibliothèque B")
    assert text.index("À la seconde") < text.index("En plus")
    assert "Caché" not in text
    assert f'href="/tournees/{plan.id}"' in (await public.get(f"/seances/{one.id}")).text


async def test_a_tour_in_the_making_is_for_staff(
    public: AsyncClient, staff: AsyncClient, database: Database
) -> None:
    plan = tour(status="draft")
    one = session(None, modality="online", tour_id=plan.id)
    await save(database, plan, one)

    assert (await public.get(f"/tournees/{plan.id}")).status_code == 404
    assert (await staff.get(f"/tournees/{plan.id}")).status_code == 200
    # Its published session doesn't name it.
    assert plan.title not in (await public.get(f"/seances/{one.id}")).text


async def test_the_programme_is_for_paper(public: AsyncClient, database: Database) -> None:
    library = venue()
    gone = session(library, title="Annulé", status="cancelled")
    other = session(library, title="Tablette", theme="tablette")
    await save(database, library, session(library), gone, other)

    text = words((await public.get("/programme")).text)

    assert "Pour vous inscrire, appelez : 418 555-0142" in text
    assert "Bibliothèque Monique-Corriveau, 1100, route de l’Église, Québec" in text
    assert "Annulé" not in text
    assert "Le courriel, pas à pas" not in words((await public.get("/programme?theme=tablette")).text)


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("path", ["/vie-privee", "/accessibilite", "/programme", "/"])
async def test_the_phone_stands_on_every_page(public: AsyncClient, path: str, language: str) -> None:
    page = await public.get(f"{path}?lang={language}")

    assert page.status_code == 200
    assert "tel:+14185550142" in page.text
    assert f'<html lang="{language}">' in page.text


async def test_search_engines_find_what_is_public(public: AsyncClient, database: Database) -> None:
    library = venue()
    shown, draft = session(library), session(library, status="draft", published_at=None)
    await save(database, library, shown, draft)

    robots = await public.get("/robots.txt")
    tree = ElementTree.fromstring((await public.get("/sitemap.xml")).content)

    addresses = [item.text for item in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert "Sitemap: http://testserver/sitemap.xml" in robots.text
    assert "Disallow: /mon-inscription/" in robots.text
    assert f"http://testserver/seances/{shown.id}" in addresses
    assert f"http://testserver/seances/{draft.id}" not in addresses


async def test_who_has_text_messages_sent_says_through_whom(public: AsyncClient, app: FastAPI) -> None:
    words_of_it = "par une entreprise de textos"
    assert words_of_it not in (await public.get("/vie-privee")).text
    settings = app.state.service.settings.model_copy(update={"sms_url": "https://sms.example.org/"})
    app.state.service = replace(app.state.service, settings=settings)
    assert words_of_it in (await public.get("/vie-privee")).text
