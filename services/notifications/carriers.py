"""The ways by which notices leave by themselves: what each makes of a notice, and how it hands that over."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from services.notifications import compose, mime
from services.notifications.handing import Refused
from services.notifications.records import Claimed
from services.notifications.sender import Sender
from services.notifications.sms import TextMessages
from services.notifications.smtp import Post
from services.notifications.wording import Facts

HandOver = Callable[[], Awaitable[str | None]]
"""Hands one composed message over; gives the server's own name for it, if there is one."""


class Carrier(Protocol):
    """One route of `mailing.BY_MACHINE`."""

    route: str

    def compose(self, item: Claimed, facts: Facts, sender: Sender) -> HandOver:
        """The message of a notice, ready to go. Raises `Refused` for an address that can't be one.

        What it gives raises `NotNow` or `Refused`.
        """

    async def close(self) -> None: ...


class ByMail(Carrier):
    """E-mail over SMTP."""

    route = "email"

    def __init__(self, post: Post) -> None:
        self._post = post

    def compose(self, item: Claimed, facts: Facts, sender: Sender) -> HandOver:
        try:
            recipient = mime.wire_address(facts.state.contact.email or "")
            message = compose.email(
                facts, recipient=recipient, message_id=item.message_id, sender=sender, now=item.now
            )
        except mime.BadAddress:
            raise Refused("ADDRESS unreadable") from None

        async def hand_over() -> None:
            await self._post.send(message, sender=sender.mailbox, recipient=recipient)

        return hand_over

    async def close(self) -> None:
        await self._post.close()


class BySms(Carrier):
    """Text messages through a gateway, which knows a repeat by the delivery's id."""

    route = "sms"

    def __init__(self, messages: TextMessages) -> None:
        self._messages = messages

    def compose(self, item: Claimed, facts: Facts, sender: Sender) -> HandOver:
        text = compose.text_message(facts, sender=sender, now=item.now)
        to = facts.state.contact.mobile or ""

        async def hand_over() -> str | None:
            return await self._messages.send(text, to=to, id_=item.id)

        return hand_over

    async def close(self) -> None:
        await self._messages.close()
