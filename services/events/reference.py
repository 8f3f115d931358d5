"""The reference data: libraries as venues and the programme's activity templates, in every instance."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.vocabularies import DATA, region
from services.events.addresses import tidy_street
from services.events.doubles import Place, merged
from services.events.library_names import tidy_bilingual_name, tidy_name, tidy_town
from services.events.models import Activity, Model, Programme, Venue
from services.events.search import search_text

NAMESPACE = UUID("6f9a1d5e-3c1b-5c57-9d0e-2b8f4f0c7a11")
"""Ids of reference rows follow from their source ids, so links to them outlive a rebuilt instance."""
PROGRAMME = "AlphaNumérique"

_ISLANDS = "2401"  # the census division of the Îles-de-la-Madeleine, which keep Halifax's time
_NATASHQUAN = -61.75  # east of the river (degrees), the Basse-Côte-Nord keeps Atlantic time all year
_NINETIETH = -90.0  # west of this meridian, Ontario keeps Winnipeg's time
_ZONES = {
    "odcaf-4299": "America/Edmonton",  # Golden, in the Rockies
}
# These two lists name another town than the library's in most rows that could be checked.
_WRONG_TOWNS = frozenset({"government of alberta", "government of british columbia"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many reference rows the instance has, and how many this start added or corrected."""

    venues: int
    activities: int
    changed: int


async def load(session: AsyncSession) -> Loaded:
    """Bring the reference rows up to date; what a coordinator edited stays as the coordinator left it."""
    venues, activities = [_venue_row(place) for place in places()], _activity_rows()
    await _upsert(session, Programme, [{"id": str(reference_id(PROGRAMME)), "name": PROGRAMME}], key="id")
    changed = await _upsert(session, Venue, venues) + await _upsert(session, Activity, activities)
    return Loaded(len(venues), len(activities), changed)


def reference_id(source_id: str) -> UUID:
    """The id of the reference row that `source_id` names."""
    return uuid5(NAMESPACE, source_id)


@cache
def places() -> tuple[Place, ...]:
    """The libraries of the two lists, doubles merged, archives and parking lots left out."""
    return tuple(merged([*_in_quebec(), *_elsewhere()]))


def _in_quebec() -> Iterator[Place]:
    for row in _rows("qc_libraries.csv"):
        if row["kind"] == "library" and _is_a_place(row["name"]):
            yield Place(
                source_id=row["id"],
                name=tidy_name(row["name"], row["municipality"]),
                municipality=tidy_town(row["municipality"]),
                province="CA-QC",
                region=row["region_code"],
                timezone=_zone_in_quebec(row),
                kind="network_office" if row["name"].startswith("Reseau ") else "library",
                number=row["street_no"],
                street=tidy_street(row["street_no"], row["street"]),
                postal_code=row["postal_code"] or None,
                **_point(row),
            )


def _elsewhere() -> Iterator[Place]:
    for row in _rows("francophone_hors_quebec_libraries.csv"):
        if _is_a_place(row["name"]):
            yield Place(
                source_id=row["id"],
                name=tidy_bilingual_name(row["name"]),
                municipality=_town_elsewhere(row),
                province=row["province"],
                region=row["province"],
                timezone=_zone_elsewhere(row),
                postal_code=row["postal_code"] or None,
                **_point(row),
            )


def _is_a_place(name: str) -> bool:
    """The lists also hold parking lots, a library that has moved out, and a row named « .. »."""
    return any(map(str.isalpha, name)) and not name.startswith(("Stationnement ", "Former "))


def _zone_in_quebec(row: Mapping[str, str]) -> str:
    if row["cduid"] == _ISLANDS:
        return "America/Halifax"
    if row["region_code"] == "09" and float(row["longitude"] or "-90") > _NATASHQUAN:
        return "America/Blanc-Sablon"
    return _zone_of_most(row["region_code"])


def _zone_elsewhere(row: Mapping[str, str]) -> str:
    if row["province"] == "CA-ON" and float(row["longitude"] or "0") < _NINETIETH:
        return "America/Winnipeg"
    return _ZONES.get(row["id"], _zone_of_most(row["province"]))


def _zone_of_most(code: str) -> str:
    found = region(code)
    assert found is not None, code
    return found.timezone


def _town_elsewhere(row: Mapping[str, str]) -> str | None:
    """The town, with capitals; None where the source can't be believed and the name doesn't confirm it."""
    town = row["city"]
    if row["provider"] in _WRONG_TOWNS and search_text(town) not in search_text(row["name"]):
        return None
    small = {"de", "des", "du", "la", "le", "sur"}
    words = [word if index and word in small else word.title() for index, word in enumerate(town.split())]
    return tidy_town(" ".join(words).replace("-La-", "-la-"))


def _point(row: Mapping[str, str]) -> dict[str, Any]:
    if not row["latitude"] or not row["longitude"]:
        return {}
    return {"latitude": float(row["latitude"]), "longitude": float(row["longitude"])}


def _venue_row(place: Place) -> dict[str, Any]:
    return {
        "id": str(reference_id(place.source_id)),
        "source_id": place.source_id,
        "name": place.name,
        "kind": place.kind,
        "street": place.street,
        "municipality": place.municipality,
        "province": place.province,
        "postal_code": place.postal_code,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "timezone": place.timezone,
        "region": place.region,
        "search": search_text(place.name, place.municipality, place.postal_code, place.street),
    }


def _activity_rows() -> list[dict[str, Any]]:
    programme_id = str(reference_id(PROGRAMME))
    return [
        {
            "id": str(reference_id(activity["id"])),
            "source_id": activity.pop("id"),
            "programme_id": programme_id,
            "delivered_by": "programme_trainers",
            **activity,
        }
        for activity in json.loads((DATA / "activities.json").read_text(encoding="utf-8"))
    ]


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


_NEW_ROW = {"version": 1, "language": "fr", "accessibility": []}
"""What every reference row starts with and no later start may change."""


async def _upsert(
    session: AsyncSession, model: type[Model], rows: Sequence[Mapping[str, Any]], key: str = "source_id"
) -> int:
    """Insert `rows`, or correct those that nobody has edited here (`version` 1); returns how many."""
    table: sa.Table = model.__table__  # type: ignore[attr-defined]  # SQLModel sets it on table classes
    facts = list(rows[0])
    starts = {name: value for name, value in _NEW_ROW.items() if name in table.c and name not in facts}
    names = [*facts, *starts]
    # One parameter for all the rows: a thousand are sent and compared in one round trip.
    incoming = sa.func.jsonb_populate_recordset(
        sa.literal_column(f"null::{table.name}"),
        sa.literal([{**starts, **row} for row in rows], JSONB),
    ).table_valued(*names)
    now = sa.func.now()
    statement = insert(table).from_select(
        [*names, "created_at", "updated_at"],
        sa.select(*(incoming.c[name] for name in names), now, now),
    )
    news = {name: statement.excluded[name] for name in facts if name not in {"id", key}}
    differs = sa.or_(*(table.c[name].is_distinct_from(value) for name, value in news.items()))
    upsert = statement.on_conflict_do_update(
        index_elements=[key],
        set_={**news, "updated_at": now},
        where=sa.and_(table.c.version == 1, differs),
    )
    result = await session.execute(upsert)
    assert isinstance(result, sa.CursorResult)
    return result.rowcount
