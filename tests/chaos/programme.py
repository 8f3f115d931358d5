"""The sessions of a campaign and how their plans change meanwhile, said the way `events` says it."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.clock import zone
from libs.messaging import topics
from libs.messaging.bus import Message
from libs.messaging.contracts import (
    HeldSeats,
    Release,
    SeatCounts,
    SessionAccess,
    SessionState,
    VenueFacts,
    WaitlistRule,
)
from libs.messaging.envelope import pack

ZONE = "America/Toronto"
VENUE = VenueFacts(id=UUID(int=7), name="Bibliothèque Monique-Corriveau", municipality="Québec")


@dataclass(slots=True)
class Planned:
    """A session as it was last said, and everything that was ever said of it."""

    label: str
    state: SessionState
    version: int = 1
    said: list[SessionState] = field(default_factory=list)

    def change(self, **changes: Any) -> None:
        self.state = self.state.model_copy(update=changes | {"updated_at": datetime.now(UTC)})
        self.version += 1
        self.said.append(self.state)

    @property
    def id(self) -> str:
        return str(self.state.id)

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("on_site", "online") if self.state.modality == "hybrid" else (self.state.modality,)


class Programme:
    """Every session of a campaign."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"programme {seed}")
        self.sessions = [self._planned(label, **facts) for label, facts in _sessions()]
        self.by_id = {session.id: session for session in self.sessions}
        self.cancelled: str | None = None

    def _planned(self, label: str, **facts: Any) -> Planned:
        start = datetime.now(zone(ZONE)) + facts.pop("starts_in", timedelta(days=30))
        wall = start.replace(second=0, microsecond=0, tzinfo=None)
        values: dict[str, Any] = {
            "id": UUID(int=self._random.getrandbits(128), version=4),
            "status": "published",
            "title": f"Le courriel, pas à pas ({label})",
            "stream": "public",
            "theme": "courriel",
            "modality": "on_site",
            "region": "03",
            "venue": VENUE,
            "timezone": ZONE,
            "updated_at": datetime.now(UTC),
        }
        state = SessionState(**(values | _times(wall) | facts))
        return Planned(label, state, said=[state])

    def announcements(self) -> list[Message]:
        """Everything as it stands: what a new group would read."""
        return [message for session in self.sessions for message in self.message_of(session)]

    def message_of(self, session: Planned) -> list[Message]:
        said = [_message(topics.SESSIONS, session.id, session.version, session.state)]
        if "online" in session.kinds:
            access = SessionAccess(
                session_id=session.state.id, online_url=f"https://video.example/{session.id}"
            )
            said.append(_message(topics.SESSION_ACCESS, session.id, session.version, access))
        return said

    def changes(self) -> Iterator[str]:
        """What to change, for ever: a cancellation comes third."""
        kinds = ["raise", "lower", "cancel", "move", "release", "lower", "raise", "limit"]
        while True:
            yield from kinds
            kinds = [kind for kind in kinds if kind != "cancel"]
            self._random.shuffle(kinds)

    def change(self, what: str) -> Planned:
        """Change the plan of a session picked at random."""
        if what == "cancel":
            session = next(session for session in self.sessions if session.label == "to be cancelled")
            session.change(status="cancelled", cancel_reason="Tempête de neige")
            self.cancelled = session.id
            return session
        session = self._random.choice(self._changeable(what))
        getattr(self, f"_{what}")(session)
        return session

    def _changeable(self, what: str) -> list[Planned]:
        found = [session for session in self.sessions if session.state.status == "published"]
        if what in {"raise", "lower", "release"}:
            found = [session for session in found if session.label != "to be cancelled"]
        if what == "release":
            found = [session for session in found if session.state.held_seats]
        if what == "move":
            found = [s for s in found if sum(s.state.capacity.model_dump().values()) <= 50]
        if what == "limit":
            found = [session for session in found if session.state.waitlist.limit is not None]
        return found

    def _raise(self, session: Planned) -> None:
        capacity = session.state.capacity
        more = {kind: _seats(capacity, kind) + 1 + _seats(capacity, kind) // 5 for kind in session.kinds}
        session.change(capacity=SeatCounts(**more))

    def _lower(self, session: Planned) -> None:
        """Never below the held seats: `events` wouldn't say that."""
        capacity, held = session.state.capacity, session.state.held_seats
        fewer = {
            kind: max(
                1,
                sum(item.seats for item in held if item.seat_kind == kind),
                _seats(capacity, kind) * 2 // 3,
            )
            for kind in session.kinds
        }
        session.change(capacity=SeatCounts(**fewer))

    def _release(self, session: Planned) -> None:
        """A release is brought forward to now."""
        held = session.state.held_seats[0]
        release = Release(
            at=datetime.now(UTC), seat_kind=held.seat_kind, channel=held.channel, seats=held.seats
        )
        session.change(releases=(release,))

    def _move(self, session: Planned) -> None:
        wall = session.state.starts_at + timedelta(hours=1)
        session.change(**_times(wall), change_reason="La salle est prise plus tôt")

    def _limit(self, session: Planned) -> None:
        limit = (session.state.waitlist.limit or 0) + 1
        session.change(waitlist=session.state.waitlist.model_copy(update={"limit": limit}))

    def for_clients(self) -> list[dict[str, object]]:
        """What the clients need to know of the sessions."""
        return [
            {"id": session.id, "kinds": session.kinds, "weight": _weight(session.state)}
            for session in self.sessions
        ]


def _seats(capacity: SeatCounts, kind: str) -> int:
    return int(getattr(capacity, kind))


def _weight(state: SessionState) -> float:
    """Small sessions get crowds, large ones get filled all the same, a little later."""
    return math.pow(state.capacity.on_site + state.capacity.online, 0.15)


def _times(wall: datetime) -> dict[str, datetime]:
    ends = wall + timedelta(hours=2)
    return {
        "starts_at": wall,
        "ends_at": ends,
        "starts_at_utc": wall.replace(tzinfo=zone(ZONE)).astimezone(UTC),
        "ends_at_utc": ends.replace(tzinfo=zone(ZONE)).astimezone(UTC),
    }


def _message(topic: topics.Topic, key: str, version: int, payload: SessionState | SessionAccess) -> Message:
    return pack(
        topic,
        instance="demo",
        key=key,
        partition_key=key,
        epoch=1,
        version=version,
        time=datetime.now(UTC),
        payload=payload,
    )


def _held(**channels: int) -> tuple[HeldSeats, ...]:
    return tuple(
        HeldSeats(seat_kind="on_site", channel=name, seats=seats) for name, seats in channels.items()
    )


def _ladder(*steps: tuple[float, str, int]) -> tuple[Release, ...]:
    """(hours from now, channel, seats): the campaign's clock jumps bring them about."""
    now = datetime.now(UTC)
    return tuple(
        Release(at=now + timedelta(hours=hours), seat_kind="on_site", channel=channel, seats=seats)
        for hours, channel, seats in steps
    )


def _sessions() -> Iterator[tuple[str, dict[str, Any]]]:
    short, tomorrow = WaitlistRule(offer_hours=0.25), timedelta(hours=23)
    yield "one seat", {"capacity": SeatCounts(on_site=1), "waitlist": short}
    yield (
        "one seat tomorrow",
        {
            "capacity": SeatCounts(on_site=1),
            "starts_in": tomorrow,
            "waitlist": WaitlistRule(offer_hours=24, limit=3),
        },
    )
    yield "two seats", {"capacity": SeatCounts(on_site=2)}
    yield "two seats, three may wait", {"capacity": SeatCounts(on_site=2), "waitlist": WaitlistRule(limit=3)}
    yield "to be cancelled", {"capacity": SeatCounts(on_site=5), "waitlist": short}
    yield "five tomorrow", {"capacity": SeatCounts(on_site=5), "starts_in": tomorrow}
    yield "five online", {"capacity": SeatCounts(online=5), "modality": "online", "waitlist": short}
    yield (
        "twelve, held in steps",
        {
            "capacity": SeatCounts(on_site=12),
            "held_seats": _held(phone=3, desk=2),
            "releases": _ladder((0.3, "phone", 1), (0.6, "phone", 2), (0.9, "desk", 2)),
            "waitlist": short,
        },
    )
    yield (
        "twelve, hybrid",
        {
            "capacity": SeatCounts(on_site=6, online=6),
            "modality": "hybrid",
            "held_seats": _held(phone=1),
            "waitlist": short,
        },
    )
    yield (
        "fifty, some held",
        {
            "capacity": SeatCounts(on_site=50),
            "held_seats": _held(phone=5, desk=3),
            "releases": _ladder((0.5, "phone", 3)),
            "waitlist": WaitlistRule(offer_hours=1, limit=40),
        },
    )
    yield "fifty, nobody waits", {"capacity": SeatCounts(on_site=50), "waitlist": WaitlistRule(limit=0)}
    yield "five hundred", {"capacity": SeatCounts(on_site=500), "waitlist": short}
    yield (
        "five hundred, hybrid",
        {"capacity": SeatCounts(on_site=400, online=100), "modality": "hybrid", "held_seats": _held(desk=20)},
    )
