"""Text messages in the telephone's own alphabet: what a text becomes in it, how many segments it fills."""

import re
import unicodedata
from typing import Final

ALPHABET: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""3GPP TS 23.038, 6.2.1: one septet each."""
EXTENSION: Final = frozenset("\f^{}\\[~]|€")
"""3GPP TS 23.038, 6.2.1.1: an escape and a character, two septets, never cut in two."""
ALONE: Final = 160
"""Septets of a message that fits into one segment …"""
JOINED: Final = 153
"""… and of each segment of a longer one, whose header takes the rest (3GPP TS 23.040, 9.2.3.24.1)."""

_TYPOGRAPHY = str.maketrans(
    {
        "’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-", "‑": "-",
        "…": "...", "œ": "oe", "Œ": "OE", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\t": " ",
    }
)  # fmt: skip

_INSIDE_QUOTES = re.compile(r"(?<=«)\s+|\s+(?=»)")


def spelled(text: str) -> str:
    """`text` with those characters alone that every telephone takes as GSM-7, on one line.

    One letter outside of it (« ê », « ç », the typographic apostrophe) would make the whole message UCS-2,
    with 67 characters to a segment instead of 153. Typographic signs become plain ones, letters lose the
    accent that the alphabet doesn't have; what has no likeness in it is left out.
    """
    close = _INSIDE_QUOTES.sub("", text).translate(_TYPOGRAPHY)
    return " ".join("".join(_letter(character) for character in close).split())


def septets(text: str) -> int:
    """The length of a text of this alphabet, on the air."""
    return sum(2 if character in EXTENSION else 1 for character in text)


def segments(text: str) -> int:
    """How many segments a text of this alphabet is sent, and paid, as."""
    if septets(text) <= ALONE:
        return 1
    count, room = 1, JOINED
    for character in text:
        size = septets(character)
        if size > room:
            count, room = count + 1, JOINED
        room -= size
    return count


def _letter(character: str) -> str:
    if character in ALPHABET or character in EXTENSION:
        return character
    plain = unicodedata.normalize("NFKD", character)
    return "".join(part for part in plain if part in ALPHABET)
