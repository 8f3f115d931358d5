"""The commands of the seat book: all that can happen to the seats of one session."""

from dataclasses import dataclass
from uuid import UUID

from services.registrations.draw import Ticket
from services.registrations.seats import Terms


@dataclass(frozen=True, slots=True)
class Replan:
    """`events` has announced the session, or changed it."""

    terms: Terms


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asks for a seat, or for several that are of use together only.

    `on_offer`: they wait for one of many sessions, so a seat that is free is offered to them, and only
    theirs once they have accepted it.
    """

    ref: UUID
    kind: str
    channel: str
    size: int = 1
    on_offer: bool = False
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody gives up, or staff take them out."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Accept:
    """Somebody takes the seat that is kept for them."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Decline:
    """Somebody lets the seat that is kept for them go."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Lapse:
    """Record every offer, and every gathering of seats, whose end has passed."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """On the last day, staff have called once and nobody answered: the next person is asked."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Release:
    """Let the held seats go whose date has come."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Staff give somebody who waits a seat over capacity."""

    ref: UUID


@dataclass(frozen=True, slots=True)
class Move:
    """Staff put somebody right before another who waits, in that person's class; None: last of all."""

    ref: UUID
    before: UUID | None


@dataclass(frozen=True, slots=True)
class Prioritise:
    """Staff put somebody who waits into a priority class: 0 is everybody's, 9 comes first."""

    ref: UUID
    priority: int


@dataclass(frozen=True, slots=True)
class Attend:
    """Staff note who came; `outcome` is one of `SEATED`: `confirmed` takes a note back."""

    ref: UUID
    outcome: str


@dataclass(frozen=True, slots=True)
class Draw:
    """Rank `tickets` by lot and give the seats in this order; who asked too late stands behind them."""

    seed: bytes
    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class CancelDraw:
    """Staff give the draw up: every request that waits for it ends, and no other is taken."""


@dataclass(frozen=True, slots=True)
class Split:
    """`size` of a party that waits go on as `new_ref`, right behind the others, who keep their place."""

    ref: UUID
    new_ref: UUID
    size: int


@dataclass(frozen=True, slots=True)
class Shrink:
    """Fewer come: the party takes `size` seats from now on, and the others go to those who wait."""

    ref: UUID
    size: int


Command = (
    Replan
    | Request
    | Cancel
    | Accept
    | Decline
    | Lapse
    | NoAnswer
    | Release
    | Grant
    | Move
    | Prioritise
    | Attend
    | Draw
    | CancelDraw
    | Split
    | Shrink
)
KEEPS_SHARES = (Request, Accept, Move, Prioritise, Attend)
"""The commands that leave every pool as large as it was; the others carry out what releases are due."""
