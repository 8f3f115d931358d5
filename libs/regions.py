"""Regions through time: which one a place belonged to on a day, where a border has moved since."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache

from libs.vocabularies import DATA


@dataclass(frozen=True, slots=True)
class Change:
    """From `day` on, the municipality belongs to the region `to`; the day before it was `left`'s."""

    day: date
    left: str
    to: str
    census_division: str


def region_on(day: date, region: str | None, municipality: str | None) -> str | None:
    """The region of a place on `day`; `region` is where it is listed, today or before a border moved.

    Only places of Québec have moved; everywhere else, and where no municipality is known, it is `region`.
    A municipality of the same name in a region that the change doesn't touch stays where it is.
    """
    for change in _changes().get(_comparable(municipality or ""), ()):
        if region in (change.left, change.to):
            region = change.to if day >= change.day else change.left
    return region


@cache
def _changes() -> Mapping[str, tuple[Change, ...]]:
    """The changes of each municipality, oldest first."""
    found: dict[str, list[Change]] = {}
    for item in json.loads((DATA / "region_changes.json").read_text(encoding="utf-8")):
        for division in item["census_divisions"]:
            change = Change(date.fromisoformat(item["day"]), item["from"], item["to"], division["code"])
            for municipality in division["municipalities"]:
                found.setdefault(_comparable(municipality), []).append(change)
    return {name: tuple(sorted(changes, key=lambda change: change.day)) for name, changes in found.items()}


def _comparable(name: str) -> str:
    """Without accents, capitals or the kind of dash: the lists spell towns differently."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(sign for sign in letters if not unicodedata.combining(sign))
    return " ".join(re.sub(r"[\W_]+", " ", bare).split())
