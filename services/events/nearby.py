"""What « près de » means: a postal code, a town, a library or a region, as somebody typed it."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from libs import postal_areas, vocabularies
from libs.geography import Point
from services.events.search import search_text

MANY = 5
"""More matches than this say that the words are too vague to stand for a place."""


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """A town or a library that the instance knows. `town` tells towns of one name apart."""

    name: str
    town: str
    point: Point
    comparable: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Each question is compared with all names: they are made comparable once.
        object.__setattr__(self, "comparable", _comparable(self.name))


@dataclass(frozen=True, slots=True)
class Nearby:
    """Where to look: around `points`, or in a whole `region`.

    `suggested` are region codes that a postal code hints at; they are offered, never applied.
    `towns` are set when the words fit several places, so that the page can say which.
    """

    label: str
    points: tuple[Point, ...] = ()
    radius_km: int = postal_areas.TOWN_KM
    region: str | None = None
    suggested: tuple[str, ...] = ()
    is_postal_code: bool = False
    towns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotFound:
    """Nobody here knows the place. `guesses` are names that look like it."""

    text: str
    is_postal_code: bool = False
    guesses: tuple[str, ...] = ()


def locate(
    text: str, towns: Sequence[KnownPlace], venues: Sequence[KnownPlace], postal: Sequence[tuple[str, Point]]
) -> Nearby | NotFound:
    """The place meant by `text`. `postal` are (postal code, point) of venues, for the prefixes that the
    Québec table lacks. A town wins over a library, a library over a district, a district over a region.
    """
    prefix = postal_areas.prefix_of(text)
    if prefix is not None:
        return _by_postal_code(prefix, postal)
    wanted = _comparable(text)
    found = (
        _exactly(wanted, towns)
        or _containing(wanted, venues)
        or _beginning(wanted, towns)
        or _in_district(wanted, text)
        or _in_region(wanted)
    )
    return found or NotFound(text, guesses=_guesses(wanted, towns))


def _by_postal_code(prefix: str, postal: Sequence[tuple[str, Point]]) -> Nearby | NotFound:
    area = postal_areas.area_of(prefix)
    if area is not None:
        return Nearby(
            label=prefix,
            points=(Point(area.latitude, area.longitude),),
            radius_km=area.radius_km,
            suggested=area.regions,
            is_postal_code=True,
        )
    points = tuple(point for code, point in postal if postal_areas.prefix_of(code) == prefix)
    if points:
        return Nearby(label=prefix, points=points[:MANY], is_postal_code=True)
    return NotFound(prefix, is_postal_code=True)


def _exactly(wanted: str, towns: Sequence[KnownPlace]) -> Nearby | None:
    return _around([town for town in towns if town.comparable == wanted])


def _containing(wanted: str, venues: Sequence[KnownPlace]) -> Nearby | None:
    words = wanted.split()
    if not words or len(wanted) < 4:
        return None
    matching = [venue for venue in venues if set(words) <= set(venue.comparable.split())]
    return _around(matching) if len(matching) <= MANY else None


def _beginning(wanted: str, towns: Sequence[KnownPlace]) -> Nearby | None:
    if len(wanted) < 3:
        return None
    matching = [town for town in towns if town.comparable.startswith(wanted)]
    return _around(matching) if len(matching) <= MANY else None


def _in_district(wanted: str, text: str) -> Nearby | None:
    """A part of a town that only the postal table names: « Sainte-Foy »."""
    if len(wanted) < 4:
        return None
    areas = [area for name, area in _districts() if f" {wanted} " in name]
    if not areas or len(areas) > 2 * MANY:
        return None
    points = tuple(Point(area.latitude, area.longitude) for area in areas)
    return Nearby(label=text, points=points, radius_km=max(area.radius_km for area in areas))


@cache
def _districts() -> tuple[tuple[str, postal_areas.PostalArea], ...]:
    return tuple((f" {_comparable(area.place)} ", area) for area in postal_areas.areas())


def _in_region(wanted: str) -> Nearby | None:
    for region in vocabularies.regions():
        if wanted in {_comparable(region.fr), _comparable(region.en)}:
            return Nearby(label=region.fr, region=region.code)
    return None


def _around(places: Sequence[KnownPlace]) -> Nearby | None:
    if not places:
        return None
    towns = tuple(dict.fromkeys(place.town for place in places))
    names = tuple(dict.fromkeys(place.name for place in places))
    return Nearby(
        label=names[0],
        points=tuple(place.point for place in places),
        towns=towns if len(towns) > 1 else (),
    )


def _guesses(wanted: str, towns: Iterable[KnownPlace]) -> tuple[str, ...]:
    names = {town.comparable: town.name for town in towns}
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.72)
    return tuple(names[name] for name in close)


_SHORT = {"st": "saint", "ste": "sainte", "mt": "mont"}


def _comparable(text: str) -> str:
    """Without accents, capitals or punctuation; « St-Jean » is « Saint-Jean »."""
    words = re.sub(r"[^\w\s]", " ", search_text(text)).split()
    return " ".join(_SHORT.get(word, word) for word in words)
