"""Which rows of a listing can be taken, why others can't, and files that are no listing at all."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest

from libs.vocabularies import DATA
from services.events.listings import (
    BadListing,
    Candidate,
    Gazetteer,
    KnownVenue,
    Reading,
    Refused,
    modes_of,
    read_listing,
)
from services.events.reference import places

HEADING = "id,title,start_utc,end_utc,locations,registration_label,audiences,cancelled,full"
LAVAL = (DATA / "laval_library_events.csv").read_bytes()


def venues() -> list[KnownVenue]:
    space = UUID(int=0)
    return [
        KnownVenue(
            uuid5(space, place.source_id), place.name, place.municipality, place.region, place.timezone
        )
        for place in places()
    ]


def in_laval() -> Gazetteer:
    return Gazetteer.of(venues(), municipality="laval")


def read(*rows: str, gazetteer: Gazetteer | None = None) -> Reading:
    return read_listing("\n".join([HEADING, *rows]).encode(), gazetteer or in_laval())


def row(**cells: str) -> str:
    given = {
        "id": "a",
        "title": "Atelier",
        "start_utc": "2027-02-03T18:30:00Z",
        "end_utc": "2027-02-03T20:30:00Z",
        "locations": "Bibliothèque Laure-Conan",
        "registration_label": "",
        "audiences": "",
        "cancelled": "0",
        "full": "0",
    } | cells
    return ",".join(f'"{given[name]}"' for name in HEADING.split(","))


def one(**cells: str) -> Candidate:
    reading = read(row(**cells))
    assert not reading.refused
    return reading.taken[0]


def refused(**cells: str) -> Refused:
    reading = read(row(**cells))
    assert not reading.taken
    return reading.refused[0]


def reasons(refusal: Refused) -> list[str]:
    return [obstacle.reason.value for obstacle in refusal.obstacles]


@pytest.mark.parametrize("where", [{"municipality": "Laval"}, {"region": "13"}])
def test_the_real_listing_gives_76_sessions_and_a_reason_for_each_other_row(where: dict[str, str]) -> None:
    reading = read_listing(LAVAL, Gazetteer.of(venues(), **where))
    assert (len(reading.taken), len(reading.refused)) == (76, 112)
    assert Counter(reason for refusal in reading.refused for reason in reasons(refusal)) == {
        "series": 13,
        "several_places": 98,
        "no_place": 6,
    }
    numbers = [item.number for item in (*reading.taken, *reading.refused)]
    assert sorted(numbers) == list(range(2, 190))
    assert len({candidate.key for candidate in reading.taken}) == 76


def test_a_library_is_found_without_its_accents_and_in_its_own_town() -> None:
    reading = read_listing(LAVAL, in_laval())
    assert {candidate.venue.region for candidate in reading.taken} == {"13"}
    found = {candidate.venue.name for candidate in reading.taken}
    assert "Bibliothèque Germaine-Guevremont" in found
    assert len(found) == 9


def test_without_a_town_a_name_that_stands_twice_is_refused() -> None:
    reading = read(row(locations="Bibliothèque Gabrielle-Roy"), gazetteer=Gazetteer.of(venues()))
    assert reasons(reading.refused[0]) == ["ambiguous_place"]
    assert "Laval" in reading.refused[0].obstacles[0].text
    assert "Québec" in reading.refused[0].obstacles[0].text


def test_times_are_those_of_the_place_on_both_sides_of_a_clock_change() -> None:
    reading = read_listing(LAVAL, in_laval())
    starts = {
        candidate.starts_at.isoformat()
        for candidate in reading.taken
        if candidate.id == "biblio-arts-litterature-oh-plaisir-lire-2"
    }
    assert "2025-02-14T13:30:00-05:00" in starts
    assert "2025-03-14T13:30:00-04:00" in starts


def test_a_row_is_known_by_its_id_and_its_start() -> None:
    reading = read(row(), row(start_utc="2027-02-04T18:30:00Z", end_utc="2027-02-04T20:30:00Z"), row())
    assert [candidate.number for candidate in reading.taken] == [2, 3]
    assert reasons(reading.refused[0]) == ["repeated"]
    assert "ligne 2" in reading.refused[0].obstacles[0].text
    assert reading.taken[0].key == "a@2027-02-03T18:30:00Z"


@pytest.mark.parametrize(
    ("title", "cancelled", "shown"),
    [
        ("ANNULÉ - Rencontre avec Kevin Raphaël", True, "Rencontre avec Kevin Raphaël"),
        ("Rencontre (annulée)", True, "Rencontre"),
        ("Rencontre - ANNULÉ", True, "Rencontre"),
        ("[ANNULÉ] Rencontre", True, "Rencontre"),
        ("Annulée : la visite", True, "la visite"),
        ("Ma dette annulée", False, "Ma dette annulée"),
        ("Annulation d’une dette", False, "Annulation d’une dette"),
    ],
)
def test_a_cancellation_may_stand_in_the_title_alone(title: str, cancelled: bool, shown: str) -> None:
    candidate = one(title=title)
    assert (candidate.cancelled, candidate.title) == (cancelled, shown)


def test_the_column_says_cancelled_too() -> None:
    assert one(cancelled="1").cancelled
    assert not one(cancelled="0").cancelled


def test_the_audience_is_kept_in_words() -> None:
    assert one(audiences="Familles|Adolescents").audience == "Familles, Adolescents"
    assert one(audiences="").audience is None


@pytest.mark.parametrize(
    ("label", "modes"),
    [
        ("Inscription en ligne", ("web",)),
        ("Inscription par téléphone ou au comptoir", ("phone", "desk")),
        ("Entrée libre", ("drop_in",)),
        ("", ("contact_venue",)),
        ("Voir le dépliant", ("contact_venue",)),
    ],
)
def test_the_label_says_how_to_take_part(label: str, modes: tuple[str, ...]) -> None:
    assert modes_of(label) == modes
    assert modes_of(label, full=True) == ("contact_venue",)


def test_a_long_row_is_a_series_whose_dates_are_missing() -> None:
    refusal = refused(end_utc="2027-02-24T20:30:00Z")
    assert reasons(refusal) == ["series"]
    assert "21 jours" in refusal.obstacles[0].text


def test_a_row_without_a_place_or_with_an_unknown_one_says_which() -> None:
    assert reasons(refused(locations="")) == ["no_place"]
    refusal = refused(locations="Bibliothèque Fantôme")
    assert reasons(refusal) == ["unknown_place"]
    assert "Bibliothèque Fantôme" in refusal.obstacles[0].text
    both = refused(locations="Bibliothèque Laure-Conan|Bibliothèque Fantôme")
    assert reasons(both) == ["several_places", "unknown_place"]
    assert one(locations="Bibliothèque Laure-Conan|Bibliothèque Laure-Conan").venue.region == "13"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"start_utc": "3 février"}, "bad_time"),
        ({"start_utc": ""}, "bad_time"),
        ({"start_utc": "2027-02-03T18:30:00"}, "bad_time"),
        ({"start_utc": "0001-01-01T00:00:00Z"}, "bad_time"),
        ({"end_utc": "2027-02-03T18:30:00Z"}, "ends_before_start"),
        ({"id": " "}, "no_id"),
        ({"id": "x" * 300}, "too_long"),
        ({"title": " "}, "no_title"),
        ({"title": "ANNULÉ"}, "no_title"),
        ({"title": "x" * 300}, "too_long"),
    ],
)
def test_a_row_that_says_too_little_is_refused_alone(cells: dict[str, str], reason: str) -> None:
    assert reason in reasons(refused(**cells))
    reading = read(row(**cells), row(id="b"))
    assert [candidate.id for candidate in reading.taken] == ["b"]


def test_every_obstacle_of_a_row_is_named_at_once() -> None:
    assert reasons(refused(title="", locations="", end_utc="2027-03-03T18:30:00Z")) == [
        "no_title",
        "series",
        "no_place",
    ]


def test_a_row_with_missing_cells_is_refused_alone() -> None:
    reading = read("a,Atelier", "", row())
    assert reasons(reading.refused[0]) == ["unreadable_row"]
    assert reading.taken[0].number == 4


def test_semicolons_and_a_byte_order_mark_are_what_spreadsheets_write() -> None:
    text = "\n".join([HEADING, row()]).replace('","', '";"').replace(",", ";")
    reading = read_listing(text.encode("utf-8-sig"), in_laval())
    assert reading.taken[0].starts_at.astimezone(UTC) == datetime(2027, 2, 3, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "vide"),
        (b"\n", "vide"),
        (b"\xe9\xff,", "UTF-8"),
        (("é" + HEADING).encode("utf-16"), "UTF-16"),
        ("titre;début\nx;y\n".encode(), "Il manque les colonnes"),
        (HEADING.replace("title,", "").encode(), "Il manque la colonne\u00a0: title"),
        (f"{HEADING},title\n".encode(), "deux fois"),
        (f'{HEADING}\n"a,b\n'.encode(), "guillemet"),
        (f"{HEADING}\n{'x' * 10_000_000},b\n".encode(), "trop longue"),
        (f"{HEADING}\na\0b".encode(), "octets nuls"),
        (b"x" * 20_000_001, "20\u00a0Mo"),
    ],
)
def test_a_file_that_is_no_listing_is_refused_whole_with_what_to_do(content: bytes, says: str) -> None:
    with pytest.raises(BadListing, match=says):
        read_listing(content, in_laval())
