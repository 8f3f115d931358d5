"""One wait, many stops: lines are joined, a seat is offered and never given, and one yes ends the others."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from libs.messaging import topics
from libs.messaging.contracts import SeatCounts, SessionAccess, SessionState, WaitlistRule
from services.registrations.audit import audit
from services.registrations.joining import Joining
from services.registrations.restoring import restate
from services.registrations.retention import erase_due
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, bearer, problem, session_state

WAITS = "/api/registrations/v1/waits"
ONE = SeatCounts(on_site=1)


def wish(number: int = 1, **changes: Any) -> dict[str, Any]:
    """The body of a wait by web for any workshop on e-mail in the region, for half a year."""
    today = datetime.now(UTC).date()
    body: dict[str, Any] = {
        "channel": "web",
        "name": f"Odile Bouchard {number}",
        "contact": {"email": f"odile{number}@example.org"},
        "theme": "courriel",
        "regions": ["03"],
        "first_day": today.isoformat(),
        "last_day": (today + timedelta(days=180)).isoformat(),
    }
    return body | changes


async def begin(instance: Instance, number: int = 1, **changes: Any) -> dict[str, Any]:
    headers = instance.staff if changes.get("channel", "web") != "web" else {}
    answer = await instance.client.post(WAITS, json=wish(number, **changes), headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def seen(instance: Instance, wait: dict[str, Any]) -> dict[str, Any]:
    answer = await instance.client.get(f"{WAITS}/{wait['id']}", headers=bearer(wait))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def stops(instance: Instance, wait: dict[str, Any]) -> dict[str, str]:
    """The state at each session."""
    return {stop["session"]["id"]: stop["status"] for stop in (await seen(instance, wait))["stops"]}


async def look(instance: Instance) -> None:
    """One pass of the timer."""
    await Joining(instance.database, instance.settings).act_on_what_is_due()


async def answer(
    instance: Instance, wait: dict[str, Any], session: SessionState, deed: str
) -> httpx.Response:
    found = (await seen(instance, wait))["stops"]
    (id_,) = (stop["registration_id"] for stop in found if stop["session"]["id"] == str(session.id))
    path = f"/api/registrations/v1/registrations/{id_}/{deed}"
    return await instance.client.post(path, headers=instance.staff)


async def full(
    instance: Instance, *, in_days: int = 10, **changes: Any
) -> tuple[SessionState, dict[str, Any]]:
    """A session with one seat, and the registration that has it."""
    session = session_state(in_days=in_days, capacity=ONE, **changes)
    await instance.hear(session)
    return session, (await instance.register(session.id)).json()


async def leave(instance: Instance, registration: dict[str, Any]) -> None:
    path = f"/api/registrations/v1/registrations/{registration['id']}"
    assert (await instance.client.delete(path, headers=bearer(registration))).status_code == 200


async def causes(instance: Instance, id_: str) -> list[str]:
    """What somebody was told of this registration or wait, in order."""
    found = [state["causes"] for state in await instance.announced() if state["id"] == id_]
    return [cause["cause"] for cause in found[-1]] if found else []


async def all_is_well(instance: Instance) -> None:
    assert (await audit(instance.database.url)).differences == ()


async def test_a_wait_stands_in_every_line_that_it_is_for_and_its_person_is_told_once(
    instance: Instance,
) -> None:
    near, _ = await full(instance)
    later, _ = await full(instance, in_days=30)
    elsewhere, _ = await full(instance, region="12")

    wait = await begin(instance)

    assert await stops(instance, wait) == {str(near.id): "waitlisted", str(later.id): "waitlisted"}
    assert [stop["position"] for stop in wait["stops"]] == [1, 1]
    assert await causes(instance, wait["id"]) == ["wait_noted"]
    for stop in wait["stops"]:
        assert await causes(instance, stop["registration_id"]) == []
    assert str(elsewhere.id) not in await stops(instance, wait)
    await all_is_well(instance)


async def test_a_free_seat_is_offered_not_given_and_one_at_a_time(instance: Instance) -> None:
    first, second = session_state(in_days=5), session_state(in_days=6)
    await instance.hear(first, second)

    wait = await begin(instance)
    assert await stops(instance, wait) == {str(first.id): "offered"}

    assert (await answer(instance, wait, first, "decline")).status_code == 200
    await look(instance)
    assert await stops(instance, wait) == {str(first.id): "declined", str(second.id): "offered"}
    await look(instance)
    assert (await stops(instance, wait))[str(first.id)] == "declined", "nobody is asked twice"
    assert (await seen(instance, wait))["status"] == "open"
    await all_is_well(instance)


async def test_the_first_yes_ends_all_other_stops_and_their_seats_go_on(instance: Instance) -> None:
    (here, seated_here), (there, seated_there), (third, _) = [
        await full(instance, in_days=days) for days in (5, 6, 7)
    ]
    wait = await begin(instance)
    next_one = (await instance.register(there.id, 2)).json()
    await leave(instance, seated_here)
    await leave(instance, seated_there)
    assert await stops(instance, wait) == {
        str(here.id): "offered",
        str(there.id): "offered",
        str(third.id): "waitlisted",
    }

    assert (await answer(instance, wait, here, "accept")).status_code == 200

    assert await stops(instance, wait) == {
        str(here.id): "confirmed",
        str(there.id): "cancelled",
        str(third.id): "cancelled",
    }
    assert (await seen(instance, wait))["status"] == "found"
    assert (await instance.show(next_one))["status"] == "offered", "the seat goes on at once"
    by_session = {
        stop["session"]["id"]: stop["registration_id"] for stop in (await seen(instance, wait))["stops"]
    }
    assert await causes(instance, by_session[str(here.id)]) == ["offered", "confirmed"]
    assert await causes(instance, by_session[str(there.id)]) == ["offered"], "no word of what ended by itself"
    assert await causes(instance, by_session[str(third.id)]) == []
    last = [state for state in await instance.announced() if state["id"] == by_session[str(here.id)]][-1]
    assert last["causes"][-1]["ends_wait"]

    again = await answer(instance, wait, here, "accept")
    assert again.status_code == 200, "said twice, it is done once"
    await look(instance)
    await Joining(instance.database, instance.settings).sweep()
    assert len(await stops(instance, wait)) == 3, "what was found is looked for no more"
    await all_is_well(instance)


async def test_two_waits_that_cross_never_block_each_other_and_no_seat_is_given_twice(
    instance: Instance,
) -> None:
    """Each has an offer where the other waits, and both say yes at the same instant; twenty times."""
    for turn in range(20):
        theme = "tablette" if turn % 2 else "courriel"
        sessions = [session_state(in_days=5 + n, capacity=ONE, theme=theme) for n in range(2)]
        await instance.hear(*sessions)
        taken = [(await instance.register(session.id, 50)).json() for session in sessions]
        pair = [await begin(instance, 100 * turn + n, theme=theme) for n in range(2)]
        # Who is first at one session is second at the other.
        second = next(
            stop["registration_id"]
            for stop in (await seen(instance, pair[1]))["stops"]
            if stop["session"]["id"] == str(sessions[1].id)
        )
        moved = await instance.client.post(
            f"/api/registrations/v1/registrations/{second}/move",
            headers=instance.staff,
            json={
                "reason": "essai",
                "before": next(
                    stop["registration_id"]
                    for stop in (await seen(instance, pair[0]))["stops"]
                    if stop["session"]["id"] == str(sessions[1].id)
                ),
            },
        )
        assert moved.status_code == 200, moved.text
        for one in taken:
            await leave(instance, one)

        both = await asyncio.gather(
            answer(instance, pair[0], sessions[0], "accept"),
            answer(instance, pair[1], sessions[1], "accept"),
        )

        assert [one.status_code for one in both] == [200, 200], [one.text for one in both]
        for number, wait in enumerate(pair):
            states = await stops(instance, wait)
            assert states[str(sessions[number].id)] == "confirmed"
            assert states[str(sessions[1 - number].id)] == "cancelled"
        for session in sessions:
            assert (await instance.seats(session.id))["confirmed"] == 1
            await close(instance, session)
    await all_is_well(instance)


async def test_a_crowd_of_waits_and_lines_that_are_joined_meanwhile_leave_one_seat_to_each(
    instance: Instance,
) -> None:
    """Sessions open while waits are accepted, left and begun, all at once; nothing fails."""
    sessions = [session_state(in_days=5 + n, capacity=SeatCounts(on_site=2)) for n in range(6)]
    await instance.hear(*sessions[:3])
    crowd = [await begin(instance, n) for n in range(8)]
    joining = Joining(instance.database, instance.settings)

    async def say_yes(wait: dict[str, Any]) -> int:
        for stop in (await seen(instance, wait))["stops"]:
            if stop["status"] == "offered":
                path = f"/api/registrations/v1/registrations/{stop['registration_id']}/accept"
                return (await instance.client.post(path, headers=instance.staff)).status_code
        return 0

    async def open_more() -> int:
        await instance.hear(*sessions[3:])
        await joining.act_on_what_is_due()
        await joining.sweep()
        return 200

    async def give_up(wait: dict[str, Any]) -> int:
        return (await instance.client.delete(f"{WAITS}/{wait['id']}", headers=bearer(wait))).status_code

    done = await asyncio.gather(
        *(say_yes(wait) for wait in crowd[:6]),
        open_more(),
        joining.sweep(),
        give_up(crowd[6]),
        give_up(crowd[7]),
        *(begin(instance, 20 + n) for n in range(3)),
        return_exceptions=True,
    )

    assert not [one for one in done if isinstance(one, BaseException)], done
    assert {one for one in done if isinstance(one, int)} <= {0, 200, 409}
    for wait in crowd:
        states = list((await stops(instance, wait)).values())
        assert states.count("confirmed") <= 1
        if "confirmed" in states:
            assert set(states) <= {"confirmed", "cancelled"}
    assert set((await stops(instance, crowd[6])).values()) <= {"cancelled"}
    await all_is_well(instance)


async def close(instance: Instance, session: SessionState) -> None:
    await instance.hear(session.model_copy(update={"status": "cancelled"}), version=9)


async def test_who_waits_is_in_the_line_before_anybody_who_comes_when_registration_opens(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    wait = await begin(instance)
    session = session_state(capacity=ONE, opens_at=datetime.now(UTC) + timedelta(hours=2))
    await instance.hear(session)
    await look(instance)
    assert await stops(instance, wait) == {}, "it opens for everybody at the same instant"

    await shift_clock(instance.database, timedelta(hours=3))
    newcomer = (await instance.register(session.id, 7)).json()

    assert newcomer["status"] == "waitlisted"
    assert await stops(instance, wait) == {str(session.id): "offered"}
    await all_is_well(instance)


async def test_those_who_wait_join_in_the_order_in_which_they_began(instance: Instance) -> None:
    waits = [await begin(instance, number) for number in range(4)]
    session = session_state(capacity=SeatCounts(on_site=2))
    await instance.hear(session)
    await look(instance)
    assert [(await stops(instance, wait))[str(session.id)] for wait in waits] == [
        "offered",
        "offered",
        "waitlisted",
        "waitlisted",
    ]


async def test_an_online_session_is_joined_once_its_link_is_known(instance: Instance) -> None:
    wait = await begin(instance, regions=[], online=True)
    session = session_state(modality="online", venue=None, capacity=SeatCounts(online=1))
    await instance.hear(session)
    await look(instance)
    assert await stops(instance, wait) == {}
    await instance.hear(SessionAccess(session_id=session.id, online_url="https://video.example.org/1"))
    await look(instance)
    assert await stops(instance, wait) == {str(session.id): "offered"}


async def test_a_session_that_moves_out_of_reach_is_left_without_a_word(instance: Instance) -> None:
    session, seated = await full(instance)
    wait = await begin(instance)
    await instance.hear(session.model_copy(update={"region": "12"}), version=2)
    await look(instance)
    (stop,) = (await seen(instance, wait))["stops"]
    assert stop["status"] == "cancelled"
    assert await causes(instance, stop["registration_id"]) == []
    await leave(instance, seated)
    assert (await instance.seats(session.id))["offered"] == 0


async def test_a_cancelled_session_is_told_to_who_was_offered_a_seat_alone(instance: Instance) -> None:
    offered, waited = session_state(in_days=5), (await full(instance, in_days=6))[0]
    await instance.hear(offered)
    wait = await begin(instance)
    for session in (offered, waited):
        await close(instance, session)
    ids = {stop["session"]["id"]: stop["registration_id"] for stop in (await seen(instance, wait))["stops"]}
    assert await causes(instance, ids[str(offered.id)]) == ["offered", "session_cancelled"]
    assert await causes(instance, ids[str(waited.id)]) == []
    assert (await seen(instance, wait))["status"] == "open"


async def test_ending_the_wait_ends_all_its_stops(instance: Instance) -> None:
    session, seated = await full(instance)
    wait = await begin(instance)
    next_one = (await instance.register(session.id, 2)).json()
    await leave(instance, seated)
    ended = await instance.client.delete(f"{WAITS}/{wait['id']}", headers=bearer(wait))
    assert (ended.json()["status"], ended.json()["stops"][0]["status"]) == ("ended", "cancelled")
    assert (await instance.show(next_one))["status"] == "offered"
    assert await causes(instance, wait["id"]) == ["wait_noted", "wait_ended"]
    again = await instance.client.delete(f"{WAITS}/{wait['id']}", headers=bearer(wait))
    assert again.status_code == 200
    assert await causes(instance, wait["id"]) == ["wait_noted", "wait_ended"]


async def test_staff_end_a_wait_with_a_reason_that_the_person_is_told(instance: Instance) -> None:
    await full(instance)
    wait = await begin(instance)
    path, body = f"{WAITS}/{wait['id']}/cancel", {"reason": "Vous attendiez deux fois"}
    assert (await instance.client.post(path, headers=bearer(wait), json=body)).status_code == 401
    for _ in range(2):
        ended = await instance.client.post(
            path, headers=instance.staff | {"Idempotency-Key": "once"}, json=body
        )
        assert ended.json()["status"] == "ended"
    said = [state["causes"][-1] for state in await instance.announced() if state["id"] == wait["id"]]
    assert [(one["cause"], one["reason"]) for one in said][-1] == ("wait_ended", "Vous attendiez deux fois")
    assert await causes(instance, wait["id"]) == ["wait_noted", "wait_ended"]


async def test_a_wait_whose_last_day_has_passed_is_over_and_its_person_is_told(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    soon = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    wait = await begin(instance, last_day=soon)
    await look(instance)
    assert (await seen(instance, wait))["status"] == "open"
    await shift_clock(instance.database, timedelta(days=5))
    await look(instance)
    assert (await seen(instance, wait))["status"] == "over"
    assert await causes(instance, wait["id"]) == ["wait_noted", "wait_over"]


async def test_a_seat_given_over_capacity_or_by_a_transfer_ends_the_wait_too(instance: Instance) -> None:
    (here, _), (there, _) = [await full(instance, in_days=days) for days in (5, 6)]
    granted, moved = [await begin(instance, number) for number in (1, 2)]
    path = "/api/registrations/v1/registrations"
    ids = {
        (wait["id"], stop["session"]["id"]): stop["registration_id"]
        for wait in (granted, moved)
        for stop in (await seen(instance, wait))["stops"]
    }
    done = await instance.client.post(
        f"{path}/{ids[granted['id'], str(here.id)]}/grant",
        headers=instance.staff,
        json={"reason": "Salle plus grande"},
    )
    assert done.status_code == 200, done.text
    assert await stops(instance, granted) == {str(here.id): "confirmed", str(there.id): "cancelled"}

    room = session_state(theme="tablette")
    await instance.hear(room)
    done = await instance.client.post(
        f"{path}/{ids[moved['id'], str(here.id)]}/transfer",
        headers=instance.staff,
        json={"reason": "À sa demande", "session_id": str(room.id)},
    )
    assert done.json()["status"] == "confirmed", done.text
    assert set((await stops(instance, moved)).values()) == {"cancelled"}
    assert (await seen(instance, moved))["status"] == "found"
    await all_is_well(instance)


async def test_who_has_a_place_at_a_session_already_gets_no_second_one_by_a_wait(instance: Instance) -> None:
    session, _ = await full(instance)
    mine = await instance.register(
        session.id, 2, name="Odile Bouchard 1", contact={"email": "ODILE1@example.org"}
    )
    assert mine.status_code == 201
    assert (await begin(instance))["stops"] == []


async def test_a_line_that_is_full_is_joined_once_it_has_room(instance: Instance) -> None:
    session, _ = await full(instance, waitlist=WaitlistRule(limit=0))
    wait = await begin(instance)
    assert wait["stops"] == []
    await instance.hear(session.model_copy(update={"waitlist": WaitlistRule(limit=5)}), version=2)
    await look(instance)
    assert await stops(instance, wait) == {str(session.id): "waitlisted"}


async def test_a_wait_that_repeats_itself_is_one(instance: Instance) -> None:
    key = {"Idempotency-Key": "w1"}
    first = await instance.client.post(WAITS, json=wish(), headers=key)
    again = await instance.client.post(WAITS, json=wish(), headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert problem(await instance.client.post(WAITS, json=wish())) == "maybe-duplicate"
    other = await instance.client.post(WAITS, json=wish(another_person=True))
    assert other.status_code == 201


async def test_one_person_who_asks_twice_at_once_waits_once(instance: Instance) -> None:
    answers = await asyncio.gather(*(instance.client.post(WAITS, json=wish()) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"theme": "cuisine"}, "theme"),
        ({"regions": ["99"]}, "regions/0"),
        ({"last_day": "2020-01-01"}, "last_day"),
        ({"last_day": "2099-01-01"}, "last_day"),
        ({"stream": "pro"}, "organisation"),
        ({"around": {"latitude": 46, "longitude": -71, "km": 9000}}, "around/km"),
        ({"contact": {}}, "contact"),
    ],
)
async def test_what_cannot_be_waited_for_is_said(
    instance: Instance, changes: dict[str, Any], field: str
) -> None:
    refused = await instance.client.post(WAITS, json=wish(**changes))
    assert refused.status_code == 422
    assert field in [error["field"] for error in refused.json()["errors"]], refused.text


async def test_nobody_but_the_person_and_the_team_sees_a_wait(instance: Instance) -> None:
    wait, other = await begin(instance), await begin(instance, 2)
    path = f"{WAITS}/{wait['id']}"
    assert (await instance.client.get(path)).status_code == 401
    assert (await instance.client.get(path, headers=bearer(other))).status_code == 401
    assert (await instance.client.get(path, headers=instance.staff)).status_code == 200
    by_phone = await instance.client.post(WAITS, json=wish(3, channel="phone"))
    assert by_phone.status_code == 401
    await instance.client.post(f"{path}/revoke-links", headers=instance.staff)
    assert (await instance.client.get(path, headers=bearer(wait))).status_code == 410


async def test_an_offer_that_nobody_answers_passes_on_and_the_wait_goes_on(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    first, second = session_state(in_days=5), session_state(in_days=9)
    await instance.hear(first, second)
    wait = await begin(instance)
    await shift_clock(instance.database, timedelta(hours=30))
    await Timers(instance.database, instance.settings).act_on_what_is_due()
    await look(instance)
    assert await stops(instance, wait) == {str(first.id): "expired", str(second.id): "offered"}


async def test_needs_go_along_with_each_registration_under_their_consent(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    wait = await begin(instance, accommodations=["large_print"], consents=["accommodation_data"])
    await answer(instance, wait, session, "accept")
    connection = await asyncpg.connect(instance.database.url)
    needs = await connection.fetch("select registration_id, need from accommodation_request")
    kept = await connection.fetchval("select accommodations::text from wait")
    consents = await connection.fetchval("select count(*) from consent")
    await connection.close()
    assert [(row["registration_id"], row["need"]) for row in needs] == [
        (UUID(wait["stops"][0]["registration_id"]), "large_print")
    ]
    assert (kept, consents) == ("[]", 1), "the wait is over: it keeps no needs"


async def test_who_waited_is_erased_here_and_everywhere(instance: Instance, shift_clock: ShiftClock) -> None:
    wait = await begin(instance)
    await instance.client.delete(f"{WAITS}/{wait['id']}", headers=bearer(wait))
    days = instance.settings.identity_days
    await shift_clock(instance.database, timedelta(days=days - 1))
    assert await erase_due(instance.database, instance.settings) == 0
    await shift_clock(instance.database, timedelta(days=2))
    assert await erase_due(instance.database, instance.settings) == 1
    connection = await asyncpg.connect(instance.database.url)
    row = await connection.fetchval("select wait::text from wait")
    last = await connection.fetch("select key, value from outbox where topic = 'registrations' order by id")
    await connection.close()
    assert "odile" not in row.lower()
    assert (last[-1]["key"], last[-1]["value"]) == (wait["id"], None), "a tombstone comes last"
    assert b"Odile" not in last[-2]["value"]
    assert (await instance.client.get(f"{WAITS}/{wait['id']}", headers=bearer(wait))).status_code == 410


async def test_after_a_restore_a_wait_is_said_again_and_nobody_is_told(instance: Instance) -> None:
    wait = await begin(instance)
    async with instance.database.transaction() as tx:
        known: Any = {topic: {} for topic in topics.ALL} | {topics.REGISTRATIONS: {wait["id"]: wait["id"]}}
        assert await restate(tx, instance.settings, 2, known) == 1
    last = (await instance.announced())[-1]
    assert last["id"] == wait["id"]
    assert [cause["epoch"] for cause in last["causes"]] == [1]
