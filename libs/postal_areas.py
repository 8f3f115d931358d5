"""What a postal code says of a place: a rough point and a region that it suggests, never decides."""

import csv
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).resolve().parents[1] / "data" / "qc_fsa_region.csv"

# Canada Post never uses D, F, I, O, Q or U, nor W or Z in front.
_CODE = re.compile(r"([ABCEGHJKLMNPRSTVXY]\d[ABCEGHJKLMNPRSTVWXYZ])[\s-]?(\d[ABCEGHJKLMNPRSTVWXYZ]\d)?")

TOWN_KM = 25
RURAL_KM = 75
"""A rural area is wide, and so is the way to the next library: its one point says little."""


@dataclass(frozen=True, slots=True)
class PostalArea:
    """The area of the first three characters (`G1V`); `place` is its name in the table.

    `regions` are codes, the most likely first.
    """

    prefix: str
    place: str
    latitude: float
    longitude: float
    rural: bool
    regions: tuple[str, ...]

    @property
    def ambiguous(self) -> bool:
        return len(self.regions) > 1

    @property
    def radius_km(self) -> int:
        return RURAL_KM if self.rural else TOWN_KM


def prefix_of(text: str) -> str | None:
    """`g1v 4m6`, `G1V4M6` and `G1V` → `G1V`; None for what is no Canadian postal code."""
    match = _CODE.fullmatch(text.strip().upper())
    return match.group(1) if match else None


def area_of(prefix: str) -> PostalArea | None:
    """The area of a Québec prefix; None for one that isn't in the table."""
    return _table().get(prefix)


def areas() -> Collection[PostalArea]:
    """All the areas of the table."""
    return _table().values()


@lru_cache(maxsize=1)
def _table() -> Mapping[str, PostalArea]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["fsa"]: _area(row) for row in csv.DictReader(file)}


def _area(row: Mapping[str, str]) -> PostalArea:
    return PostalArea(
        prefix=row["fsa"],
        place=row["place"],
        latitude=float(row["latitude"]),
        longitude=float(row["longitude"]),
        rural=row["rural"] == "1",
        regions=_regions(row),
    )


def _regions(row: Mapping[str, str]) -> tuple[str, ...]:
    """The likely region, and for an ambiguous prefix the others where addresses were seen."""
    likely = row["region_code"]
    if row["ambiguous"] != "1":
        return (likely,) if likely else ()
    seen = [part.partition(":")[0] for part in row["regions_observed"].split("|") if part]
    return tuple(dict.fromkeys([likely, *seen, row["region_from_centroid"]]))
