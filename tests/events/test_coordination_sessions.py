"""Sessions on the coordinators' pages: written, moved, cancelled, always through their forms."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient

from libs.database import Database
from services.events import commands, touring
from services.events.models import SessionTrainer
from tests.builders import a_trainer, a_venue, an_activity
from tests.events.conftest import said
from tests.events.coordinating import a_session, id_in, session_row, with_people
from tests.events.html_forms import follow, form_of, forms_of, send

SESSIONS = "/coordination/seances"


# --- Who may ----------------------------------------------------------------------------------------------


async def test_every_page_needs_a_sign_in(public: AsyncClient, database: Database, venue_id: UUID) -> None:
    session_id = await a_session(database, venue_id)
    for path in ("/coordination", SESSIONS, f"{SESSIONS}/{session_id}", f"{SESSIONS}/nouvelle"):
        answer = await public.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/connexion?suite=/coordination")
    answer = await public.post(f"{SESSIONS}/{session_id}/annuler", headers={"Accept": "text/html"})
    assert answer.headers["location"] == "/connexion"
    assert (await session_row(database, session_id)).status == "published"


async def test_a_form_on_another_site_changes_nothing(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id)
    form = form_of(await browser.get(f"{SESSIONS}/{session_id}/annuler"), "/annuler")
    browser.headers["Origin"] = "https://evil.example"
    assert (await send(browser, form)).status_code == 403
    browser.headers["Origin"] = "http://testserver"
    assert (await send(browser, form)).status_code == 303
    assert (await session_row(database, session_id)).status == "cancelled"


# --- Creating ---------------------------------------------------------------------------------------------


async def test_a_session_is_written_with_its_form_and_published_from_its_page(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    page = await browser.get(f"{SESSIONS}/nouvelle")
    form = form_of(page, "/nouvelle")
    assert (form["capacity/on_site"], form["start"], form["waitlist/offer_hours"]) == ("12", "13:30", "24")
    found = await send(browser, form, "Chercher", title="Le courriel", venue_q="felix-leclerc")
    form = form_of(found, "/nouvelle")
    assert form["title"] == "Le courriel"
    assert str(venue_id) in form.choices["venue_id"]
    answer = await send(
        browser,
        form,
        "Enregistrer le brouillon",
        venue_id=str(venue_id),
        theme="courriel",
        date="2027-02-03",
        start="9:30",
        end="11 h 30",
        description="Pas à pas.\nAvec calme.",
        staff_notes="Clé au comptoir",
        capacity__on_site="10",
        held_seats__on_site__phone="2",
        releases__0__at="2027-01-31T09:00",
        releases__0__seats="2",
        closes_at="2027-02-02T16:00",
        waitlist__limit="20",
        party__limit="3",
        party__gather_hours="12",
        party__companion_takes_seat="no",
        registration_modes=["web", "phone"],
    )
    page = await follow(browser, answer)
    session_id = id_in(answer)
    assert "C’est un brouillon" in page.text
    row = await session_row(database, session_id)
    assert (f"{row.starts_at}", f"{row.ends_at}") == ("2027-02-03 09:30:00", "2027-02-03 11:30:00")
    assert row.timezone == "America/Toronto"
    assert row.region == "03"
    assert row.held_seats == [{"seat_kind": "on_site", "channel": "phone", "seats": 2}]
    assert row.releases[0]["at"] == "2027-01-31T14:00:00+00:00"
    assert row.closes_at == datetime(2027, 2, 2, 21, 0, tzinfo=UTC)
    assert (row.waitlist_limit, row.registration_modes) == (20, ["web", "phone"])
    assert (row.party_limit, row.party_gather_hours, row.companion_takes_seat) == (3, 12, False)
    assert row.description == "Pas à pas.\nAvec calme."
    assert await said(database) == []
    published = await send(browser, form_of(page, "/publier"))
    assert "La séance est publiée" in (await follow(browser, published)).text
    assert [m.topic for m in await said(database)] == ["session_access", "sessions"]


async def test_a_form_sent_twice_makes_one_session(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    form = form_of(await browser.get(f"{SESSIONS}/nouvelle"), "/nouvelle")
    filled = {"title": "Une fois", "venue_id": str(venue_id), "date": "2027-02-03"}
    first = await send(browser, form, "brouillon", **filled)
    again = await send(browser, form, "brouillon", **filled)
    assert first.headers["location"] == again.headers["location"]
    corrected = await send(browser, form, "brouillon", **filled | {"title": "Deux fois"})
    assert id_in(corrected) != id_in(first)


async def test_a_template_fills_the_form_and_keeps_the_rest(browser: AsyncClient, database: Database) -> None:
    async with database.transaction() as db:
        activity = await an_activity(db)
    form = form_of(await browser.get(f"{SESSIONS}/nouvelle"), "/nouvelle")
    page = await send(browser, form, "Remplir", activity=str(activity.id), date="2027-02-03", start="10:00")
    form = form_of(page, "/nouvelle")
    assert form["title"] == "Le courriel, pas à pas"
    assert (form["date"], form["start"], form["end"], form["capacity/on_site"]) == (
        "2027-02-03", "10:00", "11:30", "10",
    )  # fmt: skip
    assert form["activity_id"] == str(activity.id)


async def test_what_is_wrong_is_named_and_what_was_typed_is_kept(
    browser: AsyncClient, database: Database
) -> None:
    form = form_of(await browser.get(f"{SESSIONS}/nouvelle"), "/nouvelle")
    page = await send(browser, form, "brouillon", title="", description="À garder", date="2027-02-31")
    assert page.status_code == 422
    assert 'href="#date"' in page.text
    page = await send(
        browser, form_of(page, "/nouvelle"), "brouillon",
        date="2027-02-03", end="12:00", capacity__on_site="beaucoup",
    )  # fmt: skip
    assert page.status_code == 422
    for field in ("title", "venue_id", "capacity/on_site"):
        assert f'href="#{field}"' in page.text
    assert form_of(page, "/nouvelle")["description"] == "À garder"
    page = await send(
        browser, form_of(page, "/nouvelle"), "brouillon",
        title="Mieux", modality="online", online_url="https://visio.example.org/a", region="03",
        capacity__online="8",
    )  # fmt: skip
    assert page.status_code == 422
    assert "La fin doit venir après le début" in page.text
    answer = await send(browser, form_of(page, "/nouvelle"), "brouillon", end="15:30")
    row = await session_row(database, id_in(answer))
    assert (row.modality, row.capacity_on_site, row.capacity_online, row.venue_id) == ("online", 0, 8, None)


async def test_enter_after_new_words_looks_for_the_venue_instead_of_saving(
    browser: AsyncClient, venue_id: UUID
) -> None:
    form = form_of(await browser.get(f"{SESSIONS}/nouvelle"), "/nouvelle")
    assert form.buttons[0][:2] == ("action", "enter")
    page = await send(browser, form, form.buttons[0][2], venue_q="g3k")
    assert page.status_code == 200
    assert str(venue_id) in form_of(page, "/nouvelle").choices["venue_id"]


async def test_a_session_is_duplicated_into_a_form(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id, held_seats={"phone": 2})
    page = await browser.get(f"{SESSIONS}/nouvelle?copy={session_id}")
    form = form_of(page, "/nouvelle")
    assert form["held_seats/on_site/phone"] == "2"
    answer = await send(browser, form, "brouillon", date="2027-02-10")
    copy = await session_row(database, id_in(answer))
    assert copy.status == "draft"
    assert f"{copy.starts_at}" == "2027-02-10 13:30:00"


# --- Clock changes ----------------------------------------------------------------------------------------


async def test_an_hour_that_is_skipped_is_refused(browser: AsyncClient, venue_id: UUID) -> None:
    form = form_of(await browser.get(f"{SESSIONS}/nouvelle"), "/nouvelle")
    page = await send(
        browser, form, "brouillon",
        title="De nuit", venue_id=str(venue_id), date="2027-03-14", start="02:30", end="04:30",
    )  # fmt: skip
    assert page.status_code == 422
    assert "Cette heure n’existe pas" in page.text
    assert 'href="#start"' in page.text


async def test_an_hour_that_comes_twice_asks_which(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    form = form_of(await browser.get(f"{SESSIONS}/nouvelle"), "/nouvelle")
    assert "start/offset" not in form.choices
    page = await send(
        browser, form, "brouillon",
        title="De nuit", venue_id=str(venue_id), date="2026-11-01", start="01:30", end="03:30",
    )  # fmt: skip
    assert page.status_code == 422
    assert "heure avancée" in page.text
    assert "heure normale" in page.text
    form = form_of(page, "/nouvelle")
    assert form.choices["start/offset"] == ["-04:00", "-05:00"]
    answer = await send(browser, form, "brouillon", start__offset="-05:00")
    session_id = id_in(answer)
    row = await session_row(database, session_id)
    assert row.starts_at_utc == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    # Editing it later shows which of the two was chosen, and keeps it.
    form = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    assert form["start/offset"] == "-05:00"
    await send(browser, form, "Enregistrer", title="De nuit encore")
    row = await session_row(database, session_id)
    assert (row.title, row.starts_at_utc) == ("De nuit encore", datetime(2026, 11, 1, 6, 30, tzinfo=UTC))


async def test_a_session_keeps_the_clock_of_its_place(browser: AsyncClient, database: Database) -> None:
    async with database.transaction() as db:
        islands = await a_venue(db, name="Bibliothèque des Îles", timezone="America/Halifax", region="11")
    form = form_of(await browser.get(f"{SESSIONS}/nouvelle"), "/nouvelle")
    answer = await send(
        browser, form, "brouillon", title="Aux Îles", venue_id=str(islands.id), date="2027-01-12"
    )
    page = await follow(browser, answer)
    row = await session_row(database, id_in(answer))
    assert (row.timezone, row.starts_at_utc) == ("America/Halifax", datetime(2027, 1, 12, 17, 30, tzinfo=UTC))
    assert "13\u00a0h\u00a030" in page.text


# --- Changing, with people registered ---------------------------------------------------------------------


async def test_a_move_says_how_many_will_be_told_by_which_route(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id)
    await with_people(database, session_id, email=7, phone=1, mobile=1)
    before = len(await said(database))
    form = form_of(await browser.get(f"{SESSIONS}/{session_id}/deplacer"), "/deplacer")
    page = await send(browser, form, "Continuer", date="2027-02-04", reason="Chauffage en panne")
    assert page.status_code == 200
    text = page.text.replace("\u00a0", " ")
    assert "9 personnes seront averties : 7 par courriel, 2 par téléphone (il faudra les appeler)." in text
    assert "jeudi 4 février 2027" in text
    assert len(await said(database)) == before
    assert (await session_row(database, session_id)).starts_at.day == 3
    confirm = form_of(page, "/deplacer")
    assert confirm["reason"] == "Chauffage en panne"
    page = await follow(browser, await send(browser, confirm, "Confirmer"))
    assert "9 personnes en sont averties" in page.text
    row = await session_row(database, session_id)
    assert f"{row.starts_at}" == "2027-02-04 13:30:00"
    assert row.change_reason == "Chauffage en panne"
    assert len(await said(database)) == before + 1


async def test_back_from_the_question_leads_to_the_form_as_it_was(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id)
    form = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    question = await send(browser, form, "Enregistrer", date="2027-02-05", title="Autre titre")
    assert "Personne n’est inscrit" in question.text
    page = await send(browser, form_of(question, "/modifier"), "Revenir au formulaire")
    form = form_of(page, "/modifier")
    assert (form["date"], form["title"]) == ("2027-02-05", "Autre titre")
    question = await send(browser, form, "Enregistrer")
    await follow(browser, await send(browser, form_of(question, "/modifier"), "Confirmer"))
    row = await session_row(database, session_id)
    assert (row.title, row.starts_at.day) == ("Autre titre", 5)


async def test_a_title_disturbs_nobody_and_nothing_changed_changes_nothing(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id, held_seats={"phone": 2}, opens_at="2027-01-04T09:00")
    await with_people(database, session_id, email=3)
    form = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    page = await follow(browser, await send(browser, form, "Enregistrer"))
    assert "Rien n’a changé" in page.text
    assert (await session_row(database, session_id)).version == 2
    page = await follow(browser, await send(browser, form, "Enregistrer", title="Mieux dit"))
    assert "C’est enregistré" in page.text
    row = await session_row(database, session_id)
    assert (row.title, row.version, row.sequence) == ("Mieux dit", 3, 0)


async def test_a_new_room_link_is_told_to_those_online_alone(
    browser: AsyncClient, database: Database
) -> None:
    session_id = await a_session(
        database, None, modality="online", online_url="https://visio.example.org/1", region="03"
    )
    await with_people(database, session_id, email=4)
    form = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    question = await send(browser, form, "Enregistrer", online_url="https://visio.example.org/2")
    assert "Seules les personnes confirmées en ligne" in question.text
    await follow(browser, await send(browser, form_of(question, "/modifier"), "Confirmer"))
    assert (await session_row(database, session_id)).online_url == "https://visio.example.org/2"


async def test_a_move_to_another_day_leaves_the_stop_and_says_so(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    async with database.transaction() as db:
        activity = await an_activity(db)
        tour = await touring.create_tour(db, {"title": "Hiver"})
        stop = await touring.add_stop(db, tour.id, {"venue_id": venue_id, "first_date": "2027-02-03"})
        session = await touring.add_session_to_stop(
            db, stop.id, {"activity_id": activity.id, "starts_at": "2027-02-03T13:30"}
        )
        await commands.publish_session(db, "test", session.id)
    form = form_of(await browser.get(f"{SESSIONS}/{session.id}/deplacer"), "/deplacer")
    question = await send(browser, form, "Continuer", date="2027-02-05")
    assert "ne fera plus partie de l’étape" in question.text
    await follow(browser, await send(browser, form_of(question, "/deplacer"), "Confirmer"))
    row = await session_row(database, session.id)
    assert (row.stop_id, row.tour_id, row.starts_at.day) == (None, tour.id, 5)


async def test_cancelling_asks_once_and_tells_everybody(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id)
    await with_people(database, session_id, email=1, postal=1)
    page = await browser.get(f"{SESSIONS}/{session_id}/annuler")
    text = page.text.replace("\u00a0", " ")
    assert "2 personnes seront averties : 1 par courriel, 1 par la poste (il faudra lui écrire)." in text
    refused = await send(browser, form_of(page, "/annuler"), reason="x" * 501)
    assert refused.status_code == 422
    assert "x" * 501 in refused.text
    page = await follow(browser, await send(browser, form_of(page, "/annuler"), reason="Tempête"))
    assert "2 personnes en sont averties" in page.text
    row = await session_row(database, session_id)
    assert (row.status, row.cancel_reason) == ("cancelled", "Tempête")
    gone = await browser.get(f"{SESSIONS}/{session_id}/modifier")
    assert gone.status_code == 409
    assert f"{SESSIONS}/{session_id}" in gone.text


async def test_a_draft_is_deleted_and_a_published_session_is_not(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    draft = await a_session(database, venue_id, publish=False)
    page = await browser.get(f"{SESSIONS}/{draft}")
    page = await follow(browser, await send(browser, form_of(page, "/supprimer")))
    assert "Le brouillon est supprimé" in page.text
    assert (await browser.get(f"{SESSIONS}/{draft}")).status_code == 404
    public = await a_session(database, venue_id)
    assert (await browser.post(f"{SESSIONS}/{public}/supprimer")).status_code == 409
    assert (await session_row(database, public)).status == "published"


async def test_the_number_of_seats_is_changed_from_the_page(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id)
    await with_people(database, session_id, email=5)
    page = await browser.get(f"{SESSIONS}/{session_id}")
    assert "5\u00a0/\u00a012" in page.text.replace(" / ", "\u00a0/\u00a0")
    form = form_of(page, "/places")
    refused = await send(browser, form, capacity__on_site="douze")
    assert refused.status_code == 422
    page = await follow(browser, await send(browser, form, capacity__on_site="4", on_shrink="ask_volunteers"))
    assert "Le nombre de places est changé" in page.text
    row = await session_row(database, session_id)
    assert (row.capacity_on_site, row.on_shrink) == (4, "ask_volunteers")
    stale = await follow(browser, await send(browser, form, capacity__on_site="40"))
    assert "Quelqu’un a changé cette séance" in stale.text
    assert (await session_row(database, session_id)).capacity_on_site == 4


# --- Two people at once -----------------------------------------------------------------------------------


async def test_a_stale_edit_shows_both_versions_and_lays_them_together(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id, publish=False)
    mine = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    other = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    await follow(
        browser,
        await send(browser, other, "Enregistrer", title="Le leur", bring="Un crayon", capacity__on_site="20"),
    )
    page = await send(
        browser, mine, "Enregistrer", title="Le mien", description="Ma description", theme="courriel"
    )
    assert page.status_code == 412
    for words in ("Le leur", "Le mien", "Un crayon", "Ma description", "Le courriel", "Changé par vous"):
        assert words in page.text
    row = await session_row(database, session_id)
    assert (row.title, row.description) == ("Le leur", "")
    form = form_of(page, "/modifier")
    assert set(form.choices) >= {"keep/title"}
    assert "keep/bring" not in form.choices
    await follow(browser, await send(browser, form, "Appliquer", keep__title="theirs"))
    row = await session_row(database, session_id)
    assert (row.title, row.bring, row.capacity_on_site) == ("Le leur", "Un crayon", 20)
    assert (row.description, row.theme) == ("Ma description", "courriel")


async def test_after_a_stale_edit_mine_can_win_or_be_looked_at_again(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id, publish=False)
    mine = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    await send(browser, mine, "Enregistrer", title="Le leur")
    page = await send(browser, mine, "Enregistrer", title="Le mien")
    form = form_of(page, "/modifier")
    again = await send(browser, form, "Revoir", keep__title="yours")
    assert form_of(again, "/modifier")["title"] == "Le mien"
    await follow(browser, await send(browser, form_of(again, "/modifier"), "Enregistrer"))
    assert (await session_row(database, session_id)).title == "Le mien"


async def test_a_third_person_during_the_choice_is_not_overwritten_either(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id, publish=False)
    mine = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    await send(browser, mine, "Enregistrer", title="Le leur")
    choice = form_of(await send(browser, mine, "Enregistrer", title="Le mien"), "/modifier")
    third = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    await send(browser, third, "Enregistrer", bring="Rien")
    page = await send(browser, choice, "Appliquer", keep__title="yours")
    assert page.status_code == 412
    assert (await session_row(database, session_id)).title == "Le leur"
    await follow(browser, await send(browser, form_of(page, "/modifier"), "Appliquer"))
    row = await session_row(database, session_id)
    assert (row.title, row.bring) == ("Le mien", "Rien")


async def test_a_stale_cancellation_is_asked_again(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id)
    question = form_of(await browser.get(f"{SESSIONS}/{session_id}/annuler"), "/annuler")
    edit = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    await send(browser, edit, "Enregistrer", title="Changé")
    page = await send(browser, question, reason="Ma raison")
    assert page.status_code == 412
    assert "Ma raison" in page.text
    assert (await session_row(database, session_id)).status == "published"
    await follow(browser, await send(browser, form_of(page, "/annuler")))
    assert (await session_row(database, session_id)).status == "cancelled"


async def test_publishing_what_somebody_changed_shows_it_first(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id, publish=False)
    button = form_of(await browser.get(f"{SESSIONS}/{session_id}"), "/publier")
    edit = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    await send(browser, edit, "Enregistrer", title="Changé")
    page = await follow(browser, await send(browser, button))
    assert "Quelqu’un a changé cette séance" in page.text
    assert (await session_row(database, session_id)).status == "draft"


# --- Who delivers -----------------------------------------------------------------------------------------


async def test_a_trainer_who_is_elsewhere_is_assigned_with_a_warning(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    async with database.transaction() as db:
        marie = await a_trainer(db, name="Marie Tremblay")
    first = await a_session(database, venue_id, title="À Québec")
    second = await a_session(database, venue_id, title="En double", starts_at="2027-02-03T14:00")
    page = await browser.get(f"{SESSIONS}/{first}")
    page = await follow(browser, await send(browser, form_of(page, "/animation"), add=str(marie.id)))
    assert "Marie Tremblay" in page.text
    assert "déjà ailleurs" not in page.text
    page = await browser.get(f"{SESSIONS}/{second}")
    assert "Marie Tremblay (a déjà une séance à ce moment)" in page.text
    page = await follow(browser, await send(browser, form_of(page, "/animation"), add=str(marie.id)))
    text = page.text.replace("\u00a0", " ")
    assert "Marie Tremblay est déjà ailleurs de 13 h 30 à 15 h 30" in text
    home = (await browser.get("/coordination")).text.replace("\u00a0", " ")
    assert "Marie Tremblay est à deux endroits en même temps" in home
    page = await follow(browser, await send(browser, form_of(page, "/animation")))
    assert "n’anime plus cette séance" in page.text
    assert "à deux endroits en même temps" not in (await browser.get("/coordination")).text


async def test_the_form_assigns_only_whom_it_changed(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    async with database.transaction() as db:
        ids = {name: str((await a_trainer(db, name=name)).id) for name in ("Ana", "Bao", "Chloé")}
    session_id = await a_session(database, venue_id, publish=False)
    form = form_of(await browser.get(f"{SESSIONS}/{session_id}/modifier"), "/modifier")
    async with database.transaction() as db:
        await commands.assign_trainer(db, session_id, UUID(ids["Ana"]))
    await follow(browser, await send(browser, form, "Enregistrer", trainers=[ids["Bao"], ids["Chloé"]]))
    async with database.reading() as db:
        for trainer_id in ids.values():
            assert await db.get(SessionTrainer, (session_id, UUID(trainer_id))) is not None


# --- The list and the storm -------------------------------------------------------------------------------


async def test_the_list_filters_sorts_and_sums_by_its_address(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    full = await a_session(database, venue_id, title="Complète", capacity=4)
    await with_people(database, full, waitlisted=2, email=6)
    april = {"starts_at": "2027-04-01T10:00", "ends_at": "2027-04-01T12:00"}
    await a_session(database, venue_id, title="Brouillon d’avril", publish=False, **april)
    page = (await browser.get(SESSIONS)).text
    assert "Complète" in page
    assert "4\u00a0/\u00a016" in page.replace("&nbsp;", "\u00a0")
    drafts = (await browser.get(f"{SESSIONS}?status=draft")).text
    assert "Brouillon d’avril" in drafts
    assert "Complète" not in drafts
    by_title = (await browser.get(f"{SESSIONS}?sort=title")).text
    assert by_title.index("Brouillon d’avril") < by_title.index("Complète")
    waiting = (await browser.get(f"{SESSIONS}?sort=-waiting")).text
    assert waiting.index("Complète") < waiting.index("Brouillon d’avril")
    assert "Aucune séance" in (await browser.get(f"{SESSIONS}?region=06")).text
    assert "Complète" in (await browser.get(f"{SESSIONS}?q=complete")).text
    assert "Complète" not in (await browser.get(f"{SESSIONS}?from=2027-03-01&to=2027-05-01")).text
    assert "Complète" not in (await browser.get(f"{SESSIONS}?tour={uuid4()}")).text
    assert "Complète" in (await browser.get(f"{SESSIONS}?trainer=none")).text


@pytest.mark.parametrize(
    "query",
    [
        "status=nonsense&sort=;drop&page=-1&from=x&to=9999-12-31&q=%00%27%25&tour=1&trainer=2&region=zz",
        "page=99999999999&from=0001-01-01&to=0001-01-01",
        "q=" + "é" * 5000,
        "from=9999-12-31&to=9999-12-31&tick=none&s=1&s=%00",
        "week=9999-12-31&lang=xx&fait=moved&nombre=-3",
        "fait=%00&nombre=" + "9" * 50,
    ],
)
async def test_an_address_that_somebody_made_up_is_no_error(browser: AsyncClient, query: str) -> None:
    for name in ("", "seances", "seances/annuler", "seances/annuler/confirmer", "seances/nouvelle"):
        assert (await browser.get(f"/coordination/{name}".rstrip("/") + f"?{query}")).status_code == 200, name
    for name in ("tournees", "animation", "activites", "lieux"):
        assert (await browser.get(f"/coordination/{name}?{query}")).status_code == 200, name


async def test_a_storm_cancels_what_is_ticked_with_one_reason(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    ids = [
        await a_session(database, venue_id, title=f"Atelier {n}", starts_at=f"2027-02-03T{n + 8:02}:00",
                        ends_at=f"2027-02-03T{n + 8:02}:50")
        for n in range(3)
    ]  # fmt: skip
    await with_people(database, ids[0], email=2, phone=1)
    await with_people(database, ids[1], email=1)
    await with_people(database, ids[2], email=30)
    page = await browser.get(f"{SESSIONS}/annuler?from=2027-02-03&to=2027-02-03&region=03")
    assert "34 personnes seront averties" in page.text
    form = form_of(page, "/confirmer", method="get")
    assert len(form.pairs) == 3
    page = await send(browser, form, s=[str(ids[0]), str(ids[1])])
    text = page.text.replace("\u00a0", " ")
    assert "4 personnes seront averties : 3 par courriel, 1 par téléphone (il faudra l’appeler)." in text
    question = form_of(page, "/confirmer")
    page = await follow(browser, await send(browser, question, reason="Tempête de neige"))
    assert "2 séances sont annulées" in page.text.replace("\u00a0", " ")
    rows = [await session_row(database, id_) for id_ in ids]
    assert [row.status for row in rows] == ["cancelled", "cancelled", "published"]
    assert rows[1].cancel_reason == "Tempête de neige"
    # Sent again: they are cancelled already, and nothing else happens.
    again = await send(browser, question, reason="Tempête de neige")
    assert again.status_code == 422
    assert "ne peuvent plus être annulées" in again.text


async def test_a_storm_over_something_that_changed_is_asked_again(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    ids = [await a_session(database, venue_id) for _ in range(2)]
    page = await browser.get(f"{SESSIONS}/annuler/confirmer?s={ids[0]}&s={ids[1]}")
    edit = form_of(await browser.get(f"{SESSIONS}/{ids[0]}/modifier"), "/modifier")
    await send(browser, edit, "Enregistrer", title="Changé")
    again = await send(browser, form_of(page, "/confirmer"), reason="Tempête")
    assert again.status_code == 412
    assert "Changé" in again.text
    assert "Tempête" in again.text
    assert (await session_row(database, ids[1])).status == "published"
    await follow(browser, await send(browser, form_of(again, "/confirmer")))
    assert (await session_row(database, ids[0])).status == "cancelled"


# --- Hostile input ----------------------------------------------------------------------------------------

HOSTILE: list[dict[str, str]] = [
    {},
    {"title": "x" * 10_000, "date": "2027-02-03", "start": "9:00", "end": "10:00"},
    {"base": "[1,2", "version": "many", "title": "é"},
    {"base": '{"title": 7, "zone": null}', "version": "-1", "venue_id": "'; drop table session"},
    {"version": "9" * 20, "timezone": "Mars/Olympus", "date": "2027-02-03", "start": "25:99"},
    {"date": "9999-12-31", "start": "23:59", "end": "23:59", "end_date": "0001-01-01"},
    {"opens_at": "never", "closes_at": "2027-02-03T25:00", "waitlist/offer_hours": "1e309"},
    {"capacity/on_site": "9" * 400, "held_seats/on_site/phone": "-3", "waitlist/limit": "٣"},
    {"releases/0/seats": "x", "releases/99/at": "y", "releases/1/at": "2027-02-03"},
    {"releases/0/at": "2027-02-03T09:00", "releases/0/seats": "2", "releases/0/channel": "pigeon"},
    {"action": "venue", "venue_q": "%_\\" * 400},
    {"action": "activity", "activity": "not-an-id"},
    {"action": "publish", "modality": "vip", "stream": "", "trainers": "not-an-id", "keep/title": "theirs"},
    {"reason": "x" * 600, "date": "2027-02-04", "start": "9:00", "end": "10:00", "confirmed": "1"},
]


@pytest.mark.parametrize("sent", HOSTILE)
async def test_hostile_forms_are_refused_in_words(
    browser: AsyncClient, database: Database, venue_id: UUID, sent: dict[str, str]
) -> None:
    session_id = await a_session(database, venue_id)
    for path in (
        "nouvelle", f"{session_id}/modifier", f"{session_id}/deplacer", f"{session_id}/annuler",
        f"{session_id}/places", f"{session_id}/animation", f"{session_id}/publier", "annuler/confirmer",
    ):  # fmt: skip
        answer = await browser.post(f"{SESSIONS}/{path}", data=sent)
        assert answer.status_code in (200, 303, 409, 412, 422), (path, answer.status_code)
        assert answer.status_code == 303 or "<h1" in answer.text


async def test_bytes_that_are_no_form_are_refused(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("nouvelle", f"{session_id}/modifier", "annuler/confirmer"):
        for body, status in ((b"title=%00", 422), (b"title=%ff", 400), (b"&".join([b"s=1"] * 300), 400)):
            assert (
                await browser.post(f"{SESSIONS}/{path}", content=body, headers=form)
            ).status_code == status
        assert (
            await browser.post(f"{SESSIONS}/{path}", content=b"x" * 300_000, headers=form)
        ).status_code == 413
        assert (await browser.post(f"{SESSIONS}/{path}", json={"title": "x"})).status_code == 415


async def test_pages_speak_english_too(browser: AsyncClient, database: Database, venue_id: UUID) -> None:
    session_id = await a_session(database, venue_id)
    await with_people(database, session_id, email=1, phone=2)
    page = (await browser.get(f"{SESSIONS}/{session_id}/annuler?lang=en")).text.replace("\u00a0", " ")
    assert "3 people will be told: 1 by e-mail, 2 by phone (they must be called)." in page
    assert forms_of(await browser.get("/coordination")) is not None
