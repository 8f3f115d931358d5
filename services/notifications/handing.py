"""What can come of handing a notice over to a server, whichever way it goes."""

from datetime import timedelta


class NotNow(Exception):
    """The message could not be handed over this time. The text is a code without personal data.

    `after`: the server asks not to be tried again sooner than that.
    """

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Refused(Exception):
    """This message will never be taken for this recipient. The text is a code without personal data."""

    def __init__(self, reason: str, *, no_such_address: bool = False) -> None:
        super().__init__(reason)
        self.no_such_address = no_such_address
