"""The registrations API, as API.md promises it."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.messaging import topics
from libs.messaging.bus import Message, Received
from libs.messaging.contracts import SeatCounts, WaitlistRule
from services.registrations.consumer import inbox
from tests.registrations.conftest import Instance, bearer, person, problem, session_state


async def test_a_registration_gets_a_seat_a_number_and_a_link(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)

    answer = await instance.register(session.id)

    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["status"] == "confirmed"
    assert body["position"] is None
    assert body["session_id"] == str(session.id)
    assert re.fullmatch(r"[A-HJ-NP-Z]{4}-[2-9]{4}", body["confirmation_number"])
    assert body["manage_url"] == f"http://testserver/mon-inscription/{body['manage_token']}"
    assert await instance.causes() == ["confirmed"]


async def test_newcomers_wait_in_line_once_the_seats_are_gone(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=2))
    await instance.hear(session)

    answers = [(await instance.register(session.id, number)).json() for number in range(1, 6)]

    assert [(answer["status"], answer["position"]) for answer in answers] == [
        ("confirmed", None),
        ("confirmed", None),
        ("waitlisted", 1),
        ("waitlisted", 2),
        ("waitlisted", 3),
    ]
    seats = await instance.seats(session.id)
    assert (seats["capacity"], seats["confirmed"], seats["available"], seats["waitlisted"]) == (2, 2, 0, 3)


async def test_a_cancelled_seat_is_offered_to_the_next_person_in_the_same_transaction(
    instance: Instance,
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    first, second, third = [(await instance.register(session.id, number)).json() for number in (1, 2, 3)]

    gone = await instance.client.delete(
        f"/api/registrations/v1/registrations/{first['id']}", headers=bearer(first)
    )

    assert gone.json()["status"] == "cancelled"
    assert (await instance.show(second))["status"] == "offered"
    assert (await instance.show(third))["position"] == 1
    newcomer = (await instance.register(session.id, 4)).json()
    assert newcomer["status"] == "waitlisted", "the freed seat belongs to the people waiting"

    taken = await instance.client.post(
        f"/api/registrations/v1/registrations/{second['id']}/accept", headers=bearer(second)
    )

    assert taken.json()["status"] == "confirmed"
    assert await instance.causes() == [
        "confirmed",
        "waitlisted",
        "waitlisted",
        "cancelled_by_person",
        "offered",
        "waitlisted",
        "confirmed",
    ]


async def test_a_declined_offer_goes_to_the_next_and_cannot_be_answered_again(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    first, second, third = [(await instance.register(session.id, number)).json() for number in (1, 2, 3)]
    await instance.client.delete(f"/api/registrations/v1/registrations/{first['id']}", headers=bearer(first))
    path = f"/api/registrations/v1/registrations/{second['id']}"

    declined = await instance.client.post(f"{path}/decline", headers=bearer(second))
    again = await instance.client.post(f"{path}/decline", headers=bearer(second))
    late = await instance.client.post(f"{path}/accept", headers=bearer(second))

    assert (declined.json()["status"], again.status_code) == ("declined", 200)
    assert (late.status_code, problem(late)) == (409, "offer-over")
    assert (await instance.show(third))["status"] == "offered"


async def test_the_same_key_and_body_give_the_same_answer(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    await instance.register(session.id, 9)
    key = {"Idempotency-Key": "any text, 1-255 characters"}

    first = await instance.register(session.id, 1, headers=key)
    again = await instance.register(session.id, 1, headers=key)
    other = await instance.register(session.id, 2, headers=key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (other.status_code, problem(other)) == (422, "idempotency-key-reused")
    assert first.json()["id"] not in other.text
    assert (await instance.seats(session.id))["waitlisted"] == 1


async def test_what_staff_do_twice_with_one_key_is_done_once(instance: Instance) -> None:
    """A transfer whose answer was lost, sent again: without the key it would be refused as over."""
    session, there = session_state(capacity=SeatCounts(on_site=1)), session_state()
    await instance.hear(session, there)
    seated, waiting = [(await instance.register(session.id, number)).json() for number in (1, 2)]
    paths = {
        name: f"/api/registrations/v1/registrations/{found['id']}"
        for name, found in (("seated", seated), ("waiting", waiting))
    }

    async def send(path: str, key: str, **body: Any) -> httpx.Response:
        return await instance.client.post(path, json=body, headers=instance.staff | {"Idempotency-Key": key})

    granted = [
        await send(f"{paths['waiting']}/grant", "g", reason=reason)
        for reason in ("Une chaise de plus", "Une chaise de plus", "Autre chose")
    ]
    moved = [
        await send(f"{paths['seated']}/transfer", key, session_id=str(there.id), reason="À sa demande")
        for key in ("t", "t", "u")
    ]

    assert [answer.status_code for answer in granted] == [200, 200, 422]
    assert problem(granted[2]) == "idempotency-key-reused"
    assert [answer.status_code for answer in moved] == [200, 200, 409]
    assert moved[0].json() == moved[1].json()
    assert moved[0].json()["session_id"] == str(there.id)
    assert len([cause for cause in await instance.causes() if cause == "transferred"]) == 1


async def test_a_key_belongs_to_its_route_and_credential(instance: Instance) -> None:
    one, other = session_state(), session_state()
    await instance.hear(one, other)
    key = {"Idempotency-Key": "k"}

    answers = [
        await instance.register(one.id, 1, headers=key),
        await instance.register(other.id, 1, headers=key),
        await instance.register(one.id, 2, channel="phone", headers=key),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201]


async def test_somebody_alike_is_asked_about_without_saying_who(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    await instance.register(session.id, 1)

    twin = await instance.register(
        session.id, 1, name="ALINE  tremblay-1", contact={"email": "Aline1@Example.org"}
    )
    said = await instance.register(session.id, 1, another_person=True)
    spouse = await instance.register(session.id, 1, name="Jean Tremblay")

    assert (twin.status_code, problem(twin)) == (409, "maybe-duplicate")
    assert "aline" not in twin.text.lower()
    assert (said.status_code, spouse.status_code) == (201, 201)


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"status": "cancelled"}, "session-cancelled"),
        ({"status": "held"}, "registration-closed"),
        ({"in_days": -1}, "registration-closed"),
        ({"closes_at": datetime(2020, 1, 1, tzinfo=UTC)}, "registration-closed"),
        ({"opens_at": datetime(2100, 1, 1, tzinfo=UTC)}, "not-open-yet"),
        ({"registration_modes": ("drop_in",)}, "registration-closed"),
        ({"registration_modes": ("phone",)}, "registration-closed"),
        ({"modality": "online", "capacity": SeatCounts(online=5)}, "not-open-yet"),
        ({"capacity": SeatCounts(), "waitlist": WaitlistRule(limit=0)}, "session-full"),
    ],
)
async def test_what_cannot_be_had_is_refused_with_its_reason(
    instance: Instance, changes: dict[str, Any], slug: str
) -> None:
    session = session_state(**changes)
    await instance.hear(session)

    answer = await instance.register(session.id)

    assert (answer.status_code, problem(answer)) == (409, slug)
    assert await instance.announced() == []


async def test_an_unknown_session_is_not_found(instance: Instance) -> None:
    answer = await instance.register(uuid4())
    assert (answer.status_code, problem(answer)) == (404, "session-unknown")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": None}, "name"),
        ({"contact": {}}, "contact"),
        ({"contact": {"email": "info@@alphanumerique.ca"}}, "contact/email"),
        ({"contact": {"mobile": "pas un numéro"}}, "contact/mobile"),
        ({"party_size": 0}, "party_size"),
        ({"channel": "pigeon"}, "channel"),
        ({"accommodations": ["large_print"]}, ""),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_malformed_input_names_the_field_and_repeats_nothing(
    instance: Instance, changes: dict[str, Any], field: str
) -> None:
    session = session_state()
    await instance.hear(session)

    answer = await instance.register(session.id, **changes, headers=instance.staff)

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["محمد", "Nguyễn Thị Minh Khai", "李", "Jean‑Noël d’Amours", "O'Neil", "X"])
async def test_any_script_and_a_single_word_are_names(instance: Instance, name: str) -> None:
    session = session_state()
    await instance.hear(session)

    answer = await instance.register(session.id, name=name)

    assert answer.status_code == 201
    assert (await instance.show(answer.json()))["name"] == unicodedata.normalize("NFC", name)


async def test_other_channels_than_the_web_are_for_staff(instance: Instance) -> None:
    session = session_state(registration_modes=("phone",))
    await instance.hear(session)
    contact = {"phone": "418 555-0142"}

    stranger = await instance.client.post(
        f"/api/registrations/v1/sessions/{session.id}/registrations",
        json=person(channel="phone", contact=contact),
    )
    desk = await instance.register(session.id, channel="phone", contact=contact)

    assert stranger.status_code == 401
    assert desk.status_code == 201
    assert (await instance.show(desk.json()))["contact"]["phone"] == "+14185550142"


async def test_nobody_sees_or_changes_somebody_elses_registration(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    mine, other = [(await instance.register(session.id, number)).json() for number in (1, 2)]
    path = f"/api/registrations/v1/registrations/{mine['id']}"

    for headers in ({}, bearer(other), {"Authorization": "Bearer x"}):
        assert (await instance.client.get(path, headers=headers)).status_code == 401
        assert (await instance.client.delete(path, headers=headers)).status_code == 401
    assert (await instance.show(mine))["status"] == "confirmed"


async def test_a_replaced_link_is_gone(instance: Instance) -> None:
    session = session_state()
    await instance.hear(session)
    mine = (await instance.register(session.id)).json()
    path = f"/api/registrations/v1/registrations/{mine['id']}"

    fresh = await instance.client.post(f"{path}/revoke-links", headers=instance.staff)
    old = await instance.client.delete(path, headers=bearer(mine))
    token = fresh.json()["manage_url"].rpartition("/")[2]
    new = await instance.client.get(path, headers={"Authorization": f"Bearer {token}"})

    assert (old.status_code, problem(old)) == (410, "link-revoked")
    assert new.json()["status"] == "confirmed"


async def test_the_roster_and_the_line_are_for_staff(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    for number in (1, 2, 3):
        await instance.register(session.id, number)
    path = f"/api/registrations/v1/sessions/{session.id}"

    assert (await instance.client.get(f"{path}/roster")).status_code == 401
    roster = (await instance.client.get(f"{path}/roster", headers=instance.staff)).json()
    line = (await instance.client.get(f"{path}/line", headers=instance.staff)).json()

    assert [entry["name"] for entry in roster["items"]] == ["Aline Tremblay 1"]
    assert [(entry["name"], entry["position"]) for entry in line["items"]] == [
        ("Aline Tremblay 2", 1),
        ("Aline Tremblay 3", 2),
    ]


async def test_operators_see_parked_messages_and_try_them_again(instance: Instance) -> None:
    session = session_state()
    hostile = Message(topics.SESSIONS, str(session.id), b'{"title": "secret"}', str(session.id), {})
    await inbox(instance.database, instance.settings).handle([Received(hostile, 0, 0)])
    path = "/api/registrations/v1/parked"

    assert (await instance.client.get(path)).status_code == 401
    parked = (await instance.client.get(path, headers=instance.staff)).json()["items"]
    again = (await instance.client.post(f"{path}/replay", headers=instance.staff)).json()
    gone = await instance.client.delete(f"{path}/{parked[0]['id']}", headers=instance.staff)
    twice = await instance.client.delete(f"{path}/{parked[0]['id']}", headers=instance.staff)

    assert [item["reason"] for item in parked] == ["header ce_specversion is missing"]
    assert "secret" not in str(parked)
    assert again == {"applied": 0, "parked": 1}
    assert (gone.status_code, twice.status_code) == (204, 404)
