"""What can come of one try to tell somebody something, whether a machine or a person made it."""

from typing import Final

from services.notifications.outcomes import OUTCOMES

BY_MACHINE: Final = ("sent", "delivered", "undelivered", "refused", "delayed")
"""`sent`: a server has taken it; `delivered`, `undelivered`: a receipt says what became of it after that;
`refused`: it will never be taken for this person; `delayed`: not this time."""
RESULTS: Final = (*BY_MACHINE, *OUTCOMES)
"""A try by machine or what somebody of the team noted of a call or letter (`outcomes.OUTCOMES`)."""


def last_word(known: str | None, said: str) -> bool:
    """Whether a receipt that says `said` counts, after another one said `known` (None: there was none yet).

    Receipts come late, twice and out of their order. A message that arrived once has arrived; that a
    repeat of it, or an earlier part, did not, changes nothing.
    """
    return known is None or (known, said) == ("undelivered", "delivered")
