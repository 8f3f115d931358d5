"""Rounding that protects people: figures about them leave only as multiples of 5.

Where the remainder goes is drawn by a keyed hash of what is counted, so that the same figure always
rounds the same way (averaging repeated announcements reveals nothing), and so that sums over many cells
stay true on average. Who doesn't hold the key can't undo the draw.
"""

import hmac

BASE = 5


def rounded(n: int, *, key: bytes, cell: str, period: str, base: int = BASE) -> int:
    """`n` rounded to a multiple of `base`, up as often as its remainder is large: 3 goes up 3 times in 5.

    `cell` names what is counted and `period` when; with `n` and `key`, they decide alone. Always less
    than `base` from `n`, and `n` itself where it is a multiple already. Raises ValueError for a negative
    `n`, and for a key that is too short to keep a secret. Another base is for what isn't counted in people:
    minutes hide a person only if five of the longest stay fit into it.
    """
    if n < 0:
        raise ValueError("a count can't be negative")
    if len(key) < 16:
        raise ValueError("a rounding key has at least 16 bytes")
    whole, rest = divmod(n, base)
    if rest == 0:
        return n
    return base * (whole + (_draw(key, cell, period, n, base) < rest))


def _draw(key: bytes, cell: str, period: str, n: int, base: int) -> int:
    """A number below `base`, evenly spread. The parts carry their lengths: none runs into the next."""
    parts = [part.encode() for part in (cell, period, str(n))]
    said = b"".join(len(part).to_bytes(4) + part for part in parts)
    return int.from_bytes(hmac.digest(key, said, "sha256")) % base
