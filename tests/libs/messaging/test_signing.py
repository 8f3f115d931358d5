"""What a signature holds fast: nobody can change, move or retell a single byte of a message."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import assume, example, given
from hypothesis import strategies as st

from libs.messaging import topics
from libs.messaging.bus import Message
from libs.messaging.signing import (
    SIGNATURE,
    Signer,
    key_id_of,
    new_secret,
    read_key,
    signed_by,
    signed_bytes,
    verify,
)

SIGNER = Signer.from_secret(base64.b64encode(bytes(range(32))).decode())
STRANGER = Signer.from_secret(base64.b64encode(bytes(32)).decode())
STREAMS = st.sampled_from(topics.FEDERATED)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.builds("ce_{}".format, st.text(st.characters(codec="ascii"), max_size=6))
VALUES = st.none() | st.binary(max_size=40)


def message(
    headers: dict[str, str], value: bytes | None = b"{}", stream: str = "seats", instance: str = "estrie"
) -> Message:
    key = headers.get("ce_subject", "42")
    topic = topics.federated(instance)[stream]
    return Message(topic, key, value, key, {"ce_subject": key, **headers})


MESSAGES = st.builds(message, st.dictionaries(NAMES, TEXT, max_size=4), VALUES, STREAMS)


@given(MESSAGES)
def test_a_signed_message_is_believed_and_names_its_key(said: Message) -> None:
    signed = SIGNER.sign(said)
    assert verify(signed, SIGNER.public_key)
    assert signed_by(signed) == SIGNER.key_id == key_id_of(SIGNER.public_key)
    assert signed.value == said.value
    assert signed.key == said.key
    assert signed == SIGNER.sign(signed)


@given(MESSAGES)
def test_no_other_key_has_signed_it(said: Message) -> None:
    assert not verify(SIGNER.sign(said), STRANGER.public_key)


def test_an_unsigned_message_names_no_key() -> None:
    said = message({"ce_keyid": SIGNER.key_id})
    assert signed_by(said) is None
    assert not verify(said, SIGNER.public_key)


@given(said=MESSAGES, data=st.data())
def test_no_byte_of_the_value_can_change(said: Message, data: st.DataObject) -> None:
    other = data.draw(VALUES)
    assume(other != said.value)
    assert not verify(replace(SIGNER.sign(said), value=other), SIGNER.public_key)


@given(value=st.binary(min_size=1, max_size=60), data=st.data())
def test_no_bit_of_the_value_can_change(value: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    other = bytes(byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(value))
    assert not verify(replace(SIGNER.sign(message({}, value)), value=other), SIGNER.public_key)


@example(said=message({}, b""))
@given(said=MESSAGES)
def test_a_state_is_no_tombstone_and_a_tombstone_no_state(said: Message) -> None:
    assume(not said.value)
    other = b"" if said.value is None else None
    assert not verify(replace(SIGNER.sign(said), value=other), SIGNER.public_key)


@given(said=MESSAGES, data=st.data())
def test_no_attribute_can_change_go_or_come(said: Message, data: st.DataObject) -> None:
    signed = SIGNER.sign(said)
    headers = dict(signed.headers)
    signed_names = sorted(name for name in headers if name.startswith("ce_"))
    changed = dict(headers)
    match data.draw(st.sampled_from(("change", "go", "come"))):
        case "change":
            changed[data.draw(st.sampled_from(signed_names))] = data.draw(TEXT)
        case "go":
            del changed[data.draw(st.sampled_from(signed_names))]
        case _:
            changed[data.draw(NAMES)] = data.draw(TEXT)
    assume(changed != headers)
    assert not verify(replace(signed, headers=changed), SIGNER.public_key)


@given(said=MESSAGES, stream=STREAMS)
def test_a_message_belongs_to_its_stream(said: Message, stream: str) -> None:
    other = replace(SIGNER.sign(said), topic=topics.federated("estrie")[stream])
    assert verify(other, SIGNER.public_key) == (other.topic == said.topic)


def test_a_message_belongs_to_its_key() -> None:
    assert not verify(replace(SIGNER.sign(message({})), key="43"), SIGNER.public_key)


def test_a_copy_of_the_stream_keeps_the_signature() -> None:
    """What instance a topic belongs to is `ce_source`'s to say, which is signed."""
    copied = replace(SIGNER.sign(message({})), topic=topics.federated("laval")["seats"])
    assert verify(copied, SIGNER.public_key)


@given(first=MESSAGES, second=MESSAGES)
def test_two_messages_never_have_the_same_bytes(first: Message, second: Message) -> None:
    def said(of: Message) -> object:
        return of.topic.logical, dict(of.headers), of.value

    assert (signed_bytes(first) == signed_bytes(second)) == (said(first) == said(second))


@given(text=st.text(st.characters(codec="ascii"), max_size=20), cut=st.integers(0, 20), to=st.integers(0, 20))
def test_bytes_cant_change_sides(text: str, cut: int, to: int) -> None:
    """Between a name and its value, two values, and the attributes and the payload."""
    assume(text[:cut] != text[:to])

    def split(at: int) -> list[Message]:
        left, right = text[:at], text[at:]
        return [
            message({f"ce_a{left}": right}),
            message({"ce_a": left, "ce_b": right}),
            message({"ce_z": left}, right.encode()),
        ]

    for one, other in zip(split(cut), split(to), strict=True):
        signed = SIGNER.sign(one)
        moved = replace(SIGNER.sign(other), headers={**SIGNER.sign(other).headers, **_signature(signed)})
        assert verify(signed, SIGNER.public_key)
        assert not verify(moved, SIGNER.public_key)


def _signature(signed: Message) -> dict[str, str]:
    return {SIGNATURE: signed.headers[SIGNATURE]}


@given(data=st.data())
def test_no_character_of_the_signature_can_change(data: st.DataObject) -> None:
    signed = SIGNER.sign(message({}))
    text = signed.headers[SIGNATURE]
    place = data.draw(st.integers(0, len(text) - 1))
    other = text[:place] + data.draw(st.characters()) + text[place + 1 :]
    assume(other != text)
    assert not verify(replace(signed, headers={**signed.headers, SIGNATURE: other}), SIGNER.public_key)


@pytest.mark.parametrize("text", ["", "é", "\ud800", "A" * 88, "====", "AAAA"])
def test_what_is_no_signature_is_refused_quietly(text: str) -> None:
    signed = SIGNER.sign(message({}))
    assert not verify(replace(signed, headers={**signed.headers, SIGNATURE: text}), SIGNER.public_key)


def test_a_header_that_no_encoding_can_carry_is_refused_quietly() -> None:
    signed = SIGNER.sign(message({}))
    assert not verify(replace(signed, headers={**signed.headers, "ce_x": "\ud800"}), SIGNER.public_key)


def test_what_may_change_on_the_way_is_not_signed() -> None:
    """A transport may add headers of its own; nobody reads them."""
    signed = SIGNER.sign(message({"content-type": "application/json"}))
    assert verify(replace(signed, headers={**signed.headers, "trace": "1"}), SIGNER.public_key)


def test_a_new_secret_is_a_key() -> None:
    secret = new_secret()
    assert len(read_key(secret)) == 32
    assert secret != new_secret()
    assert Signer.from_secret(secret).key_id == Signer.from_secret(secret + "\n").key_id


@pytest.mark.parametrize("text", ["", "abc", "é", base64.b64encode(bytes(31)).decode(), "_" * 44])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="32 octets"):
        read_key(text)


def test_the_documentation_is_enough_to_verify_a_signature() -> None:
    """Its example, checked by its own words: nothing here uses the code that signs."""
    text = (Path(__file__).parents[3] / "docs" / "federation.md").read_text("utf-8")
    example = json.loads(text.partition("```json")[2].partition("```")[0])

    def part(content: str) -> bytes:
        return len(content.encode()).to_bytes(4) + content.encode()

    headers = {name: value for name, value in example["headers"].items() if name.startswith("ce_")}
    described = part("tournee federated message, version 1") + part(example["stream"])
    described += len(headers).to_bytes(4)
    described += b"".join(part(name) + part(headers[name]) for name in sorted(headers))
    described += b"\x01" + part(example["value"])

    assert hashlib.sha256(described).hexdigest() == example["sha256_of_signed_bytes"]
    public_key = base64.b64decode(example["public_key"])
    key = Ed25519PublicKey.from_public_bytes(public_key)
    key.verify(base64.b64decode(example["signature"]), described)
    assert hashlib.sha256(public_key).hexdigest()[:16] == headers["ce_keyid"]
    subject = headers["ce_subject"]
    said = Message(
        topics.federated("estrie")["seats"],
        subject,
        example["value"].encode(),
        subject,
        {**example["headers"], SIGNATURE: example["signature"]},
    )
    assert verify(said, public_key)
    assert Signer.from_secret(example["private_key"]).sign(said) == said
