"""Trainers, activities and venues on the coordinators' pages."""

from uuid import UUID

from httpx import AsyncClient

from libs.database import Database
from services.events import commands
from services.events.models import Activity, Trainer, Venue
from tests.builders import a_trainer, a_venue, an_activity
from tests.events.conftest import said
from tests.events.coordinating import a_session, with_people
from tests.events.html_forms import follow, form_of, send

HERE = "/coordination"


async def test_a_trainer_is_added_corrected_and_shown_with_clashes(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    form = form_of(await browser.get(f"{HERE}/animation/nouvelle"), "/nouvelle")
    page = await send(browser, form, name="Marie", email="pas-une-adresse")
    assert page.status_code == 422
    assert 'href="#email"' in page.text
    answer = await send(
        browser, form_of(page, "/nouvelle"), email="marie@example.org", languages=["fr", "en"]
    )
    page = await follow(browser, answer)
    trainer_id = UUID(answer.headers["location"].partition("?")[0].rsplit("/", 1)[1])
    async with database.transaction() as db:
        far = await a_venue(db, name="Bibliothèque de Gaspé", latitude=48.83, longitude=-64.48)
    first = await a_session(database, venue_id, title="À Québec")
    second = await a_session(
        database, far.id, title="À Gaspé", starts_at="2027-02-03T17:00", ends_at="2027-02-03T19:00"
    )
    async with database.transaction() as db:
        for session_id in (first, second):
            await commands.assign_trainer(db, session_id, trainer_id)
    text = (await browser.get(f"{HERE}/animation/{trainer_id}")).text.replace("\u00a0", " ")
    assert "Marie n’a pas le temps de la route, mercredi 3 février" in text
    assert "À Gaspé" in text
    listed = (await browser.get(f"{HERE}/animation?q=mar")).text
    assert "1 fois" in listed.replace("\u00a0", " ")
    assert "Personne ne porte ce nom" in (await browser.get(f"{HERE}/animation?q=zoe")).text


async def test_two_people_edit_a_trainer(browser: AsyncClient, database: Database) -> None:
    async with database.transaction() as db:
        trainer = await a_trainer(db, name="Marie")
    path = f"{HERE}/animation/{trainer.id}/modifier"
    mine = form_of(await browser.get(path), "/modifier")
    await follow(browser, await send(browser, mine, phone="418 555-0199", languages=["fr", "en"]))
    page = await send(browser, mine, "Enregistrer", name="Marie-Ève", languages=[])
    assert page.status_code == 412
    assert "418 555-0199" in page.text
    form = form_of(page, "/modifier")
    assert "keep/languages" in form.choices
    await follow(browser, await send(browser, form, "Appliquer", keep__languages="theirs"))
    async with database.reading() as db:
        read = await db.get_one(Trainer, trainer.id)
    assert (read.name, read.phone, read.languages) == ("Marie-Ève", "418 555-0199", ["fr", "en"])


async def test_an_activity_is_written_and_corrected(browser: AsyncClient, database: Database) -> None:
    form = form_of(await browser.get(f"{HERE}/activites/nouvelle"), "/nouvelle")
    page = await send(browser, form, title="La tablette", duration_minutes="", capacity="mille")
    assert page.status_code == 422
    page = await send(browser, form_of(page, "/nouvelle"), duration_minutes="90", capacity="mille")
    assert page.status_code == 422
    assert 'href="#capacity"' in page.text
    await follow(browser, await send(browser, form_of(page, "/nouvelle"), capacity="8", theme="tablette"))
    listed = await browser.get(f"{HERE}/activites?theme=tablette&stream=public&q=tab")
    assert "La tablette" in listed.text
    async with database.transaction() as db:
        activity = await an_activity(db)
    path = f"{HERE}/activites/{activity.id}/modifier"
    edit = form_of(await browser.get(path), "/modifier")
    await follow(browser, await send(browser, edit, description="Pas à pas"))
    assert (await send(browser, edit, "Enregistrer", description="Autrement")).status_code == 412
    async with database.reading() as db:
        assert (await db.get_one(Activity, activity.id)).description == "Pas à pas"


async def test_a_venue_is_found_corrected_and_added(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    listed = await browser.get(f"{HERE}/lieux?q=felix&region=03")
    assert str(venue_id) in listed.text
    path = f"{HERE}/lieux/{venue_id}/modifier"
    edit = form_of(await browser.get(path), "/modifier")
    answer = await send(
        browser,
        edit,
        phone="418 555-0123",
        accessibility=["step_free", "hearing_loop"],
        notes="Clé au comptoir",
    )
    await follow(browser, answer)
    async with database.reading() as db:
        venue = await db.get_one(Venue, venue_id)
    assert (venue.phone, venue.accessibility, venue.notes) == (
        "418 555-0123", ["step_free", "hearing_loop"], "Clé au comptoir",
    )  # fmt: skip
    assert (venue.latitude, venue.longitude) == (46.8632, -71.3571)
    form = form_of(await browser.get(f"{HERE}/lieux/nouveau?name=Salle+des+fêtes"), "/nouveau")
    assert form["name"] == "Salle des fêtes"
    page = await send(browser, form, latitude="46,8", longitude="")
    assert page.status_code == 422
    page = await send(browser, form_of(page, "/nouveau"), latitude="quelque part")
    assert page.status_code == 422
    assert 'href="#latitude"' in page.text
    filled = {"latitude": "46,8", "longitude": "-71,2", "timezone": "America/Halifax"}
    await follow(browser, await send(browser, form_of(page, "/nouveau"), **filled))
    assert "Salle des fêtes" in (await browser.get(f"{HERE}/lieux?q=fetes")).text


async def test_another_address_of_a_venue_says_who_will_be_told(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    session_id = await a_session(database, venue_id)
    await with_people(database, session_id, email=3, phone=1)
    path = f"{HERE}/lieux/{venue_id}/modifier"
    edit = form_of(await browser.get(path), "/modifier")
    before = len(await said(database))
    question = await send(browser, edit, "Enregistrer", street="2, rue Neuve", notes="Nouveau bâtiment")
    text = question.text.replace("\u00a0", " ")
    assert "1 séance à venir a lieu ici" in text
    assert "4 personnes seront averties : 3 par courriel, 1 par téléphone (il faudra l’appeler)." in text
    assert len(await said(database)) == before
    back = await send(browser, form_of(question, "/modifier"), "Revenir")
    assert form_of(back, "/modifier")["street"] == "2, rue Neuve"
    page = await follow(browser, await send(browser, form_of(question, "/modifier"), "Confirmer"))
    assert "4 personnes en sont averties" in page.text
    assert len(await said(database)) == before + 1
    # What people aren't told of needs no question.
    edit = form_of(await browser.get(path), "/modifier")
    await follow(browser, await send(browser, edit, "Enregistrer", email="biblio@example.org"))


async def test_hostile_forms_of_the_catalogue_are_refused_in_words(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    async with database.transaction() as db:
        trainer, activity = await a_trainer(db), await an_activity(db)
    paths = [
        "animation/nouvelle", f"animation/{trainer.id}/modifier",
        "activites/nouvelle", f"activites/{activity.id}/modifier",
        "lieux/nouveau", f"lieux/{venue_id}/modifier",
    ]  # fmt: skip
    for sent in (
        {},
        {"name": "x" * 5000, "title": "x" * 5000, "email": "@", "version": "99"},
        {"languages": "kl'", "capacity": "0", "duration_minutes": "99999", "theme": "?", "version": "1"},
        {
            "latitude": "999",
            "longitude": "-999",
            "timezone": "Mars",
            "province": "XX",
            "region": "99",
            "name": "a",
        },
        {
            "accessibility": "DROP TABLE",
            "kind": "x" * 300,
            "postal_code": "x" * 50,
            "name": "a",
            "base": "{}",
        },
    ):
        for path in paths:
            answer = await browser.post(f"{HERE}/{path}", data=sent)
            assert answer.status_code in (200, 303, 412, 422), (path, sent, answer.status_code)
