"""Addresses and numbers that no message can reach: nobody writes to them again, somebody calls."""

import hmac

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from libs.messaging.contracts import ContactDetails
from libs.settings import Settings
from services.notifications.models import Suppression


async def suppress(session: AsyncSession, settings: Settings, address: str, reason: str) -> None:
    """Never write to `address`, an e-mail's or a mobile's, again; `reason` is a code (`RCPT 550 5.1.1`)."""
    row = insert(Suppression).values(address_hash=_hash(settings, address), reason=reason)
    await session.execute(row.on_conflict_do_nothing())


async def takes_text_messages(session: AsyncSession, settings: Settings, contact: ContactDetails) -> bool:
    """Whether there is a gateway, and a mobile of which nobody said that it takes no text messages."""
    if settings.sms_url is None or not contact.mobile:
        return False
    return not await is_suppressed(session, settings, contact.mobile)


async def is_suppressed(session: AsyncSession, settings: Settings, address: str) -> bool:
    query = sa.select(col(Suppression.reason)).where(
        col(Suppression.address_hash) == _hash(settings, address)
    )
    return (await session.execute(query)).first() is not None


def _hash(settings: Settings, address: str) -> bytes:
    return hmac.digest(settings.secret.encode(), b"suppressed:" + address.strip().lower().encode(), "sha256")
