"""What the simulation assumes of people and workshops: each a guess with its reason, and an option."""

from dataclasses import dataclass, field
from datetime import date, time
from typing import Any

OFFICE = "mo-fr 09:00-16:00"
"""When the desk is there: what `OFFICE_HOURS` says unless an instance says otherwise."""
ZONE = "America/Toronto"
FIRST_OPENING = date(2026, 1, 13)
"""A Tuesday; each tour opens a week after the one before, and the year begins again after `WEEKS`."""
WEEKS = 48
OPENING, START = time(9), time(10)
"""Registration opens when the desk does: on every channel at one instant (rule S6)."""
MOST_MEANS = 5
"""Times are exponential, and cut at so many means: 1 in 148 would be longer, some after the session."""
CALENDAR = (
    f"Each tour opens on a Tuesday at {OPENING:%H:%M}, its workshops start at {START:%H:%M} ({ZONE}). The"
    f" desk is there {OFFICE}, but for Québec's public holidays. Times with a mean are exponential, cut at"
    f" {MOST_MEANS} times the mean."
)


def _of(value: float, about: str) -> Any:
    return field(default=value, metadata={"about": about})


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Durations are in the unit that the name ends in. Office hours run only while the desk is open."""

    tour: int = _of(8, "workshops that open at the same instant and share one desk: a tour's stops")
    seats_least: int = _of(8, "seats of the smallest workshop: one computer each, in a small library")
    seats_most: int = _of(15, "seats of the largest: more than that one trainer doesn't help")
    demand_least: float = _of(1.2, "people who ask for each seat, at least: with fewer every policy is fair")
    demand_most: float = _of(3, "and at most: a subject that everybody talks about")
    days_least: int = _of(21, "days from the opening to the workshop, at least: posters need three weeks")
    days_most: int = _of(42, "and at most, for the last stops of a tour")

    racers: float = _of(0.25, "part of the demand: web, waiting for the opening with a finger on the button")
    web: float = _of(0.25, "part of the demand: web, whenever they read of it")
    phone: float = _of(0.25, "part of the demand: they call the desk")
    desk: float = _of(0.1, "part of the demand: they come to the desk")
    referred: float = _of(0.15, "part of the demand: an organisation registers them")

    racer_minutes: float = _of(2, "mean time from the opening to a racer's request: a form of one page")
    web_hours: float = _of(36, "mean time to that of any other on the web: a letter is read within days")
    eager: float = _of(0.4, "part of the callers who call at the opening: they were told the hour too")
    eager_minutes: float = _of(15, "mean time until they dial")
    caller_hours: float = _of(8, "mean office hours until any other caller dials: about a day")
    lines: int = _of(2, "calls that the desk takes at once: two people; whoever waits is served in order")
    call_minutes: float = _of(8, "mean length of a call: somebody is asked everything that the form asks")
    visitor_hours: float = _of(14, "mean office hours until a visit: two days")
    referrer_hours: float = _of(14, "mean office hours until an organisation has asked its people: two days")
    batch_least: int = _of(2, "people whom an organisation registers one after the other, at least")
    batch_most: int = _of(4, "and at most")
    batch_minutes: float = _of(5, "from one of them to the next")

    web_text: float = _of(0.2, "part of web people reached by text message; the others by e-mail")
    assisted_email: float = _of(0.2, "part of assisted people reached by e-mail")
    assisted_text: float = _of(0.3, "part reached by text message; the others are called by the team")
    email_hours: float = _of(6, "mean time until an offer by e-mail is read: twice a day")
    email_never: float = _of(0.2, "part of those e-mails that nobody reads in time, or at all")
    text_hours: float = _of(1.5, "mean time until an offer by text message is read")
    text_never: float = _of(0.1, "part of those messages that nobody answers")
    called_hours: float = _of(2, "mean office hours until the team calls about an offer: it has other work")
    calls: int = _of(3, "times that the team calls before it gives up")
    again_hours: float = _of(3, "office hours from one of these calls to the next")
    picked_up: float = _of(0.5, "part of calls that are answered: no unknown numbers, nobody at home")
    last_call_minutes: float = _of(5, "mean time until the team calls on the last day: a seat is lost else")
    accepts: float = _of(0.85, "part of those reached who still want the seat")
    cancels: float = _of(0.12, "part of those with a seat who give it up, at any time before the workshop")

    offer_hours: float = _of(24, "how long a freed seat is kept for one person: what the service sets")
    held: float = _of(0.4, "held pools: part of the seats held for assisted channels, shared by their demand")
    release_days: float = _of(7, "held pools: days before the workshop at which they are everybody's")
    draw_days: float = _of(7, "draw: days from the opening to the closing instant: a week has every weekday")
    lots: int = _of(2, "draw with lots: how many for somebody who had no seat this year (2 or 3)")
    new_web: float = _of(0.4, "part of web people who had no seat this year: who knows the web comes back")
    new_assisted: float = _of(0.7, "part of assisted people who had none")

    def __post_init__(self) -> None:
        """Raises `ValueError` for what can't be: no desk, no seats, a least above its most."""
        for name in ("tour", "lines", "calls", "lots"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 at least")
        for name in ("seats", "demand", "days", "batch"):
            if not 0 < getattr(self, f"{name}_least") <= getattr(self, f"{name}_most"):
                raise ValueError(f"{name}_least lies between 0 and {name}_most")
        if self.draw_days >= self.days_least:
            raise ValueError("a draw closes before the workshop: draw_days is less than days_least")
