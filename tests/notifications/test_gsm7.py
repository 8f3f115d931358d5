"""Text messages in the telephone's alphabet: what becomes of a text, and what it fills."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications import gsm7


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Une place s’est libérée", "Une place s'est libérée"),
        ("« Le courriel, pas à pas »", '"Le courriel, pas à pas"'),
        ("«\u00a0Le courriel\u00a0»", '"Le courriel"'),
        ("de 13\u00a0h\u00a030 à 15\u202fh", "de 13 h 30 à 15 h"),
        ("Où être reçu, Noël, Île-d’Orléans", "Où etre recu, Noel, Ile-d'Orléans"),
        ("l’œuvre – suite…", "l'oeuvre - suite..."),
        ("ᐃᓄᒃᑎᑐᑦ iPad 😀", "iPad"),
        ("deux\nlignes\t\tet  plus", "deux lignes et plus"),
    ],
)
def test_what_the_alphabet_does_not_have_becomes_what_is_closest(text: str, expected: str) -> None:
    assert gsm7.spelled(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        # The escape and its character never stand in two segments: one septet of the first stays empty.
        ("€" * 152, 2),
        ("€" * 153, 3),
    ],
)
def test_a_text_fills_as_many_segments_as_the_standard_says(text: str, expected: int) -> None:
    assert gsm7.segments(text) == expected


@given(st.text())
def test_everything_can_be_spelled_and_stays_as_it_is_then(text: str) -> None:
    spelled = gsm7.spelled(text)
    assert set(spelled) <= gsm7.ALPHABET | gsm7.EXTENSION
    assert gsm7.spelled(spelled) == spelled
    assert gsm7.segments(spelled) <= max(1, -(-gsm7.septets(spelled) // (gsm7.JOINED - 1)))
