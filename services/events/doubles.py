"""When two rows of the reference data are one place: by distance, name, and number in the street."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from services.events.search import search_text

SAME_NAME_WITHIN = 2_000.0
"""Metres. Two geocoders put one library up to 1.7 km apart; two of the same name are 9.9 km apart."""
SAME_BUILDING_WITHIN = 50.0
"""Metres, for the same number in the street under another name."""
_SILENT = frozenset(
    {"a", "au", "aux", "bibliotheque", "branch", "d", "de", "des", "du", "et", "l", "la", "le", "les"}
    | {"library", "municipale", "public"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """A place as a row of the reference data gives it; `number` is its number in the street."""

    source_id: str
    name: str
    municipality: str | None
    province: str
    region: str
    timezone: str
    kind: str = "library"
    number: str = ""
    street: str | None = None
    postal_code: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def merged(places: Iterable[Place]) -> list[Place]:
    """`places` with each double folded into the row that knows most, town by town."""
    by_town: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in places:
        by_town[place.region, search_text(place.municipality)].append(place)
    return [_one_of(group) for town in by_town.values() for group in _groups(town)]


def are_one(a: Place, b: Place) -> bool:
    """Whether two rows of the same town are the same place."""
    apart = distance(a, b)
    if name_key(a.name) == name_key(b.name):
        if apart is not None:
            return apart <= SAME_NAME_WITHIN
        return not (a.postal_code and b.postal_code) or a.postal_code == b.postal_code
    return apart is not None and apart <= SAME_BUILDING_WITHIN and a.number == b.number != ""


def name_key(name: str) -> str:
    """What tells a library from another of its town: « Bibliothèque Germaine-Guèvremont » → `germaine
    guevremont`. The words that any library may carry are left out."""
    words = re.findall(r"[a-z0-9]+", search_text(name))
    return " ".join([word for word in words if word not in _SILENT] or words)


def distance(a: Place, b: Place) -> float | None:
    """Metres between two places, right to a thousandth below 100 km; None when a point is missing."""
    if a.latitude is None or a.longitude is None or b.latitude is None or b.longitude is None:
        return None
    north = math.radians(b.latitude - a.latitude)
    east = math.radians(b.longitude - a.longitude) * math.cos(math.radians((a.latitude + b.latitude) / 2))
    return 6_371_000 * math.hypot(north, east)


def _groups(places: list[Place]) -> list[list[Place]]:
    """The places of one town, those that are one together."""
    groups: list[list[Place]] = []
    for place in places:
        joined, apart = [place], []
        for group in groups:
            if any(are_one(place, other) for other in group):
                joined += group
            else:
                apart.append(group)
        groups = [*apart, joined]
    return groups


def _one_of(group: list[Place]) -> Place:
    """The row that knows most, with what only the others know."""
    best, *others = sorted(group, key=lambda place: (*_knowledge(place), place.source_id))
    names = [other.name for other in others if name_key(other.name) == name_key(best.name)]
    located = next((place for place in (best, *others) if place.latitude is not None), best)
    return Place(
        source_id=best.source_id,
        # Some sources lost their accents: « Yves-Theriault » and « Yves-Thériault » are one name.
        name=max([best.name, *names], key=_accents),
        municipality=best.municipality,
        province=best.province,
        region=best.region,
        timezone=best.timezone,
        kind=best.kind,
        number=best.number,
        street=best.street or next((place.street for place in others if place.street), None),
        postal_code=best.postal_code or next((p.postal_code for p in others if p.postal_code), None),
        latitude=located.latitude,
        longitude=located.longitude,
    )


def _knowledge(place: Place) -> tuple[bool, bool, bool, bool]:
    """Sorts the row that knows most first."""
    return (
        place.kind != "library",
        place.street is None,
        place.postal_code is None,
        place.latitude is None,
    )


def _accents(name: str) -> int:
    return sum(character.isalpha() and not character.isascii() for character in name)
