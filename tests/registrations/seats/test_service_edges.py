"""What the service must load, keep and write beside the rules, where it could easily go wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import orjson

from libs.messaging.contracts import HeldSeats, Release, SeatCounts, SessionAccess
from services.registrations.audit import audit
from services.registrations.ledger import person_of, standing
from services.registrations.seatbook import Person
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, session_state


async def test_a_release_that_is_due_is_not_forgotten_when_something_else_happens_first(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = session_state(
        capacity=SeatCounts(on_site=1),
        held_seats=(HeldSeats(seat_kind="on_site", channel="phone", seats=1),),
        releases=(
            Release(at=datetime.now(UTC) + timedelta(days=1), seat_kind="on_site", channel="phone", seats=1),
        ),
    )
    await instance.hear(session)
    waiting = (await instance.register(session.id)).json()
    await shift_clock(instance.database, timedelta(days=2))

    path = f"/api/registrations/v1/registrations/{waiting['id']}/priority"
    preferred = await instance.client.post(
        path, json={"priority": 1, "reason": "Demande"}, headers=instance.staff
    )
    await Timers(instance.database, instance.settings).act_on_what_is_due()

    assert preferred.status_code == 200
    assert (await instance.show(waiting))["status"] == "offered"


async def test_too_many_people_in_the_room_hide_no_free_seat_of_the_call(instance: Instance) -> None:
    session = session_state(modality="hybrid", capacity=SeatCounts(on_site=3, online=0))
    await instance.hear(SessionAccess(session_id=session.id, online_url="https://a.example.org"), session)
    for number in (1, 2, 3):
        await instance.register(session.id, number, seat_kind="on_site")
    waiting = (await instance.register(session.id, 4, seat_kind="online")).json()

    fewer = session.model_copy(update={"capacity": SeatCounts(on_site=1, online=1)})
    await instance.hear(fewer, version=2)

    assert (await instance.show(waiting))["status"] == "offered"
    assert (await instance.seats(session.id))["confirmed"] == 3


async def test_the_same_gap_in_the_line_can_be_halved_as_often_as_staff_like(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=0))
    await instance.hear(session)
    one, other, last = [(await instance.register(session.id, number)).json()["id"] for number in (1, 2, 3)]

    for turn in range(40):
        path = f"/api/registrations/v1/registrations/{(one, other)[turn % 2]}/move"
        moved = await instance.client.post(
            path, json={"before": last, "reason": "Demande"}, headers=instance.staff
        )
        assert moved.status_code == 200

    path = f"/api/registrations/v1/sessions/{session.id}/line"
    line = (await instance.client.get(path, headers=instance.staff)).json()["items"]
    assert [item["id"] for item in line] == [one, other, last]
    assert (await audit(instance.database.url)).differences == ()


def test_the_ledger_tells_a_place_to_its_last_digit() -> None:
    place = Decimal("1." + "9" * 60 + "5")
    person = Person(uuid4(), 3, "on_site", "web", "waitlisted", place=place)

    written = orjson.dumps(standing(person))
    same = orjson.dumps(standing(replace(person, place=Decimal(f"{place}000"))))

    assert person_of(orjson.loads(written)) == person
    assert same == written
