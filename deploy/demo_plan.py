"""What the demonstration shows: a tour of the Capitale-Nationale, planned from an instant and a seed."""

import csv
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from libs.vocabularies import DATA
from services.events.reference import reference_id
from services.events.search import search_text
from services.registrations.draw import PAUSE

REGION = "03"
ZONE = "America/Toronto"
SEED = 2026
STOPS = (
    # The library in the reference data, then what a coordinator would have found out on the phone.
    ("odcaf-1014", ("step_free", "elevator", "public_transport")),  # Claire-Martin, Québec
    ("odcaf-1568", ("step_free", "elevator", "hearing_loop", "accessible_toilet")),  # Monique-Corriveau
    ("odcaf-1659", ("step_free", "accessible_toilet", "parking", "computer_loan")),  # Paul-Aimé-Paiement
    ("odcaf-1564", ("step_free", "automatic_door", "parking")),  # Marie-Victorin, L’Ancienne-Lorette
    ("odcaf-1581", ("step_free", "parking", "tablet_loan")),  # Donnacona
    ("odcaf-994", ("parking", "quiet_room")),  # Pont-Rouge
    ("odcaf-1526", ("step_free", "accessible_toilet", "accessible_parking")),  # La Malbaie
    ("odcaf-1456", ("parking",)),  # Les Éboulements
    ("odcaf-987", ("step_free", "parking", "quiet_room")),  # Sainte-Anne-de-Beaupré
    ("odcaf-1646", ("step_free", "hearing_loop", "parking")),  # Lac-Beauport
)
_WORKDAYS = (0, 1, 3, 5, 6, 8, 10, 12, 14, 16)
"""Which of the coming working days each stop takes."""
_DRAW_CLOSES_IN = timedelta(minutes=6)
"""From the start to the closing of the draw that can be watched; it must be published before."""
_HELD_BEFORE = (2, 5, 9)
"""How many working days ago each session took place that attendance is noted of."""
_FIRST_DAY_IN = 3
"""Days from today to the earliest stop: nobody is called the evening before."""


@dataclass(frozen=True, slots=True)
class Person:
    """A synthetic person's request, as the registrations API takes it."""

    body: Mapping[str, Any]

    @property
    def by_staff(self) -> bool:
        return bool(self.body["channel"] != "web")


@dataclass(frozen=True, slots=True)
class PlannedStop:
    """A library on a date; `facts` are what the venue gains."""

    venue_id: str
    on: date
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """A session: its fields, the stop it belongs to (None: online), and the people who want to come.

    `then` is what happens after they registered: `someone_cancels`, `moved`, `cancelled`, or `held`: it moves
    into the past, where each person's outcome is noted, and how many came without being registered. What
    `is_alone` belongs to no tour: the programme's continuous offer.
    """

    key: str
    stop: int | None
    fields: Mapping[str, Any]
    people: tuple[Person, ...] = ()
    then: str = ""
    change: Mapping[str, Any] | None = None
    outcomes: tuple[str, ...] = ()
    walk_ins: int = 0
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """`waits`: people who wait for a seat at any of many sessions; `drawn_at`: of the first draw."""

    tour: Mapping[str, Any]
    stops: tuple[PlannedStop, ...]
    sessions: tuple[PlannedSession, ...]
    waits: tuple[Person, ...]
    drawn_at: datetime

    def capacity(self, key: str) -> int:
        """How many seats a session has that is on site alone."""
        return next(int(one.fields["capacity"]) for one in self.sessions if one.key == key)


@dataclass(frozen=True, slots=True)
class Names:
    """Given and family names to combine at random, by where they come from: nobody real."""

    given: Mapping[str, Sequence[str]]
    family: Mapping[str, Sequence[str]]


def synthetic_names() -> Names:
    given: dict[str, list[str]] = defaultdict(list)
    family: dict[str, list[str]] = defaultdict(list)
    with (DATA / "names_synthetic.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            (given if row["kind"] == "given" else family)[row["origin"]].append(row["value"])
    return Names(given, family)


def plan(now: datetime, names: Names, seed: int = SEED) -> DemoPlan:
    """The whole demonstration for an instance that starts `now` (in ZONE); the same for the same seed."""
    today = now.date()
    days = _stop_days(today)
    crowd = _Crowd(names, seed)
    closes_at = now.replace(second=0, microsecond=0) + _DRAW_CLOSES_IN
    sessions = (*_sessions(days, crowd), *_draws(days, crowd, closes_at), *_past_sessions(today, crowd))
    window = {"first": today.isoformat(), "last": (days[-1] + timedelta(weeks=2)).isoformat()}
    return DemoPlan(
        tour={
            "title": "Tournée de la Capitale-Nationale",
            "region": REGION,
            "programme_id": str(reference_id("AlphaNumérique")),
            "description": "Dix bibliothèques, huit thèmes. C’est gratuit, et on avance à votre rythme.",
            "windows": {"public": window, "pro": window},
        },
        stops=tuple(
            PlannedStop(
                venue_id=str(reference_id(source_id)),
                on=day,
                facts={"accessibility": list(accessibility), "phone": f"418 555-01{50 + number}"},
            )
            for number, ((source_id, accessibility), day) in enumerate(zip(STOPS, days, strict=True))
        ),
        sessions=sessions,
        waits=(_waiting(crowd, days),),
        drawn_at=closes_at + PAUSE,
    )


def _stop_days(today: date) -> list[date]:
    coming = _working_days(today + timedelta(days=_FIRST_DAY_IN))
    days = [next(coming) for _ in range(max(_WORKDAYS) + 1)]
    return [days[number] for number in _WORKDAYS]


def _working_days(first: date) -> Iterator[date]:
    """From `first` on: no weekend, and no day between Christmas Eve and the second of January."""
    day = first
    while True:
        if _is_working_day(day):
            yield day
        day += timedelta(days=1)


def _is_working_day(day: date) -> bool:
    return day.weekday() < 5 and (day.month, day.day) not in _HOLIDAYS


_HOLIDAYS = frozenset({(12, day) for day in range(24, 32)} | {(1, 1), (1, 2), (6, 24), (7, 1)})


class _Crowd:
    """Draws people, each another: name, one way to be reached, channel."""

    def __init__(self, names: Names, seed: int) -> None:
        self._names = names
        self._random = random.Random(seed)  # noqa: S311 - the same demonstration every time, no secret
        self._seen: set[str] = set()
        # 418 555-01xx never rings anywhere; the desk has 42 and the libraries 50 to 59.
        self._phones = [f"418 555-01{number:02}" for number in (*range(42), *range(60, 100))]
        self._random.shuffle(self._phones)

    def draw(self, count: int, *channels: str, **more: Any) -> tuple[Person, ...]:
        """`count` people through `channels` in turn."""
        channels = channels or ("web", "phone", "web", "desk")
        return tuple(self._person(channels[number % len(channels)], more) for number in range(count))

    def professionals(self, count: int, *organisations: str) -> tuple[Person, ...]:
        """People of the pro stream: the personnel, and a volunteer in every third."""
        return tuple(
            self._person(
                "web",
                {
                    "organisation": organisations[number % len(organisations)],
                    "role": "volunteer" if number % 3 == 2 else "staff",
                },
            )
            for number in range(count)
        )

    def _person(self, channel: str, more: Mapping[str, Any]) -> Person:
        name = self._name()
        language = "en" if self._random.random() < 0.08 else "fr"
        body = {
            "channel": channel,
            "name": name,
            "language": language,
            "contact": self._contact(name, channel),
        }
        return Person({**body, **more})

    def _name(self) -> str:
        while True:
            # Two people in three have a name of here, as in a real library.
            origins = ["fr_CA"] if self._random.random() < 0.67 else list(self._names.family)
            origin = self._random.choice(origins)
            given, family = self._names.given[origin], self._names.family[origin]
            name = f"{self._random.choice(given)} {self._random.choice(family)}"
            if name not in self._seen:
                self._seen.add(name)
                return name

    def _contact(self, name: str, channel: str) -> dict[str, str]:
        """Most of the web has an e-mail address; who phones often has a telephone alone."""
        phone = self._phones.pop(0)
        self._phones.append(phone)
        if channel == "web" or self._random.random() < 0.25:
            local = re.sub(r"[^a-z]+", ".", search_text(name)).strip(".") or "personne"
            return {"email": f"{local}@{self._random.choice(['example.org', 'example.com'])}"}
        return {"phone" if channel == "phone" else "mobile": phone}


def _sessions(days: Sequence[date], crowd: _Crowd) -> Iterator[PlannedSession]:
    def at(
        key: str, stop: int, activity: str, start: str, people: tuple[Person, ...] = (), **fields: Any
    ) -> PlannedSession:
        life = {name: fields.pop(name) for name in ("then", "change") if name in fields}
        minutes = fields.pop("minutes", 120)
        given = {
            "activity_id": str(reference_id(f"alphanumerique-{activity}")),
            "modality": "on_site",
            **_times(days[stop], start, minutes),
            **fields,
        }
        return PlannedSession(key, stop, given, people, **life)

    yield at("full", 0, "courriel-pas-a-pas", "09:30", crowd.draw(8), capacity=6)
    yield at(
        "held_seats", 0, "securite-fraudes", "13:30", crowd.draw(2), capacity=12,
        held_seats={"phone": 2, "desk": 1},
        releases=[{"at": f"{days[0] - timedelta(days=2)}T09:00", "channel": "phone", "seats": 2}],
    )  # fmt: skip
    # The first in line is offered the seat by e-mail, the second would be called.
    waiting = crowd.draw(1, "web") + crowd.draw(2, "phone", "web")
    yield at(
        "offer", 1, "tablette-mains", "10:00", crowd.draw(6) + waiting, capacity=6, then="someone_cancels"
    )
    yield at("social", 1, "medias-sociaux", "13:30", crowd.draw(1), capacity=12)
    yield at(
        "hybrid", 2, "fausses-nouvelles", "13:30",
        crowd.draw(1, seat_kind="on_site") + crowd.draw(1, "web", seat_kind="online"),
        modality="hybrid", capacity={"on_site": 8, "online": 10},
        online_url="https://visio.example.org/fausses-nouvelles",
    )  # fmt: skip
    yield at(
        "pro_day", 2, "pro-animer", "09:00",
        crowd.professionals(3, "Bibliothèque Paul-Aimé-Paiement", "Bibliothèque Claire-Martin"),
        capacity=10, minutes=420, registration_modes=["web", "phone"],
    )  # fmt: skip
    yield at("computer", 3, "ordinateur-premiers-pas", "09:30", crowd.draw(3), capacity=8)
    yield at("search", 3, "internet-chercher", "13:30", crowd.draw(1), capacity=12)
    yield at("cloud", 4, "donnees-nuage", "13:30", crowd.draw(1), capacity=10)
    yield at("evening", 4, "securite-mots-de-passe", "18:30", crowd.draw(1), capacity=12, minutes=90)
    yield at(
        "moved", 5, "courriel-pas-a-pas", "10:00", crowd.draw(3), capacity=10, then="moved",
        change={**_times(days[5], "13:30", 120), "reason": "La salle est prise le matin."},
    )  # fmt: skip
    yield at("video", 6, "tablette-appels-video", "10:00", crowd.draw(7), capacity=6, minutes=90)
    yield at("malbaie", 6, "securite-fraudes", "13:30", crowd.draw(1), capacity=12)
    yield at(
        "cancelled", 7, "internet-services", "13:30", crowd.draw(3), capacity=10, then="cancelled",
        change={"reason": "Tempête de neige"},
    )  # fmt: skip
    yield at(
        "by_phone", 8, "fausses-nouvelles", "13:30", crowd.draw(2, "phone", "desk"), capacity=12,
        registration_modes=["phone", "desk"],
    )  # fmt: skip
    yield at(
        "drop_in", 8, "ordinateur-ranger", "10:00", title="Dépannage sans rendez-vous", kind="drop_in",
        description="Venez avec votre appareil et votre question.",
        registration_modes=["drop_in"], capacity=0,
    )  # fmt: skip
    yield at(
        "pro", 9, "pro-comptoir", "13:30",
        crowd.professionals(1, "Bibliothèque l’Écrin", "Organisme Exemple"), capacity=12,
    )  # fmt: skip
    online = _times(days[7], "19:00", 90)
    yield PlannedSession(
        "online", None,
        {
            "activity_id": str(reference_id("alphanumerique-courriel-trier")), "modality": "online",
            "timezone": ZONE, "region": REGION, "capacity": 15,
            "online_url": "https://visio.example.org/courriel", **online,
        },
        crowd.draw(2, "web", "phone", seat_kind="online"),
    )  # fmt: skip


def _draws(days: Sequence[date], crowd: _Crowd, closes_at: datetime) -> Iterator[PlannedSession]:
    """A party, a draw that is some days away, and one that is held while one looks on."""

    def by_lot(closing: datetime) -> dict[str, Any]:
        rule = {"closes_at": closing.isoformat(timespec="minutes"), "first_time_lots": 2}
        return {"waitlist": {"policy": "draw", "draw": rule}}

    def fields(activity: str, **given: Any) -> dict[str, Any]:
        return {
            "activity_id": str(reference_id(f"alphanumerique-{activity}")),
            "modality": "on_site",
            **given,
        }

    yield PlannedSession(
        "party", 4,
        fields(
            "internet-chercher", capacity=10, party={"limit": 4, "gather_hours": 24},
            **_times(days[4], "10:00", 120),
        ),
        crowd.draw(1) + crowd.draw(1, party_size=3),
    )  # fmt: skip
    closing = datetime.combine(days[9] - timedelta(days=2), time(12))
    yield PlannedSession(
        "draw", 9,
        fields("donnees-nuage", capacity=3, **by_lot(closing), **_times(days[9], "10:00", 120)),
        crowd.draw(2) + crowd.draw(2, consents=["first_time_draw"]),
    )  # fmt: skip
    yield PlannedSession(
        "drawn", None,
        fields(
            "fausses-nouvelles", capacity=3, venue_id=_venue(3), **by_lot(closes_at.replace(tzinfo=None)),
            **_times(days[8], "18:30", 90),
        ),
        crowd.draw(4) + crowd.draw(2, consents=["first_time_draw"]),
        is_alone=True,
    )  # fmt: skip


def _past_sessions(today: date, crowd: _Crowd) -> Iterator[PlannedSession]:
    """Sessions that took place: planned for later, as nobody registers for the past, then moved there."""
    came, absent, excused = ("attended",), ("absent",), ("excused",)
    held = (
        ("courriel-pas-a-pas", came * 4 + absent, 2),
        ("ordinateur-premiers-pas", came * 3 + absent, 0),
        ("securite-fraudes", came * 4 + excused, 5),
    )
    later = next(_working_days(today + timedelta(weeks=4)))
    for number, (days_ago, (activity, outcomes, walk_ins)) in enumerate(zip(_HELD_BEFORE, held, strict=True)):
        yield PlannedSession(
            f"held_{number + 1}", None,
            {
                "activity_id": str(reference_id(f"alphanumerique-{activity}")), "modality": "on_site",
                "venue_id": _venue(number), "capacity": 12, "registration_modes": ["phone", "desk"],
                **_times(later, "13:30", 120),
            },
            crowd.draw(len(outcomes), "phone", "desk", "desk"),
            then="held",
            change={
                **_times(_working_day_before(today, days_ago), "13:30", 120),
                "reason": "La séance a déjà eu lieu.",
            },
            outcomes=outcomes, walk_ins=walk_ins, is_alone=True,
        )  # fmt: skip


def _waiting(crowd: _Crowd, days: Sequence[date]) -> Person:
    """Somebody who would come to any workshop on tablets, wherever it is: all of them are full."""
    (person,) = crowd.draw(1, "web")
    wish = {
        "theme": "tablette",
        "regions": [REGION],
        "first_day": days[0].isoformat(),
        "last_day": days[-1].isoformat(),
    }
    return Person({**person.body, **wish})


def _venue(number: int) -> str:
    return str(reference_id(STOPS[number][0]))


def _working_day_before(day: date, count: int) -> date:
    """The working day that is `count` of them before `day`."""
    while count:
        day -= timedelta(days=1)
        count -= _is_working_day(day)
    return day


def _times(day: date, start: str, minutes: int) -> dict[str, str]:
    starts = datetime.combine(day, time.fromisoformat(start))
    ends = starts + timedelta(minutes=minutes)
    return {"starts_at": starts.isoformat(timespec="minutes"), "ends_at": ends.isoformat(timespec="minutes")}
