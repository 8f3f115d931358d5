"""Instances as the tests let them speak: signed messages of every federated stream."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.messaging import topics
from libs.messaging.bus import Message, Received
from libs.messaging.envelope import pack
from libs.messaging.federated import (
    Federated,
    FederatedSeats,
    FederatedSession,
    FederatedTally,
    FederatedVenue,
    Heartbeat,
    OperationalCounts,
    ProfileCounts,
    StreamDeclared,
    cell_key,
)
from libs.messaging.signing import Signer, new_secret

NOON = datetime(2026, 11, 2, 17, tzinfo=UTC)
"""When the tests' messages are said, unless they say otherwise: noon in Montréal."""
PER_KIND = ("capacity", "confirmed", "offered", "held", "available", "waitlisted")


@dataclass
class Speaker:
    """A regional instance: what it says is signed with its key."""

    slug: str = "estrie"
    signer: Signer = field(default_factory=lambda: Signer.from_secret(new_secret()))
    heartbeats: int = 0

    def say(
        self,
        stream: str,
        key: str,
        payload: Federated | None,
        *,
        version: int = 1,
        epoch: int = 1,
        time: datetime = NOON,
        source: str | None = None,
        signer: Signer | None = None,
    ) -> Message:
        """`payload` as the state of `key`, or that it is gone."""
        message = pack(
            topics.federated(self.slug)[stream],
            instance=source or self.slug,
            key=key,
            partition_key=key,
            epoch=epoch,
            version=version,
            time=time,
            payload=payload,
        )
        return (signer or self.signer).sign(message)

    def session(self, id_: UUID, *, gone: bool = False, **facts: Any) -> Message:
        """The facts of a session; what isn't a fact of it goes to `say`."""
        said = _taken_out(facts)
        return self.say("sessions", str(id_), None if gone else session(id_, **facts), **said)

    def seats(self, id_: UUID, *, gone: bool = False, **numbers: Any) -> Message:
        said = _taken_out(numbers)
        return self.say("seats", str(id_), None if gone else seats(id_, **numbers), **said)

    def tally(self, *, gone: bool = False, **cell: Any) -> Message:
        said = _taken_out(cell)
        payload = operational(**cell)
        return self.say("tallies", cell_key(payload.cell), None if gone else payload, **said)

    def profile(self, *, gone: bool = False, **cell: Any) -> Message:
        said = _taken_out(cell)
        payload = profile(**cell)
        return self.say("tallies", cell_key(payload.cell), None if gone else payload, **said)

    def heartbeat(self, **facts: Any) -> Message:
        said = _taken_out(facts)
        self.heartbeats += 1
        said.setdefault("version", self.heartbeats)
        return self.say("heartbeat", self.slug, heartbeat(facts.pop("instance", self.slug), **facts), **said)


def _taken_out(facts: dict[str, Any]) -> dict[str, Any]:
    names = ("version", "epoch", "time", "source", "signer")
    return {name: facts.pop(name) for name in names if name in facts}


def session(id_: UUID, **facts: Any) -> FederatedSession:
    """A workshop in Sherbrooke; local times are five hours behind UTC."""
    starts_at = facts.pop("starts_at", datetime(2027, 2, 3, 13, 30))  # noqa: DTZ001  # a wall clock's
    ends_at = facts.pop("ends_at", starts_at + timedelta(hours=2))
    usual: dict[str, Any] = {
        "status": "published",
        "title": "Reconnaître les fausses nouvelles",
        "stream": "public",
        "theme": "fausses_nouvelles",
        "modality": "on_site",
        "region": "05",
        "venue": FederatedVenue(
            id=UUID(int=1),
            name="Bibliothèque Éva-Senécal",
            municipality="Sherbrooke",
            latitude=45.4,
            longitude=-71.9,
        ),
        "timezone": "America/Toronto",
        "starts_at_utc": starts_at.replace(tzinfo=UTC) + timedelta(hours=5),
        "ends_at_utc": ends_at.replace(tzinfo=UTC) + timedelta(hours=5),
        "capacity": 12,
        "registration_modes": ("web", "phone"),
        "url": f"https://estrie.example/seances/{id_}",
        "updated_at": NOON,
    }
    return FederatedSession(id=id_, starts_at=starts_at, ends_at=ends_at, **(usual | facts))


def seats(id_: UUID, **numbers: Any) -> FederatedSeats:
    counts: dict[str, Any] = dict.fromkeys(PER_KIND, 0) | {"capacity": 12, "available": 12} | numbers
    of_kind = {name: counts[name] for name in PER_KIND}
    return FederatedSeats(session_id=id_, **({"by_kind": {"on_site": of_kind}, "updated_at": NOON} | counts))


def operational(**cell: Any) -> FederatedTally:
    usual: dict[str, Any] = {
        "month": "2026-11",
        "region": "05",
        "stream": "public",
        "theme": "fausses_nouvelles",
        "channel": "web",
        "modality": "on_site",
        "registrations": {"attended": 9, "absent": 1},
        "attended_minutes": 1080,
        "as_of": NOON,
    }
    return FederatedTally(cell=OperationalCounts(**(usual | cell)))


def profile(**cell: Any) -> FederatedTally:
    usual: dict[str, Any] = {
        "month": "2026-11",
        "region": "05",
        "stream": "public",
        "dimension": "people",
        "rounded": 10,
        "as_of": NOON,
    }
    return FederatedTally(cell=ProfileCounts(**(usual | cell)))


def heartbeat(instance: str, **facts: Any) -> Heartbeat:
    usual: dict[str, Any] = {
        "name": "Estrie",
        "url": "https://estrie.example",
        "software": "0.4.0",
        "epoch": 1,
        "at": NOON,
        "streams": {"sessions": StreamDeclared(count=3)},
        "shares": {"public": "counts", "pro": "nothing"},
        "lag": 0,
    }
    return Heartbeat(instance=instance, **(usual | facts))


def new_ids(count: int) -> list[UUID]:
    return [uuid4() for _ in range(count)]


def received(messages: list[Message], start: int = 0) -> list[Received]:
    """As a consumer gets them, from one partition."""
    return [Received(message, 0, offset) for offset, message in enumerate(messages, start)]


def with_value(message: Message, value: bytes | None, signer: Signer) -> Message:
    """The same headers around another value, signed again."""
    return signer.sign(replace(message, value=value))


def with_headers(message: Message, signer: Signer | None = None, **headers: str | None) -> Message:
    """Some headers changed, or taken away; signed again if a signer is given."""
    changed = {name: headers.get(name, text) for name, text in message.headers.items()} | {
        name: text for name, text in headers.items() if name not in message.headers
    }
    kept = replace(message, headers={name: text for name, text in changed.items() if text is not None})
    return signer.sign(kept) if signer else kept
