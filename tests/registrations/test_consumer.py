"""What happens to registered people when `events` moves, cancels, enlarges or shrinks their session."""

from datetime import timedelta
from typing import Any

import pytest

from libs.messaging import topics
from libs.messaging.contracts import SeatCounts, SessionAccess, SessionState
from tests.registrations.conftest import Instance, bearer, session_state


def changed(session: SessionState, **changes: Any) -> SessionState:
    return session.model_copy(update=changes)


def moved(session: SessionState, by: timedelta) -> SessionState:
    times = ("starts_at", "ends_at", "starts_at_utc", "ends_at_utc")
    return changed(session, **{name: getattr(session, name) + by for name in times})


async def full(instance: Instance, session: SessionState, people: int) -> list[dict[str, Any]]:
    await instance.hear(session)
    return [(await instance.register(session.id, number)).json() for number in range(1, people + 1)]


async def test_a_raised_plan_calls_the_line_with_the_message_that_raised_it(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    people = await full(instance, session, 5)

    await instance.hear(changed(session, capacity=SeatCounts(on_site=3)), version=2)

    states = [(await instance.show(person))["status"] for person in people]
    assert states == ["confirmed", "offered", "offered", "waitlisted", "waitlisted"]


async def test_a_lower_plan_removes_nobody_and_seats_go_as_they_empty(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=3))
    people = await full(instance, session, 4)

    await instance.hear(changed(session, capacity=SeatCounts(on_site=1)), version=2)
    before = await instance.seats(session.id)
    path = "/api/registrations/v1/registrations"
    for person in people[:2]:
        await instance.client.delete(f"{path}/{person['id']}", headers=bearer(person))

    assert (before["capacity"], before["confirmed"]) == (3, 3)
    after = await instance.seats(session.id)
    assert (after["capacity"], after["confirmed"], after["offered"]) == (1, 1, 0)
    assert (await instance.show(people[3]))["position"] == 1


async def test_a_lower_plan_asks_for_volunteers_once_when_the_coordinator_wishes(
    instance: Instance,
) -> None:
    session = session_state(capacity=SeatCounts(on_site=3))
    await full(instance, session, 3)

    fewer = changed(session, capacity=SeatCounts(on_site=2), on_shrink="ask_volunteers")
    await instance.hear(fewer, version=2)
    await instance.hear(changed(fewer, title="Un autre titre"), version=3)

    assert await instance.causes() == ["confirmed"] * 3 + ["volunteers_asked"] * 3
    assert (await instance.seats(session.id))["confirmed"] == 3


async def test_a_move_is_told_to_every_live_registration_with_a_higher_sequence(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    people = await full(instance, session, 3)
    await instance.client.delete(
        f"/api/registrations/v1/registrations/{people[2]['id']}", headers=bearer(people[2])
    )

    later = changed(moved(session, timedelta(days=1)), change_reason="Panne de courant")
    await instance.hear(later, version=2)

    told = [
        state for state in await instance.announced() if state["causes"][-1]["cause"] == "session_changed"
    ]
    assert [state["id"] for state in told] == [person["id"] for person in people[:2]]
    assert [state["sequence"] for state in told] == [1, 1]
    cause = told[0]["causes"][-1]
    assert cause["reason"] == "Panne de courant"
    assert cause["previous"]["starts_at"] == session.starts_at.isoformat()
    assert cause["session"]["starts_at"] == later.starts_at.isoformat()


async def test_a_corrected_title_disturbs_nobody(instance: Instance) -> None:
    session = session_state()
    await full(instance, session, 1)

    await instance.hear(changed(session, title="Le courriel pas à pas"), version=2)

    assert await instance.causes() == ["confirmed"]


async def test_a_cancelled_session_tells_everybody_once_with_the_nearest_alternatives(
    instance: Instance,
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    same_subject, other_subject, full_one = (
        session_state(in_days=20),
        session_state(theme="tablette", in_days=3),
        session_state(capacity=SeatCounts()),
    )
    await instance.hear(same_subject, other_subject, full_one)
    people = await full(instance, session, 3)

    cancelled = changed(session, status="cancelled", cancel_reason="Tempête de neige")
    await instance.hear(cancelled, version=2)
    await instance.hear(cancelled, version=2)

    told = [state for state in await instance.announced() if state["status"] == "cancelled"]
    assert [state["id"] for state in told] == [person["id"] for person in people]
    causes = [state["causes"][-1] for state in told]
    assert {cause["cause"] for cause in causes} == {"session_cancelled"}
    assert {cause["reason"] for cause in causes} == {"Tempête de neige"}
    assert [cause["invited"] for cause in causes] == [True, False, False]
    assert [found["id"] for found in causes[0]["alternatives"]] == [
        str(same_subject.id),
        str(other_subject.id),
    ]
    seats = await instance.seats(session.id)
    assert (seats["confirmed"], seats["offered"], seats["waitlisted"]) == (0, 0, 0)


async def test_an_older_or_repeated_message_changes_nothing(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=2))
    await instance.hear(session, version=5)
    await instance.register(session.id)

    await instance.hear(changed(session, status="cancelled"), version=4)
    await instance.hear(changed(session, status="cancelled"), version=5)

    assert (await instance.seats(session.id))["confirmed"] == 1
    await instance.hear(changed(session, status="cancelled"), version=1, epoch=2)
    assert (await instance.seats(session.id))["confirmed"] == 0


async def test_a_session_that_events_has_lost_ends_for_everybody_who_counted_on_it(
    instance: Instance,
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    people = await full(instance, session, 2)

    for _ in range(2):
        await instance.hear_gone(topics.SESSIONS, session.id)

    assert [(await instance.show(person))["status"] for person in people] == ["cancelled", "cancelled"]
    assert await instance.causes() == ["confirmed", "waitlisted", "session_cancelled", "session_cancelled"]
    assert (await instance.register(session.id, 3)).json()["type"].endswith("session-cancelled")
    seats = await instance.seats(session.id)
    assert (seats["confirmed"], seats["offered"], seats["waitlisted"]) == (0, 0, 0)


async def test_a_session_that_is_over_ends_without_a_word(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    (person,) = await full(instance, session, 1)
    await instance.hear(moved(session, -timedelta(days=40)), version=2)
    said = await instance.causes()

    await instance.hear_gone(topics.SESSIONS, session.id)

    assert await instance.causes() == said
    assert (await instance.show(person))["status"] == "confirmed"


async def test_a_late_copy_opens_no_session_that_is_gone_and_a_newer_one_does(instance: Instance) -> None:
    unknown, known = session_state(), session_state()
    await instance.hear(known)
    for session in (unknown, known):
        await instance.hear_gone(topics.SESSIONS, session.id)

    await instance.hear(unknown, known, version=7)
    refused = [(await instance.register(session.id)).status_code for session in (unknown, known)]
    await instance.hear(unknown, known, version=2, epoch=2)

    assert refused == [404, 409]
    for number, session in enumerate((unknown, known), 1):
        assert (await instance.register(session.id, number)).json()["status"] == "confirmed"


async def test_a_room_link_that_is_gone_is_known_to_nobody_any_more(instance: Instance) -> None:
    session = session_state(modality="online", capacity=SeatCounts(online=2))
    await instance.hear(session, SessionAccess(session_id=session.id, online_url="https://a.example.org"))
    await instance.register(session.id)

    await instance.hear_gone(topics.SESSION_ACCESS, session.id)

    assert await instance.causes() == ["confirmed"]
    assert (await instance.register(session.id, 2)).status_code == 409


async def test_an_online_session_opens_with_its_room_link_whichever_comes_first(instance: Instance) -> None:
    first, second = (session_state(modality="online", capacity=SeatCounts(online=2)) for _ in range(2))
    link = "https://video.example.org/salle-7"
    await instance.hear(first)
    assert (await instance.register(first.id)).status_code == 409

    await instance.hear(SessionAccess(session_id=first.id, online_url=link))
    await instance.hear(SessionAccess(session_id=second.id, online_url=link))
    await instance.hear(second)

    for session in (first, second):
        assert (await instance.register(session.id)).status_code == 201
    confirmed = (await instance.announced())[-1]["causes"][-1]
    assert confirmed["session"]["online_url"] == link


async def test_a_new_room_link_is_told_to_confirmed_people_only(instance: Instance) -> None:
    session = session_state(modality="online", capacity=SeatCounts(online=1))
    await instance.hear(session, SessionAccess(session_id=session.id, online_url="https://a.example.org"))
    for number in (1, 2):
        await instance.register(session.id, number)

    await instance.hear(SessionAccess(session_id=session.id, online_url="https://b.example.org"), version=2)

    assert await instance.causes() == ["confirmed", "waitlisted", "session_changed"]
    told = (await instance.announced())[-1]["causes"][-1]
    assert (told["previous"]["online_url"], told["session"]["online_url"]) == (
        "https://a.example.org",
        "https://b.example.org",
    )


async def test_a_session_moved_online_keeps_everybodys_seat_and_place(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=2))
    people = await full(instance, session, 3)

    await instance.hear(SessionAccess(session_id=session.id, online_url="https://a.example.org"))
    await instance.hear(
        changed(session, modality="online", capacity=SeatCounts(online=1), venue=None), version=2
    )

    shown = [await instance.show(person) for person in people]
    assert [(person["status"], person["seat_kind"]) for person in shown] == [
        ("confirmed", "online"),
        ("confirmed", "online"),
        ("waitlisted", "online"),
    ]
    seats = await instance.seats(session.id)
    assert (seats["capacity"], seats["confirmed"]) == (2, 2)


async def test_held_seats_are_for_their_channel_until_released(instance: Instance) -> None:
    held = ({"seat_kind": "on_site", "channel": "phone", "seats": 1},)
    session = session_state(capacity=SeatCounts(on_site=2))
    session = SessionState.model_validate(session.model_dump() | {"held_seats": held})
    await instance.hear(session)

    web = [(await instance.register(session.id, number)).json() for number in (1, 2)]
    seats = await instance.seats(session.id)
    phone = await instance.register(session.id, 3, channel="phone")

    assert [person["status"] for person in web] == ["confirmed", "waitlisted"]
    assert (seats["held"], seats["available"]) == (1, 0)
    assert phone.json()["status"] == "confirmed", "nobody who waits could use the seat kept for the phone"


@pytest.mark.parametrize("kind", ["on_site", "online"])
async def test_the_seats_of_a_hybrid_session_are_counted_apart(instance: Instance, kind: str) -> None:
    session = session_state(modality="hybrid", capacity=SeatCounts(on_site=1, online=1))
    await instance.hear(session, SessionAccess(session_id=session.id, online_url="https://a.example.org"))

    answers = [(await instance.register(session.id, number, seat_kind=kind)).json() for number in (1, 2)]

    assert [answer["status"] for answer in answers] == ["confirmed", "waitlisted"]
    assert (await instance.seats(session.id))["available"] == 1
