"""The desk: finding sessions and people, registering by telephone, rosters, the line, one registration."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.messaging.contracts import HeldSeats, SeatCounts, SessionState, VenueFacts
from services.registrations import nearby, spelling
from tests.registrations.conftest import Instance, person, session_state
from tests.registrations.test_pages import text_of, value_of

LEVIS = VenueFacts(
    id=UUID(int=8),
    name="Bibliothèque Pierre-Georges-Roy",
    street="7, rue Monseigneur-Gosselin",
    municipality="Lévis",
    latitude=46.80,
    longitude=-71.18,
)
TYPED = {"channel": "phone", "name": "Rose Gagné", "phone": "418 555-0177", "language": "fr"}


@pytest.fixture
def desk(instance: Instance) -> Instance:
    """The instance, its client signed in as staff."""
    instance.client.headers.update(instance.staff)
    return instance


async def get(desk: Instance, path: str) -> httpx.Response:
    page = await desk.client.get(path)
    assert page.status_code == 200, page.text
    return page


async def find(desk: Instance, text: str) -> httpx.Response:
    return await desk.client.post("/guichet/recherche", data={"q": text})


async def sign_up(desk: Instance, session: SessionState, **fields: Any) -> httpx.Response:
    page = await get(desk, f"/guichet/seances/{session.id}/inscrire")
    data = {"form_id": value_of(page, "form_id")} | TYPED | fields
    return await desk.client.post(f"/guichet/seances/{session.id}/inscrire", data=data)


async def registered(desk: Instance, session: SessionState, **changes: Any) -> dict[str, Any]:
    answer = await desk.register(session.id, **changes)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(
    "path",
    [
        "/guichet",
        "/guichet/recherche",
        f"/guichet/seances/{uuid4()}",
        f"/guichet/seances/{uuid4()}/feuille",
        f"/guichet/seances/{uuid4()}/attente",
        f"/guichet/seances/{uuid4()}/inscrire",
        f"/guichet/inscriptions/{uuid4()}",
        f"/guichet/inscriptions/{uuid4()}/a-dire",
        f"/guichet/inscriptions/{uuid4()}/annuler",
    ],
)
async def test_the_desk_is_for_the_team(instance: Instance, path: str) -> None:
    looked = await instance.client.get(path)
    sent = await instance.client.post(path, data={"q": "x"})

    assert looked.status_code == 303
    assert looked.headers["location"].startswith("/connexion")
    assert sent.status_code in (303, 405)


async def test_the_start_lists_todays_and_the_coming_sessions_with_their_seats(desk: Instance) -> None:
    today = session_state(title="Celle de ce jour", in_days=0)
    soon = session_state(capacity=SeatCounts(on_site=1), title="Celle qui vient")
    gone = session_state(title="Celle qui est passée", in_days=-3)
    await desk.hear(today, soon, gone)
    for number in (1, 2):
        await desk.register(soon.id, number)

    said = text_of(await get(desk, "/guichet"))

    assert said.index("Aujourd’hui") < said.index("Celle de ce jour") < said.index("Celle qui vient")
    assert "Complet 1 personne en attente" in said
    assert "Celle qui est passée" not in said
    assert "Aline" not in said, "names stand only where somebody acts on them"


async def test_a_long_list_goes_on(desk: Instance) -> None:
    sessions = [session_state(in_days=5, title=f"Séance {number:03d}") for number in range(53)]
    await desk.hear(*sessions)

    first = await get(desk, "/guichet")
    link = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert link is not None
    second = await get(desk, "/guichet" + link[1].replace("&amp;", "&"))

    shown = set(re.findall(r"Séance \d{3}", first.text)) | set(re.findall(r"Séance \d{3}", second.text))
    assert len(shown) == 53
    assert (await get(desk, "/guichet?suite=nonsense")).status_code == 200


@pytest.mark.parametrize("place", ["Lévis", "levis", "G6V 5J9", "g6v", "Pierre-Georges-Roy"])
async def test_the_nearest_sessions_are_read_aloud_first(desk: Instance, place: str) -> None:
    far = VenueFacts(
        id=UUID(int=9), name="Bibliothèque d’Alma", municipality="Alma", latitude=48.55, longitude=-71.65
    )
    await desk.hear(
        session_state(venue=far, in_days=2, title="À Alma"),
        session_state(venue=LEVIS, in_days=9, title="À Lévis"),
        session_state(venue=LEVIS, in_days=8, title="Complet à Lévis", capacity=SeatCounts()),
        session_state(venue=LEVIS, in_days=3, title="Pour le personnel", stream="pro"),
    )

    page = await desk.client.get("/guichet", params={"lieu": place})

    said = text_of(page)
    aloud = said[said.index("À lire à voix haute") : said.index("Lequel vous convient")]
    assert aloud.index("À Lévis") < aloud.index("À Alma")
    assert "Bibliothèque Pierre-Georges-Roy, 7, rue Monseigneur-Gosselin, Lévis" in aloud
    assert "Complet à Lévis" not in aloud
    assert "Pour le personnel" not in aloud


async def test_a_subject_narrows_the_choices_and_an_unknown_place_is_said(desk: Instance) -> None:
    await desk.hear(session_state(title="Le bon"), session_state(title="Un autre", theme="tablette"))

    page = await desk.client.get("/guichet", params={"lieu": "Zzyzx-les-Bains", "sujet": "courriel"})

    assert "Le bon" in page.text
    assert "Un autre" not in page.text
    assert "Nous ne connaissons pas ce lieu" in text_of(page)


@pytest.mark.parametrize(
    "text",
    ["tremblay", "TREMBLAY aline", "aline-tremblay", "0142", "555-0142", "(418) 555-0142", "+1 418 555 0142"],
)
async def test_people_are_found_by_name_and_telephone(desk: Instance, text: str) -> None:
    session = session_state()
    await desk.hear(session)
    await registered(desk, session, name="Aline Trémblay", channel="phone", contact={"phone": "418 555-0142"})
    await registered(
        desk, session, name="Paul Roy", channel="phone", contact={"mobile": "418 555-0199"}, number=2
    )

    page = await find(desk, text)

    assert "1 inscription trouvée" in text_of(page)
    assert "Aline Trémblay" in page.text
    assert str(page.url).endswith("/guichet/recherche"), "no name stands in an address"


async def test_a_confirmation_number_leads_straight_to_the_registration(desk: Instance) -> None:
    session = session_state()
    await desk.hear(session)
    mine = await registered(desk, session)

    heard = mine["confirmation_number"].lower().replace("-", " ")
    answer = await find(desk, " ".join(heard))

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/guichet/inscriptions/{mine['id']}"


@pytest.mark.parametrize(
    "text", ["", "x", "12", "%", "_____", "'", "nobody@example.org", "ABCD-2345", "é" * 9]
)
async def test_a_search_for_nobody_finds_nobody(desk: Instance, text: str) -> None:
    session = session_state()
    await desk.hear(session)
    await registered(desk, session)

    page = await find(desk, text)

    assert page.status_code == 200
    assert "Aline" not in page.text


async def test_the_roster_says_names_and_seats_and_keeps_needs_apart(desk: Instance) -> None:
    session = session_state()
    await desk.hear(session)
    needs = {"accommodations": ["hearing_loop"], "consents": ["accommodation_data"]}
    await registered(desk, session, name="Zoé", **needs)
    await registered(
        desk,
        session,
        number=2,
        name="Élise",
        target_groups=["faible_revenu"],
        consents=["statistics_profile"],
    )

    page = await get(desk, f"/guichet/seances/{session.id}")
    sheet = await get(desk, f"/guichet/seances/{session.id}/feuille")

    said = text_of(page)
    assert said.index("Élise") < said.index("Zoé")
    assert "À préparer pour 1 personne" in said
    assert "Boucle auditive" in said
    assert '<details class="panel" open' not in page.text, "nobody reads it over a shoulder"
    for answer in (page, sheet):
        assert "faible revenu" not in answer.text
        assert "example.org" not in answer.text
    assert "Élise" in sheet.text
    assert "Boucle auditive" not in sheet.text


async def test_needs_are_not_shown_once_the_consent_is_withdrawn(desk: Instance) -> None:
    session = session_state()
    await desk.hear(session)
    mine = await registered(desk, session, accommodations=["hearing_loop"], consents=["accommodation_data"])
    async with desk.database.transaction() as tx:
        connection = await tx.connection()
        await connection.exec_driver_sql("update consent set withdrawn_at = now()")

    for path in (f"/guichet/seances/{session.id}", f"/guichet/inscriptions/{mine['id']}"):
        assert "Boucle auditive" not in (await get(desk, path)).text


async def test_the_line_says_why_each_stands_where_they_stand(desk: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await desk.hear(session)
    first = await registered(desk, session)
    for number in (2, 3, 4):
        await registered(desk, session, number=number)
    await desk.client.delete(f"/api/registrations/v1/registrations/{first['id']}")

    said = text_of(await get(desk, f"/guichet/seances/{session.id}/attente"))
    line = (await desk.client.get(f"/api/registrations/v1/sessions/{session.id}/line")).json()["items"]

    assert "Aline Tremblay 2 Une place est offerte à cette personne." in said
    assert "Demande numéro 3. Personne n’est avant elle." in said
    assert "Demande numéro 4. Une personne a demandé avant et attend encore." in said
    assert [entry["why"].replace("\u00a0", " ") in said for entry in line] == [True, True]


async def test_the_line_of_the_api_is_explained_in_the_callers_language(desk: Instance) -> None:
    session = session_state(capacity=SeatCounts())
    await desk.hear(session)
    await registered(desk, session)

    answer = await desk.client.get(
        f"/api/registrations/v1/sessions/{session.id}/line", headers={"Accept-Language": "en-CA"}
    )

    assert answer.json()["items"][0]["why"] == "Request number 1. Nobody is before this person."


async def test_somebody_without_an_e_mail_is_registered_by_telephone(desk: Instance) -> None:
    session = session_state(bring="Vos lunettes")
    await desk.hear(session)

    answer = await sign_up(desk, session, accommodations="large_print", accommodation_consent="1")
    page = await get(desk, answer.headers["location"])

    (state,) = await desk.announced()
    assert (state["channel"], state["contact"]["phone"]) == ("phone", "+14185550177")
    said = text_of(page)
    assert "« Vous avez une place. »" in said
    assert "Apportez : Vos lunettes." in said
    assert "418 555-0142" in said
    for sign, word in spelling.spelled(state["confirmation_number"], "fr"):
        assert (f"{sign} comme {word}" if sign.isalpha() else f"{sign} {word}") in said


async def test_a_held_seat_goes_to_who_phones(desk: Instance) -> None:
    held = (HeldSeats(seat_kind="on_site", channel="phone", seats=1),)
    session = session_state(capacity=SeatCounts(on_site=1), held_seats=held)
    await desk.hear(session)

    web = await registered(desk, session)
    await sign_up(desk, session)

    statuses = {state["name"]: state["status"] for state in await desk.announced()}
    assert web["status"] == "waitlisted"
    assert statuses["Rose Gagné"] == "confirmed"


async def test_the_telephone_opens_at_the_same_moment_as_the_web(desk: Instance) -> None:
    session = session_state()
    later = session.model_copy(update={"opens_at": session.starts_at_utc - timedelta(days=1)})
    await desk.hear(later)

    answer = await sign_up(desk, later)

    assert answer.status_code == 409
    assert "C’est le même moment pour tout le monde" in text_of(answer)
    assert value_of(answer, "name") == "Rose Gagné"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"phone": ""}, "route"),
        ({"phone": "abc"}, "phone"),
        ({"email": "rose@"}, "email"),
        ({"channel": "web"}, "channel"),
        ({"channel": "pigeon"}, "channel"),
        ({"accommodations": "large_print"}, "accommodation_consent"),
        ({"form_id": "x"}, ""),
    ],
)
async def test_a_mistake_at_the_desk_keeps_what_was_typed(
    desk: Instance, fields: dict[str, str], field: str
) -> None:
    session = session_state()
    await desk.hear(session)

    answer = await sign_up(desk, session, **fields)

    assert answer.status_code == 422
    if field:
        assert f'href="#{field}"' in answer.text
        assert f'id="{field}"' in answer.text
    assert value_of(answer, "name") == (TYPED | fields)["name"]
    assert await desk.announced() == []


async def test_somebody_alike_is_shown_to_the_team(desk: Instance) -> None:
    session = session_state()
    await desk.hear(session)
    known = await registered(
        desk, session, name=TYPED["name"], channel="phone", contact={"phone": TYPED["phone"]}
    )

    question = await sign_up(desk, session)
    yes = {name: value_of(question, name) for name in ("form_id", "another_person", *TYPED)}
    done = await desk.client.post(f"/guichet/seances/{session.id}/inscrire", data=yes)

    assert question.status_code == 409
    assert known["confirmation_number"] in question.text
    assert done.status_code == 303
    assert (await desk.seats(session.id))["confirmed"] == 2


async def test_a_registration_says_what_staff_act_on(desk: Instance) -> None:
    session = session_state()
    await desk.hear(session)
    mine = await registered(desk, session, contact={"email": "a@example.org", "mobile": "418 555-0111"})

    said = text_of(await get(desk, f"/guichet/inscriptions/{mine['id']}"))

    for words in (
        "a@example.org",
        "418 555-0111",
        "A une place",
        "La personne ne vient plus",
        "Nous annulons",
    ):
        assert words in said


async def test_staff_accept_and_decline_on_somebodys_behalf(desk: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await desk.hear(session)
    first, second, third = [await registered(desk, session, number=number) for number in (1, 2, 3)]
    await desk.client.delete(f"/api/registrations/v1/registrations/{first['id']}")

    question = await get(desk, f"/guichet/inscriptions/{second['id']}/refuser")
    declined = await desk.client.post(f"/guichet/inscriptions/{second['id']}/refuser")
    accepted = await desk.client.post(f"/guichet/inscriptions/{third['id']}/accepter")
    again = await desk.client.post(f"/guichet/inscriptions/{second['id']}/accepter")

    assert "La place va tout de suite à la personne suivante." in text_of(question)
    assert {answer.status_code for answer in (declined, accepted, again)} == {303}
    assert (await desk.show(second))["status"] == "declined"
    assert (await desk.show(third))["status"] == "confirmed"


async def test_who_cancels_is_kept_apart(desk: Instance) -> None:
    session = session_state()
    await desk.hear(session)
    one, other = [await registered(desk, session, number=number) for number in (1, 2)]

    asked = await get(desk, f"/guichet/inscriptions/{one['id']}/annuler")
    await desk.client.post(f"/guichet/inscriptions/{one['id']}/annuler")
    path = f"/guichet/inscriptions/{other['id']}/annuler-equipe"
    unsaid = await desk.client.post(path, data={"reason": " "})
    long = await desk.client.post(path, data={"reason": "x" * 9999})
    done = await desk.client.post(path, data={"reason": "La salle est trop petite"})

    assert "La personne en sera prévenue par courriel." in text_of(asked)
    assert (unsaid.status_code, long.status_code, done.status_code) == (422, 422, 303)
    causes = [
        (state["causes"][-1]["cause"], state["causes"][-1]["reason"]) for state in await desk.announced()
    ]
    assert causes[-2:] == [("cancelled_by_person", None), ("cancelled_by_staff", "La salle est trop petite")]
    gone = await desk.client.get(f"/guichet/inscriptions/{one['id']}/annuler")
    assert gone.status_code == 303, "there is nothing left to ask"


async def test_a_link_is_replaced(desk: Instance) -> None:
    session = session_state()
    await desk.hear(session)
    mine = await registered(desk, session)

    question = await get(desk, f"/guichet/inscriptions/{mine['id']}/lien")
    await desk.client.post(f"/guichet/inscriptions/{mine['id']}/lien")
    page = await get(desk, f"/guichet/inscriptions/{mine['id']}")

    assert "ne s’ouvrira plus" in text_of(question)
    assert (await desk.client.get(f"/mon-inscription/{mine['manage_token']}")).status_code == 410
    fresh = re.search(r"http://testserver(/mon-inscription/[\w-]+)", page.text)
    assert fresh is not None
    assert (await desk.client.get(fresh[1])).status_code == 200


async def test_unknown_things_are_not_found(desk: Instance) -> None:
    session = session_state()
    await desk.hear(session)
    mine = await registered(desk, session)
    for path in (
        f"/guichet/seances/{uuid4()}",
        f"/guichet/inscriptions/{uuid4()}",
        f"/guichet/inscriptions/{mine['id']}/effacer",
        "/guichet/seances/x",
    ):
        assert (await desk.client.get(path)).status_code == 404


@pytest.mark.parametrize(
    "sent",
    [
        {"content": b"x" * 10_000_000, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"q=%00", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"json": {}},
        {"data": person() | {"contact": "x"}},
    ],
)
async def test_whatever_is_sent_to_the_desk_breaks_nothing(desk: Instance, sent: dict[str, Any]) -> None:
    session = session_state()
    await desk.hear(session)
    mine = await registered(desk, session)
    for path in (
        "/guichet/recherche",
        f"/guichet/seances/{session.id}/inscrire",
        f"/guichet/inscriptions/{mine['id']}/annuler-equipe",
    ):
        assert (await desk.client.post(path, **sent)).status_code < 500
    assert (await desk.show(mine))["status"] == "confirmed"


async def test_the_desk_speaks_english_too(desk: Instance) -> None:
    session = session_state()
    await desk.hear(session)
    mine = await registered(desk, session)

    for path, words in (
        ("/guichet", "Find a person"),
        (f"/guichet/seances/{session.id}/inscrire", "Register a person"),
        (f"/guichet/inscriptions/{mine['id']}/a-dire", "as in"),
    ):
        page = text_of(await get(desk, f"{path}?lang=en"))
        assert words in page
        assert "personne" not in page


def test_a_number_is_spelled_and_heard_back() -> None:
    assert spelling.spaced("KMPR-4827").replace("\u00a0", " ") == "K M P R – 4 8 2 7"
    assert spelling.spelled("KM-48", "fr")[:1] == [("K", "Karine")]
    assert spelling.spelled("K-4", "en") == [("K", "Karen"), ("4", "four")]
    assert spelling.read_back(" k m p r 4827 ") == "KMPR-4827"
    assert spelling.read_back("Aline") is None
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        for language in ("fr", "en"):
            ((_sign, word),) = spelling.spelled(letter, language)
            assert word.translate(str.maketrans("É", "E"))[0] == letter


def test_places_are_known_as_people_say_them() -> None:
    towns = {
        text: nearby.locate(text, []) for text in ("Ste-Anne-de-Beaupré", "QUEBEC", "sainte anne de beaupre")
    }
    assert all(towns.values()), towns
    assert nearby.locate("", []) is None
    assert nearby.locate("Z9Z 9Z9", []) is None
