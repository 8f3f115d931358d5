"""What « près de » means at the desk: a postal code, a town or a library, as somebody says it."""

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from libs.geography import Point, distance_km
from libs.messaging.contracts import VenueFacts
from libs.postal_areas import area_of, prefix_of

_DATA = Path(__file__).resolve().parents[2] / "data"
_SHORT = {"st": "saint", "ste": "sainte", "mt": "mont"}


@dataclass(frozen=True, slots=True)
class Spot:
    """Where somebody is, roughly: degrees, and the name of it that was understood."""

    label: str
    latitude: float
    longitude: float

    def distance_km(self, venue: VenueFacts | None) -> float | None:
        """To a venue, along a great circle; None if nobody knows where it is."""
        if venue is None or venue.latitude is None or venue.longitude is None:
            return None
        here, there = Point(self.latitude, self.longitude), Point(venue.latitude, venue.longitude)
        return distance_km(here, there)


def locate(text: str, venues: Iterable[VenueFacts]) -> Spot | None:
    """The place meant by `text`: a postal code, then a town, then one of `venues` by its name."""
    prefix = prefix_of(text)
    if prefix is not None:
        area = area_of(prefix)
        return Spot(prefix, area.latitude, area.longitude) if area is not None else None
    wanted = _comparable(text)
    if not wanted:
        return None
    towns = _towns()
    return towns.get(wanted) or _by_venue(wanted, venues) or _beginning(wanted, towns.items())


def _by_venue(wanted: str, venues: Iterable[VenueFacts]) -> Spot | None:
    words = set(wanted.split())
    found = [
        Spot(venue.name, venue.latitude, venue.longitude)
        for venue in venues
        if venue.latitude is not None and venue.longitude is not None
        if words <= set(_comparable(f"{venue.name} {venue.municipality or ''}").split())
    ]
    return _middle(found[0].label, found) if found else None


def _beginning(wanted: str, towns: Iterable[tuple[str, Spot]]) -> Spot | None:
    found = [spot for name, spot in towns if name.startswith(wanted)] if len(wanted) >= 3 else []
    return min(found, key=lambda spot: len(spot.label), default=None)


def _middle(label: str, spots: Sequence[Spot]) -> Spot:
    return Spot(
        label,
        sum(spot.latitude for spot in spots) / len(spots),
        sum(spot.longitude for spot in spots) / len(spots),
    )


@cache
def _towns() -> dict[str, Spot]:
    """The towns with a library, each in the middle of its libraries."""
    libraries: dict[str, list[Spot]] = {}
    for row in _rows("qc_libraries.csv"):
        if row["municipality"] and row["latitude"] and row["longitude"]:
            spot = Spot(row["municipality"], float(row["latitude"]), float(row["longitude"]))
            libraries.setdefault(_comparable(row["municipality"]), []).append(spot)
    return {name: _middle(spots[0].label, spots) for name, spots in libraries.items()}


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _comparable(text: str) -> str:
    """Without accents, capitals or punctuation; « St-Jean » is « Saint-Jean »."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(sign for sign in letters if not unicodedata.combining(sign))
    words = re.sub(r"[^\w\s]", " ", bare).split()
    return " ".join(_SHORT.get(word, word) for word in words)
