"""A synthetic country for the national view: networks, their sessions and seats, their counts; nobody's name.

The same seed always makes the same country, so that tests can look at a small one and the benchmark at
200,000 sessions of five years. Places are real libraries (data/SOURCES.md); what happens there is made up.
"""

import csv
import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import orjson

from libs import vocabularies
from libs.clock import zone
from libs.messaging.federated import MINUTES

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Network:
    """A regional network: the instance that it runs, and the regions that it may speak for."""

    slug: str
    name: str
    regions: tuple[str, ...]
    shares: Mapping[str, str] = field(default_factory=lambda: {"public": "profile", "pro": "counts"})

    @property
    def url(self) -> str:
        return f"https://{self.slug}.example.org"


NETWORKS = (
    Network("abitibi", "Abitibi-Témiscamingue", ("08",)),
    Network("nord-du-quebec", "Nord-du-Québec", ("10",)),
    Network("est-du-quebec", "Est-du-Québec", ("01", "09", "11")),
    Network("capitale", "Capitale-Nationale et Chaudière-Appalaches", ("03", "12")),
    Network("centre", "Centre-du-Québec, Lanaudière et Mauricie", ("04", "14", "17")),
    Network("estrie", "Estrie", ("05",)),
    Network("laurentides", "Laurentides", ("15",)),
    Network("monteregie", "Montérégie", ("16",)),
    Network("outaouais", "Outaouais", ("07",)),
    Network("saguenay", "Saguenay–Lac-Saint-Jean", ("02",)),
    Network("metropole", "Montréal et Laval", ("06", "13")),
    Network(
        "francophonie",
        "Francophonie canadienne",
        ("CA-NB", "CA-NS", "CA-PE", "CA-NL", "CA-ON", "CA-MB", "CA-SK", "CA-AB", "CA-BC", "CA-YT", "CA-NT"),
    ),
)
"""Twelve networks; nobody speaks for Nunavut."""

TITLES = {
    "ordinateur": "L’ordinateur, pas à pas",
    "tablette": "Apprivoiser sa tablette",
    "internet": "Chercher et trouver dans Internet",
    "courriel": "Le courriel, pas à pas",
    "donnees_infonuagiques": "Ranger ses photos en ligne",
    "securite_en_ligne": "Se protéger en ligne",
    "medias_sociaux": "Les médias sociaux : les bonnes pratiques",
    "fausses_nouvelles": "Reconnaître les fausses nouvelles",
}
_POPULAR = {"courriel": 3, "tablette": 3, "securite_en_ligne": 2, "fausses_nouvelles": 2}
_WANTED = {"13": 4.0, "05": 2.5, "07": 2.5, "12": 2.0, "14": 2.0, "CA-NT": 0.3, "11": 0.4, "17": 0.4}
"""Where more people than elsewhere find no seat."""
CHANNELS = ("web", "phone", "desk", "partner")


@dataclass(frozen=True, slots=True)
class _Place:
    id: UUID
    name: str
    municipality: str
    province: str
    latitude: float
    longitude: float


@cache
def _places() -> Mapping[str, Sequence[_Place]]:
    """Libraries by region; where the lists know none, a place that is made up."""
    found: dict[str, list[_Place]] = defaultdict(list)
    for row in _read("qc_libraries.csv"):
        if row["latitude"] and row["municipality"]:
            found[row["region_code"]].append(_place(row, row["municipality"], "CA-QC"))
    for row in _read("francophone_hors_quebec_libraries.csv"):
        if row["latitude"] and row["city"]:
            found[row["province"]].append(_place(row, row["city"].title(), row["province"]))
    for region in vocabularies.regions():
        if not found[region.code]:
            name = f"Bibliothèque de {region.fr}"
            found[region.code] = [
                _Place(UUID(int=len(found)), name, region.fr, region.province, 60.7, -135.0)
            ]
    return found


def _place(row: Mapping[str, str], town: str, province: str) -> _Place:
    identity = UUID(int=random.Random(row["id"]).getrandbits(128))  # noqa: S311  # made up, not secret
    return _Place(identity, row["name"], town, province, float(row["latitude"]), float(row["longitude"]))


def _plain(text: str) -> str:
    """Lower case without accents, as what the ingest keeps to search in."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _read(name: str) -> Iterator[dict[str, str]]:
    with (vocabularies.DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


class Country:
    """`count` sessions from `first` to `last`, each month as busy as any other, and what came of them.

    `now` (aware) parts what was held from what is to come.
    """

    def __init__(
        self,
        *,
        count: int,
        first: date,
        last: date,
        now: datetime,
        networks: Sequence[Network] = NETWORKS,
        seed: int = 4,
    ) -> None:
        self.now, self.first, self.days = now, first, (last - first).days
        self.networks = networks
        self._random = random.Random(seed)  # noqa: S311  # made up, not secret
        regions = [(network, region) for network in networks for region in network.regions]
        # The square root: a small region has few libraries, but not one session in a hundred.
        weights = [len(_places()[region]) ** 0.5 for _network, region in regions]
        chosen = self._random.choices(regions, weights, k=count)
        self.sessions = [self._session(network, region) for network, region in chosen]
        self.tallies = list(self._tallies())

    def _session(self, network: Network, region: str) -> Row:
        draw = self._random
        place = draw.choice(_places()[region])
        known = vocabularies.region(region)
        timezone = known.timezone if known else "America/Toronto"
        day = self.first + timedelta(days=draw.randrange(self.days))
        starts = datetime(day.year, day.month, day.day, draw.choice((9, 10, 13, 14, 18)), 30)  # noqa: DTZ001
        ends = starts + timedelta(hours=draw.choice((1, 2, 2, 3)))
        utc = [moment.replace(tzinfo=zone(timezone)).astimezone(UTC) for moment in (starts, ends)]
        theme = draw.choices([*TITLES, None], [*(_POPULAR.get(id_, 1) for id_ in TITLES), 0.3])[0]
        modality = draw.choices(("on_site", "online", "hybrid"), (80, 13, 7))[0]
        stream = draw.choices(("public", "pro"), (86, 14))[0]
        language = "en" if region.startswith("CA-") and draw.random() < 0.1 else "fr"
        status = "cancelled" if draw.random() < 0.04 else "held" if utc[1] < self.now else "published"
        identity = UUID(int=draw.getrandbits(128))
        title, on_site = TITLES[theme] if theme else "Café numérique", modality != "online"
        said = min(utc[0] - timedelta(days=draw.randrange(20, 60)), self.now - timedelta(hours=1))
        return {
            "id": identity,
            "instance": network.slug,
            "epoch": 1,
            "version": draw.randrange(1, 9),
            "status": status,
            "title": title,
            "stream": stream,
            "kind": "training_day" if stream == "pro" and draw.random() < 0.4 else "workshop",
            "theme": theme,
            "level": draw.choice(("beginner", "beginner", "intermediate", None)),
            "language": language,
            "modality": modality,
            "delivered_by": draw.choice(("programme_trainers", "library_staff", "organisation_staff")),
            "region": region,
            "month": starts.date().replace(day=1),
            "minutes": int((ends - starts).total_seconds()) // 60,
            "starts_at": starts,
            "ends_at": ends,
            "timezone": timezone,
            "starts_at_utc": utc[0],
            "ends_at_utc": utc[1],
            "venue_id": place.id if on_site else None,
            "venue_name": place.name if on_site else None,
            "municipality": place.municipality if on_site else None,
            "province": place.province if on_site else None,
            "latitude": place.latitude if on_site else None,
            "longitude": place.longitude if on_site else None,
            "registration_modes": '["web", "phone"]',
            "url": f"{network.url}/seances/{identity}",
            "search": _plain(f"{title} {place.name} {place.municipality}" if on_site else title),
            "opens_at": said,
            "cancelled_at": utc[0] - timedelta(days=2) if status == "cancelled" else None,
            "updated_at": said,
        } | self._seats(region, modality, status, utc[0], said)

    def _seats(self, region: str, modality: str, status: str, starts: datetime, said: datetime) -> Row:
        draw = self._random
        capacity = {"on_site": draw.choice((8, 10, 12, 16)), "online": 24}
        kinds = ("on_site", "online") if modality == "hybrid" else (modality,)
        nearness = max(0.15, min(1.0, 1 - (starts - self.now).days / 200))
        by_kind = {}
        for kind in kinds:
            seats = capacity[kind]
            wish = 0 if status == "cancelled" else round(draw.gauss(0.85, 0.3) * nearness * seats)
            taken = max(0, min(seats, wish))
            waiting = round(max(0, wish - seats) * _WANTED.get(region, 1.0)) if status != "cancelled" else 0
            offered = 1 if waiting and taken == seats and draw.random() < 0.2 else 0
            held = draw.choice((0, 0, 1)) if taken < seats else 0
            by_kind[kind] = {
                "capacity": seats,
                "confirmed": taken - offered,
                "offered": offered,
                "held": held,
                "available": seats - taken - held,
                "waitlisted": waiting,
            }
        totals = {name: sum(seats[name] for seats in by_kind.values()) for name in by_kind[kinds[0]]}
        return totals | {
            "planned": totals["capacity"],
            "by_kind": orjson.dumps(by_kind).decode(),
            "seats_epoch": 1,
            "seats_version": draw.randrange(1, 40),
            "seats_updated_at": said,
        }

    def _tallies(self) -> Iterator[Row]:
        """What came of the sessions, by instance, month, region, stream, theme, channel and modality."""
        cells: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
        for row in self.sessions:
            place = (row["instance"], row["month"], row["region"], row["stream"], row["theme"])
            for channel, states in self._outcomes(row):
                cells[(*place, channel, row["modality"])].update(states)
        histogram = [0] * (len(MINUTES) + 1)
        for (instance, month, region, stream, theme, channel, modality), counted in cells.items():
            walk_ins = counted.pop("walk_ins", 0)
            minutes = counted.pop("minutes", 0)
            waiting = counted.pop("waiting_at_start", 0)
            key = "/".join(["operational", f"{month:%Y-%m}", region, stream, theme or "-", channel, modality])
            yield {
                "instance": instance,
                "key": key,
                "epoch": 1,
                "version": 1,
                "month": month,
                "region": region,
                "stream": stream,
                "theme": theme,
                "channel": channel,
                "modality": modality,
                "registrations": orjson.dumps(dict(counted)).decode(),
                "confirmed_at_start": counted["attended"] + counted["absent"],
                "waitlisted_at_start": waiting,
                "attended_minutes": minutes,
                "walk_ins": walk_ins,
                "walk_in_minutes": walk_ins * 60,
                "offers_made": waiting,
                "offers_accepted": waiting // 2,
                "answer_minutes": orjson.dumps([waiting // 2, *histogram[1:]]).decode(),
                "minutes_from_opening": orjson.dumps([counted["attended"], *histogram[1:]]).decode(),
                "as_of": self.now - timedelta(hours=6),
            }

    def _outcomes(self, row: Row) -> Iterator[tuple[str, Counter[str]]]:
        """The participations of one session by channel and state."""
        draw = self._random
        states: dict[str, Counter[str]] = {channel: Counter() for channel in CHANNELS}
        for _person in range(row["confirmed"]):
            channel = draw.choices(CHANNELS, (60, 25, 10, 5))[0]
            if row["status"] != "held":
                states[channel]["confirmed"] += 1
                continue
            state = draw.choices(("attended", "absent", "excused", "cancelled"), (80, 9, 4, 7))[0]
            states[channel][state] += 1
            states[channel]["minutes"] += 110 if state == "attended" else 0
        states["web"]["waitlisted"] += row["waitlisted"]
        states["web"]["waiting_at_start"] += row["waitlisted"] if row["status"] == "held" else 0
        yield from ((channel, counted) for channel, counted in states.items() if +counted)
        if row["status"] == "held" and row["modality"] == "on_site" and draw.random() < 0.3:
            yield "none", Counter(walk_ins=draw.randrange(1, 4))

    def pulses(self, now: datetime) -> Iterator[Row]:
        """The last heartbeat of each instance, some seconds before `now`: all of them live."""
        said = Counter(row["instance"] for row in self.sessions)
        for number, network in enumerate(self.networks):
            received = now - timedelta(seconds=12 + number)
            declared = {"count": said[network.slug], "newest_id": None, "newest_at": None}
            yield {
                "instance": network.slug,
                "epoch": 1,
                "version": 1_000 + number,
                "name": network.name,
                "url": network.url,
                "software": "0.1.0",
                "sent_at": received,
                "received_at": received,
                "streams": orjson.dumps({"sessions": declared, "seats": declared}).decode(),
                "shares": orjson.dumps(dict(network.shares)).decode(),
                "lag": 0,
                "sessions": said[network.slug],
                "seats": said[network.slug],
                "tallies": 0,
            }


async def fill(connection: Connection, country: Country, *, generation: int = 1) -> None:
    """Write a country into an empty national database, as the generation that serves."""
    await connection.execute(
        "insert into generation (number, state, started_at, served_at, automatic)"
        " values ($1, 'serving', $2, $2, false)",
        generation,
        country.now,
    )
    await _register(connection, country)
    for table, rows in (
        ("session", country.sessions),
        ("tally", country.tallies),
        ("pulse", list(country.pulses(datetime.now(UTC)))),
    ):
        await _copy(connection, table, [{"generation": generation, **row} for row in rows])
    owners = [{"session_id": row["id"], "instance": row["instance"]} for row in country.sessions]
    await _copy(connection, "session_owner", owners)
    await connection.execute(_CELLS, generation)
    await connection.execute("insert into search_text (text) select distinct search from session")
    await connection.execute("analyze")


_CELLS = """
    insert into session_cell (generation, instance, month, region, stream, theme, modality, language, status,
        sessions, with_seats, minutes, planned, capacity, confirmed, offered, held, available, waitlisted)
    select generation, instance, month, coalesce(region, ''), stream, coalesce(theme, ''), modality, language,
        status, count(*), count(seats_updated_at), sum(minutes), sum(planned), sum(capacity), sum(confirmed),
        sum(offered), sum(held), sum(available), sum(waitlisted)
    from session where generation = $1 group by 1, 2, 3, 4, 5, 6, 7, 8, 9
    """


async def _register(connection: Connection, country: Country) -> None:
    long_ago = country.now - timedelta(days=2_000)
    instances = [
        {
            "slug": item.slug,
            "name": item.name,
            "status": "active",
            "epoch": 1,
            "registered_at": long_ago,
            "own": False,
        }
        for item in country.networks
    ]
    regions = [
        {"instance": item.slug, "region": region, "valid_from": date(2020, 1, 1), "valid_until": None}
        for item in country.networks
        for region in item.regions
    ]
    keys = [
        {
            "instance": item.slug,
            "key_id": f"{item.slug}-1",
            "public_key": bytes(32),
            "valid_from": long_ago,
            "valid_until": None,
            "revoked_at": None,
        }
        for item in country.networks
    ]
    await _copy(connection, "instance", instances)
    await _copy(connection, "instance_region", regions)
    await _copy(connection, "instance_key", keys)


async def _copy(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    if rows:
        columns = list(rows[0])
        records = [tuple(row[name] for name in columns) for row in rows]
        await connection.copy_records_to_table(table, records=records, columns=columns)
