"""What a notice is known by: the same whenever it is composed again, so that a repeat is recognised."""

from uuid import UUID, uuid5

from services.notifications.mailing import Key

_NAMESPACE = UUID("6f1c1d2e-8f0e-5b0a-9a63-2f6f0d6f7a11")


def delivery_id(registration_id: UUID, key: Key) -> UUID:
    """The notice of one cause of one registration."""
    epoch, version, cause = key
    return uuid5(_NAMESPACE, f"{registration_id}:{epoch}:{version}:{cause}")


def message_id(delivery: UUID, domain: str) -> str:
    """Its Message-ID (RFC 5322, 3.6.4): a repeat after a crash carries the same."""
    return f"<{delivery}@{domain}>"


def plus_addressed(mailbox: str, uid: str) -> str:
    """The instance's mailbox for one calendar entry, so that a calendar's reply can become an action.

    It follows the UID through a transfer: calendars take a change from the organizer they know alone.
    """
    local, _at, domain = mailbox.rpartition("@")
    return f"{local}+{uid.partition('@')[0]}@{domain}"
