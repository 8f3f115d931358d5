"""Tours on the coordinators' pages: stops found and ordered, filled, copied, published and cancelled."""

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from httpx import AsyncClient
from sqlmodel import col, select

from libs.database import Database
from services.events import commands, touring
from services.events.models import Session, Stop, Tour
from tests.builders import a_trainer, a_venue, an_activity
from tests.events.conftest import said
from tests.events.coordinating import a_session, id_in, session_row, with_people
from tests.events.html_forms import follow, form_of, forms_of, send

TOURS = "/coordination/tournees"


async def tour_row(database: Database, tour_id: UUID) -> Tour:
    async with database.reading() as db:
        return await db.get_one(Tour, tour_id)


async def sessions_of(database: Database, tour_id: UUID) -> list[Session]:
    async with database.reading() as db:
        found = await db.execute(
            select(Session).where(col(Session.tour_id) == tour_id).order_by(col(Session.starts_at_utc))
        )
        return list(found.scalars())


async def stops_of(database: Database, tour_id: UUID) -> list[Stop]:
    async with database.reading() as db:
        return await touring.stops_of(db, tour_id)


async def a_tour(database: Database, *, publish: bool = False) -> tuple[UUID, list[UUID]]:
    """A tour of two stops, Québec then La Malbaie a week later, each with a session at 13:30."""
    async with database.transaction() as db:
        activity = await an_activity(db)
        far = {"name": "Bibliothèque Laure-Conan", "municipality": "La Malbaie"}
        venues = [
            await a_venue(db),
            await a_venue(db, **far, latitude=47.6547, longitude=-70.1526),
        ]
        tour = await touring.create_tour(
            db,
            {
                "title": "Hiver",
                "region": "03",
                "windows": {"public": {"first": "2027-02-01", "last": "2027-03-31"}},
            },
        )
        stops = []
        for venue, day in zip(venues, ("2027-02-03", "2027-02-10"), strict=True):
            stop = await touring.add_stop(db, tour.id, {"venue_id": venue.id, "first_date": day})
            await touring.add_session_to_stop(
                db, stop.id, {"activity_id": activity.id, "starts_at": f"{day}T13:30"}
            )
            stops.append(stop.id)
        if publish:
            await touring.publish_tour(db, "test", tour.id)
        return tour.id, stops


async def test_a_tour_is_planned_from_nothing_through_forms(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    async with database.transaction() as db:
        activity = await an_activity(db)
    form = form_of(await browser.get(f"{TOURS}/nouvelle"), "/nouvelle")
    refused = await send(browser, form, title="Hiver", windows__public__first="2027-02-01")
    assert refused.status_code == 422
    assert 'href="#windows/public/last"' in refused.text
    answer = await send(
        browser, form_of(refused, "/nouvelle"), region="03", windows__public__last="2027-03-31"
    )
    page = await follow(browser, answer)
    tour_id = id_in(answer)
    assert "n’a pas encore d’étape" in page.text
    # A stop: search, choose, say when.
    page = await browser.get(f"{TOURS}/{tour_id}/etapes/nouvelle?q=felix+leclerc")
    form = form_of(page, "/etapes/nouvelle")
    assert form["venue_id"] == str(venue_id)
    page = await send(browser, form, first_date="2027-05-01")
    assert page.status_code == 422
    assert "hors des dates de la tournée" in page.text
    await follow(browser, await send(browser, form_of(page, "/etapes/nouvelle"), first_date="2027-02-03"))
    stop = (await stops_of(database, tour_id))[0]
    # Sessions from a template.
    page = await browser.get(f"/coordination/etapes/{stop.id}/seances")
    form = form_of(page, "/seances")
    assert (await send(browser, form)).status_code == 422
    page = await send(browser, form, **{"0__activity_id": str(activity.id), "0__capacity": "zéro"})
    assert page.status_code == 422
    assert 'href="#0/capacity"' in page.text
    page = await send(
        browser,
        form_of(page, "/seances"),
        **{"0__capacity": "8", "0__held__phone": "2", "0__held__desk": "-1"},
    )
    assert page.status_code == 422
    assert 'href="#0/held/desk"' in page.text
    page = await send(browser, form_of(page, "/seances"), **{"0__held__desk": "7"})
    assert (page.status_code, "9 sur 8" in page.text) == (422, True)
    assert await sessions_of(database, tour_id) == []
    answer = await send(
        browser,
        form_of(page, "/seances"),
        **{
            "0__capacity": "8",
            "0__held__phone": "2",
            "0__held__desk": "",
            "2__activity_id": str(activity.id),
            "2__start": "18:30",
        },
    )
    assert "2 brouillons sont ajoutés" in (await follow(browser, answer)).text
    rows = await sessions_of(database, tour_id)
    assert [f"{row.starts_at:%H:%M}-{row.ends_at:%H:%M}" for row in rows] == ["10:00-11:30", "18:30-20:00"]
    assert [row.capacity_on_site for row in rows] == [8, 10]
    assert rows[0].held_seats == [{"seat_kind": "on_site", "channel": "phone", "seats": 2}]
    # Publish: the question says how many.
    page = await browser.get(f"{TOURS}/{tour_id}/publier")
    assert "2 brouillons deviennent publics" in page.text
    page = await follow(browser, await send(browser, form_of(page, "/publier")))
    assert "avec 2 séances de plus au calendrier" in page.text
    assert {row.status for row in await sessions_of(database, tour_id)} == {"published"}
    assert [message.topic for message in await said(database)].count("sessions") == 2


async def test_a_tour_shows_distances_gaps_and_clashes_in_words(
    browser: AsyncClient, database: Database
) -> None:
    tour_id, stops = await a_tour(database)
    first, second = await sessions_of(database, tour_id)
    async with database.transaction() as db:
        marie = await a_trainer(db, name="Marie")
        venue = await a_venue(db, name="Bibliothèque du Lac", municipality="Lac-Beauport")
        for session in (first, second):
            await commands.assign_trainer(db, session.id, marie.id)
        third = await touring.add_stop(db, tour_id, {"venue_id": venue.id, "first_date": "2027-02-09"})
    other = await a_session(database, venue.id, title="Ailleurs", starts_at="2027-02-03T14:00")
    async with database.transaction() as db:
        await commands.assign_trainer(db, other, marie.id)
    text = (await browser.get(f"{TOURS}/{tour_id}")).text.replace("\u00a0", " ")
    assert "km à vol d’oiseau, environ 2 h" in text
    assert "Marie est à deux endroits en même temps, mercredi 3 février" in text
    assert "du jeudi 4 février au lundi 8 février" in text
    assert "L’étape 3 commence avant la fin de l’étape 2." in text
    assert "Aucune séance à cette étape" in text
    assert str(third.id) in text
    # Putting the stops in the order of their days mends it.
    page = await browser.get(f"{TOURS}/{tour_id}")
    page = await follow(browser, await send(browser, form_of(page, "/etapes/ordre")))
    assert "commence avant la fin" not in page.text
    assert [stop.id for stop in await stops_of(database, tour_id)] == [stops[0], third.id, stops[1]]


async def test_stops_are_reordered_edited_and_removed(browser: AsyncClient, database: Database) -> None:
    tour_id, stops = await a_tour(database)
    page = await browser.get(f"{TOURS}/{tour_id}")
    await follow(browser, await send(browser, form_of(page, f"{stops[1]}/place"), "Plus tôt"))
    assert [stop.id for stop in await stops_of(database, tour_id)] == [stops[1], stops[0]]
    # Its sessions hold a stop to its days and its venue.
    edit = form_of(await browser.get(f"/coordination/etapes/{stops[0]}/modifier"), "/modifier")
    page = await send(browser, edit, "Enregistrer", first_date="2027-02-08")
    assert page.status_code == 422
    found = await send(browser, form_of(page, "/modifier"), "Chercher", q="malbaie", first_date="2027-02-03")
    venue = next(v for v in form_of(found, "/modifier").choices["venue_id"] if v != edit["venue_id"])
    page = await send(browser, form_of(found, "/modifier"), "Enregistrer", venue_id=venue)
    assert page.status_code == 409
    assert "Déplacez-les d’abord" in page.text
    await follow(browser, await send(browser, edit, "Enregistrer", note="Entrer par le côté"))
    # Somebody who read the stop before that sees both versions, and may then insist.
    stale = await send(browser, edit, "Enregistrer", note="Sonner deux fois")
    assert stale.status_code == 412
    assert "Entrer par le côté" in stale.text
    assert "Sonner deux fois" in stale.text
    await follow(browser, await send(browser, form_of(stale, "/modifier"), "Enregistrer"))
    async with database.reading() as db:
        assert (await db.get_one(Stop, stops[0])).note == "Sonner deux fois"
    page = await browser.get(f"/coordination/etapes/{stops[0]}/retirer")
    assert "1 brouillon disparaît" in page.text
    await follow(browser, await send(browser, form_of(page, "/retirer")))
    assert [stop.id for stop in await stops_of(database, tour_id)] == [stops[1]]


async def test_a_stop_with_public_sessions_stays(browser: AsyncClient, database: Database) -> None:
    tour_id, stops = await a_tour(database, publish=True)
    page = await browser.get(f"/coordination/etapes/{stops[0]}/retirer")
    assert "Déplacez-les d’abord" in page.text
    assert not [form for form in forms_of(page) if form.action.endswith("/retirer")]
    assert (await browser.post(f"/coordination/etapes/{stops[0]}/retirer")).status_code == 409
    assert len(await stops_of(database, tour_id)) == 2


async def test_a_copy_is_shown_before_it_is_made_and_keeps_the_wall_times(
    browser: AsyncClient, database: Database
) -> None:
    tour_id, _stops = await a_tour(database, publish=True)
    page = await browser.get(f"{TOURS}/{tour_id}/copier?weeks=6&title=Printemps")
    text = page.text.replace("\u00a0", " ")
    assert "mercredi 17 mars 2027, de 13 h 30 à 15 h" in text
    assert "13 h 30 reste 13 h 30" in text
    assert len(await said(database)) == 4
    form = form_of(page, "/copier")
    answer = await send(browser, form)
    page = await follow(browser, answer)
    assert "avec 2 séances" in page.text
    copy = await tour_row(database, id_in(answer))
    assert (copy.title, copy.status, copy.copied_from) == ("Printemps", "draft", tour_id)
    assert copy.windows == {"public": {"first": "2027-03-15", "last": "2027-05-12"}}
    rows = await sessions_of(database, copy.id)
    # Summer time begins on 14 March: the wall time stays, the instant moves.
    assert [f"{row.starts_at:%d %H:%M} {row.starts_at_utc:%H:%M}" for row in rows] == [
        "17 13:30 17:30", "24 13:30 17:30",
    ]  # fmt: skip
    assert {row.status for row in rows} == {"draft"}
    assert [stop.first_date for stop in await stops_of(database, copy.id)] == [
        date(2027, 3, 17), date(2027, 3, 24),
    ]  # fmt: skip
    twice = await send(browser, form)
    assert twice.headers["location"] == answer.headers["location"]


async def test_a_copy_names_the_hours_that_do_not_exist(browser: AsyncClient, database: Database) -> None:
    async with database.transaction() as db:
        tour = await touring.create_tour(db, {"title": "De nuit"})
        venue = await a_venue(db)
    await a_session(
        database, venue.id, publish=False, tour_id=tour.id, title="De nuit",
        starts_at="2027-03-07T02:30", ends_at="2027-03-07T03:30",
    )  # fmt: skip
    page = await browser.get(f"{TOURS}/{tour.id}/copier?weeks=1")
    assert "Cette heure n’existe pas" in page.text
    assert not [f for f in forms_of(page) if f.method == "post" and f.action.endswith("/copier")]
    answer = await browser.post(f"{TOURS}/{tour.id}/copier", data={"weeks": "1"})
    assert answer.status_code == 422
    for weeks in ("", "deux", "521", "9" * 30, "%00"):
        assert (await browser.get(f"{TOURS}/{tour.id}/copier?weeks={weeks}")).status_code == 200
        answer = await browser.post(f"{TOURS}/{tour.id}/copier", data={"weeks": weeks})
        assert answer.status_code == 422, weeks


async def test_a_tour_is_cancelled_with_everybody_told(browser: AsyncClient, database: Database) -> None:
    tour_id, _stops = await a_tour(database, publish=True)
    first, second = await sessions_of(database, tour_id)
    await with_people(database, first.id, email=4, phone=2)
    await with_people(database, second.id, email=1)
    page = await browser.get(f"{TOURS}/{tour_id}/annuler")
    text = page.text.replace("\u00a0", " ")
    assert "7 personnes seront averties : 5 par courriel, 2 par téléphone (il faudra les appeler)." in text
    assert "2 séances publiées sont annulées" in text
    page = await follow(browser, await send(browser, form_of(page, "/annuler"), reason="Plus de budget"))
    assert "La tournée est annulée, avec 2 séances" in page.text
    assert {row.cancel_reason for row in await sessions_of(database, tour_id)} == {"Plus de budget"}
    assert (await browser.get(f"{TOURS}/{tour_id}/annuler")).status_code == 409
    assert (await browser.get(f"{TOURS}/{tour_id}")).status_code == 200


async def test_drafts_that_are_over_stop_a_publication(browser: AsyncClient, database: Database) -> None:
    async with database.transaction() as db:
        tour = await touring.create_tour(db, {"title": "Trop tard"})
        venue = await a_venue(db)
    past = {"starts_at": "2020-02-03T13:30", "ends_at": "2020-02-03T15:30"}
    session_id = await a_session(database, venue.id, publish=False, tour_id=tour.id, **past)
    page = await browser.get(f"{TOURS}/{tour.id}/publier")
    assert "déjà passé" in page.text
    answer = await browser.post(f"{TOURS}/{tour.id}/publier")
    assert answer.status_code == 409
    assert (await tour_row(database, tour.id)).status == "draft"
    assert (await session_row(database, session_id)).status == "draft"
    assert "1 brouillon est déjà passé" in (await browser.get("/coordination")).text


async def test_two_people_edit_a_tour(browser: AsyncClient, database: Database) -> None:
    tour_id, _stops = await a_tour(database)
    mine = form_of(await browser.get(f"{TOURS}/{tour_id}/modifier"), "/modifier")
    await follow(browser, await send(browser, mine, title="Le leur", coordinator_note="Leur note"))
    page = await send(browser, mine, "Enregistrer", title="Le mien", description="Ma description")
    assert page.status_code == 412
    for words in ("Le leur", "Le mien", "Leur note", "Ma description"):
        assert words in page.text
    await follow(browser, await send(browser, form_of(page, "/modifier"), "Appliquer", keep__title="theirs"))
    tour = await tour_row(database, tour_id)
    assert (tour.title, tour.coordinator_note, tour.description) == ("Le leur", "Leur note", "Ma description")
    assert tour.windows == {"public": {"first": "2027-02-01", "last": "2027-03-31"}}
    form = form_of(await browser.get(f"{TOURS}/{tour_id}/modifier"), "/modifier")
    page = await send(browser, form, windows__public__last="2027-02-05")
    assert page.status_code == 422
    assert "serait hors de ces dates" in page.text


async def test_tours_are_listed_and_a_draft_is_deleted(browser: AsyncClient, database: Database) -> None:
    tour_id, _stops = await a_tour(database)
    page = (await browser.get(f"{TOURS}?q=hiver&status=draft&region=03")).text
    assert f"{TOURS}/{tour_id}" in page
    assert "Aucune tournée" in (await browser.get(f"{TOURS}?region=06")).text
    page_of_tour = await browser.get(f"{TOURS}/{tour_id}")
    await follow(browser, await send(browser, form_of(page_of_tour, "/supprimer")))
    assert (await browser.get(f"{TOURS}/{tour_id}")).status_code == 404
    async with database.reading() as db:
        assert (await db.execute(sa.select(sa.func.count()).select_from(Session))).scalar_one() == 0


async def test_hostile_forms_of_tours_are_refused_in_words(browser: AsyncClient, database: Database) -> None:
    tour_id, stops = await a_tour(database)
    tour, stop = f"{TOURS}/{tour_id}", f"/coordination/etapes/{stops[0]}"
    paths = [f"{TOURS}/nouvelle"]
    paths += [f"{tour}/{name}" for name in ("modifier", "etapes/nouvelle", "copier", "annuler", "supprimer")]
    paths += [f"{stop}/{name}" for name in ("modifier", "place", "seances", "retirer")]
    for sent in (
        {"title": "x" * 5000, "region": "zz", "version": "0", "windows/public/first": "9999-99-99"},
        {"venue_id": "1", "first_date": "x", "last_date": "0001-01-01", "position": "-5", "version": "x"},
        {
            "0/activity_id": "1",
            "0/start": "99",
            "1/activity_id": str(tour_id),
            "1/start": "10:00",
            "1/date": "x",
        },
        {"0/activity_id": str(tour_id), "0/held/phone": "x", "0/trainer": "y", "0/duration_minutes": "-1"},
        {"weeks": "x", "reason": "x" * 501, "version": "77", "position": "9" * 9},
    ):
        for path in paths:
            answer = await browser.post(path, data=sent)
            assert answer.status_code in (200, 303, 404, 409, 412, 422), (path, answer.status_code)


async def test_a_stop_added_meanwhile_is_no_conflict_with_an_edited_title(
    browser: AsyncClient, database: Database, venue_id: UUID
) -> None:
    tour_id, _stops = await a_tour(database, publish=True)
    session = (await sessions_of(database, tour_id))[0]
    mine = form_of(await browser.get(f"{TOURS}/{tour_id}/modifier"), "/modifier")
    ours = form_of(await browser.get(f"/coordination/seances/{session.id}/modifier"), "/modifier")
    async with database.transaction() as db:
        await touring.add_stop(db, tour_id, {"venue_id": venue_id, "first_date": "2027-02-17"})
    await follow(browser, await send(browser, mine, title="Renommée"))
    assert (await tour_row(database, tour_id)).title == "Renommée"
    # The renamed tour was announced with its sessions, whose version rose; their own facts are as seen.
    assert (await session_row(database, session.id)).version > int(ours["version"])
    await follow(browser, await send(browser, ours, "Enregistrer", bring="Un crayon"))
    assert (await session_row(database, session.id)).bring == "Un crayon"
