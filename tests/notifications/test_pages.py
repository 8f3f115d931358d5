"""The call list, as the team uses it."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from libs.clock import zone
from libs.messaging.contracts import Cause, ContactDetails, WaitFacts
from services.notifications.housekeeping import Housekeeping
from tests.notifications.conftest import Office, ShiftClock
from tests.notifications.facts import Person, alternative, at_time, cause_of, elsewhere, session_facts
from tests.notifications.test_wording import CAUSES, VARIANTS

PHONE = ContactDetails(phone="+14185550102")


async def call_of(office: Office, person: Person) -> str:
    """The address of the newest call to a person."""
    (row,) = await office.rows(
        "select id from delivery where registration_id = :id order by version desc limit 1", id=person.id
    )
    return f"/guichet/appels/{row.id}"


async def hear_one(office: Office, *causes: object, contact: ContactDetails = PHONE, **person: object) -> str:
    somebody = Person(contact=contact, **person).after(*(causes or ("confirmed",)))  # type: ignore[arg-type]
    await office.hear(somebody)
    return await call_of(office, somebody)


def text_of(page: httpx.Response) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", page.text)).replace("\u00a0", " ")


def names_in(page: httpx.Response) -> list[str]:
    """The people of a list of calls, in its order."""
    return re.findall(r'<th scope="row"><a href="/guichet/appels/[^"]+">([^<]+)</a>', page.text)


async def test_the_list_is_for_the_team_alone(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    page = await client.get("/guichet/appels")
    assert page.status_code == 303
    assert page.headers["location"].startswith("/connexion")


async def test_the_most_urgent_stands_first(client: httpx.AsyncClient, office: Office) -> None:
    await hear_one(office, cause_of("confirmed", session=session_facts(days=3)), name="Bientôt")
    await hear_one(office, cause_of("confirmed", session=session_facts(days=9)), name="Plus tard")
    await hear_one(office, "offered", name="Offre")
    page = await client.get("/guichet/appels")
    assert page.headers["cache-control"] == "no-store"
    assert names_in(page) == ["Offre", "Bientôt", "Plus tard"]
    assert 'href="tel:+1-418-555-0102"' in page.text or 'href="tel:+14185550102"' in page.text


def offer(minutes: float, **changes: object) -> Cause:
    """An offer that ends in `minutes`, of a session later today unless told otherwise."""
    now = datetime.now(UTC)
    session = at_time(session_facts(), (now + timedelta(hours=5)).astimezone(zone("America/Toronto")))
    given: dict[str, Any] = {"session": session, "offer_expires_at": now + timedelta(minutes=minutes)}
    return cause_of("offered", **(given | changes))


PASS_ON = "Pas de réponse : proposer la place à la personne suivante"


async def test_an_offer_of_minutes_stands_before_everything_and_can_be_passed_on(
    client: httpx.AsyncClient, office: Office, shift_clock: ShiftClock
) -> None:
    now = datetime.now(UTC)
    begun = at_time(session_facts(), (now - timedelta(minutes=5)).astimezone(zone("America/Toronto")))
    starting = at_time(session_facts(), (now + timedelta(minutes=5)).astimezone(zone("America/Toronto")))
    await hear_one(office, cause_of("confirmed", session=begun), name="Trop tard")
    await hear_one(office, cause_of("confirmed", session=starting), name="Commence")
    short = await hear_one(office, offer(15), name="Pressée")
    long = await hear_one(office, offer(15 * 60, session=session_facts(days=9)), name="Demain")
    page = await client.get("/guichet/appels")
    assert names_in(page) == ["Pressée", "Commence", "Demain", "Trop tard"]
    row = text_of(page).partition("Pressée")[2].partition("Commence")[0]
    assert "Pressant" in row
    assert PASS_ON in row
    assert text_of(page).count(PASS_ON) == 1
    (found,) = await office.rows(
        "select registration_id from delivery where id = :id", id=short.split("/")[-1]
    )
    assert f'href="/guichet/inscriptions/{found.registration_id}"' in page.text
    detail = text_of(await client.get(short))
    assert PASS_ON in detail
    assert "Appelez maintenant" in detail
    assert "avant la fin de l’offre" in detail
    assert PASS_ON not in text_of(await client.get(long))
    # One call without an answer: the next try comes while it is still of use.
    await client.post(f"{short}/resultat", data={"outcome": "no_answer", "initials": "MB", "number": "1"})
    assert "Pressée" in text_of(await client.get("/guichet/appels?state=later"))
    assert PASS_ON in text_of(await client.get("/guichet/appels?state=later"))
    await shift_clock(timedelta(minutes=8))
    assert names_in(await client.get("/guichet/appels"))[0] == "Pressée"
    # The offer is over.
    await shift_clock(timedelta(minutes=8))
    assert PASS_ON not in text_of(await client.get(short))


async def test_a_pressing_list_goes_on_over_the_page(client: httpx.AsyncClient, office: Office) -> None:
    people = [Person(name=f"P{n}", contact=PHONE).after(offer(10 + n * 1.5)) for n in range(60)]
    await office.hear(*people)
    page = await client.get("/guichet/appels")
    following = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert following is not None
    rest = await client.get(f"/guichet/appels{unescape(following[1])}")
    assert names_in(page) + names_in(rest) == [f"P{n}" for n in range(60)]


async def test_the_end_of_an_offer_of_today_is_said_by_the_clock(
    client: httpx.AsyncClient, office: Office
) -> None:
    here = zone("America/Toronto")
    now = datetime.now(UTC).astimezone(here)
    tonight = now.replace(hour=23, minute=59, second=59)
    await hear_one(office, offer(0, offer_expires_at=tonight))
    assert "Aujourd’hui, avant 23 h 59" in text_of(await client.get("/guichet/appels"))


async def test_a_call_about_anything_else_says_first_that_somebody_was_transferred(
    client: httpx.AsyncClient, office: Office
) -> None:
    person = Person(contact=PHONE).after("confirmed")
    await office.hear(person)
    call = await call_of(office, person)
    await client.post(f"{call}/resultat", data={"outcome": "reached", "initials": "MB", "number": "1"})
    old, new = person.transferred(elsewhere())
    new = new.after(cause_of("reminder_1d", session=elsewhere(), sequence=1))
    await office.hear(new)
    await office.inbox.handle([old.message(version=2)])
    page = text_of(await client.get(await call_of(office, new)))
    assert page.index("Nous vous avons changé d’atelier.") < page.index("Je vous rappelle votre atelier")
    assert "Avant, c’était l’atelier « Le courriel, pas à pas »" in page
    assert "Rappeler l’atelier" in text_of(await client.get("/guichet/appels"))
    assert names_in(await client.get("/guichet/appels")) == ["Aline Tremblay"]


@pytest.mark.parametrize("status", ["confirmed", "waitlisted", "offered", "cancelled", "of_next_year"])
async def test_a_call_of_a_newer_version_has_a_page_too(
    client: httpx.AsyncClient, office: Office, status: str
) -> None:
    """After a newer version was taken back, its notices are still there."""
    name = "cancelled_by_staff" if status == "cancelled" else "confirmed"
    address = await hear_one(office, cause_of(name, status=status))
    async with office.database.transaction() as session:
        await session.execute(
            sa.text("update delivery set cause = 'x', facts = jsonb_set(facts, '{cause}', '\"x\"')")
        )
    assert "Donner des nouvelles de l’inscription" in (await client.get("/guichet/appels")).text
    page = await client.get(address)
    assert page.status_code == 200
    assert "Le courriel, pas à pas" in text_of(page)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("language", ["fr", "en"])
async def test_every_call_has_a_page(
    client: httpx.AsyncClient, office: Office, language: str, variant: str
) -> None:
    for name in CAUSES:
        address = await hear_one(office, VARIANTS[variant](name), language=language)
        page = await client.get(address, params={"lang": "fr"})
        assert page.status_code == 200
        assert "KMPR-4827" in page.text
        assert ("Hello." in page.text) is (language == "en")
        assert "Bonjour." in text_of(page)
        assert "/guichet/inscriptions/" in page.text


async def test_a_letter_is_shown_as_a_letter(client: httpx.AsyncClient, office: Office) -> None:
    contact = ContactDetails(postal="12, rue du Pont\nQuébec (QC)  G1K 1A1")
    address = await hear_one(office, "waitlisted", contact=contact)
    page = await client.get(address)
    assert "La lettre" in page.text
    assert "12, rue du Pont" in page.text
    assert 'value="posted"' in page.text
    assert 'value="no_answer"' not in page.text


async def test_an_outcome_closes_the_call(client: httpx.AsyncClient, office: Office) -> None:
    address = await hear_one(office)
    form = {"outcome": "reached", "initials": "mb", "note": "Contente.", "number": "1"}
    answer = await client.post(f"{address}/resultat", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/guichet/appels")
    (row,) = await office.rows("select status, sent_at, calls from delivery")
    assert (row.status, row.calls) == ("done", 1)
    assert row.sent_at is not None
    page = await client.get(address)
    assert "MB" in page.text
    assert "Contente." in page.text
    assert "/resultat" not in page.text
    assert "Aline" in (await client.get("/guichet/appels?state=done")).text


async def test_a_form_sent_twice_counts_once(client: httpx.AsyncClient, office: Office) -> None:
    address = await hear_one(office)
    form = {"outcome": "no_answer", "initials": "MB", "note": "", "number": "1"}
    for _ in range(2):
        assert (await client.post(f"{address}/resultat", data=form)).status_code == 303
    assert len(await office.rows("select * from call_outcome")) == 1
    assert "Aline" not in (await client.get("/guichet/appels")).text
    assert "Aline" in (await client.get("/guichet/appels?state=later")).text


async def test_a_silent_telephone_comes_back_to_the_list(
    client: httpx.AsyncClient, office: Office, shift_clock: ShiftClock
) -> None:
    address = await hear_one(office)
    await client.post(f"{address}/resultat", data={"outcome": "no_answer", "initials": "MB", "number": "1"})
    await shift_clock(timedelta(hours=2, minutes=1))
    assert "1 essai" in text_of(await client.get("/guichet/appels"))


async def test_a_wrong_number_leads_to_the_other_one_then_to_the_unreached(
    client: httpx.AsyncClient, office: Office
) -> None:
    contact = ContactDetails(mobile="+14185550101", phone="+14185550102")
    address = await hear_one(office, contact=contact)
    for number in ("1", "2"):
        form = {"outcome": "wrong_number", "initials": "MB", "number": number}
        await client.post(f"{address}/resultat", data=form)
    (row,) = await office.rows("select status, tried_routes from delivery")
    assert (row.status, row.tried_routes) == ("failed", ["mobile", "phone"])
    page = await client.get("/guichet/appels?state=unreached")
    assert "Aline" in page.text
    # Somebody finds another way.
    form = {"outcome": "told", "initials": "MB", "number": "3", "note": "Vue à la bibliothèque."}
    assert (await client.post(f"{address}/resultat", data=form)).status_code == 303
    assert (await office.rows("select status from delivery"))[0].status == "done"


async def test_two_desks_do_not_call_the_same_person(
    client: httpx.AsyncClient, office: Office, shift_clock: ShiftClock
) -> None:
    address = await hear_one(office)
    assert (await client.post(f"{address}/prendre", data={"desk": "mb"})).status_code == 303
    assert "En cours par MB" in (await client.get("/guichet/appels?state=taken")).text
    assert "Aline" not in (await client.get("/guichet/appels")).text
    for path, form in (
        ("prendre", {"desk": "JT"}),
        ("resultat", {"initials": "JT", "outcome": "reached", "number": "1"}),
    ):
        other = await client.post(f"{address}/{path}", data=form)
        assert other.status_code == 409
        assert "en cours par MB" in other.text
    # Called away: after a while the other desk may take it.
    await shift_clock(timedelta(minutes=21))
    assert (await client.post(f"{address}/prendre", data={"desk": "JT"})).status_code == 303
    assert (await client.post(f"{address}/laisser")).status_code == 303
    assert "Aline" in (await client.get("/guichet/appels")).text


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"outcome": "reached", "number": "1"}, "Écrivez vos initiales"),
        ({"initials": "MB", "number": "1"}, "Dites ce que l’appel a donné."),
        ({"initials": "MB", "outcome": "posted", "number": "1"}, "Dites ce que l’appel a donné."),
        ({"initials": "MB", "outcome": "reached", "number": "1", "note": "x" * 501}, "Écrivez au plus"),
    ],
)
async def test_what_is_missing_is_said_and_what_was_typed_is_kept(
    client: httpx.AsyncClient, office: Office, form: dict[str, str], message: str
) -> None:
    address = await hear_one(office)
    page = await client.post(f"{address}/resultat", data={"note": "À garder", **form})
    assert page.status_code == 422
    assert message in page.text
    assert form.get("note", "À garder") in page.text
    assert (await office.rows("select calls from delivery"))[0].calls == 0


async def test_news_that_was_overtaken_is_not_called_about(client: httpx.AsyncClient, office: Office) -> None:
    person = Person(contact=PHONE).after("waitlisted")
    await office.hear(person)
    first = await call_of(office, person)
    await office.hear(person.after(cause_of("session_cancelled", alternatives=(alternative(9),))))
    assert "Plus nécessaire" in (await client.get(first)).text
    form = {"outcome": "reached", "initials": "MB", "number": "1"}
    assert (await client.post(f"{first}/resultat", data=form)).status_code == 409
    page = await client.get("/guichet/appels")
    assert page.text.count('<th scope="row">') == 1
    assert "Annoncer que l’atelier est annulé" in page.text


async def test_an_offer_that_ended_leaves_the_list(office: Office, shift_clock: ShiftClock) -> None:
    await hear_one(office, "offered")
    await hear_one(office, "confirmed")
    await shift_clock(timedelta(hours=25))
    await Housekeeping(office.database).drop_stale_calls()
    rows = await office.rows("select cause, status from delivery order by cause")
    assert [tuple(row) for row in rows] == [("confirmed", "queued"), ("offered", "superseded")]


async def test_an_erased_person_has_no_page(client: httpx.AsyncClient, office: Office) -> None:
    person = Person(contact=PHONE).after("confirmed")
    await office.hear(person)
    address = await call_of(office, person)
    await client.post(
        f"{address}/resultat",
        data={"outcome": "reached", "initials": "MB", "note": "Contente.", "number": "1"},
    )
    await office.inbox.handle([person.message(erased=True, version=5)])
    assert (await client.get(address)).status_code == 404
    assert (await office.rows("select note from call_outcome"))[0].note == ""


async def test_a_long_list_goes_on_over_the_page(client: httpx.AsyncClient, office: Office) -> None:
    await office.hear(*(Person(name=f"P{n}", contact=PHONE).after("confirmed") for n in range(60)))
    page = await client.get("/guichet/appels")
    following = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert following is not None
    rest = await client.get(f"/guichet/appels{unescape(following[1])}")
    names = re.findall(r">(P\d+)</a>", page.text + rest.text)
    assert len(names) == len(set(names)) == 60


async def test_what_people_typed_is_only_text(client: httpx.AsyncClient, office: Office) -> None:
    address = await hear_one(office, name="<script>alert(1)</script>")
    for page in (await client.get(address), await client.get("/guichet/appels")):
        assert "<script>alert" not in page.text


async def test_a_call_about_a_wait_leads_to_it_and_says_its_days(
    client: httpx.AsyncClient, office: Office
) -> None:
    wish = WaitFacts(
        theme="courriel", regions=("03",), first_day=date(2027, 1, 5), last_day=date(2027, 3, 31)
    )
    address = await hear_one(office, cause_of("wait_noted", status="waitlisted", wait=wish))
    page = await client.get(address)
    assert page.status_code == 200
    assert "Dire que l’attente de la personne est notée" in text_of(page)
    assert "Du mardi 5 janvier 2027 au mercredi 31 mars 2027" in text_of(page)
    assert "/guichet/attentes/" in page.text
    assert "/guichet/inscriptions/" not in page.text
    assert (await client.get("/guichet/appels")).status_code == 200
