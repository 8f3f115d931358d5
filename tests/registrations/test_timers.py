"""What happens by itself: late offers, releases, reminders, and seats announced."""

from datetime import UTC, datetime, timedelta

from libs.messaging import topics
from libs.messaging.contracts import HeldSeats, ReconfirmRule, Release, SeatCounts, SeatsState
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, bearer, session_state


def timers(instance: Instance) -> Timers:
    return Timers(instance.database, instance.settings)


async def test_an_unanswered_offer_passes_on_once_its_end_is_recorded(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    first, second, third = [(await instance.register(session.id, number)).json() for number in (1, 2, 3)]
    await instance.client.delete(f"/api/registrations/v1/registrations/{first['id']}", headers=bearer(first))

    await timers(instance).act_on_what_is_due()
    assert (await instance.show(second))["status"] == "offered", "its time isn't over"
    await shift_clock(instance.database, timedelta(hours=25))
    await timers(instance).act_on_what_is_due()

    assert (await instance.show(second))["status"] == "expired"
    assert (await instance.show(third))["status"] == "offered"
    assert (await instance.causes())[-2:] == ["offer_expired", "offered"]


async def test_who_lost_an_offer_is_shown_where_there_is_room(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, other = session_state(capacity=SeatCounts(on_site=1)), session_state()
    await instance.hear(session, other)
    first, second = [(await instance.register(session.id, number)).json() for number in (1, 2)]
    await instance.client.delete(f"/api/registrations/v1/registrations/{first['id']}", headers=bearer(first))
    await shift_clock(instance.database, timedelta(hours=25))
    await timers(instance).act_on_what_is_due()

    (said,) = [state for state in await instance.announced() if state["id"] == second["id"]][-1:]
    assert said["causes"][-1]["cause"] == "offer_expired"
    assert [one["id"] for one in said["causes"][-1]["alternatives"]] == [str(other.id)]


async def test_a_late_answer_counts_until_the_expiry_is_recorded(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    first, second = [(await instance.register(session.id, number)).json() for number in (1, 2)]
    await instance.client.delete(f"/api/registrations/v1/registrations/{first['id']}", headers=bearer(first))
    await shift_clock(instance.database, timedelta(hours=25))

    late = await instance.client.post(
        f"/api/registrations/v1/registrations/{second['id']}/accept", headers=bearer(second)
    )
    await timers(instance).act_on_what_is_due()

    assert late.json()["status"] == "confirmed"
    assert (await instance.show(second))["status"] == "confirmed"


async def test_a_release_offers_the_held_seat_to_those_who_wait(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    at = datetime.now(UTC) + timedelta(days=5)
    session = session_state(
        capacity=SeatCounts(on_site=1),
        held_seats=(HeldSeats(seat_kind="on_site", channel="phone", seats=1),),
        releases=(Release(at=at, seat_kind="on_site", channel="phone", seats=1),),
    )
    await instance.hear(session)
    waiting = (await instance.register(session.id)).json()
    assert waiting["status"] == "waitlisted"

    await shift_clock(instance.database, timedelta(days=6))
    await timers(instance).act_on_what_is_due()

    assert (await instance.show(waiting))["status"] == "offered"


async def test_reminders_are_caused_once_per_start_time_and_for_confirmed_people_only(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    nobody = ReconfirmRule(days=None)
    session = session_state(capacity=SeatCounts(on_site=1), in_days=10, reconfirm=nobody)
    await instance.hear(session)
    for number in (1, 2):
        await instance.register(session.id, number)

    for days in (0, 4, 0, 5.5, 0):
        await shift_clock(instance.database, timedelta(days=days))
        await timers(instance).remind()
    await shift_clock(instance.database, timedelta(days=3))
    await timers(instance).remind()

    assert await instance.causes() == ["confirmed", "waitlisted", "reminder_7d", "reminder_1d"]


async def test_changed_seats_are_announced_once_with_the_routes_of_those_concerned(
    instance: Instance,
) -> None:
    session = session_state(capacity=SeatCounts(on_site=2))
    await instance.hear(session)
    await timers(instance).announce_seats()
    await timers(instance).announce_reach()
    for number in (1, 2):
        await instance.register(session.id, number)
    await instance.register(session.id, 3, channel="phone", contact={"phone": "418 555-0142"})

    for _ in range(2):
        await timers(instance).announce_seats()
        await timers(instance).announce_reach()

    seats = await instance.announced(topics.SEATS)
    assert [(state["available"], state["confirmed"], state["waitlisted"]) for state in seats] == [
        (2, 0, 0),
        (0, 2, 1),
    ]
    assert [state["by_route"] for state in await instance.announced(topics.REACH)] == [
        {},
        {"email": 2, "phone": 1},
    ]


async def test_nobody_is_promoted_after_the_session_began(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1), in_days=1)
    await instance.hear(session)
    first, second = [(await instance.register(session.id, number)).json() for number in (1, 2)]
    await shift_clock(instance.database, timedelta(days=2))

    gone = await instance.client.delete(
        f"/api/registrations/v1/registrations/{first['id']}", headers=instance.staff
    )

    assert gone.json()["status"] == "cancelled"
    assert (await instance.show(second))["status"] == "waitlisted"


async def test_many_changed_sessions_are_announced_once_each(instance: Instance) -> None:
    sessions = [session_state(capacity=SeatCounts(on_site=2)) for _ in range(230)]
    await instance.hear(*sessions)

    await timers(instance).announce_seats()
    await timers(instance).announce_seats()

    said = await instance.announced(topics.SEATS)
    assert sorted(state["session_id"] for state in said) == sorted(str(session.id) for session in sessions)
    assert {SeatsState.model_validate(state).available for state in said} == {2}
