"""Who is believed, and about what: every reason to doubt, and that no change of a signed message passes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messaging import topics
from libs.messaging.bus import Message
from libs.messaging.signing import Signer, new_secret
from services.national.believing import Believed, Doubt, Key, Known, Reason, Region, judge
from tests.national.speaking import NOON, Speaker, with_headers, with_value

ESTRIE, LAVAL = Speaker("estrie"), Speaker("laval")
NOW = NOON + timedelta(days=1)
SESSION = UUID("5e55104e-0000-4000-8000-000000000001")
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def known(speaker: Speaker, *regions: Region, **key: Any) -> Known:
    keys = {speaker.signer.key_id: Key(speaker.signer.public_key, **({"valid_from": NEVER} | key))}
    return Known(suspended=False, epoch=1, keys=keys, regions=regions)


REGISTRY = {"estrie": known(ESTRIE), "laval": known(LAVAL)}


def verdict(message: Message, *, registry: Mapping[str, Known] = REGISTRY, **more: Any) -> str:
    """`believed`, or the reason why not."""
    try:
        judge(message, registry, more.get("owners", {}), more.get("now", NOW))
    except Doubt as doubt:
        return doubt.reason
    return "believed"


def estrie(*regions: Region, **known_as: Any) -> Mapping[str, Known]:
    key = {name: known_as.pop(name) for name in list(known_as) if name.startswith(("valid", "revoked"))}
    return REGISTRY | {"estrie": replace(known(ESTRIE, *regions, **key), **known_as)}


def everything(speaker: Speaker = ESTRIE) -> list[Message]:
    return [
        speaker.session(SESSION),
        speaker.session(SESSION, gone=True),
        speaker.seats(SESSION, confirmed=3),
        speaker.seats(SESSION, gone=True),
        speaker.tally(),
        speaker.tally(gone=True),
        speaker.profile(),
        speaker.heartbeat(),
    ]


def test_what_an_instance_says_of_its_own_is_believed() -> None:
    for message in everything():
        assert verdict(message) == "believed"
    found = judge(ESTRIE.seats(SESSION, version=4), REGISTRY, {}, NOW)
    assert isinstance(found, Believed)
    assert (found.instance, found.stream, found.session_id) == ("estrie", "seats", str(SESSION))
    assert found.envelope.newness == (1, 4)


def test_an_instance_that_nobody_registered_is_not() -> None:
    assert {verdict(message) for message in everything(Speaker("gaspesie"))} == {Reason.UNKNOWN_INSTANCE}


def test_a_suspended_instance_is_not() -> None:
    assert {verdict(m, registry=estrie(suspended=True)) for m in everything()} == {Reason.SUSPENDED_INSTANCE}


def test_what_is_not_signed_is_not() -> None:
    for message in everything():
        assert verdict(with_headers(message, signature=None)) == Reason.UNSIGNED
        assert verdict(with_headers(message, ce_keyid=None)) == Reason.UNSIGNED


def test_a_key_that_is_nobodys_or_anothers_is_not() -> None:
    stranger = Signer.from_secret(new_secret())
    for message in everything():
        assert verdict(stranger.sign(message)) == Reason.UNKNOWN_KEY
        assert verdict(LAVAL.signer.sign(message)) == Reason.UNKNOWN_KEY
        named = with_headers(stranger.sign(message), ce_keyid=ESTRIE.signer.key_id)
        assert verdict(named) == Reason.BAD_SIGNATURE


def test_another_instances_message_in_ones_own_stream_is_not() -> None:
    for message in everything(LAVAL):
        stream = message.topic.logical.partition(".")[2]
        copied = replace(message, topic=topics.federated("estrie")[stream])
        assert verdict(copied) == Reason.WRONG_SOURCE
        assert verdict(ESTRIE.signer.sign(copied)) == Reason.WRONG_SOURCE
    assert verdict(ESTRIE.heartbeat(instance="laval")) == Reason.WRONG_SOURCE


def test_keys_are_believed_for_what_they_signed_while_they_were_valid() -> None:
    message = ESTRIE.session(SESSION)
    second = timedelta(seconds=1)
    assert verdict(message, registry=estrie(valid_from=NOON)) == "believed"
    assert verdict(message, registry=estrie(valid_from=NOON + second)) == Reason.KEY_NOT_VALID
    assert verdict(message, registry=estrie(valid_until=NOON + second)) == "believed"
    assert verdict(message, registry=estrie(valid_until=NOON)) == Reason.KEY_NOT_VALID
    # However late it is read.
    late = NOW + timedelta(days=400)
    assert verdict(message, registry=estrie(valid_until=NOON + second), now=late) == "believed"


def test_a_revoked_key_is_believed_for_nothing() -> None:
    revoked = estrie(revoked_at=NOW)
    assert verdict(ESTRIE.session(SESSION, time=NOON), registry=revoked) == Reason.KEY_NOT_VALID


def test_two_keys_may_overlap() -> None:
    new = Signer.from_secret(new_secret())
    keys = {
        **REGISTRY["estrie"].keys,
        new.key_id: Key(new.public_key, NOON - timedelta(days=1)),
    }
    both = estrie(keys=keys)
    assert verdict(ESTRIE.session(SESSION), registry=both) == "believed"
    assert verdict(ESTRIE.session(SESSION, signer=new), registry=both) == "believed"


def test_an_epoch_that_nobody_confirmed_is_not() -> None:
    message = ESTRIE.session(SESSION, epoch=2)
    assert verdict(message) == Reason.UNCONFIRMED_EPOCH
    assert verdict(message, registry=estrie(epoch=2)) == "believed"
    assert verdict(message, registry=estrie(epoch=None)) == "believed"


def test_a_session_that_another_said_first_is_not_theirs() -> None:
    owners = {str(SESSION): "laval"}
    for message in everything()[:4]:
        assert verdict(message, owners=owners) == Reason.NOT_THEIRS
        assert verdict(message, owners={str(SESSION): "estrie"}) == "believed"


def test_a_region_is_theirs_on_its_days_alone() -> None:
    theirs = estrie(Region("05", date(2027, 2, 1), date(2027, 3, 1)))

    def said(region: str | None, wall_clock: str) -> str:
        starts_at = datetime.fromisoformat(wall_clock)
        return verdict(ESTRIE.session(SESSION, region=region, starts_at=starts_at), registry=theirs)

    assert said("05", "2027-02-01T00:00") == "believed"
    assert said("05", "2027-02-28T20:00") == "believed"
    assert said("05", "2027-03-01T00:00") == Reason.REGION_NOT_THEIRS
    assert said("05", "2027-01-31T23:00") == Reason.REGION_NOT_THEIRS
    assert said("16", "2027-02-03T00:00") == Reason.REGION_NOT_THEIRS
    # Online sessions may be nowhere.
    assert said(None, "2027-02-03T00:00") == "believed"


def test_counts_of_a_region_are_theirs_in_months_that_they_have_a_part_of() -> None:
    theirs = estrie(Region("05", date(2027, 2, 15), date(2027, 3, 2)))
    for month, region, expected in (
        ("2027-01", "05", Reason.REGION_NOT_THEIRS),
        ("2027-02", "05", "believed"),
        ("2027-03", "05", "believed"),
        ("2027-04", "05", Reason.REGION_NOT_THEIRS),
        ("2027-02", "16", Reason.REGION_NOT_THEIRS),
        ("2027-02", None, "believed"),
    ):
        assert verdict(ESTRIE.tally(month=month, region=region), registry=theirs) == expected
        assert verdict(ESTRIE.profile(month=month, region=region), registry=theirs) == expected


def of(message: Message, **changes: Any) -> Message:
    """The message with some members of its payload changed, and signed again: an instance that lies."""
    value = json.loads(message.value or b"{}")
    value.get("cell", value).update(changes)
    return with_value(message, json.dumps(value).encode(), ESTRIE.signer)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": str(uuid4())},
        {"title": "a\0b"},
        {"title": "x" * 501},
        {"title": None},
        {"capacity": -1},
        {"capacity": 10**30},
        {"capacity": 1_000_001},
        {"stream": "other"},
        {"starts_at": "1066-10-14T09:00:00"},
        {"ends_at": "9999-12-31T23:59:59"},
        {"starts_at_utc": "0001-01-01T00:00:00+14:00"},
        {"ends_at_utc": "2027-02-03T13:30:00+00:00"},
        {"updated_at": "2027-02-03T13:30:00"},
        {"opens_at": "9999-12-31T23:59:59-14:00"},
        {"url": "javascript:alert(1)"},
        {"registration_modes": ["web"] * 100},
        {"registration_modes": ["w" * 100]},
        {"venue": {"id": str(SESSION), "name": "Ici", "latitude": "NaN", "longitude": 1}},
        {"venue": {"id": str(SESSION), "name": "Ici", "latitude": 45, "longitude": None}},
    ],
)
def test_a_session_that_cannot_be_is_malformed(changes: dict[str, Any]) -> None:
    assert verdict(of(ESTRIE.session(SESSION), **changes)) == Reason.MALFORMED


@pytest.mark.parametrize(
    "changes",
    [
        {"month": "1999-12"},
        {"month": "9999-12"},
        {"month": "2026-13"},
        {"month": "２０２６-11"},
        {"channel": "another"},
        {"walk_ins": 10**12},
        {"attended_minutes": 10**18},
        {"registrations": {f"state{n}": 1 for n in range(100)}},
        {"registrations": {"attended": -1}},
        {"answer_minutes": [1, 2, 3]},
        {"as_of": "1066-10-14T09:00:00Z"},
    ],
)
def test_counts_that_cannot_be_are_malformed(changes: dict[str, Any]) -> None:
    assert verdict(of(ESTRIE.tally(), **changes)) == Reason.MALFORMED


def test_other_payloads_that_cannot_be_are_malformed() -> None:
    for message in (
        of(ESTRIE.seats(SESSION), confirmed=10**9),
        of(ESTRIE.seats(SESSION), by_kind={"balcony": {}}),
        of(ESTRIE.seats(SESSION), session_id=str(uuid4())),
        of(ESTRIE.profile(), rounded=7),
        of(ESTRIE.profile(), rounded=10**12),
        of(ESTRIE.profile(), dimension="age"),
        of(ESTRIE.heartbeat(), url="file:///etc/passwd"),
        of(ESTRIE.heartbeat(), lag=10**12),
        with_value(ESTRIE.session(SESSION), b"{", ESTRIE.signer),
        with_value(ESTRIE.session(SESSION), b"", ESTRIE.signer),
        with_value(ESTRIE.session(SESSION), b"[" * 60_000, ESTRIE.signer),
        with_value(ESTRIE.session(SESSION), b'"' + b"x" * 70_000 + b'"', ESTRIE.signer),
    ):
        assert verdict(message) == Reason.MALFORMED


@pytest.mark.parametrize(
    "headers",
    [
        {"ce_epoch": "0"},
        {"ce_epoch": str(2**31)},
        {"ce_epoch": "1e3"},
        {"ce_version": "-1"},
        {"ce_version": str(2**63)},
        {"ce_version": "9" * 5000},
        {"ce_time": "yesterday"},
        {"ce_time": "2027-02-03T13:30:00"},
        {"ce_time": "0001-01-01T00:00:00+00:00"},
        {"ce_specversion": "2.0"},
        {"ce_subject": str(uuid4())},
        {"ce_note": "x" * 10_000},
        {"ce_id": None},
    ],
)
def test_an_envelope_that_cannot_be_read_is_malformed(headers: dict[str, str | None]) -> None:
    assert verdict(with_headers(ESTRIE.session(SESSION), ESTRIE.signer, **headers)) == Reason.MALFORMED


def test_a_session_has_one_key_alone() -> None:
    """Written otherwise, it would be another thing that is gone, or the same session twice."""
    for key in (str(SESSION).upper(), SESSION.hex, f"{{{SESSION}}}", "x", "", "é" * 400):
        for gone in (True, False):
            message = ESTRIE.session(SESSION, gone=gone)
            other = replace(message, key=key)
            assert verdict(with_headers(other, ESTRIE.signer, ce_subject=key)) == Reason.MALFORMED


MESSAGES = everything()


@given(st.data())
def test_no_change_of_what_is_signed_is_believed(data: st.DataObject) -> None:
    message = data.draw(st.sampled_from(MESSAGES))
    kind = data.draw(st.sampled_from(["value", "header", "new header", "key", "stream"]))
    changed = message
    if kind == "value":
        value = data.draw(st.none() | st.binary(max_size=300))
        changed = replace(message, value=value)
    elif kind == "header":
        name = data.draw(st.sampled_from(sorted(n for n in message.headers if n.startswith("ce_"))))
        text = data.draw(st.text(max_size=60) | st.sampled_from(["1", "2", "0", "estrie"]))
        changed = replace(message, headers={**message.headers, name: text})
    elif kind == "new header":
        name = "ce_" + data.draw(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8))
        changed = replace(message, headers={name: "x", **message.headers})
    elif kind == "key":
        changed = replace(message, key=data.draw(st.text(max_size=60)))
    else:
        stream = data.draw(st.sampled_from(topics.FEDERATED))
        changed = replace(message, topic=topics.federated("estrie")[stream])
    if changed != message:
        assert verdict(changed) != "believed"


@given(
    key=st.text(max_size=400),
    headers=st.dictionaries(
        st.sampled_from([*MESSAGES[0].headers, "signature", "ce_other"]) | st.text(max_size=10),
        st.text(max_size=40) | st.sampled_from(["1", "/tournee/estrie/exporter", "1.0", NOON.isoformat()]),
    ),
    value=st.none() | st.binary(max_size=200),
    sign=st.booleans(),
)
def test_whatever_comes_is_judged(key: str, headers: dict[str, str], value: bytes | None, sign: bool) -> None:
    """Never an error: a message that breaks the judge would hold up its stream."""
    message = Message(topics.federated("estrie")["sessions"], key, value, key, headers)
    if sign:
        message = ESTRIE.signer.sign(message)
    assert verdict(message) in set(Reason)
