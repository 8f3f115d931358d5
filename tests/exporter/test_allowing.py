"""What the allow-list lets through, field by field, and what it holds back."""

import re
from pathlib import Path
from typing import Any

import pytest

from libs.messaging.contracts import SessionState
from libs.messaging.envelope import NotUnderstood
from libs.messaging.federated import FEDERATED_PAYLOADS, Federated
from services.exporter.allowing import (
    allowed_seats,
    allowed_session,
    allowed_tally,
    checked_key,
    key_of,
    level_for,
)
from tests.exporter.conftest import SESSION, counts, profile, seats_state, session_state

DOCUMENT = Path(__file__).parents[2] / "docs" / "federation.md"
URL = "https://tournee.example.org"


def documented() -> dict[str, set[str]]:
    """Model → its fields, from the tables of docs/federation.md: | `Model` | `field`, `field`… |."""
    found = {}
    for line in DOCUMENT.read_text("utf-8").splitlines():
        if row := re.fullmatch(r"\| `([A-Z]\w+)` \|(.*)\|", line):
            found[row[1]] = set(re.findall(r"`(\w+)`", row[2]))
    return found


def models() -> dict[str, type[Federated]]:
    """Every model that a federated payload is made of."""
    found: dict[str, type[Federated]] = {}

    def collect(model: type[Federated]) -> None:
        for inner in model.__subclasses__():
            collect(inner)
        found[model.__name__] = model

    collect(Federated)
    del found["Federated"]
    return found


def test_the_fields_that_may_leave_are_exactly_those_documented() -> None:
    assert {name: set(model.model_fields) for name, model in models().items()} == documented()


def test_every_stream_has_its_payload_documented() -> None:
    assert {payload.__name__ for payload in FEDERATED_PAYLOADS.values()} <= documented().keys()


def test_a_payload_drops_what_isnt_in_the_list() -> None:
    """At every depth: a model that kept unknown fields would let anything out."""
    assert {model.model_config.get("extra") for model in models().values()} == {"ignore"}


def test_a_session_says_what_the_public_calendar_shows() -> None:
    facts = allowed_session(session_state(), URL)
    assert facts.model_dump(mode="json") == {
        "id": str(SESSION),
        "status": "published",
        "title": "Le courriel, pas à pas",
        "stream": "public",
        "kind": "workshop",
        "theme": "courriel",
        "level": "beginner",
        "language": "fr",
        "modality": "hybrid",
        "delivered_by": "library_staff",
        "region": "03",
        "venue": {
            "id": "00000000-0000-0000-0000-000000000007",
            "name": "Bibliothèque Monique-Corriveau",
            "municipality": "Québec",
            "province": "CA-QC",
            "latitude": 46.77,
            "longitude": -71.3,
        },
        "starts_at": "2027-02-03T13:30:00",
        "ends_at": "2027-02-03T15:30:00",
        "timezone": "America/Toronto",
        "starts_at_utc": "2027-02-03T18:30:00Z",
        "ends_at_utc": "2027-02-03T20:30:00Z",
        "capacity": 20,
        "opens_at": "2027-01-02T14:00:00Z",
        "registration_modes": ["web", "phone", "desk"],
        "url": f"{URL}/seances/{SESSION}",
        "cancelled_at": None,
        "sequence": None,
        "updated_at": "2027-01-05T14:00:00Z",
    }


def test_a_field_that_a_newer_release_added_stays_inside() -> None:
    newer = SessionState.model_validate(
        session_state().model_dump() | {"host_phone": "418 555-0142", "venue": None}
    )
    assert "host_phone" in newer.model_dump()
    assert "418" not in allowed_session(newer, URL).model_dump_json()
    seats = seats_state(notes="Aline Tremblay")
    assert "Aline" not in allowed_seats(seats).model_dump_json()


def test_seats_are_counted_in_total_and_per_kind() -> None:
    """How far a draw has come is for the instance's own pages."""
    said, heard = allowed_seats(seats_state()), seats_state()
    assert said.model_dump() == heard.model_dump(exclude={"draw"})


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": "secret"},
        {"modality": "telepathic"},
        {"theme": "Aline Tremblay"},
        {"theme": "aline_tremblay"},
        {"timezone": "Maison/Aline"},
        {"venue": session_state().venue.model_copy(update={"province": "Aline"})},
        {"level": "aline@example.org"},
        {"region": "chez Aline"},
        {"kind": ""},
        {"language": "fr ca"},
        {"delivered_by": "+1 418 555-0142"},
        {"registration_modes": ("web", "appelez Aline")},
        {"title": "x" * 501},
    ],
)
def test_what_can_be_no_public_fact_doesnt_leave(changes: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood) as refusal:
        allowed_session(session_state(**changes), URL)
    assert not any(str(value) in str(refusal.value) for value in changes.values() if value)


def test_seats_of_an_unknown_kind_dont_leave() -> None:
    odd = seats_state()
    odd = odd.model_copy(update={"by_kind": {"chez Aline": odd.by_kind["on_site"]}})
    with pytest.raises(NotUnderstood) as refusal:
        allowed_seats(odd)
    assert "Aline" not in str(refusal.value)


@pytest.mark.parametrize(
    "tally",
    [
        counts(theme="Aline Tremblay"),
        counts(channel="aline@example.org"),
        counts(registrations={"Aline": 1, "confirmée par Aline": 1}),
        profile(dimension="nom de famille"),
        profile(value="Tremblay, Aline"),
        profile(value="aline_tremblay", dimension="target_group"),
        profile(region="chez elle"),
    ],
)
def test_a_cell_says_ids_and_numbers_only(tally: Any) -> None:
    with pytest.raises(NotUnderstood):
        allowed_tally(tally)


def test_levels_let_out_one_kind_after_the_other() -> None:
    facts, seats = allowed_session(session_state(), URL), allowed_seats(seats_state())
    found = [level_for(payload) for payload in (facts, seats, counts(), profile())]
    assert found == ["sessions", "sessions", "counts", "profile"]


def test_a_key_follows_from_what_is_said() -> None:
    assert key_of(allowed_session(session_state(), URL)) == str(SESSION)
    assert key_of(allowed_seats(seats_state())) == str(SESSION)
    assert key_of(counts()) == "operational/2027-02/03/public/courriel/web/on_site"
    assert key_of(profile()) == "profile/2027-02/03/public/people/-"


@pytest.mark.parametrize(
    ("stream", "key"),
    [("sessions", "aline"), ("seats", ""), ("tallies", "operational/Aline Tremblay"), ("tallies", "a//b")],
)
def test_a_key_that_cant_be_one_doesnt_leave(stream: str, key: str) -> None:
    with pytest.raises(NotUnderstood):
        checked_key(stream, key)


def test_keys_of_things_that_are_gone_are_checked_too() -> None:
    assert checked_key("sessions", str(SESSION)) == str(SESSION)
    for tally in (counts(theme=None, region=None), profile()):
        assert checked_key("tallies", key_of(tally)) == key_of(tally)
