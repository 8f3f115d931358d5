"""The reference data: the real lists, read as people will see them."""

import json
from collections import Counter

import pytest
import sqlalchemy as sa

from libs import vocabularies
from libs.vocabularies import DATA
from services.events import reference
from services.events.addresses import tidy_street
from services.events.doubles import Place, are_one, distance, merged, name_key
from services.events.library_names import tidy_bilingual_name, tidy_name
from services.events.models import Activity, Venue
from services.events.reference import places, reference_id
from tests.conftest import DatabaseFactory


@pytest.mark.parametrize(
    ("number", "street", "shown"),
    [
        ("34", "rue de-l'évêché ouest", "34, rue de l’Évêché Ouest"),
        ("9336", "royale avenue", "9336, avenue Royale"),
        ("7950", "1re avenue", "7950, 1re Avenue"),
        ("120", "rue 7e ouest", "120, 7e Rue Ouest"),
        ("222", "1ere avenue est", "222, 1re Avenue Est"),
        ("208", "132 route", "208, route 132"),
        ("1062", "route 132 est", "1062, route 132 Est"),
        ("3", "de-la-fabrique place", "3, place de la Fabrique"),
        ("154", "st joseph", "154, Saint-Joseph"),
        ("124", "boul st-david", "124, boulevard Saint-David"),
        ("70", "montee du village", "70, montée du Village"),
        ("", "montée de l'église", "montée de l’Église"),
        ("1650", "boulevard la", None),  # cut off in the source
        ("", "372a avenue", None),  # the number took the name's place
        ("5", "", None),
        ("", "", None),
    ],
)
def test_an_address_is_written_as_a_sign_has_it(number: str, street: str, shown: str | None) -> None:
    assert tidy_street(number, street) == shown


@pytest.mark.parametrize(
    ("name", "town", "shown"),
    [
        ("Bibliothèque de Perce", "Percé", "Bibliothèque de Percé"),
        ("Bibliothèque de Rivière-À -Claude", "Rivière-à-Claude", "Bibliothèque de Rivière-à-Claude"),
        ("Bibliothèque Collège-Des-Jésuites", "Québec", "Bibliothèque Collège-des-Jésuites"),
        ("Bibliothèque de l'Île-D'Anticosti", "L'Île-d'Anticosti", "Bibliothèque de l’Île-d’Anticosti"),
        ("Bibliothèque - Raymond-Lévesque", "Longueuil", "Bibliothèque Raymond-Lévesque"),
        ("Bibliothèque de Havre-St-Pierre", "Havre-Saint-Pierre", "Bibliothèque de Havre-Saint-Pierre"),
    ],
)
def test_a_name_gets_back_the_accents_that_its_town_has(name: str, town: str, shown: str) -> None:
    assert tidy_name(name, town) == shown


def test_a_bilingual_name_keeps_its_english_words() -> None:
    assert tidy_bilingual_name("Bibliothèque De Beaumont Library") == "Bibliothèque de Beaumont Library"
    assert tidy_bilingual_name("St. John's Library") == "St. John’s Library"


def test_each_library_of_the_country_is_there_once() -> None:
    counts = Counter("QC" if place.province == "CA-QC" else "elsewhere" for place in places())
    # 842 rows - 6 parking lots - 1 without a name - 14 doubles; 196 - 1 that moved out - 1 double.
    assert counts == {"QC": 821, "elsewhere": 194}
    assert len({place.source_id for place in places()}) == len(places())
    assert not [place.name for place in places() if "Stationnement" in place.name or "Archives" in place.name]


def test_no_two_venues_of_a_town_are_the_same_place() -> None:
    by_town: dict[tuple[str, str | None], list[Place]] = {}
    for place in places():
        by_town.setdefault((place.region, place.municipality), []).append(place)
    assert not [
        (a.name, b.name)
        for town in by_town.values()
        for number, a in enumerate(town)
        for b in town[number + 1 :]
        if are_one(a, b)
    ]


def test_a_double_keeps_the_address_of_one_list_and_the_accents_of_another() -> None:
    by_name = {(place.name, place.municipality): place for place in places()}
    library = by_name["Bibliothèque Yves-Thériault", "Laval"]
    assert (library.street, library.postal_code) == ("670, place Publique", "H7X 1G1")
    assert library.latitude is not None
    college = by_name["Bibliothèque Collège-des-Jésuites", "Québec"]
    assert (college.source_id, college.postal_code) == ("odcaf-1016", "G1S 4W4")


def test_the_same_name_far_away_or_in_another_town_is_another_library() -> None:
    names = Counter((place.name, place.region) for place in places())
    assert names["Bibliothèque des Jeunes de Montréal", "06"] == 2
    assert names["Bibliothèque Gabrielle-Roy", "03"] == names["Bibliothèque Gabrielle-Roy", "13"] == 1


def test_rows_in_conflict_keep_the_region_that_their_point_decided() -> None:
    by_id = {place.source_id: place for place in places()}
    assert by_id["odcaf-1575"].region == "15"
    assert by_id["odcaf-1425"].region == "10"


def test_venues_keep_the_time_of_their_place() -> None:
    zones = {place.name: place.timezone for place in places()}
    assert zones["Bibliothèque de Grosse-Île"] == "America/Halifax"
    assert zones["Bibliothèque de Blanc-Sablon"] == "America/Blanc-Sablon"
    assert zones["Bibliothèque de Natashquan"] == "America/Toronto"
    assert zones["Bibliothèque de Percé"] == "America/Toronto"
    assert zones["Dieppe Public Library"] == "America/Moncton"
    assert zones["Golden Branch"] == "America/Edmonton"
    known = {
        zone["tz"]
        for region in json.loads((DATA / "qc_regions.json").read_text(encoding="utf-8"))
        for zone in region["timezones"]
    }
    assert {place.timezone for place in places() if place.province == "CA-QC"} == known


def test_a_town_that_its_source_got_wrong_is_left_out() -> None:
    towns = {place.name: place.municipality for place in places()}
    assert towns["Fort Nelson Public Library"] is None  # the source says Vancouver, 1 200 km away
    assert towns["Plamondon Municipal Library"] == "Plamondon"


def test_doubles_need_a_point_or_a_name() -> None:
    def place(**facts: object) -> Place:
        known = {"source_id": "a", "name": "Bibliothèque A", "municipality": "Laval"}
        return Place(**{**known, "province": "CA-QC", "region": "13", "timezone": "z", **facts})  # type: ignore[arg-type]

    here, near = {"latitude": 45.5, "longitude": -73.7}, {"latitude": 45.5001, "longitude": -73.7}
    assert are_one(place(**here), place(**near))
    assert are_one(place(**here, number="5"), place(**near, number="5", name="Médiathèque B"))
    assert not are_one(place(**here, number="5"), place(**near, number="7", name="Médiathèque B"))
    assert not are_one(place(**here), place(latitude=45.6, longitude=-73.7))
    assert are_one(place(), place(postal_code="H7R 5P8"))
    assert not are_one(place(postal_code="H7R 5P9"), place(postal_code="H7R 5P8"))
    assert distance(place(), place(**here)) is None
    assert name_key("Bibliothèque municipale") == "bibliotheque municipale"
    assert len(merged([place(), place(source_id="b"), place(source_id="c", region="03")])) == 2


def test_every_theme_has_a_template_that_says_what_to_bring() -> None:
    activities = json.loads((DATA / "activities.json").read_text(encoding="utf-8"))
    assert {activity["theme"] for activity in activities} == vocabularies.ids("themes")
    assert {activity["stream"] for activity in activities} == {"public", "pro"}
    for activity in activities:
        assert activity["description"]
        assert activity["bring"]
        assert activity["kind"] in vocabularies.ids("activity_kinds")
        assert activity["level"] is None or activity["level"] in vocabularies.ids("levels")


async def test_a_second_start_changes_nothing_and_keeps_what_coordinators_edited(
    database_factory: DatabaseFactory,
) -> None:
    events = await database_factory("events")
    async with events.transaction() as session:
        first = await reference.load(session)
    assert (first.venues, first.activities, first.changed) == (1015, 15, 1030)
    edited, stale = reference_id("odcaf-1568"), reference_id("odcaf-1016")
    async with events.transaction() as session:
        venue = await session.get_one(Venue, edited)
        venue.name, venue.phone, venue.version = "Bibliothèque de Sainte-Foy", "418 555-0100", 2
        # A row that an older list wrote, and nobody touched.
        (await session.get_one(Venue, stale)).street = None
    async with events.transaction() as session:
        second = await reference.load(session)
    assert second.changed == 1
    async with events.reading() as session:
        kept = await session.get_one(Venue, edited)
        assert (kept.name, kept.phone) == ("Bibliothèque de Sainte-Foy", "418 555-0100")
        assert (await session.get_one(Venue, stale)).street is not None
        assert await session.scalar(sa.select(sa.func.count()).select_from(Venue)) == 1015
        assert await session.scalar(sa.select(sa.func.count()).select_from(Activity)) == 15


def test_unknown_ids_stand_for_themselves() -> None:
    assert vocabularies.label("themes", "courriel") == "Le courriel"
    assert vocabularies.label("themes", "courriel", "en") == "E-mail"
    assert vocabularies.label("themes", "robotique") == "robotique"
    assert vocabularies.region_name("CA-NB", "en") == "New Brunswick"
    assert vocabularies.region_name("98") == "98"
    assert len(vocabularies.regions()) == 29
