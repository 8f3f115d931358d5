"""Who writes: the instance's name, its mailbox, its telephone and where its pages are."""

from dataclasses import dataclass
from uuid import UUID

from libs.manage_tokens import manage_token
from libs.settings import Settings


@dataclass(frozen=True, slots=True)
class Sender:
    """What every notice says of the instance. `phone_hours` per language."""

    name: str
    mailbox: str
    phone: str
    phone_hours: dict[str, str]
    base_url: str
    secret: str

    @classmethod
    def of(cls, settings: Settings) -> "Sender":
        return cls(
            name=f"Tournée {settings.instance_name}",
            mailbox=settings.mail_from or f"inscriptions@{settings.uid_domain}",
            phone=settings.phone,
            phone_hours={"fr": settings.phone_hours_fr, "en": settings.phone_hours_en},
            base_url=settings.base_url,
            secret=settings.secret,
        )

    def wait_url(self, wait_id: UUID, generation: int) -> str:
        """The page of somebody's wait for many sessions."""
        return f"{self.base_url}/mon-attente/{manage_token(self.secret, wait_id, generation)}"

    def manage_url(self, registration_id: UUID, generation: int) -> str:
        """The person's own page."""
        return f"{self.base_url}/mon-inscription/{manage_token(self.secret, registration_id, generation)}"
