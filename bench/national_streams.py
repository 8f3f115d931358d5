"""What the instances of a synthetic country say on a Kafka: every session, and its seats several times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Literal

import orjson

from bench.national_country import NETWORKS, Country, Network, Row
from libs.clock import utc_now
from libs.database import Database
from libs.messaging import topics
from libs.messaging.bus import Message
from libs.messaging.envelope import pack
from libs.messaging.federated import (
    Federated,
    FederatedSeats,
    FederatedSession,
    FederatedTally,
    FederatedVenue,
    Heartbeat,
    OperationalCounts,
    StreamDeclared,
)
from libs.messaging.kafka.provision import provision_kafka
from libs.messaging.kafka.transport import KafkaBus
from libs.messaging.signing import Signer, new_secret
from libs.messaging.topics import Topic
from services.national import registry
from services.national.believing import Region

EACH = 5
"""Messages about one session: its facts, and four states of its seats, of which the last one counts."""
_AT_ONCE = 1000
_DECLARED: Sequence[Literal["sessions", "seats", "tallies"]] = ("sessions", "seats", "tallies")
_BY = registry.By("bench", "benchmark")


@dataclass
class Voice:
    """One instance: what it says is signed with its key."""

    network: Network
    signer: Signer = field(default_factory=lambda: Signer.from_secret(new_secret()))

    @property
    def streams(self) -> Sequence[Topic]:
        return tuple(topics.federated(self.network.slug).values())

    def messages(self, sessions: Sequence[Row]) -> Iterator[Message]:
        """All facts, then all seats, and these again: as often as seats change."""
        for row in sessions:
            yield self._about("sessions", row, 1, _facts(row))
        for version in range(1, EACH):
            for row in sessions:
                yield self._about("seats", row, version, _seats(row, version))

    def counts(self, tallies: Sequence[Row]) -> Iterator[Message]:
        """What came of the sessions, each cell once."""
        for row in tallies:
            yield self._say("tallies", row["key"], 1, row["as_of"], FederatedTally(cell=_cell(row)))

    def heartbeat(self, version: int) -> Message:
        network, now = self.network, utc_now()
        payload = Heartbeat(
            instance=network.slug,
            name=network.name,
            url=network.url,
            software="0.0.0",
            epoch=1,
            at=now,
            streams={name: StreamDeclared(count=version) for name in _DECLARED},
            shares=dict(network.shares),
            lag=0,
        )
        return self._say("heartbeat", network.slug, version, now, payload)

    def _about(self, stream: str, row: Row, version: int, payload: Federated) -> Message:
        return self._say(stream, str(row["id"]), version, row["updated_at"], payload)

    def _say(self, stream: str, key: str, version: int, now: datetime, payload: Federated) -> Message:
        return self.signer.sign(
            pack(
                topics.federated(self.network.slug)[stream],
                instance=self.network.slug,
                key=key,
                partition_key=key,
                epoch=1,
                version=version,
                time=now,
                payload=payload,
            )
        )


@dataclass(frozen=True, slots=True)
class Streams:
    """A country whose instances have spoken, or will: `messages` in all, of `sessions` sessions."""

    country: Country
    voices: Sequence[Voice]

    @classmethod
    def of(cls, messages: int) -> "Streams":
        """Five years of sessions, about which that many messages are said."""
        now = datetime.now(UTC)
        first = now.date() - timedelta(days=4 * 365 + 183)
        country = Country(count=messages // EACH, first=first, last=now.date() + timedelta(days=183), now=now)
        return cls(country, [Voice(network) for network in NETWORKS])

    @property
    def sessions(self) -> int:
        return len(self.country.sessions)

    @property
    def messages(self) -> int:
        return EACH * self.sessions

    @property
    def topics(self) -> list[Topic]:
        """Those that carry something."""
        return [stream for voice in self.voices for stream in voice.streams if _is_spoken_of(stream)]

    async def register(self, database: Database) -> None:
        """Make the instances known to a national view, with their keys and regions."""
        long_ago, first = registry.BEFORE_ALL, date(2000, 1, 1)
        async with database.transaction() as session:
            for voice in self.voices:
                slug = voice.network.slug
                regions = [Region(code, first) for code in voice.network.regions]
                await registry.register(session, _BY, slug, voice.network.name, regions)
                await registry.add_key(session, _BY, slug, voice.signer.public_key, long_ago)

    async def say(self, kafka_url: str) -> None:
        """Make the topics, and append everything about sessions to them."""
        for voice in self.voices:
            await provision_kafka(kafka_url, voice.network.slug, voice.streams)
            await _append(kafka_url, voice, voice.messages(_of(voice, self.country.sessions)))

    async def say_counts(self, kafka_url: str) -> int:
        """Append every cell of the counts; how many there are."""
        for voice in self.voices:
            await _append(kafka_url, voice, voice.counts(_of(voice, self.country.tallies)))
        return len(self.country.tallies)


def _of(voice: Voice, rows: Sequence[Row]) -> Sequence[Row]:
    return [row for row in rows if row["instance"] == voice.network.slug]


async def _append(kafka_url: str, voice: Voice, said: Iterator[Message]) -> None:
    bus = KafkaBus(kafka_url, instance=voice.network.slug, service="exporter")
    try:
        while some := list(islice(said, _AT_ONCE)):
            await bus.publish(some)
    finally:
        await bus.close()


def _is_spoken_of(stream: Topic) -> bool:
    return stream.logical in {"federated.sessions", "federated.seats"}


def _facts(row: Row) -> FederatedSession:
    venue = (
        FederatedVenue(
            id=row["venue_id"],
            name=row["venue_name"],
            municipality=row["municipality"],
            province=row["province"],
            latitude=row["latitude"],
            longitude=row["longitude"],
        )
        if row["venue_id"]
        else None
    )
    return FederatedSession(
        venue=venue,
        capacity=row["planned"],
        registration_modes=("web", "phone"),
        **{name: row[name] for name in _FACTS},
    )


_FACTS = (
    "id", "status", "title", "stream", "kind", "theme", "level", "language", "modality", "delivered_by",
    "region", "starts_at", "ends_at", "timezone", "starts_at_utc", "ends_at_utc", "opens_at", "url",
    "cancelled_at", "updated_at",
)  # fmt: skip


def _cell(row: Row) -> OperationalCounts:
    read = {
        name: orjson.loads(row[name]) for name in ("registrations", "answer_minutes", "minutes_from_opening")
    }
    rest = {name: row[name] for name in OperationalCounts.model_fields if name in row.keys() - read.keys()}
    return OperationalCounts(**rest | read | {"month": f"{row['month']:%Y-%m}"})


_COUNTS = ("capacity", "confirmed", "offered", "held", "available", "waitlisted")


def _seats(row: Row, version: int) -> FederatedSeats:
    """The seats as they are in the end; before, fewer people had registered."""
    missing = EACH - 1 - version
    by_kind = {kind: _fewer(counts, missing) for kind, counts in orjson.loads(row["by_kind"]).items()}
    total = {name: sum(counts[name] for counts in by_kind.values()) for name in _COUNTS}
    return FederatedSeats(session_id=row["id"], by_kind=by_kind, updated_at=row["seats_updated_at"], **total)


def _fewer(counts: dict[str, int], missing: int) -> dict[str, int]:
    away = min(missing, counts["confirmed"])
    return counts | {"confirmed": counts["confirmed"] - away, "available": counts["available"] + away}
