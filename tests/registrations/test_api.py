"""The registrations API, as API.md promises it."""

import re

import pytest

from tests.registrations.conftest import Instance, session_state


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
