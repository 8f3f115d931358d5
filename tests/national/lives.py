"""Random months of several instances: what they say, what goes wrong on the way, and who lies."""

import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from libs.messaging.bus import Message
from services.national.believing import Region
from tests.national.speaking import NOON, Speaker, with_headers, with_value

REGIONS = {"estrie": "05", "laval": "13", "gaspesie": "11"}
THEMES = (None, "courriel", "fausses_nouvelles", "quantique")


def theirs(slug: str) -> Region:
    return Region(REGIONS[slug], date(2000, 1, 1))


class Life:
    """What some instances say, drawn with `seed`. `said` is in the order in which it was said."""

    def __init__(self, seed: int, steps: int = 150) -> None:
        self.random = random.Random(seed)
        self.speakers = [Speaker(slug) for slug in REGIONS]
        self.said: list[Message] = []
        self._versions: dict[tuple[str, str, str], int] = {}
        self._ids = {
            s.slug: [UUID(int=self.random.getrandbits(128)) for _ in range(9)] for s in self.speakers
        }
        for _ in range(steps):
            self.said.append(self._step())

    def on_the_way(self) -> list[Message]:
        """As it may arrive: some of it twice, nothing in its order."""
        arriving = self.said + self.random.sample(self.said, len(self.said) // 3)
        self.random.shuffle(arriving)
        return arriving

    def compacted(self) -> list[Message]:
        """As a reader finds it later: the newest of each key, and what no compaction can judge."""
        newest: dict[tuple[str, str], Message] = {}
        for message in self.said:
            key = message.topic.name, message.key
            if key not in newest or _newness(message) > _newness(newest[key]):
                newest[key] = message
        return list(newest.values())

    def _step(self) -> Message:
        speaker = self.random.choice(self.speakers)
        message = self._honest(speaker)
        if self.random.random() < 0.15:
            return self._dishonest(speaker, message)
        return message

    def _honest(self, speaker: Speaker) -> Message:
        draw = self.random
        gone = draw.random() < 0.15
        epoch = 2 if draw.random() < 0.1 else 1
        id_ = draw.choice(self._ids[speaker.slug])
        region = draw.choice([REGIONS[speaker.slug], None])
        match draw.choice(["session", "session", "seats", "seats", "seats", "tally", "profile", "heartbeat"]):
            case "session":
                starts_at = datetime.fromisoformat("2026-09-01T13:30") + timedelta(days=draw.randrange(200))
                return speaker.session(
                    id_,
                    gone=gone,
                    epoch=epoch,
                    version=self._next(speaker, "sessions", str(id_)),
                    region=region,
                    theme=draw.choice(THEMES),
                    stream=draw.choice(["public", "pro"]),
                    status=draw.choice(["published", "held", "cancelled"]),
                    modality=draw.choice(["on_site", "online", "hybrid"]),
                    starts_at=starts_at,
                    capacity=draw.randrange(30),
                )
            case "seats":
                confirmed = draw.randrange(12)
                return speaker.seats(
                    id_,
                    gone=gone,
                    epoch=epoch,
                    version=self._next(speaker, "seats", str(id_)),
                    confirmed=confirmed,
                    available=12 - confirmed,
                    waitlisted=draw.randrange(5),
                )
            case "tally":
                cell = {"month": draw.choice(["2026-10", "2026-11"]), "region": region}
                version = self._next(speaker, "tallies", str(cell))
                attended = {"attended": draw.randrange(40)}
                return speaker.tally(gone=gone, epoch=epoch, version=version, registrations=attended, **cell)
            case "profile":
                version = self._next(speaker, "tallies", "profile")
                rounded = 5 * draw.randrange(9)
                return speaker.profile(
                    gone=gone, epoch=epoch, version=version, rounded=rounded, region=REGIONS[speaker.slug]
                )
        time = NOON + timedelta(seconds=30 * speaker.heartbeats)
        return speaker.heartbeat(time=time, lag=draw.randrange(9))

    def _dishonest(self, speaker: Speaker, message: Message) -> Message:
        draw = self.random
        other = draw.choice([one for one in self.speakers if one is not speaker])
        id_ = draw.choice(self._ids[other.slug])
        return draw.choice(
            [
                with_headers(message, signature=None),
                with_headers(message, ce_version="999"),
                replace(message, value=b"{}"),
                with_value(message, b'{"cell": []}', speaker.signer),
                speaker.session(id_, version=10**6, region=REGIONS[speaker.slug]),
                speaker.seats(id_, version=10**6, gone=True),
                speaker.session(UUID(int=draw.getrandbits(128)), region=REGIONS[other.slug]),
                speaker.tally(version=10**6, region=REGIONS[other.slug]),
                Speaker("nulle-part").session(id_),
            ]
        )

    def _next(self, speaker: Speaker, stream: str, key: str) -> int:
        place = speaker.slug, stream, key
        self._versions[place] = self._versions.get(place, 0) + 1
        return self._versions[place]


def _newness(message: Message) -> tuple[int, int]:
    return int(message.headers["ce_epoch"]), int(message.headers["ce_version"])
