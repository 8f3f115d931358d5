"""The line at the desk: its order explained, and what the team may change in it, with a reason, once."""

import asyncio
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from libs.messaging.contracts import HeldSeats, SeatCounts, SessionAccess, SessionState
from services.registrations.retention import erase_due
from tests.registrations.conftest import Instance, ShiftClock, problem, session_state
from tests.registrations.test_pages import text_of, value_of

API = "/api/registrations/v1"


@pytest.fixture
def desk(instance: Instance) -> Instance:
    """The instance, its client signed in as staff."""
    instance.client.headers.update(instance.staff)
    return instance


async def waiting(desk: Instance, count: int, **changes: Any) -> tuple[SessionState, list[dict[str, Any]]]:
    """A session of one seat, taken, and `count` people who wait: Aline Tremblay 2, 3, …"""
    session = session_state(**({"capacity": SeatCounts(on_site=1)} | changes))
    await desk.hear(session)
    people = [(await desk.register(session.id, number)).json() for number in range(1, count + 2)]
    return session, people[1:]


def path_of(registration: dict[str, Any], action: str = "") -> str:
    return f"/guichet/inscriptions/{registration['id']}" + (f"/{action}" if action else "")


async def see(desk: Instance, path: str) -> httpx.Response:
    page = await desk.client.get(path)
    assert page.status_code == 200, page.text
    return page


async def fill(desk: Instance, registration: dict[str, Any], action: str, **fields: Any) -> httpx.Response:
    """Open the form, fill it in, and send it."""
    page = await see(desk, path_of(registration, action))
    data = {"version": value_of(page, "version"), "reason": "Le transport adapté"} | fields
    return await desk.client.post(path_of(registration, action), data=data)


async def line_of(desk: Instance, session: SessionState) -> list[dict[str, Any]]:
    answer = await desk.client.get(f"{API}/sessions/{session.id}/line")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def numbers(line: list[dict[str, Any]]) -> list[int]:
    """Who stands in the line, by the number at the end of their name."""
    return [int(entry["name"].rpartition(" ")[2]) for entry in line]


async def line_page(desk: Instance, session: SessionState) -> str:
    return text_of(await see(desk, f"/guichet/seances/{session.id}/attente"))


async def actions(desk: Instance) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(desk.database.url)
    try:
        rows = await connection.fetch("select action, reason from staff_action order by id")
    finally:
        await connection.close()
    return [(row["action"], row["reason"]) for row in rows]


async def test_somebody_is_moved_before_another_and_the_line_says_so(desk: Instance) -> None:
    session, (two, three, four) = await waiting(desk, 3)

    form = await see(desk, path_of(four, "rang"))
    answer = await fill(desk, four, "rang", before=two["id"])
    page = text_of(await see(desk, answer.headers["location"]))

    assert answer.status_code == 303
    assert "Avant Aline Tremblay 2, rang 1" in text_of(form)
    assert "Aline Tremblay 4, rang" not in text_of(form), "nobody is moved before themselves"
    line = await line_of(desk, session)
    assert numbers(line) == [4, 2, 3]
    assert [(entry["position"], entry["moved"], entry["priority"]) for entry in line] == [
        (1, True, 0),
        (2, False, 0),
        (3, False, 0),
    ]
    assert [entry["reason"] for entry in line] == ["Le transport adapté", None, None]
    assert "C’est fait. Aline Tremblay 4 a maintenant le rang 1." in page
    assert "Demande numéro 4. Déplacée par l’équipe le" in page
    assert "Personne n’est avant elle. Raison : Le transport adapté." in page
    assert "Demande numéro 2. L’équipe a placé une personne avant elle." in page
    assert "Demande numéro 3. L’équipe a placé une personne avant elle. Une personne a demandé avant" in page
    assert await actions(desk) == [("moved", "Le transport adapté")]
    assert (await desk.show(three))["position"] == 3


async def test_somebody_is_moved_to_the_end(desk: Instance) -> None:
    session, (two, _three, _four) = await waiting(desk, 3)

    answer = await fill(desk, two, "rang", before="fin")

    assert answer.status_code == 303
    assert numbers(await line_of(desk, session)) == [3, 4, 2]
    await desk.register(session.id, 5)
    assert numbers(await line_of(desk, session)) == [3, 4, 2, 5]


async def test_a_class_goes_before_the_others_and_only_the_team_knows_why(desk: Instance) -> None:
    session, (two, three, four) = await waiting(desk, 3)

    answer = await fill(desk, four, "priorite", priority="2")
    page = await line_page(desk, session)
    own = text_of(await desk.client.get(f"/mon-inscription/{two['manage_token']}"))
    theirs = text_of(await desk.client.get(f"/mon-inscription/{four['manage_token']}"))

    assert answer.status_code == 303
    assert numbers(await line_of(desk, session)) == [4, 2, 3]
    assert "Demande numéro 4. Classe prioritaire 2. Personne n’est avant elle." in page
    assert "Demande numéro 2. Une personne d’une classe plus haute est avant elle." in page
    assert "Raison : Le transport adapté." in page
    assert "Vous êtes en attente : une personne avant vous." in own
    assert "Vous êtes en attente : personne avant vous." in theirs
    for said in (own, theirs):
        assert "transport" not in said
        assert "prioritaire" not in said
    client = httpx.AsyncClient(transport=desk.client._transport, base_url="http://testserver")
    seen = await client.get(
        f"{API}/registrations/{four['id']}", headers={"Authorization": f"Bearer {four['manage_token']}"}
    )
    assert seen.json()["position"] == 1
    assert "priority" not in seen.text
    assert "transport" not in seen.text
    again = await fill(desk, four, "priorite", priority="0", reason="Erreur de notre part")
    assert again.status_code == 303
    assert numbers(await line_of(desk, session)) == [2, 3, 4]
    assert (await desk.show(three))["position"] == 2


async def test_a_class_given_by_a_program_is_kept_in_the_form(desk: Instance) -> None:
    session, (two,) = await waiting(desk, 1)
    await desk.client.post(f"{API}/registrations/{two['id']}/priority", json={"priority": 7, "reason": "x"})

    form = await see(desk, path_of(two, "priorite"))

    assert "Classe prioritaire 7" in text_of(form)
    assert re.search(r'value="7" checked', form.text)
    assert "Classe prioritaire 7. Personne" in await line_page(desk, session)


async def test_places_are_counted_among_those_who_wait_for_the_same_kind_of_seat(desk: Instance) -> None:
    session = session_state(modality="hybrid", capacity=SeatCounts(on_site=0, online=0))
    await desk.hear(session)
    await know_the_room(desk, session)
    kinds = ("online", "online", "on_site", "online", "on_site")
    people = [
        (await desk.register(session.id, number, seat_kind=kind)).json()
        for number, kind in enumerate(kinds, start=1)
    ]

    line = await line_of(desk, session)
    page = await line_page(desk, session)

    assert [entry["position"] for entry in line] == [1, 2, 1, 3, 2]
    assert [person["position"] for person in people] == [1, 2, 1, 3, 2]
    assert [(await desk.show(person))["position"] for person in people] == [1, 2, 1, 3, 2]
    own = text_of(await desk.client.get(f"/mon-inscription/{people[2]['manage_token']}"))
    assert "Vous êtes en attente : personne avant vous." in own
    assert page.index("Sur place") < page.index("Aline Tremblay 3") < page.index("En ligne, par vidéo Rang 1")
    form = text_of(await see(desk, path_of(people[4], "rang")))
    assert "Avant Aline Tremblay 3" in form
    assert "Avant Aline Tremblay 1" not in form
    signup = text_of(await see(desk, f"/inscription/{session.id}"))
    assert "Vous pouvez attendre une place." in signup
    assert "5 personnes" not in signup, "nobody waits behind both lines"


async def know_the_room(desk: Instance, session: SessionState) -> None:
    await desk.hear(SessionAccess(session_id=session.id, online_url="https://example.org/salle"))


async def test_a_held_seat_is_part_of_the_explanation(desk: Instance) -> None:
    held = (HeldSeats(seat_kind="on_site", channel="phone", seats=1),)
    session = session_state(capacity=SeatCounts(on_site=1), held_seats=held)
    await desk.hear(session)
    await desk.register(session.id, 1, channel="phone")
    await desk.register(session.id, 2)
    await desk.register(session.id, 3, channel="phone")

    page = await line_page(desk, session)

    assert "Demande numéro 2. Personne n’est avant elle. Agir" in page
    assert (
        "Une personne a demandé avant et attend encore. Attend aussi une place gardée pour le téléphone."
        in page
    )


async def test_a_seat_over_capacity_says_by_how_many(desk: Instance) -> None:
    session, (two, three) = await waiting(desk, 2)

    question = text_of(await see(desk, path_of(three, "place-en-plus")))
    answer = await fill(desk, three, "place-en-plus")
    page = text_of(await see(desk, path_of(three)))
    second = text_of(await see(desk, path_of(two, "place-en-plus")))

    assert "Cette séance a 1 place prévue." in question
    assert "Avec celle-ci, il y en aura 2 : une de plus que prévu." in question
    assert answer.headers["location"] == path_of(three)
    assert (await desk.show(three))["status"] == "confirmed"
    assert "Place donnée au-delà de la capacité." in page
    assert "Raison : Le transport adapté." in page
    assert "Avec celle-ci, il y en aura 3 : 2 de plus que prévu." in second
    assert numbers(await line_of(desk, session)) == [2]
    own = text_of(await desk.client.get(f"/mon-inscription/{three['manage_token']}"))
    assert "transport" not in own
    assert "capacité" not in own


async def test_one_unanswered_call_is_enough_on_the_last_day(desk: Instance) -> None:
    session, people = await waiting(desk, 2, in_days=0.7)
    first = (await desk.client.get(f"{API}/sessions/{session.id}/roster")).json()["items"][0]
    await desk.client.delete(f"{API}/registrations/{first['id']}")
    assert "Pas de réponse à l’appel" in await line_page(desk, session)

    question = text_of(await see(desk, path_of(people[0], "sans-reponse")))
    answer = await desk.client.post(path_of(people[0], "sans-reponse"))
    again = await desk.client.post(path_of(people[0], "sans-reponse"))
    page = text_of(await see(desk, answer.headers["location"]))

    assert "La place va tout de suite à la personne suivante." in question
    assert (answer.status_code, again.status_code) == (303, 303)
    assert [(await desk.show(person))["status"] for person in people] == ["expired", "offered"]
    assert "Aline Tremblay 3" in page[page.index("Réponse attendue") :]
    assert "Pas de réponse à l’appel, par admin." in text_of(await see(desk, path_of(people[0])))


async def test_earlier_a_call_without_an_answer_ends_nothing(desk: Instance) -> None:
    session, people = await waiting(desk, 1)
    first = (await desk.client.get(f"{API}/sessions/{session.id}/roster")).json()["items"][0]
    await desk.client.delete(f"{API}/registrations/{first['id']}")

    asked = await desk.client.get(path_of(people[0], "sans-reponse"))
    done = await desk.client.post(path_of(people[0], "sans-reponse"))
    told = await desk.client.post(f"{API}/registrations/{people[0]['id']}/no-answer")

    assert asked.status_code == 303
    assert done.status_code == 409
    assert "Un appel sans réponse ne suffit pas encore" in text_of(done)
    assert (told.status_code, problem(told)) == (409, "too-early")
    assert (await desk.show(people[0]))["status"] == "offered"


@pytest.mark.parametrize(
    ("action", "fields", "field"),
    [
        ("rang", {"before": ""}, "before"),
        ("rang", {"before": "x"}, "before"),
        ("rang", {"before": "fin", "reason": " "}, "reason"),
        ("rang", {"before": "fin", "reason": "x" * 10_000}, "reason"),
        ("priorite", {"priority": "10"}, "priority"),
        ("priorite", {"priority": "-1"}, "priority"),
        ("priorite", {"priority": "²"}, "priority"),
        ("priorite", {"priority": "1", "reason": ""}, "reason"),
        ("place-en-plus", {"reason": ""}, "reason"),
        ("place-en-plus", {"reason": "x" * 501}, "reason"),
    ],
)
async def test_a_mistake_keeps_what_was_typed_and_changes_nothing(
    desk: Instance, action: str, fields: dict[str, str], field: str
) -> None:
    session, people = await waiting(desk, 2)

    answer = await fill(desk, people[1], action, **fields)

    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert f'id="{field}"' in answer.text
    assert value_of(answer, "reason") == fields.get("reason", "Le transport adapté").strip()
    assert numbers(await line_of(desk, session)) == [2, 3]
    assert await actions(desk) == []


async def test_nobody_is_moved_before_themselves_or_before_a_stranger(desk: Instance) -> None:
    session, people = await waiting(desk, 2)
    other = (await waiting(desk, 1))[1][0]

    oneself = await fill(desk, people[1], "rang", before=people[1]["id"])
    stranger = await fill(desk, people[1], "rang", before=other["id"])
    nobody = await fill(desk, people[1], "rang", before=str(uuid4()))

    assert oneself.status_code == 422
    assert [answer.status_code for answer in (stranger, nobody)] == [409, 409]
    said = text_of(stranger)
    assert "Cette personne n’est plus dans la file d’attente" in said
    assert said.index("Aline Tremblay 2") < said.index("Aline Tremblay 3"), "the fresh line"
    assert numbers(await line_of(desk, session)) == [2, 3]
    assert await actions(desk) == []


async def test_the_line_that_changed_meanwhile_is_shown_again(desk: Instance) -> None:
    session, (two, three, four) = await waiting(desk, 3)
    form = await see(desk, path_of(four, "rang"))
    sent = {"version": value_of(form, "version"), "before": two["id"], "reason": "Pour voir"}
    await desk.client.delete(f"{API}/registrations/{two['id']}")

    gone = await desk.client.post(path_of(four, "rang"), data=sent)
    await fill(desk, four, "rang", before=three["id"])
    stale = await desk.client.post(path_of(four, "rang"), data=sent | {"before": "fin"})

    assert gone.status_code == 409
    assert "Relisez la file : quelque chose vient de changer." in text_of(gone)
    assert "1. Personne" not in text_of(gone)
    assert stale.status_code == 409
    assert "Cette inscription vient de changer" in text_of(stale)
    assert numbers(await line_of(desk, session)) == [4, 3]
    assert [action for action, _ in await actions(desk)] == ["moved"]


@pytest.mark.parametrize(
    ("action", "fields"),
    [("rang", {"before": "fin"}), ("priorite", {"priority": "1"}), ("place-en-plus", {})],
)
async def test_a_form_sent_twice_is_done_once(desk: Instance, action: str, fields: dict[str, str]) -> None:
    _session, people = await waiting(desk, 2)
    page = await see(desk, path_of(people[0], action))
    data = {"version": value_of(page, "version"), "reason": "Une fois"} | fields

    answers = await asyncio.gather(
        *(desk.client.post(path_of(people[0], action), data=data) for _ in range(3))
    )

    assert [answer.status_code for answer in answers] == [303, 303, 303]
    assert len(await actions(desk)) == 1


async def test_who_has_left_the_line_is_not_asked_about(desk: Instance) -> None:
    _session, (two,) = await waiting(desk, 1)
    form = await see(desk, path_of(two, "place-en-plus"))
    await desk.client.delete(f"{API}/registrations/{two['id']}")

    for action in ("rang", "priorite", "place-en-plus", "sans-reponse", "transfert"):
        answer = await desk.client.get(path_of(two, action))
        assert (answer.status_code, answer.headers["location"]) == (303, path_of(two)), action
    late = await desk.client.post(
        path_of(two, "place-en-plus"), data={"version": value_of(form, "version"), "reason": "Trop tard"}
    )
    assert late.status_code == 409
    assert "Cette personne n’est plus dans la file d’attente" in text_of(late)
    assert (await desk.show(two))["status"] == "cancelled"


async def test_a_long_line_goes_on(desk: Instance) -> None:
    session = session_state(capacity=SeatCounts())
    await desk.hear(session)
    for number in range(1, 104):
        last = (await desk.register(session.id, number)).json()

    first = await see(desk, f"/guichet/seances/{session.id}/attente")
    rest = await see(desk, f"/guichet/seances/{session.id}/attente?suite=100")
    placed = await see(desk, f"/guichet/seances/{session.id}/attente?personne={last['id']}")

    assert 'href="?suite=100"' in first.text
    assert "Aline Tremblay 101" not in first.text
    assert "Demande numéro 101. 100 personnes ont demandé avant" in text_of(rest)
    assert "Aline Tremblay 103 a maintenant le rang 103" in text_of(placed)
    for odd in ("-1", "x", "9" * 50, "²"):
        assert (
            await desk.client.get(f"/guichet/seances/{session.id}/attente?suite={odd}")
        ).status_code == 200


async def test_erasing_a_person_erases_the_reasons(desk: Instance, shift_clock: ShiftClock) -> None:
    session, (two,) = await waiting(desk, 1)
    await fill(desk, two, "priorite", priority="1", reason="Ne voit presque plus")
    assert await actions(desk) == [("prioritised", "Ne voit presque plus")]

    await shift_clock(desk.database, timedelta(days=110))
    assert await erase_due(desk.database, desk.settings) == 2

    assert await actions(desk) == []
    page = await desk.client.get(path_of(two))
    assert page.status_code == 404
    for action, body in BODIES.items():
        answer = await desk.client.post(f"{API}/registrations/{two['id']}/{action}", json=body(two, session))
        assert answer.status_code in (404, 409), action


# The API of the same.

BODIES: dict[str, Any] = {
    "move": lambda registration, session: {"before": None, "reason": "Pour voir"},
    "priority": lambda registration, session: {"priority": 1, "reason": "Pour voir"},
    "grant": lambda registration, session: {"reason": "Pour voir"},
    "transfer": lambda registration, session: {"session_id": str(session.id), "reason": "Pour voir"},
    "no-answer": lambda registration, session: {},
}


@pytest.mark.parametrize("action", BODIES)
async def test_the_order_is_the_teams_to_change(instance: Instance, action: str) -> None:
    session, people = await waiting(instance, 1)
    path = f"{API}/registrations/{people[0]['id']}/{action}"
    body = BODIES[action](people[0], session)
    pages = {"move": "rang", "priority": "priorite", "grant": "place-en-plus", "transfer": "transfert"}
    page = path_of(people[0], pages.get(action, "sans-reponse"))
    own = {"Authorization": f"Bearer {people[0]['manage_token']}"}

    for headers in ({}, own, {"Authorization": "Bearer x"}):
        assert (await instance.client.post(path, json=body, headers=headers)).status_code == 401
    for answer in (await instance.client.get(page), await instance.client.post(page, data={"reason": "x"})):
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/connexion")
    assert await actions(instance) == []


@pytest.mark.parametrize("action", ["rang", "priorite", "place-en-plus", "transfert", "sans-reponse"])
async def test_another_site_changes_nothing(instance: Instance, action: str) -> None:
    _session, people = await waiting(instance, 1)
    await instance.client.post("/connexion", data={"token": instance.staff["Authorization"].split()[1]})

    answer = await instance.client.post(
        path_of(people[0], action),
        data={"before": "fin", "priority": "1", "reason": "x", "version": "1"},
        headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    )

    assert answer.status_code == 403
    assert await actions(instance) == []


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("move", {"before": None}),
        ("move", {"before": "x", "reason": "Pour voir"}),
        ("move", {"reason": "Pour voir"}),
        ("priority", {"priority": 10, "reason": "Pour voir"}),
        ("priority", {"priority": -1, "reason": "Pour voir"}),
        ("priority", {"priority": 1.5, "reason": "Pour voir"}),
        ("grant", {}),
        ("grant", {"reason": ""}),
        ("grant", {"reason": "\x00 \u2028"}),
        ("grant", {"reason": "x" * 10_000}),
        ("grant", {"reason": 7}),
        ("grant", {"reason": "Pour voir", "more": 1}),
        ("transfer", {"session_id": "x", "reason": "Pour voir"}),
    ],
)
async def test_a_malformed_request_is_refused(desk: Instance, action: str, body: dict[str, Any]) -> None:
    _session, people = await waiting(desk, 1)

    answer = await desk.client.post(f"{API}/registrations/{people[0]['id']}/{action}", json=body)

    assert (answer.status_code, problem(answer)) == (422, "malformed")
    assert await actions(desk) == []


async def test_a_program_that_moves_somebody_before_themselves_changes_nothing(desk: Instance) -> None:
    session, people = await waiting(desk, 2)
    path = f"{API}/registrations/{people[1]['id']}/move"

    oneself = await desk.client.post(path, json={"before": people[1]["id"], "reason": "Pour voir"})
    stranger = await desk.client.post(path, json={"before": str(uuid4()), "reason": "Pour voir"})

    assert oneself.status_code == 200
    assert (stranger.status_code, problem(stranger)) == (409, "not-waiting")
    assert numbers(await line_of(desk, session)) == [2, 3]


async def test_a_nul_in_a_reason_is_a_space(desk: Instance) -> None:
    _session, people = await waiting(desk, 1)

    answer = await desk.client.post(
        f"{API}/registrations/{people[0]['id']}/priority", json={"priority": 1, "reason": "a\x00b\n<i>c</i>"}
    )
    form = await see(desk, path_of(people[0], "rang"))
    nul = await desk.client.post(path_of(people[0], "priorite"), data={"priority": "1", "reason": "a\x00b"})

    assert answer.status_code == 200
    assert await actions(desk) == [("prioritised", "a b <i>c</i>")]
    assert nul.status_code == 422
    assert "<i>" not in form.text


@pytest.mark.parametrize("action", BODIES)
async def test_nobody_is_not_found(desk: Instance, action: str) -> None:
    session, _people = await waiting(desk, 0)

    answer = await desk.client.post(
        f"{API}/registrations/{uuid4()}/{action}", json=BODIES[action]({"id": ""}, session)
    )

    assert (answer.status_code, problem(answer)) == (404, "registration-unknown")


async def test_the_pages_of_nobody_are_not_found(desk: Instance) -> None:
    for action in ("rang", "priorite", "place-en-plus", "transfert", "sans-reponse"):
        data = {"before": "fin", "priority": "1", "reason": "x", "version": "1", "session_id": str(uuid4())}
        path = path_of({"id": uuid4()}, action)
        assert (await desk.client.get(path)).status_code == 404
        assert (await desk.client.post(path, data=data)).status_code == 404


async def test_the_line_and_its_forms_speak_english(desk: Instance) -> None:
    session, people = await waiting(desk, 3)
    await fill(desk, people[2], "rang", before=people[0]["id"])
    await fill(desk, people[1], "priorite", priority="2")

    line = text_of(await see(desk, f"/guichet/seances/{session.id}/attente?lang=en"))
    assert "Request number 4. Moved by the team on" in line
    assert "Priority class 2." in line
    for path in ("rang", "priorite", "place-en-plus", "transfert"):
        page = text_of(await see(desk, path_of(people[0], path) + "?lang=en"))
        assert "Why?" in page or path == "transfert"
        assert "personne" not in page
