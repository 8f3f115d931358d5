"""The confirmation number: short, and impossible to mishear or misread over the phone."""

import secrets

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without I and O, which are taken for 1 and 0."""
DIGITS = "23456789"


def new_number() -> str:
    """Four letters, then four digits: `KMPR-4827`. It names a registration, it doesn't open it."""
    return (
        "".join(secrets.choice(LETTERS) for _ in range(4))
        + "-"
        + "".join(secrets.choice(DIGITS) for _ in range(4))
    )
