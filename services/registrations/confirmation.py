"""The confirmation number: short, and impossible to mishear or misread over the phone."""

import secrets

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without I and O, which are taken for 1 and 0."""
DIGITS = "23456789"


_COUNT = len(LETTERS) ** 4 * len(DIGITS) ** 4


def new_number() -> str:
    """Four letters, then four digits: `KMPR-4827`. It names a registration, it doesn't open it."""
    drawn = secrets.randbelow(_COUNT)
    found = []
    for characters in (DIGITS,) * 4 + (LETTERS,) * 4:
        drawn, index = divmod(drawn, len(characters))
        found.append(characters[index])
    digits, letters = "".join(found[:4]), "".join(found[4:])
    return f"{letters}-{digits}"
