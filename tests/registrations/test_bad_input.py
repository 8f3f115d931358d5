"""Requests for seats that can't be right: a clear answer to each, and nothing half done."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from libs.messaging.contracts import SeatCounts
from services.registrations.audit import audit
from services.registrations.timers import Timers
from tests.registrations.conftest import Instance, ShiftClock, bearer, person, problem, session_state


async def written(instance: Instance) -> dict[str, int]:
    """How many rows each table has: a refusal must leave all of them as they were."""
    connection = await asyncpg.connect(instance.database.url)
    try:
        return {
            table: await connection.fetchval(f"select count(*) from {table}")
            for table in ("registration", "seat_ledger", "registration_cause", "outbox", "idempotency_key")
        }
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("change", "status", "slug", "field"),
    [
        ({"channel": "fax"}, 422, "malformed", "channel"),
        ({"channel": "phone"}, 401, "unauthorized", None),
        ({"name": "A" * 10_000}, 422, "malformed", "name"),
        ({"name": ""}, 422, "malformed", "name"),
        ({"name": "\u0000\u0007"}, 422, "malformed", "name"),
        ({"seat_kind": "balcony"}, 422, "malformed", "seat_kind"),
        ({"party_size": 40}, 422, "malformed", "party_size"),
        ({"contact": {}}, 422, "malformed", "contact"),
        ({"contact": {"email": "aline@@example.org"}}, 422, "malformed", "contact/email"),
        ({"priority": 9}, 422, "malformed", "priority"),
        ({"pool": "phone"}, 422, "malformed", "pool"),
        ({"consents": ["x" * 41]}, 422, "malformed", "consents/0"),
    ],
)
async def test_what_a_request_gets_wrong_is_named(
    instance: Instance, change: dict[str, Any], status: int, slug: str, field: str | None
) -> None:
    session = session_state()
    await instance.hear(session)
    before = await written(instance)

    answer = await instance.client.post(
        f"/api/registrations/v1/sessions/{session.id}/registrations", json=person(1, **change)
    )

    assert (answer.status_code, problem(answer)) == (status, slug)
    if field is not None:
        assert field in [error["field"] for error in answer.json()["errors"]]
    assert await written(instance) == before


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"null", 422),
        (b"\xff\xfe", 422),
        (b'{"name": "\\ud800", "channel": "web", "contact": {"email": "a@example.org"}}', 422),
        (b'{"name": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", 422),
        (b"x" * 10_000_000, 413),
    ],
)
async def test_what_cannot_be_read_is_refused(instance: Instance, content: bytes, status: int) -> None:
    session = session_state()
    await instance.hear(session)
    before = await written(instance)

    answer = await instance.client.post(
        f"/api/registrations/v1/sessions/{session.id}/registrations",
        content=content,
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == status
    assert problem(answer) in {"malformed", "too-large"}
    assert await written(instance) == before


@pytest.mark.parametrize("id_", ["x", "0", "00000000-0000-0000-0000-000000000000", "%00", "é"])
async def test_a_session_that_is_not_there(instance: Instance, id_: str) -> None:
    answer = await instance.client.post(f"/api/registrations/v1/sessions/{id_}/registrations", json=person())

    assert (answer.status_code, problem(answer)) == (404, "session-unknown")


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_of_a_wrong_length(instance: Instance, key: str) -> None:
    session = session_state()
    await instance.hear(session)

    answer = await instance.register(session.id, headers={"Idempotency-Key": key})

    assert (answer.status_code, problem(answer)) == (422, "malformed")
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_a_thousand_keys_from_one_client_register_one_person_once(instance: Instance) -> None:
    session = session_state(capacity=SeatCounts(on_site=500))
    await instance.hear(session)

    answers = await asyncio.gather(
        *(
            instance.register(session.id, 1, headers={"Idempotency-Key": f"key {number}"})
            for number in range(1_000)
        )
    )

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: 1, 409: 999}
    assert {problem(answer) for answer in answers if answer.status_code == 409} == {"maybe-duplicate"}
    counts = await written(instance)
    assert (counts["registration"], counts["idempotency_key"]) == (1, 1)


async def test_an_offer_answered_twice_late_or_by_somebody_else(
    instance: Instance, shift_clock: ShiftClock
) -> None:
    session = session_state(capacity=SeatCounts(on_site=1))
    await instance.hear(session)
    first, second, third = [(await instance.register(session.id, number)).json() for number in (1, 2, 3)]
    path = "/api/registrations/v1/registrations"

    async def answer(who: dict[str, Any], action: str, token_of: dict[str, Any]) -> tuple[int, str | None]:
        got = await instance.client.post(f"{path}/{who['id']}/{action}", headers=bearer(token_of))
        return got.status_code, None if got.is_success else problem(got)

    assert await answer(second, "accept", second) == (409, "offer-over"), "nothing is offered yet"
    await instance.client.delete(f"{path}/{first['id']}", headers=bearer(first))
    assert await answer(second, "accept", third) == (401, "unauthorized")
    assert await answer(third, "accept", third) == (409, "offer-over"), "it is kept for another"
    assert await answer(second, "accept", second) == (200, None)
    assert await answer(second, "accept", second) == (200, None), "the same answer again changes nothing"
    assert await answer(second, "decline", second) == (409, "offer-over")
    await instance.client.delete(f"{path}/{second['id']}", headers=bearer(second))
    await shift_clock(instance.database, timedelta(hours=25))
    await Timers(instance.database, instance.settings).act_on_what_is_due()
    assert await answer(third, "accept", third) == (409, "offer-over"), "too late: its end is recorded"

    assert [
        cause
        for state in await instance.announced()
        for cause in [entry["cause"] for entry in state["causes"]][-1:]
    ].count("confirmed") == 2
    assert (await audit(instance.database.url)).differences == ()
