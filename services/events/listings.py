"""What an event listing (a CSV file of another calendar) says, row by row, and which rows can't be taken."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from libs.clock import zone
from services.events.doubles import name_key
from services.events.search import search_text

COLUMNS = ("id", "title", "start_utc", "end_utc", "locations", "registration_label", "audiences")
"""What a listing must have; `cancelled` and `full` are read when they are there."""
LARGEST_FILE = 20_000_000
LONGEST_TITLE = 200
LONGEST_ID = 200
SERIES_FROM = timedelta(hours=24)
"""A longer row is a series that the listing flattened: its dates aren't given."""

# A mark before or after the title, in capitals or set off by punctuation: « Ma dette annulée » is a title.
_CANCELLED_MARK = re.compile(
    r"^\W*(?:ANNULÉE?S?\b|ANNULEE?S?\b|(?i:annulée?s?)\s*[-–—:)\]])[\s\W]*"
    r"|\s*[-–—:(\[]\s*(?i:annulée?s?)[\s)\].!]*$"
)
_YEARS = range(1990, 2101)
_YES = frozenset({"1", "true", "vrai", "oui", "yes", "x"})


class BadListing(Exception):
    """The file can't be read as a listing; the text says why and what to do, in French."""


class Reason(StrEnum):
    """Why a row can't become a session; the value is what machines read."""

    UNREADABLE = "unreadable_row"
    NO_ID = "no_id"
    REPEATED = "repeated"
    NO_TITLE = "no_title"
    TOO_LONG = "too_long"
    BAD_TIME = "bad_time"
    ENDS_BEFORE_START = "ends_before_start"
    SERIES = "series"
    NO_PLACE = "no_place"
    SEVERAL_PLACES = "several_places"
    UNKNOWN_PLACE = "unknown_place"
    AMBIGUOUS_PLACE = "ambiguous_place"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that stands in a row's way; `text` is for a person."""

    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class KnownVenue:
    """A venue that a listing may name."""

    id: UUID
    name: str
    municipality: str | None
    region: str | None
    timezone: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that becomes a session. `number` is its row in a spreadsheet, where the headings are row 1.

    `starts_at` and `ends_at` are moments in the venue's zone, with their offset.
    """

    number: int
    id: str
    title: str
    starts_at: datetime
    ends_at: datetime
    venue: KnownVenue
    audience: str | None
    modes: tuple[str, ...]
    cancelled: bool
    full: bool

    @property
    def key(self) -> str:
        """One row of the source: an id stands once per date."""
        return f"{self.id}@{self.starts_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that can't be taken, with every reason: mending only the first would not be enough."""

    number: int
    id: str
    title: str
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A listing, sorted into what can be taken and what can't."""

    taken: tuple[Candidate, ...]
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """The venues that a listing's names may mean, by what tells one from another."""

    by_key: Mapping[str, Sequence[KnownVenue]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, venues: Iterable[KnownVenue], *, municipality: str | None = None, region: str | None = None
    ) -> "Gazetteer":
        """The venues of one municipality or region: a « Gabrielle-Roy » stands in Laval and in Québec."""
        by_key: dict[str, list[KnownVenue]] = {}
        for venue in venues:
            if municipality and search_text(venue.municipality) != search_text(municipality):
                continue
            if region and venue.region != region:
                continue
            by_key.setdefault(name_key(venue.name), []).append(venue)
        return cls(by_key)

    def find(self, name: str) -> Sequence[KnownVenue]:
        return self.by_key.get(name_key(name), ())


def read_listing(content: bytes, gazetteer: Gazetteer) -> Reading:
    """Sort the rows of a CSV file. Raises `BadListing` when the file as a whole can't be read."""
    taken: list[Candidate] = []
    refused: list[Refused] = []
    seen: dict[str, int] = {}
    for number, cells in _rows(content):
        outcome = _read_row(number, cells, gazetteer)
        if isinstance(outcome, Candidate):
            first = seen.setdefault(outcome.key, number)
            if first != number:
                text = f"C’est la même activité à la même heure qu’à la ligne {first}."
                outcome = _refuse(number, cells, [Obstacle(Reason.REPEATED, text)])
        if isinstance(outcome, Candidate):
            taken.append(outcome)
        else:
            refused.append(outcome)
    return Reading(tuple(taken), tuple(refused))


def modes_of(label: str, *, full: bool = False) -> tuple[str, ...]:
    """How to take part (vocabulary `registration_modes`), from the words of the listing.

    Where they don't say, or where no seat is left, one asks the place itself.
    """
    words = search_text(label)
    if full:
        return ("contact_venue",)
    found = [
        mode
        for mode, signs in (
            ("web", ("en ligne", "web", "formulaire")),
            ("phone", ("telephone",)),
            ("desk", ("comptoir", "sur place", "en personne")),
            ("drop_in", ("sans inscription", "entree libre", "acces libre")),
        )
        if any(sign in words for sign in signs)
    ]
    return tuple(found) or ("contact_venue",)


def _rows(content: bytes) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each row that isn't blank with its number; empty cells stand for a row that doesn't fit."""
    text = _decode(content)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        heading = [name.strip() for name in next(table, [])]
        _check_heading(heading)
        for number, cells in enumerate(table, start=2):
            if cells:
                complete = len(cells) == len(heading)
                yield number, dict(zip(heading, cells, strict=True)) if complete else {}
    except csv.Error as error:
        raise BadListing(_csv_problem(error, table.line_num)) from error


def _decode(content: bytes) -> str:
    if len(content) > LARGEST_FILE:
        raise BadListing(f"Le fichier dépasse {LARGEST_FILE // 1_000_000}\u00a0Mo. Coupez-le en plusieurs.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadListing("Le fichier est en UTF-16. Enregistrez-le en « CSV UTF-8 ».")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadListing(
            f"Le fichier n’est pas en UTF-8 (ligne {line}). Enregistrez-le en « CSV UTF-8 »."
        ) from error
    if "\0" in text:
        raise BadListing("Le fichier contient des octets nuls : ce n’est pas un fichier CSV.")
    return text


def _delimiter(text: str) -> str:
    """A comma, or what a French spreadsheet writes: a semicolon."""
    heading = text.partition("\n")[0]
    return ";" if heading.count(";") > heading.count(",") else ","


def _check_heading(heading: Sequence[str]) -> None:
    if not any(heading):
        raise BadListing("Le fichier est vide.")
    if missing := [name for name in COLUMNS if name not in heading]:
        raise BadListing(
            f"Il manque {'la colonne' if len(missing) == 1 else 'les colonnes'} : {', '.join(missing)}."
        )
    if doubled := sorted({name for name in heading if name and heading.count(name) > 1}):
        raise BadListing(f"Une colonne est là deux fois : {', '.join(doubled)}.")


def _csv_problem(error: csv.Error, line: int) -> str:
    if "field larger" in str(error):
        return f"Une cellule est beaucoup trop longue (ligne {line}). Un guillemet n’est pas fermé ?"
    return f"La ligne {line} n’est pas du CSV : un guillemet est mal placé ou n’est pas fermé."


def _read_row(number: int, cells: Mapping[str, str], gazetteer: Gazetteer) -> Candidate | Refused:
    if not cells:
        text = "La ligne n’a pas autant de cellules qu’il y a de titres."
        return _refuse(number, cells, [Obstacle(Reason.UNREADABLE, text)])
    obstacles: list[Obstacle] = []
    title = _without_mark(cells["title"])
    obstacles += _about_identity(cells["id"].strip(), title)
    times = _times(cells, obstacles)
    venue = _venue(_names(cells["locations"]), gazetteer, obstacles)
    if obstacles or times is None or venue is None:
        return _refuse(number, cells, obstacles)
    full = _says_yes(cells, "full")
    return Candidate(
        number=number,
        id=cells["id"].strip(),
        title=title,
        starts_at=times[0].astimezone(zone(venue.timezone)),
        ends_at=times[1].astimezone(zone(venue.timezone)),
        venue=venue,
        audience=", ".join(_names(cells["audiences"])) or None,
        modes=modes_of(cells["registration_label"], full=full),
        cancelled=_says_yes(cells, "cancelled") or _CANCELLED_MARK.search(cells["title"]) is not None,
        full=full,
    )


def _about_identity(row_id: str, title: str) -> Iterator[Obstacle]:
    if not row_id:
        yield Obstacle(Reason.NO_ID, "L’identifiant (id) manque.")
    if not title:
        yield Obstacle(Reason.NO_TITLE, "Le titre manque.")
    for name, text, longest in (("id", row_id, LONGEST_ID), ("titre", title, LONGEST_TITLE)):
        if len(text) > longest:
            yield Obstacle(Reason.TOO_LONG, f"Le champ « {name} » dépasse {longest} caractères.")


def _times(cells: Mapping[str, str], obstacles: list[Obstacle]) -> tuple[datetime, datetime] | None:
    """The start and the end as instants; what is wrong with them goes to `obstacles`."""
    found: list[datetime] = []
    for column, name in (("start_utc", "Le début"), ("end_utc", "La fin")):
        problem = "manque" if not cells[column].strip() else ""
        try:
            value = datetime.fromisoformat(cells[column].strip())
        except ValueError:
            problem = problem or "n’est pas une date et une heure"
        else:
            if value.utcoffset() is None:
                problem = "n’a pas de fuseau : écrivez par exemple 2025-02-13T23:30:00Z"
            elif value.year not in _YEARS:
                problem = f"a une année impossible : {value.year}"
            else:
                found.append(value.astimezone(UTC))
        if problem:
            obstacles.append(Obstacle(Reason.BAD_TIME, f"{name} ({column}) {problem}."))
    if len(found) < 2:
        return None
    starts, ends = found
    if ends <= starts:
        obstacles.append(Obstacle(Reason.ENDS_BEFORE_START, "La fin ne vient pas après le début."))
    elif ends - starts >= SERIES_FROM:
        days = (ends - starts).days
        text = f"Du début à la fin, il y a {days} {'jour' if days == 1 else 'jours'} : "
        text += "c’est une série ou une exposition, et ses dates ne sont pas données."
        obstacles.append(Obstacle(Reason.SERIES, text))
    return starts, ends


def _venue(names: Sequence[str], gazetteer: Gazetteer, obstacles: list[Obstacle]) -> KnownVenue | None:
    """The one venue that a row names; what stands in the way goes to `obstacles`."""
    if not names:
        obstacles.append(Obstacle(Reason.NO_PLACE, "Aucun lieu n’est nommé."))
        return None
    if len(names) > 1:
        text = f"La ligne nomme {len(names)} lieux et une séance a lieu à un seul : {_some(names)}."
        obstacles.append(Obstacle(Reason.SEVERAL_PLACES, text))
    found: list[KnownVenue] = []
    for name in names:
        venues = gazetteer.find(name)
        if not venues:
            obstacles.append(Obstacle(Reason.UNKNOWN_PLACE, f"Ce lieu est inconnu ici : « {name} »."))
        elif len(venues) > 1:
            towns = _some([venue.municipality or "?" for venue in venues])
            text = f"Plusieurs lieux se nomment « {name} » : {towns}. Précisez la ville ou la région."
            obstacles.append(Obstacle(Reason.AMBIGUOUS_PLACE, text))
        found += venues
    return found[0] if len(names) == 1 and len(found) == 1 else None


def _refuse(number: int, cells: Mapping[str, str], obstacles: Sequence[Obstacle]) -> Refused:
    return Refused(number, _short(cells.get("id", "")), _short(cells.get("title", "")), tuple(obstacles))


def _names(cell: str) -> tuple[str, ...]:
    """The names that a cell joins with bars, each once."""
    return tuple(dict.fromkeys(part.strip() for part in cell.split("|") if part.strip()))


def _without_mark(title: str) -> str:
    """« ANNULÉ - Rencontre » → « Rencontre »: the session's status says it."""
    return _CANCELLED_MARK.sub("", " ".join(title.split()))


def _says_yes(cells: Mapping[str, str], column: str) -> bool:
    return cells.get(column, "").strip().casefold() in _YES


def _some(names: Sequence[str], most: int = 3) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" et {rest} de plus" if rest > 0 else "")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 100 else f"{text[:99]}…"
