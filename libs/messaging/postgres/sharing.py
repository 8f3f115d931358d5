"""How the partitions of a group are shared out among its living members."""

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

Part = tuple[str, int]
"""A topic's name and one of its partitions."""


@dataclass(frozen=True, slots=True)
class Place:
    """A partition and who holds its lease; `epoch` rises with each new holder."""

    part: Part
    holder: str | None
    epoch: int


@dataclass(frozen=True, slots=True)
class Moves:
    """What one member should do now: leases to give up, free ones to take."""

    give_up: tuple[Part, ...]
    take: tuple[Place, ...]


def rebalance(me: str, members: Mapping[str, Collection[str]], places: Iterable[Place]) -> Moves:
    """What `me` should do so that every topic is spread evenly over those who read it.

    `members` maps the living ones to their topics' names and contains `me`. Leases stay where they are
    as far as the shares allow it, so that a member that comes or goes moves as little as possible.
    """
    give_up: list[Part] = []
    take: list[Place] = []
    for topic, of_topic in _by_topic(places).items():
        readers = sorted(member for member, topics in members.items() if topic in topics)
        if me not in readers:
            continue
        share = _share(readers.index(me), len(readers), topic, len(of_topic))
        mine = [place.part for place in of_topic if place.holder == me]
        free = [place for place in of_topic if place.holder not in members]
        give_up += mine[share:]
        take += free[: max(0, share - len(mine))]
    return Moves(tuple(give_up), tuple(take))


def _share(rank: int, readers: int, topic: str, partitions: int) -> int:
    # The topic's name turns the ranks, so that it isn't the same member who gets one more of each.
    turned = (rank + zlib.crc32(topic.encode())) % readers
    return partitions // readers + (turned < partitions % readers)


def _by_topic(places: Iterable[Place]) -> dict[str, list[Place]]:
    by_topic: dict[str, list[Place]] = defaultdict(list)
    for place in sorted(places, key=lambda place: place.part):
        by_topic[place.part[0]].append(place)
    return by_topic
