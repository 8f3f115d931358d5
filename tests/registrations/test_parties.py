"""Parties through the service: one registration for several people, by API, web and desk."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.messaging.contracts import PartyRule, SeatCounts, SessionState
from services.registrations.audit import audit
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, bearer, problem, session_state
from tests.registrations.test_pages import form_of, send, signed_up, text_of
from tests.registrations.test_pages_own import look, own_path


async def session_of(instance: Instance, seats: int, **changes: Any) -> SessionState:
    """A session that takes parties of up to four."""
    rule = changes.pop("party", PartyRule(limit=4))
    session = session_state(capacity=SeatCounts(on_site=seats), party=rule, **changes)
    await instance.hear(session)
    return session


async def ask(instance: Instance, session: SessionState, number: int, people: int = 1) -> dict[str, Any]:
    answer = await instance.register(session.id, number, party_size=people)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def cancel(instance: Instance, registration: dict[str, Any]) -> None:
    path = f"/api/registrations/v1/registrations/{registration['id']}"
    assert (await instance.client.delete(path, headers=instance.staff)).status_code == 200


async def post(instance: Instance, registration: dict[str, Any], deed: str, **body: Any) -> Any:
    path = f"/api/registrations/v1/registrations/{registration['id']}/{deed}"
    return await instance.client.post(path, headers=bearer(registration), json=body)


async def test_a_party_is_one_registration_that_takes_several_seats(instance: Instance) -> None:
    session = await session_of(instance, 3)
    first, second = await ask(instance, session, 1, 2), await ask(instance, session, 2, 2)

    assert (first["status"], second["status"]) == ("confirmed", "waitlisted")
    seats = await instance.seats(session.id)
    assert (seats["confirmed"], seats["available"], seats["waitlisted"]) == (2, 0, 1)
    states = {state["id"]: state for state in await instance.announced()}
    assert (states[first["id"]]["party_size"], states[first["id"]]["seats"]) == (2, 2)


@pytest.mark.parametrize(("party", "people"), [(PartyRule(), 2), (PartyRule(limit=3), 4)])
async def test_more_than_the_session_takes_are_refused(
    instance: Instance, party: PartyRule, people: int
) -> None:
    session = await session_of(instance, 9, party=party)
    answer = await instance.register(session.id, 1, party_size=people)
    assert (answer.status_code, problem(answer)) == (409, "party-too-large")


@pytest.mark.parametrize(("takes_seat", "seats"), [(True, 2), (False, 1)])
async def test_a_support_companion_takes_a_seat_unless_the_session_says_no(
    instance: Instance, takes_seat: bool, seats: int
) -> None:
    session = await session_of(instance, 3, party=PartyRule(limit=2, companion_takes_seat=takes_seat))
    answer = await instance.register(session.id, 1, party_size=2, support_companion=True)
    found = await instance.show(answer.json())
    assert (found["party_size"], found["seats"]) == (2, seats)
    assert (await instance.seats(session.id))["confirmed"] == seats


async def test_seats_gather_for_a_party_until_a_timer_ends_it(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = await session_of(instance, 2)
    alone = [await ask(instance, session, number) for number in (1, 2)]
    party, behind = await ask(instance, session, 3, 2), await ask(instance, session, 4)
    await cancel(instance, alone[0])

    assert (await instance.show(party))["gather_until"] is not None
    assert (await instance.show(behind))["status"] == "waitlisted"
    assert (await instance.seats(session.id))["available"] == 0
    page = text_of(await look(instance, party))
    assert "Vous êtes en attente de 2 places" in page
    assert "La place libre attend qu’il y en ait 2" in page

    await shift_clock(instance.database, timedelta(hours=25))
    await Timers(instance.database, instance.settings).act_on_what_is_due()

    assert (await instance.show(party))["gather_until"] is None
    assert (await instance.show(behind))["status"] == "offered"
    assert "une place seule va aux personnes suivantes" in text_of(await look(instance, party))
    assert (await audit(instance.database.url)).differences == ()


async def test_the_whole_party_is_offered_its_seats_together(instance: Instance) -> None:
    session = await session_of(instance, 2)
    alone = [await ask(instance, session, number) for number in (1, 2)]
    party = await ask(instance, session, 3, 2)
    for one in alone:
        await cancel(instance, one)

    page = await look(instance, party)
    assert "2 places se sont libérées pour vous." in text_of(page)
    assert "Nous prenons les 2 places" in text_of(page)
    await instance.client.post(f"{own_path(party)}/accepter")
    assert "Vous avez 2 places." in text_of(await look(instance, party))
    question = await instance.client.get(f"{own_path(party)}/annuler")
    assert "Vos places vont aux personnes suivantes." in text_of(question)


async def test_a_party_splits_and_each_part_has_its_own_registration_and_link(instance: Instance) -> None:
    session = await session_of(instance, 1)
    await ask(instance, session, 1)
    party = await ask(instance, session, 2, 3)
    behind = await ask(instance, session, 3)
    # Nothing gathers for them: the session could never seat three.
    answer = await post(instance, party, "split", seats=1, name="Marc Roy")

    assert answer.status_code == 200, answer.text
    part = answer.json()
    assert (part["name"], part["party_size"], part["position"]) == ("Marc Roy", 1, 2)
    assert (await instance.show(party))["party_size"] == 2
    assert (await instance.show(behind))["position"] == 3
    told = [state["causes"][-1]["cause"] for state in await instance.announced() if state["id"] == part["id"]]
    assert told == ["waitlisted"]
    line = await instance.client.get(
        f"/api/registrations/v1/sessions/{session.id}/line", headers=instance.staff
    )
    assert "S’est séparée de son groupe" in line.json()["items"][1]["why"]
    assert "Il faut 2 places ensemble." in line.json()["items"][0]["why"]
    again = await post(instance, party, "split", seats=1, name="Aline Tremblay 2")
    assert problem(again) == "maybe-duplicate"


async def test_a_key_makes_a_split_happen_once(instance: Instance) -> None:
    session = await session_of(instance, 1)
    await ask(instance, session, 1)
    party = await ask(instance, session, 2, 4)
    path = f"/api/registrations/v1/registrations/{party['id']}/split"
    headers = bearer(party) | {"Idempotency-Key": "k"}
    body = {"seats": 1, "name": "Marc Roy"}
    answers = [await instance.client.post(path, headers=headers, json=body) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert (await instance.show(party))["party_size"] == 3


async def test_the_form_sent_twice_splits_a_party_once(instance: Instance) -> None:
    session = await session_of(instance, 1)
    await ask(instance, session, 1)
    party = await ask(instance, session, 2, 4)
    form = {"size": "1", "name": "Marc Roy"}
    path = f"{own_path(party)}/groupe/separer"
    answers = await asyncio.gather(*(instance.client.post(path, data=form) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [303] * 3
    assert (await instance.show(party))["party_size"] == 3
    assert (await instance.seats(session.id))["waitlisted"] == 2


async def test_fewer_come_and_the_next_people_are_asked_at_once(instance: Instance) -> None:
    session = await session_of(instance, 3)
    party, behind = await ask(instance, session, 1, 3), await ask(instance, session, 2)
    answer = await post(instance, party, "shrink", party_size=2)
    assert (answer.json()["party_size"], answer.json()["status"]) == (2, "confirmed")
    assert (await instance.show(behind))["status"] == "offered"
    assert (await post(instance, party, "shrink", party_size=2)).status_code == 200, "again changes nothing"
    assert problem(await post(instance, party, "shrink", party_size=3)) == "not-smaller"


async def test_a_companion_without_a_seat_stays_until_one_person_comes_alone(instance: Instance) -> None:
    session = await session_of(instance, 3, party=PartyRule(limit=3, companion_takes_seat=False))
    mine = (await instance.register(session.id, 1, party_size=3, support_companion=True)).json()
    for people, seats in ((2, 1), (1, 1)):
        found = (await post(instance, mine, "shrink", party_size=people)).json()
        assert (found["party_size"], found["seats"]) == (people, seats)
    assert (await audit(instance.database.url)).differences == ()


async def test_the_form_asks_how_many_only_where_the_session_takes_parties(instance: Instance) -> None:
    alone = await session_of(instance, 5, party=PartyRule())
    together = await session_of(instance, 5, party=PartyRule(limit=3, companion_takes_seat=False))
    assert "Combien de personnes" not in text_of(await form_of(instance, alone.id))
    form = await form_of(instance, together.id)
    assert "Combien de personnes viennent, avec vous ?" in text_of(form)

    wrong = await send(instance, together.id, form, party_size="9")
    assert wrong.status_code == 422
    assert "Choisissez de 1 à 3 personnes." in text_of(wrong)
    nobody = await send(instance, together.id, form, party_size="1", support_companion="1")
    assert "Comptez aussi la personne qui vous accompagne." in text_of(nobody)

    own = await signed_up(instance, together, party_size="3", support_companion="1")
    assert "Vous avez 2 places." in text_of(own)
    assert "Vous venez à 3 personnes" in text_of(own)
    assert "sans prendre de place" in text_of(own)


async def test_the_own_page_lets_a_party_shrink_and_split(instance: Instance) -> None:
    session = await session_of(instance, 1)
    await ask(instance, session, 1)
    party = await ask(instance, session, 2, 4)
    here = own_path(party)
    assert "Nous serons moins" in text_of(await look(instance, party))

    empty = await instance.client.post(f"{here}/groupe/separer", data={"size": "9", "name": ""})
    assert empty.status_code == 422
    assert "Choisissez un nombre de personnes." in text_of(empty)
    same = {"size": "2", "name": "aline tremblay 2"}
    assert (await instance.client.post(f"{here}/groupe/separer", data=same)).status_code == 422
    done = await instance.client.post(f"{here}/groupe/separer", data={"size": "2", "name": "Marc Roy"})
    assert (done.status_code, done.headers["location"]) == (303, here)
    await instance.client.post(f"{here}/groupe/moins", data={"size": "1"})
    found = await instance.show(party)
    assert (found["party_size"], found["seats"]) == (1, 1)
    gone = await instance.client.get(f"{here}/groupe/moins")
    assert gone.status_code == 303, "there is nothing to split any more"


async def test_the_desk_does_the_same_and_says_who_did_it(instance: Instance) -> None:
    instance.client.headers.update(instance.staff)
    session = await session_of(instance, 2)
    alone = [await ask(instance, session, number) for number in (1, 2)]
    party = await ask(instance, session, 3, 3)
    desk = f"/guichet/inscriptions/{party['id']}"
    for deed in ("moins", "separer"):
        assert (await instance.client.get(f"{desk}/groupe/{deed}")).status_code == 200

    done = await instance.client.post(f"{desk}/groupe/separer", data={"size": "1", "name": "Marc Roy"})
    assert done.headers["location"].endswith("/a-dire")
    await cancel(instance, alone[0])
    page = text_of(await instance.client.get(f"/guichet/seances/{session.id}/attente"))
    assert "et 1 de plus" in page
    assert "La place libre attend qu’il y en ait 2" in page
    assert "Groupe séparé en deux" in text_of(await instance.client.get(desk))
    await instance.client.post(f"{desk}/groupe/moins", data={"size": "1"})
    assert (await instance.show(party))["status"] == "offered"
    assert "Moins de personnes viennent" in text_of(await instance.client.get(desk))


async def test_a_party_is_transferred_as_a_whole_to_where_parties_are_taken(instance: Instance) -> None:
    here, small = await session_of(instance, 2), await session_of(instance, 5, party=PartyRule())
    there = await session_of(instance, 2)
    party = await ask(instance, here, 1, 2)

    async def to(session: SessionState) -> Any:
        path = f"/api/registrations/v1/registrations/{party['id']}/transfer"
        body = {"reason": "À sa demande", "session_id": str(session.id)}
        return await instance.client.post(path, headers=instance.staff, json=body)

    assert problem(await to(small)) == "party-too-large"
    moved = (await to(there)).json()
    assert (moved["party_size"], moved["status"]) == (2, "confirmed")
    assert (await instance.seats(there.id))["confirmed"] == 2


async def test_a_companion_without_a_seat_is_given_one_where_everybody_counts(instance: Instance) -> None:
    here = await session_of(instance, 2, party=PartyRule(limit=2, companion_takes_seat=False))
    there = await session_of(instance, 2, party=PartyRule(limit=2))
    pair = (await instance.register(here.id, 1, party_size=2, support_companion=True)).json()
    path = f"/api/registrations/v1/registrations/{pair['id']}/transfer"
    body = {"reason": "À sa demande", "session_id": str(there.id)}
    await instance.client.post(path, headers=instance.staff, json=body)
    assert (await instance.seats(here.id))["confirmed"] == 0
    assert (await instance.seats(there.id))["confirmed"] == 2


async def sql(instance: Instance, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(instance.database.url)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


async def test_the_database_itself_refuses_what_breaks_a_rule(instance: Instance) -> None:
    session = await session_of(instance, 3)
    party = await ask(instance, session, 1, 2)
    waiting = await ask(instance, session, 2, 2)
    ids = UUID(party["id"]), UUID(waiting["id"])
    for statement in (
        "update registration set seats = 9, party_size = 9 where id = $1",
        "update registration set seats = 1, party_size = 3 where id = $1",
        "update registration set gather_until = now() where id = $1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await sql(instance, statement, ids[0])
    with pytest.raises(asyncpg.CheckViolationError, match=r"free while somebody waits|small enough"):
        await sql(
            instance,
            "update registration set seats = 1, party_size = 1, gather_until = null, gathered = true"
            " where id = $1",
            ids[1],
        )
