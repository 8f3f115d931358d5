"""Registrations, causes and sessions as `registrations` announces them, for the tests of notifications."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.clock import zone
from libs.messaging import topics
from libs.messaging.bus import Message, Received
from libs.messaging.contracts import (
    Alternative,
    Cause,
    ContactDetails,
    RegistrationState,
    SessionFacts,
    VenueFacts,
)
from libs.messaging.envelope import pack

VENUE = VenueFacts(
    id=UUID("7b1f8f0e-0000-4000-8000-000000000001"),
    name="Bibliothèque Monique-Corriveau",
    street="1100, route de l’Église",
    municipality="Québec",
    postal_code="G1V3V9",
    phone="+14186416686",
    latitude=46.7712,
    longitude=-71.3001,
)
DOMAIN = "test.tournee.internal"


def session_facts(
    *, days: float = 16, hours: float = 2, timezone: str = "America/Toronto", **changes: Any
) -> SessionFacts:
    """A session that starts `days` from now at 13:30 on its own wall clock."""
    here = zone(timezone)
    day = (datetime.now(UTC) + timedelta(days=days)).astimezone(here).date()
    start = datetime(day.year, day.month, day.day, 13, 30, tzinfo=here)
    end = start + timedelta(hours=hours)
    return at_time(
        SessionFacts(
            id=UUID("5e55104e-0000-4000-8000-000000000001"),
            title="Le courriel, pas à pas",
            status="published",
            modality="on_site",
            bring="Votre tablette, si vous en avez une.",
            venue=VENUE,
            url="http://testserver/seances/5e55104e-0000-4000-8000-000000000001",
            **_times(start, end, timezone),
        ),
        start,
        end,
        **changes,
    )


def at_time(
    facts: SessionFacts, start: datetime, end: datetime | None = None, **changes: Any
) -> SessionFacts:
    """The same session at other (aware) times."""
    end = end or start + (facts.ends_at_utc - facts.starts_at_utc)
    return facts.model_copy(update=_times(start, end, facts.timezone) | changes)


def _times(start: datetime, end: datetime, timezone: str) -> dict[str, Any]:
    return {
        "starts_at": start.replace(tzinfo=None),
        "ends_at": end.replace(tzinfo=None),
        "timezone": timezone,
        "starts_at_utc": start.astimezone(UTC),
        "ends_at_utc": end.astimezone(UTC),
    }


def moved(facts: SessionFacts, **shift: float) -> SessionFacts:
    """The session at another time: `days=2`, `hours=1`."""
    here = zone(facts.timezone)
    start = (facts.starts_at + timedelta(**shift)).replace(tzinfo=here)
    return at_time(facts, start)


def elsewhere(*, days: float = 30, **changes: Any) -> SessionFacts:
    """Another session, in another place."""
    given: dict[str, Any] = {
        "id": UUID("5e55104e-0000-4000-8000-000000000002"),
        "title": "La tablette, pas à pas",
        "url": "http://testserver/seances/5e55104e-0000-4000-8000-000000000002",
        "venue": VENUE.model_copy(
            update={"name": "Bibliothèque Gabrielle-Roy", "street": "350, rue Saint-Joseph Est"}
        ),
    }
    return session_facts(days=days, **(given | changes))


def alternative(days: float, **changes: Any) -> Alternative:
    facts = session_facts(days=days)
    return Alternative(
        id=uuid4(),
        title=facts.title,
        url="http://testserver/seances/other",
        venue_name="Bibliothèque Gabrielle-Roy",
        municipality="Québec",
        available=4,
        starts_at=facts.starts_at,
        ends_at=facts.ends_at,
        timezone=facts.timezone,
        starts_at_utc=facts.starts_at_utc,
        ends_at_utc=facts.ends_at_utc,
    ).model_copy(update=changes)


_STATUS = {
    "pending": "pending",
    "draw_cancelled": "cancelled",
    "confirmed": "confirmed",
    "waitlisted": "waitlisted",
    "offered": "offered",
    "offer_expired": "expired",
    "declined": "declined",
    "cancelled_by_person": "cancelled",
    "cancelled_by_staff": "cancelled",
    "session_cancelled": "cancelled",
}


def cause_of(name: str, version: int = 1, **changes: Any) -> Cause:
    """A cause as it happens now; `changes` are fields of `Cause`."""
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "epoch": 1,
        "version": version,
        "cause": name,
        "at": now,
        "status": _STATUS.get(name, "confirmed"),
        "sequence": version - 1,
        "session": session_facts(),
    }
    if name == "offered":
        given["offer_expires_at"] = now + timedelta(hours=24)
    return Cause(**(given | changes))


@dataclass(frozen=True)
class Person:
    """A registration that causes happen to; each method gives the message that `registrations` would send."""

    id: UUID = field(default_factory=uuid4)
    name: str = "Aline Tremblay"
    language: str = "fr"
    contact: ContactDetails = field(default_factory=lambda: ContactDetails(email="aline@example.org"))
    channel: str = "web"
    causes: tuple[Cause, ...] = ()
    uid: str = ""
    """Their calendar entry's: their own unless they came from another session."""
    status: str = ""
    """Their registration's: that of the last cause unless it ended without one."""

    def after(self, *names: str | Cause, **changes: Any) -> "Person":
        """The same person once these causes have happened, each with the next version."""
        causes = list(self.causes)
        for item in names:
            version = causes[-1].version + 1 if causes else 1
            causes.append(
                cause_of(item, version, **changes)
                if isinstance(item, str)
                else item.model_copy(update={"version": version})
            )
        return replace(self, causes=tuple(causes))

    def transferred(self, session: SessionFacts, **changes: Any) -> tuple["Person", "Person"]:
        """(the old registration, the new one) once staff moved this person to `session`."""
        last = self.causes[-1]
        given: dict[str, Any] = {
            "session": session,
            "previous": last.session,
            "sequence": last.sequence + 1,
        } | changes
        new = replace(self, id=uuid4(), causes=(cause_of("transferred", **given),), uid=self.state.uid)
        return replace(self, status="cancelled"), new

    def without_causes_before(self, version: int) -> "Person":
        return replace(self, causes=tuple(c for c in self.causes if c.version >= version))

    @property
    def version(self) -> int:
        return self.causes[-1].version if self.causes else 1

    @property
    def state(self) -> RegistrationState:
        last = self.causes[-1] if self.causes else cause_of("confirmed")
        return RegistrationState(
            id=self.id,
            session_id=last.session.id,
            status=self.status or last.status,
            channel=self.channel,
            seat_kind=last.seat_kind,
            name=self.name,
            language=self.language,
            contact=self.contact,
            confirmation_number="KMPR-4827",
            generation=1,
            uid=self.uid or f"{self.id}@{DOMAIN}",
            sequence=last.sequence,
            created_at=datetime.now(UTC),
            causes=self.causes,
        )

    def message(self, *, epoch: int = 1, erased: bool = False, version: int | None = None) -> Received:
        message: Message = pack(
            topics.REGISTRATIONS,
            instance="test",
            key=str(self.id),
            partition_key="session",
            epoch=epoch,
            version=version or self.version,
            time=datetime.now(UTC),
            payload=None if erased else self.state,
        )
        return Received(message, partition=0, offset=0)
