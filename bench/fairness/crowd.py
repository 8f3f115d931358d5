"""The crowd of a tour: who asks for a seat, when and by which channel, whatever the policy is.

Everything about a person is drawn beforehand, so every policy meets the same people on the same days.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from random import Random
from uuid import UUID

from bench.fairness import telephone
from bench.fairness.assumptions import (
    FIRST_OPENING,
    MOST_MEANS,
    OFFICE,
    OPENING,
    START,
    WEEKS,
    ZONE,
    Assumptions,
)
from libs.clock import zone
from libs.messaging.contracts import SeatCounts, SessionState, WaitlistRule
from services.registrations.draw import SEED_BYTES
from services.registrations.office_hours import OfficeHours, office_hours

CHANNELS = {"racers": "web", "web": "web", "phone": "phone", "desk": "desk", "referred": "partner"}
"""The channel that each group's requests come by, as the service names it."""
WEB, ASSISTED = ("racers", "web"), ("phone", "desk", "referred")

_LASTS = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person. `began` to try, and `asks_at`: the request arrives; between them lies a queue at most.

    `route`: `email`, `text` or `phone`, by which they are offered a seat. `reads_after` an offer, None:
    never; `called_after` and `picks_up` are for calls, the first `called_after` in office hours.
    `cancels`: at which part of the time between the seat and the workshop they give it up.
    """

    ref: UUID
    group: str
    began: datetime
    asks_at: datetime
    route: str
    reads_after: timedelta | None
    called_after: timedelta
    last_call_after: timedelta
    picks_up: tuple[bool, ...]
    accepts: bool
    cancels: float | None
    is_new: bool

    @property
    def channel(self) -> str:
        return CHANNELS[self.group]


@dataclass(frozen=True, slots=True)
class Workshop:
    """A session, first come, first served, with those who will ask for it in the order of their requests.

    `seed`: for policies by which its seats are drawn.
    """

    facts: SessionState
    office: OfficeHours
    seed: bytes
    people: tuple[Somebody, ...]


def tours(sessions: int, seed: int, assumed: Assumptions) -> Iterator[list[Workshop]]:
    """So many workshops, tour by tour, the last perhaps shorter; each tour has random numbers of its own."""
    for number, first in enumerate(range(0, sessions, assumed.tour)):
        yield _Tour(number, seed, assumed).workshops(min(assumed.tour, sessions - first))


class _Tour:
    """One opening: its workshops, and the desk that takes the calls for all of them."""

    def __init__(self, number: int, seed: int, assumed: Assumptions) -> None:
        self.random = Random(f"{seed}/{number}")  # noqa: S311 - it must repeat, and keeps nothing secret
        self.assumed = assumed
        self.day = FIRST_OPENING + timedelta(weeks=number % WEEKS)
        self.opens_at = datetime.combine(self.day, OPENING, tzinfo=zone(ZONE)).astimezone(UTC)

    def workshops(self, count: int) -> list[Workshop]:
        every = [self._facts() for _ in range(count)]
        # Holidays are known up to a session: those of the last hold for all.
        office = _office(max(every, key=attrgetter("starts_at_utc")))
        crowds = self._served([self._crowd(facts, office) for facts in every], office)
        return [
            Workshop(
                facts,
                _office(facts),
                self.random.randbytes(SEED_BYTES),
                tuple(sorted(people, key=attrgetter("asks_at"))),
            )
            for facts, people in zip(every, crowds, strict=True)
        ]

    def _facts(self) -> SessionState:
        assumed = self.assumed
        day = self.day + timedelta(days=self.random.randint(assumed.days_least, assumed.days_most))
        start = datetime.combine(day, START, tzinfo=zone(ZONE))
        end = start + _LASTS
        return SessionState(
            id=self._id(),
            status="published",
            title="Atelier",
            stream="public",
            modality="on_site",
            capacity=SeatCounts(on_site=self.random.randint(assumed.seats_least, assumed.seats_most)),
            opens_at=self.opens_at,
            waitlist=WaitlistRule(offer_hours=assumed.offer_hours),
            starts_at=start.replace(tzinfo=None),
            ends_at=end.replace(tzinfo=None),
            timezone=ZONE,
            starts_at_utc=start.astimezone(UTC),
            ends_at_utc=end.astimezone(UTC),
            updated_at=self.opens_at,
        )

    # Who comes, and when.

    def _crowd(self, facts: SessionState, office: OfficeHours) -> list[Somebody]:
        assumed = self.assumed
        demand = self.random.uniform(assumed.demand_least, assumed.demand_most)
        parts = [getattr(assumed, group) for group in CHANNELS]
        groups = self.random.choices(list(CHANNELS), parts, k=round(demand * facts.capacity.on_site))
        people = [
            self._somebody(group, self._arrival(group, office)) for group in groups if group != "referred"
        ]
        return people + list(self._batches(groups.count("referred"), office))

    def _arrival(self, group: str, office: OfficeHours) -> datetime:
        assumed = self.assumed
        match group:
            case "racers":
                return self.opens_at + self._exponential(timedelta(minutes=assumed.racer_minutes))
            case "web":
                return self.opens_at + self._exponential(timedelta(hours=assumed.web_hours))
            case "desk":
                mean = timedelta(hours=assumed.visitor_hours)
            case "referred":
                mean = timedelta(hours=assumed.referrer_hours)
            case _:
                is_eager = self._is(assumed.eager)
                eager, other = timedelta(minutes=assumed.eager_minutes), timedelta(hours=assumed.caller_hours)
                mean = eager if is_eager else other
        return office.after(self.opens_at, self._exponential(mean))

    def _batches(self, count: int, office: OfficeHours) -> Iterator[Somebody]:
        """An organisation registers its people in one go, after hours if need be."""
        while count:
            size = min(count, self.random.randint(self.assumed.batch_least, self.assumed.batch_most))
            count -= size
            start = self._arrival("referred", office)
            for number in range(size):
                after = number * timedelta(minutes=self.assumed.batch_minutes)
                yield replace(self._somebody("referred", start), asks_at=start + after)

    def _served(self, crowds: list[list[Somebody]], office: OfficeHours) -> list[list[Somebody]]:
        """The same people, the callers having gone through the queue that they share."""
        callers = sorted(
            (person for people in crowds for person in people if person.group == "phone"),
            key=attrgetter("began"),
        )
        length = timedelta(minutes=self.assumed.call_minutes)
        calls = [(person.began, self._exponential(length)) for person in callers]
        ends = telephone.answered(calls, self.assumed.lines, office)
        asked = {person.ref: end for person, end in zip(callers, ends, strict=True)}
        return [
            [replace(person, asks_at=asked.get(person.ref, person.asks_at)) for person in people]
            for people in crowds
        ]

    # What each does later.

    def _somebody(self, group: str, at: datetime) -> Somebody:
        assumed = self.assumed
        route = self._route(group)
        return Somebody(
            ref=self._id(),
            group=group,
            began=at,
            asks_at=at,
            route=route,
            reads_after=self._reads_after(route),
            called_after=self._exponential(timedelta(hours=assumed.called_hours)),
            last_call_after=self._exponential(timedelta(minutes=assumed.last_call_minutes)),
            picks_up=tuple(self._is(assumed.picked_up) for _ in range(assumed.calls)),
            accepts=self._is(assumed.accepts),
            cancels=self.random.random() if self._is(assumed.cancels) else None,
            is_new=self._is(assumed.new_web if group in WEB else assumed.new_assisted),
        )

    def _route(self, group: str) -> str:
        drawn = self.random.random()
        if group in WEB:
            return "text" if drawn < self.assumed.web_text else "email"
        if drawn < self.assumed.assisted_email:
            return "email"
        return "text" if drawn < self.assumed.assisted_email + self.assumed.assisted_text else "phone"

    def _reads_after(self, route: str) -> timedelta | None:
        assumed = self.assumed
        never, hours = (
            (assumed.text_never, assumed.text_hours)
            if route == "text"
            else (assumed.email_never, assumed.email_hours)
        )
        is_lost = self._is(never)
        after = self._exponential(timedelta(hours=hours))
        return None if is_lost else after

    def _is(self, part: float) -> bool:
        return self.random.random() < part

    def _exponential(self, mean: timedelta) -> timedelta:
        return min(-math.log(1 - self.random.random()), MOST_MEANS) * mean

    def _id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128))


def _office(facts: SessionState) -> OfficeHours:
    office = office_hours(OFFICE, facts)
    assert office is not None, "the desk has hours"
    return office
