"""Who came: noted from the start on, corrected, told to nobody, and known to the ledger."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.messaging.contracts import SeatCounts, SessionState
from services.registrations.audit import audit
from services.registrations.retention import erase_due
from tests.registrations.conftest import Instance, ShiftClock, problem, session_state
from tests.registrations.test_pages import text_of

API = "/api/registrations/v1"


async def attend(instance: Instance, registration: dict[str, Any], outcome: str) -> httpx.Response:
    path = f"{API}/registrations/{registration['id']}/attendance"
    return await instance.client.post(path, json={"outcome": outcome}, headers=instance.staff)


async def walk_ins(instance: Instance, session: SessionState, count: Any) -> httpx.Response:
    path = f"{API}/sessions/{session.id}/walk-ins"
    return await instance.client.put(path, json={"walk_ins": count}, headers=instance.staff)


async def full_house(instance: Instance, people: int = 3, seats: int = 2) -> tuple[SessionState, list[Any]]:
    session = session_state(in_days=1, capacity=SeatCounts(on_site=seats))
    await instance.hear(session)
    return session, [(await instance.register(session.id, number)).json() for number in range(1, people + 1)]


async def test_who_came_is_noted_and_corrected_and_the_audit_agrees(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, (first, second, _) = await full_house(instance)
    await shift_clock(instance.database, timedelta(days=1, hours=1))

    for outcome in ("attended", "absent", "excused", "attended", "confirmed", "absent"):
        answer = await attend(instance, first, outcome)
        assert (answer.status_code, answer.json()["status"]) == (200, outcome)
        assert (await audit(instance.database.url)).differences == ()
    await attend(instance, second, "attended")

    assert (await instance.seats(session.id))["confirmed"] == 2, "the seats stay theirs"
    assert (await audit(instance.database.url)).differences == ()


async def test_nobody_is_told_and_no_calendar_changes(instance: Instance, shift_clock: ShiftClock) -> None:
    _, (first, *_) = await full_house(instance)
    before, causes = (await instance.announced())[0], await instance.causes()
    told = [(cause["version"], cause["cause"]) for cause in before["causes"]]
    await shift_clock(instance.database, timedelta(days=1, hours=1))

    await attend(instance, first, "absent")
    await attend(instance, first, "confirmed")

    said = [state for state in await instance.announced() if state["id"] == first["id"]]
    assert [state["status"] for state in said] == ["confirmed", "absent", "confirmed"]
    assert {state["sequence"] for state in said} == {before["sequence"]}
    for state in said:
        assert [(cause["version"], cause["cause"]) for cause in state["causes"]] == told
    assert set(await instance.causes()) == set(causes)


async def test_the_same_again_changes_nothing(instance: Instance, shift_clock: ShiftClock) -> None:
    _, (first, *_) = await full_house(instance)
    await shift_clock(instance.database, timedelta(days=1, hours=1))

    await attend(instance, first, "attended")
    said = len(await instance.announced())
    again = await attend(instance, first, "attended")

    assert again.status_code == 200
    assert len(await instance.announced()) == said


async def test_it_is_refused_when_it_makes_no_sense(instance: Instance, shift_clock: ShiftClock) -> None:
    session, (first, _, waiting) = await full_house(instance)

    early = await attend(instance, first, "attended")
    assert (early.status_code, problem(early)) == (409, "not-begun")
    assert problem(await walk_ins(instance, session, 2)) == "not-begun"
    await shift_clock(instance.database, timedelta(days=1, hours=1))
    assert problem(await attend(instance, waiting, "attended")) == "no-seat"
    assert (await attend(instance, first, "came")).status_code == 422
    assert (await attend(instance, first, "cancelled")).status_code == 422
    assert (await attend(instance, {"id": uuid4()}, "attended")).status_code == 404
    assert problem(await walk_ins(instance, session_state(), 2)) == "session-unknown"
    for nonsense in (-1, 10_001, "deux", None):
        assert (await walk_ins(instance, session, nonsense)).status_code == 422
    anonymous = await instance.client.post(
        f"{API}/registrations/{first['id']}/attendance", json={"outcome": "attended"}
    )
    assert anonymous.status_code == 401
    own = await instance.client.post(
        f"{API}/registrations/{first['id']}/attendance",
        json={"outcome": "attended"},
        headers={"Authorization": f"Bearer {first['manage_token']}"},
    )
    assert own.status_code == 401, "it is for staff alone"
    assert (await instance.show(first))["status"] == "confirmed"


async def test_a_cancelled_session_was_attended_by_nobody(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, (first, *_) = await full_house(instance)
    await instance.hear(session.model_copy(update={"status": "cancelled"}), version=2)
    await shift_clock(instance.database, timedelta(days=1, hours=1))

    assert problem(await attend(instance, first, "attended")) == "no-seat"
    assert problem(await walk_ins(instance, session, 4)) == "already-over"


async def test_the_last_number_of_walk_ins_counts(instance: Instance, shift_clock: ShiftClock) -> None:
    session, _ = await full_house(instance)
    await shift_clock(instance.database, timedelta(days=1, hours=1))

    for count in (4, 4, 0, 2):
        answer = await walk_ins(instance, session, count)
        assert (answer.status_code, answer.json()) == (200, {"walk_ins": count})

    page = await instance.client.get(f"/guichet/seances/{session.id}", headers=instance.staff)
    assert 'name="walk_ins" type="text" value="2"' in page.text


async def test_who_is_erased_keeps_their_outcome_and_takes_no_other(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    _, (first, second, _) = await full_house(instance)
    await shift_clock(instance.database, timedelta(days=1, hours=1))
    await attend(instance, first, "attended")
    await attend(instance, second, "absent")
    await shift_clock(instance.database, timedelta(days=100))

    assert await erase_due(instance.database, instance.settings) == 3

    assert problem(await attend(instance, first, "absent")) == "already-over"
    assert (await audit(instance.database.url)).differences == ()


# At the desk.


def field(registration: dict[str, Any]) -> str:
    return f"personne-{registration['id']}"


async def send(instance: Instance, session: SessionState, **data: str) -> httpx.Response:
    path = f"/guichet/seances/{session.id}/presences"
    return await instance.client.post(path, data=data, headers=instance.staff)


async def statuses(instance: Instance, people: list[dict[str, Any]]) -> list[str]:
    return [(await instance.show(one))["status"] for one in people]


async def test_the_desk_notes_a_whole_list_with_one_button(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, people = await full_house(instance, people=4, seats=3)
    path = f"/guichet/seances/{session.id}"
    before = await instance.client.get(path, headers=instance.staff)
    assert "presences" not in before.text, "who came isn't known before the start"
    await shift_clock(instance.database, timedelta(days=1, hours=1))

    page = await instance.client.get(path, headers=instance.staff)
    assert page.text.count('type="radio"') == 3 * 4
    assert "Aline Tremblay 4" not in text_of(page), "who waits has no seat to come to"
    sent = {
        field(people[0]): "confirmed.attended",
        field(people[1]): "confirmed.absent",
        field(people[2]): "confirmed.confirmed",
        "walk_ins": "5",
    }
    noted = await send(instance, session, **sent)
    assert (noted.status_code, noted.headers["location"]) == (303, f"{path}?notees=1")
    assert await statuses(instance, people) == ["attended", "absent", "confirmed", "waitlisted"]
    shown = await instance.client.get(f"{path}?notees=1", headers=instance.staff)
    assert "C’est noté." in text_of(shown)
    assert f'id="{field(people[0])}-attended"' in shown.text
    assert 'value="attended.attended" checked' in shown.text
    assert (await audit(instance.database.url)).differences == ()


async def test_everybody_else_came(instance: Instance, shift_clock: ShiftClock) -> None:
    session, people = await full_house(instance, people=3, seats=3)
    await shift_clock(instance.database, timedelta(days=1, hours=1))

    sent = {field(one): "confirmed.confirmed" for one in people} | {field(people[0]): "confirmed.excused"}
    await send(instance, session, autres="1", walk_ins="", **sent)

    assert await statuses(instance, people) == ["excused", "attended", "attended"]


async def test_a_list_that_was_shown_earlier_undoes_no_colleagues_note(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, people = await full_house(instance)
    await shift_clock(instance.database, timedelta(days=1, hours=1))
    await attend(instance, people[0], "excused")
    await walk_ins(instance, session, 4)

    await send(
        instance,
        session,
        walk_ins="0",
        walk_ins_shown="0",
        **{field(people[0]): "confirmed.confirmed", field(people[1]): "confirmed.attended"},
    )

    assert await statuses(instance, people[:2]) == ["excused", "attended"]
    page = await instance.client.get(f"/guichet/seances/{session.id}", headers=instance.staff)
    assert 'name="walk_ins" type="text" value="4"' in page.text


@pytest.mark.parametrize("typed", ["deux", "-1", "1.5", "99999999999999", "١"])
async def test_a_number_that_is_none_is_asked_again_and_nothing_marked_is_lost(
    instance: Instance, shift_clock: ShiftClock, typed: str
) -> None:
    session, people = await full_house(instance)
    await shift_clock(instance.database, timedelta(days=1, hours=1))

    answer = await send(
        instance, session, **{field(people[0]): "confirmed.absent", "walk_ins": typed, "personne-x": "a.b"}
    )

    assert answer.status_code == 422
    assert "Écrivez un nombre" in text_of(answer)
    assert f'value="{typed}"' in answer.text
    assert 'value="confirmed.absent" checked' in answer.text
    assert await statuses(instance, people[:1]) == ["confirmed"]


async def test_a_list_sent_too_early_says_why(instance: Instance) -> None:
    session, people = await full_house(instance)

    answer = await send(instance, session, **{field(people[0]): "confirmed.attended"})

    assert answer.status_code == 409
    assert "L’atelier n’a pas encore commencé" in text_of(answer)


async def test_a_list_with_somebody_of_another_session_notes_nobody(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, people = await full_house(instance)
    other = session_state(in_days=1)
    await instance.hear(other)
    stranger = (await instance.register(other.id, 9)).json()
    await shift_clock(instance.database, timedelta(days=1, hours=1))

    answer = await send(
        instance, session, **{field(people[0]): "confirmed.absent", field(stranger): "confirmed.absent"}
    )

    assert answer.status_code == 404
    assert await statuses(instance, [people[0], stranger]) == ["confirmed", "confirmed"]
