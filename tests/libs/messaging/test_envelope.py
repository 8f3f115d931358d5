"""The CloudEvents envelope: what goes in comes out, and hostile messages are named, never guessed."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from libs.messaging import topics
from libs.messaging.bus import Message
from libs.messaging.contracts import SessionAccess
from libs.messaging.envelope import NotUnderstood, pack, unpack

ACCESS = SessionAccess(session_id=UUID(int=1), online_url="https://video.example.org/é")


def message(**changes: Any) -> Message:
    packed = pack(
        topics.SESSION_ACCESS,
        instance="demo",
        key="k",
        partition_key="p",
        epoch=2,
        version=7,
        time=datetime(2027, 1, 2, 3, 4, tzinfo=UTC),
        payload=ACCESS,
    )
    headers = {**packed.headers, **changes.pop("headers", {})}
    fields = {name: getattr(packed, name) for name in ("topic", "key", "value", "partition_key")}
    return Message(**(fields | changes), headers={k: v for k, v in headers.items() if v is not None})


def test_what_is_packed_is_unpacked() -> None:
    envelope, payload = unpack(message())

    assert payload == ACCESS
    assert (envelope.subject, envelope.newness) == ("k", (2, 7))
    assert envelope.source == "/tournee/demo/events"
    assert envelope.type == "tournee.session_access.state"


def test_a_field_that_a_newer_peer_added_is_kept() -> None:
    newer = ACCESS.model_dump_json()[:-1] + ', "weather": "neige"}'
    _, payload = unpack(message(value=newer.encode()))

    assert payload is not None
    assert payload.model_dump()["weather"] == "neige"


def test_a_tombstone_has_no_payload() -> None:
    _, payload = unpack(message(value=None))
    assert payload is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value": b"\xff\xfe"}, "payload:  json_invalid"),
        ({"value": b'{"online_url": 3}'}, "payload: online_url string_type, session_id missing"),
        ({"key": "other"}, "ce_subject is not the message's key"),
        ({"headers": {"ce_specversion": "2.0"}}, "ce_specversion is not 1.0"),
        ({"headers": {"ce_id": None}}, "header ce_id is missing"),
        ({"headers": {"ce_version": "many"}}, "ce_time, ce_epoch or ce_version is malformed"),
        ({"headers": {"ce_time": "2027-01-02T03:04:05"}}, "ce_time has no offset"),
    ],
)
def test_what_cannot_be_understood_says_why_without_the_payload(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotUnderstood, match=f"^{reason}$"):
        unpack(message(**changes))
