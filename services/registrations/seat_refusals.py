"""Why the seat book refuses a command; nothing has changed then."""


class Refused(Exception):
    """The rules don't allow the command."""


class Full(Refused):
    """No seat is free and the line takes nobody more."""


class OfferOver(Refused):
    """No seat is kept for this person any more."""


class NotWaiting(Refused):
    """Only somebody who waits can be moved, preferred or given a seat over capacity."""


class AlreadyOver(Refused):
    """The registration has ended."""


class TooEarly(Refused):
    """One call is not enough yet: the session is more than a day away, or no seat is offered."""


class NotBegun(Refused):
    """Who came is known from the session's start on."""


class NoSeat(Refused):
    """Only somebody who had a seat at the session can have come to it, or not."""


class DrawOver(Refused):
    """There is no draw to come: it was held, or cancelled, or there never was one."""


class DrawCancelled(Refused):
    """The draw was cancelled: this session gives no seats any more."""


class PartyTooLarge(Refused):
    """The session takes no party of that many."""


class NotSmaller(Refused):
    """A party can only become smaller, and somebody of it must still come."""
