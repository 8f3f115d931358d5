"""Signed tokens: what was signed comes back, and nothing else does."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.web.tokens import BadToken, same_secret, sign, verify

SECRET, OTHER = "a-secret-of-enough-length", "b-secret-of-enough-length"
ALPHABET = set(string.ascii_letters + string.digits + "-_")


@given(st.binary(max_size=64), st.text(max_size=10))
def test_what_was_signed_comes_back(payload: bytes, purpose: str) -> None:
    token = sign(SECRET, purpose, payload)
    assert verify(SECRET, purpose, token) == payload
    assert set(token) <= ALPHABET


@given(st.binary(max_size=32), st.data())
def test_any_change_is_noticed(payload: bytes, data: st.DataObject) -> None:
    token = sign(SECRET, "manage", payload)
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from(sorted(ALPHABET - {token[at]})))
    with pytest.raises(BadToken):
        verify(SECRET, "manage", token[:at] + letter + token[at + 1 :])


@given(st.text())
def test_no_text_is_a_token_by_chance(text: str) -> None:
    with pytest.raises(BadToken):
        verify(SECRET, "manage", text)


def test_a_token_counts_for_one_purpose_and_one_secret() -> None:
    token = sign(SECRET, "manage", b"registration")
    for secret, purpose in ((SECRET, "form"), (OTHER, "manage")):
        with pytest.raises(BadToken):
            verify(secret, purpose, token)
    for longer in (token + "=", token + "A", " " + token):
        with pytest.raises(BadToken):
            verify(SECRET, "manage", longer)


def test_a_token_of_an_id_fits_in_a_short_link() -> None:
    assert len(sign(SECRET, "manage", bytes(18))) <= 46


def test_secrets_are_compared_whole() -> None:
    assert same_secret("é", "é")
    assert not same_secret("", "a")
    assert not same_secret("ab", "a")
