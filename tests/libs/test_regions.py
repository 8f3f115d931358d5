"""Which region a place belonged to on a day: Estrie gained two MRC of Montérégie in 2021."""

import csv
from datetime import date

import pytest

from libs import vocabularies
from libs.regions import region_on
from libs.vocabularies import DATA

BEFORE, AFTER = date(2021, 7, 27), date(2021, 7, 28)


@pytest.mark.parametrize("municipality", ["Granby", "Cowansville", "cowansville", "STANBRIDGE-EAST"])
@pytest.mark.parametrize("listed", ["05", "16"])
def test_the_border_moved_on_one_day_whenever_the_list_was_made(municipality: str, listed: str) -> None:
    assert region_on(BEFORE, listed, municipality) == "16"
    assert region_on(AFTER, listed, municipality) == "05"


@pytest.mark.parametrize(
    ("region", "municipality"),
    [
        ("05", "Sherbrooke"),  # Estrie had it all along
        ("16", "Longueuil"),
        ("12", "Sainte-Sabine"),  # the other one, in Chaudière-Appalaches
        ("CA-ON", "Waterloo"),
        ("05", None),
        (None, "Granby"),
        (None, None),
    ],
)
def test_everywhere_else_it_is_what_the_list_says(region: str | None, municipality: str | None) -> None:
    assert region_on(BEFORE, region, municipality) == region
    assert region_on(AFTER, region, municipality) == region


def test_every_library_of_the_two_mrc_is_found_by_its_town() -> None:
    with (DATA / "qc_libraries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    moved = [row for row in rows if row["cduid"] in ("2446", "2447")]

    assert {region_on(BEFORE, row["region_code"], row["municipality"]) for row in moved} == {"16"}
    assert len(moved) >= 10
    for row in rows:
        if row["cduid"] not in ("2446", "2447"):
            assert region_on(BEFORE, row["region_code"], row["municipality"]) == row["region_code"]


def test_only_known_regions_are_named() -> None:
    codes = {region.code for region in vocabularies.regions()}
    assert {region_on(BEFORE, "05", "Granby"), region_on(AFTER, "16", "Granby")} <= codes
