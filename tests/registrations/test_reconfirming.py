"""Reconfirmation: who is asked when, one letter a day, and whose silence gives a seat away."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.bus import Received
from libs.messaging.contracts import NoticeOutcome, ReachedState, ReconfirmRule, SeatCounts, SessionState
from libs.messaging.envelope import pack
from libs.messaging.topics import REACHED
from services.registrations.audit import audit
from services.registrations.reconfirming import Asked, due, is_freed, mark_of
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, bearer, problem, session_state

API = "/api/registrations/v1/registrations"
START = datetime(2027, 2, 3, 18, 30, tzinfo=UTC)
EARLY = START - timedelta(days=40)


def before(days: float) -> datetime:
    return START - timedelta(days=days)


def asked(*days: float, start: datetime = START) -> list[Asked]:
    return [
        Asked(mark_of(int(day), start), number, start - timedelta(days=day))
        for number, day in enumerate(days, start=2)
    ]


THREE_DAYS_BEFORE = before(3)


def heard(*versions: int, at: datetime = THREE_DAYS_BEFORE, outcome: str = "told") -> list[NoticeOutcome]:
    return [
        NoticeOutcome(
            epoch=1, version=version, cause="reconfirm_asked", outcome=outcome, route="email", at=at
        )
        for version in versions
    ]


@pytest.mark.parametrize(
    ("now", "already", "days", "day"),
    [
        (before(7.1), [], 7, None),
        (before(7), [], 7, 7),
        (before(6), asked(7), 7, None),
        (before(3), asked(7), 7, 3),
        (before(2), asked(7, 3), 7, None),
        (before(2), [], 7, 3),  # after an outage once, not twice
        (before(1), asked(7), 7, None),  # nobody is asked on the last day
        (before(14), [], 14, 14),
        (before(3), [], 3, 3),
        (before(2), [], 2, 2),
        (before(5), [], None, None),
    ],
)
def test_people_are_asked_at_their_days_and_once_more_three_days_before(
    now: datetime, already: list[Asked], days: int | None, day: int | None
) -> None:
    mark = due(now=now, starts_at=START, confirmed_at=EARLY, reconfirmed=False, asked=already, days=days)
    assert mark == (None if day is None else mark_of(day, START))


def test_nobody_is_asked_who_has_just_got_the_seat_or_has_said_yes() -> None:
    given: dict[str, Any] = {"now": before(3), "starts_at": START, "asked": [], "days": 7}
    assert due(confirmed_at=before(5), reconfirmed=False, **given) is None
    assert due(confirmed_at=EARLY, reconfirmed=True, **given) is None


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(2, 30))
def test_nobody_is_asked_more_than_twice_about_one_start(looks: list[float], days: int) -> None:
    """However often, and however rarely, the timers look."""
    already: list[Asked] = []
    for number, look in enumerate(sorted(looks, reverse=True)):
        now = before(look)
        mark = due(now=now, starts_at=START, confirmed_at=EARLY, reconfirmed=False, asked=already, days=days)
        if mark is not None:
            already.append(Asked(mark, number, now))
    assert len(already) <= 2
    assert len({one.mark for one in already}) == len(already)
    assert all(before(days) <= one.at < before(1) for one in already)


@pytest.mark.parametrize(
    ("changes", "freed"),
    [
        ({}, True),
        ({"silence": "keep"}, False),
        ({"reconfirmed": True}, False),
        ({"notices": heard(2)}, False),  # told once
        ({"notices": heard(2) + heard(3, outcome="not_told")}, False),
        ({"notices": heard(2) + heard(3, outcome="waiting")}, False),
        ({"notices": heard(2, 3, at=before(1.5))}, False),  # half a day to answer
        ({"asked": asked(7, 3, start=START + timedelta(days=1))}, False),  # it was about another day
        ({"now": before(1.01)}, False),
        ({"now": START}, False),
    ],
)
def test_silence_frees_a_seat_only_where_it_was_said_and_the_person_was_told_twice(
    changes: dict[str, Any], freed: bool
) -> None:
    given: dict[str, Any] = {
        "now": before(1),
        "starts_at": START,
        "silence": "free",
        "reconfirmed": False,
        "asked": asked(7, 3),
        "notices": heard(2, 3),
    }
    assert is_freed(**(given | changes)) is freed


# The service.


async def pass_days(instance: Instance, shift_clock: ShiftClock, *days: float) -> None:
    for step in days:
        await shift_clock(instance.database, timedelta(days=step))
        await Timers(instance.database, instance.settings).remind()


async def causes_of(instance: Instance, registration: dict[str, Any]) -> list[str]:
    states = [one for one in await instance.announced() if one["id"] == registration["id"]]
    return [cause["cause"] for cause in states[-1]["causes"]]


async def were_told(instance: Instance, registration: dict[str, Any], at: datetime) -> None:
    """`notifications` says that everything announced so far was told."""
    states = [one for one in await instance.announced() if one["id"] == registration["id"]]
    notices = tuple(
        NoticeOutcome(
            epoch=cause["epoch"],
            version=cause["version"],
            cause=cause["cause"],
            outcome="told",
            route="email",
            at=at,
        )
        for cause in states[-1]["causes"]
    )
    payload = ReachedState(
        registration_id=UUID(registration["id"]),
        session_id=UUID(registration["session_id"]),
        notices=notices,
    )
    message = pack(
        REACHED,
        instance="test",
        key=registration["id"],
        partition_key=registration["session_id"],
        epoch=1,
        version=len(notices),
        time=at,
        payload=payload,
    )
    await instance._inbox.handle([Received(message, 0, 0)])


async def published(instance: Instance, **rule: Any) -> tuple[SessionState, list[dict[str, Any]]]:
    """A session in ten days with one seat, whom it belongs to, and who waits for it."""
    session = session_state(capacity=SeatCounts(on_site=1), in_days=10, reconfirm=ReconfirmRule(**rule))
    await instance.hear(session)
    return session, [(await instance.register(session.id, number)).json() for number in (1, 2)]


async def test_the_question_takes_the_place_of_that_days_reminder_and_is_asked_once_more(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    _, (seated, waiting) = await published(instance)
    await pass_days(instance, shift_clock, 0, 4, 0, 3.5, 0, 2, 0)
    assert await causes_of(instance, seated) == [
        "confirmed",
        "reconfirm_asked",
        "reconfirm_asked",
        "reminder_1d",
    ]
    assert await causes_of(instance, waiting) == ["waitlisted"], "only who has a seat is asked"
    assert (await instance.show(seated))["status"] == "confirmed", "silence frees nothing by itself"


async def test_who_says_yes_is_asked_no_more_and_reminded_as_usual(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    _, (seated, _) = await published(instance)
    await pass_days(instance, shift_clock, 4)
    for _ in range(2):
        answer = await instance.client.post(
            f"{API}/{seated['id']}/reconfirm", headers=bearer(seated), json={"coming": True}
        )
        assert answer.status_code == 200
        assert answer.json()["reconfirmed_at"] is not None
    await pass_days(instance, shift_clock, 3.5, 2)
    assert await causes_of(instance, seated) == ["confirmed", "reconfirm_asked", "reminder_1d"]
    states = [one for one in await instance.announced() if one["id"] == seated["id"]]
    assert states[-1]["reconfirmed_at"] is not None, "so that a call is taken off the list"


async def test_no_frees_the_seat_at_once(instance: Instance, shift_clock: ShiftClock) -> None:
    _, (seated, waiting) = await published(instance)
    await pass_days(instance, shift_clock, 4)
    await instance.client.post(
        f"{API}/{seated['id']}/reconfirm", headers=bearer(seated), json={"coming": False}
    )
    assert (await instance.show(seated))["status"] == "cancelled"
    assert (await instance.show(waiting))["status"] == "offered"
    again = await instance.client.post(
        f"{API}/{seated['id']}/reconfirm", headers=bearer(seated), json={"coming": True}
    )
    assert problem(again) == "already-over"


async def test_silence_frees_the_seat_of_who_was_told_twice_where_the_session_says_so(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session, (seated, waiting) = await published(instance, silence="free")
    await pass_days(instance, shift_clock, 4, 3.5)
    await were_told(instance, seated, session.starts_at_utc - timedelta(days=2.5))
    await pass_days(instance, shift_clock, 1.9)

    assert (await instance.show(seated))["status"] == "cancelled"
    assert (await causes_of(instance, seated))[-1] == "released_unanswered"
    assert (await instance.show(waiting))["status"] == "offered"
    asks = [one for one in await instance.announced() if one["id"] == seated["id"]][-1]["causes"]
    assert [one["silence_frees"] for one in asks if one["cause"] == "reconfirm_asked"] == [True, True]
    page = await instance.client.get(f"/mon-inscription/{seated['manage_token']}")
    assert "Votre place est allée à une autre personne." in page.text
    assert (await audit(instance.database.url)).differences == ()


async def test_who_was_not_reached_keeps_the_seat_however_silent(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    _, (seated, _) = await published(instance, silence="free")
    await pass_days(instance, shift_clock, 4, 3.5, 1.9, 0)
    assert (await instance.show(seated))["status"] == "confirmed"
    assert (await causes_of(instance, seated))[-1] == "reminder_1d"


async def test_a_session_that_moves_asks_anew(instance: Instance, shift_clock: ShiftClock) -> None:
    session, (seated, _) = await published(instance)
    await pass_days(instance, shift_clock, 4)
    await instance.client.post(
        f"{API}/{seated['id']}/reconfirm", headers=bearer(seated), json={"coming": True}
    )
    later = timedelta(days=10)
    moved = session.model_copy(
        update={
            name: getattr(session, name) + later
            for name in ("starts_at", "ends_at", "starts_at_utc", "ends_at_utc")
        }
    )
    await instance.hear(moved, version=2)
    assert (await instance.show(seated))["reconfirmed_at"] is None
    await pass_days(instance, shift_clock, 10)
    assert (await causes_of(instance, seated))[-1] == "reconfirm_asked"


async def test_the_persons_page_asks_with_two_buttons_and_nothing_changes_by_looking(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    _, (seated, _) = await published(instance)
    path = f"/mon-inscription/{seated['manage_token']}"
    assert "Venez-vous toujours" not in (await instance.client.get(path)).text
    await pass_days(instance, shift_clock, 4)
    for page in (path, f"{path}/presence"):
        text = (await instance.client.get(page)).text
        assert f'action="{path}/presence/oui"' in text
        assert f'action="{path}/presence/non"' in text
    followed = await instance.client.get(f"{path}/presence/non")
    assert (followed.status_code, followed.headers["location"]) == (303, f"{path}/presence")
    assert (await instance.show(seated))["status"] == "confirmed"

    origin = {"Origin": "http://testserver"}
    answer = await instance.client.post(f"{path}/presence/oui", headers=origin)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    text = (await instance.client.get(path)).text
    assert "Vous nous avez dit que vous venez." in text
    assert "presence/oui" not in text
    await instance.client.post(f"{path}/presence/non", headers=origin)
    assert (await instance.show(seated))["status"] == "cancelled"


async def test_the_desk_answers_for_the_person(instance: Instance, shift_clock: ShiftClock) -> None:
    session, (seated, _) = await published(instance)
    await pass_days(instance, shift_clock, 4)
    path = f"/guichet/inscriptions/{seated['id']}"
    page = (await instance.client.get(path, headers=instance.staff)).text
    assert f'action="{path}/vient"' in page
    await instance.client.post(
        f"{path}/vient", headers=instance.staff | {"Origin": "http://testserver"}, data={}
    )
    assert (await instance.show(seated))["reconfirmed_at"] is not None
    roster = await instance.client.get(f"/guichet/seances/{session.id}", headers=instance.staff)
    assert "A dit qu’elle vient" in roster.text
