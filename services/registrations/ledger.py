"""The seat ledger's form: each command with its inputs, and each person it touched, ready to be JSON.

Nothing here names anybody: people are their random `ref`, a reason given by staff stays elsewhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from libs.messaging.contracts import HeldSeats
from libs.messaging.contracts import Release as DatedRelease
from services.registrations import gathering
from services.registrations.draw import DrawTerms, Ticket
from services.registrations.office_hours import office_json, office_of_json
from services.registrations.pools import Plan
from services.registrations.seatbook import (
    Accept,
    Attend,
    Cancel,
    CancelDraw,
    Command,
    Decline,
    Draw,
    Grant,
    Lapse,
    Move,
    NoAnswer,
    Person,
    Prioritise,
    Release,
    Replan,
    Request,
    SeatBook,
    Shrink,
    Split,
    Terms,
)

OPEN = "open"
"""The first entry about a session: everybody as they stood, and the plan."""

_NAMES: Mapping[type[Any], str] = {
    Replan: "replan", Request: "request", Cancel: "cancel", Accept: "accept", Decline: "decline",
    Lapse: "lapse", NoAnswer: "no_answer", Release: "release", Grant: "grant", Move: "move",
    Prioritise: "prioritise", Attend: "attend", Draw: "draw", CancelDraw: "cancel_draw", Split: "split",
    Shrink: "shrink",
}  # fmt: skip


class NotAnEntry(ValueError):
    """What the ledger says can't be read as a command."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision: at that time, this command touched these people."""

    at: datetime
    command: str
    inputs: dict[str, Any]
    touched: list[dict[str, Any]]


def opening(book: SeatBook, now: datetime) -> Entry:
    """The entry that a session's ledger begins with."""
    inputs = {"terms": terms_json(book.terms), "last_seq": book.last_seq}
    return Entry(now, OPEN, inputs, standings(book.people.values()))


def entry(command: Command, touched: Iterable[Person], now: datetime) -> Entry:
    """The entry about a command that was carried out."""
    return Entry(now, _NAMES[type(command)], inputs_of(command), standings(touched))


def opened(found: Entry) -> SeatBook:
    """The book that an opening entry describes."""
    try:
        people = [person_of(item) for item in found.touched]
        return SeatBook.opened(
            terms_of_json(found.inputs["terms"]), found.at, people, found.inputs["last_seq"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotAnEntry(str(error)) from error


def inputs_of(command: Command) -> dict[str, Any]:
    """What the command rests on."""
    match command:
        case Replan(terms):
            return terms_json(terms)
        case Request(ref, kind, channel, size):
            found = {"ref": ref, "kind": kind, "channel": channel}
            found |= {"size": size} if size != 1 else {}
            found |= {"on_offer": True} if command.on_offer else {}
            return found | {"by_hand": True} if command.by_hand else found
        case Move(ref, before):
            return {"ref": ref, "before": before}
        case Prioritise(ref, priority):
            return {"ref": ref, "priority": priority}
        case Attend(ref, outcome):
            return {"ref": ref, "outcome": outcome}
        case Split(ref, new_ref, size):
            return {"ref": ref, "new_ref": new_ref, "size": size}
        case Shrink(ref, size):
            return {"ref": ref, "size": size}
        case Cancel(ref) | Accept(ref) | Decline(ref) | NoAnswer(ref) | Grant(ref):
            return {"ref": ref}
        case Draw(seed, tickets):
            return {"seed": seed.hex(), "tickets": [list(ticket) for ticket in tickets]}
        case Lapse() | Release() | CancelDraw():
            return {}


def command_of(found: Entry) -> Command:
    """The command that an entry records. Raises `NotAnEntry`."""
    inputs = found.inputs
    try:
        match found.command:
            case "replan":
                return Replan(terms_of_json(inputs))
            case "request":
                return Request(
                    UUID(inputs["ref"]),
                    inputs["kind"],
                    inputs["channel"],
                    size=inputs.get("size", 1),
                    on_offer=inputs.get("on_offer", False),
                    by_hand=inputs.get("by_hand", False),
                )
            case "move":
                before = inputs["before"]
                return Move(UUID(inputs["ref"]), None if before is None else UUID(before))
            case "prioritise":
                return Prioritise(UUID(inputs["ref"]), inputs["priority"])
            case "attend":
                return Attend(UUID(inputs["ref"]), inputs["outcome"])
            case "split":
                return Split(UUID(inputs["ref"]), UUID(inputs["new_ref"]), inputs["size"])
            case "shrink":
                return Shrink(UUID(inputs["ref"]), inputs["size"])
            case "lapse":
                return Lapse()
            case "release":
                return Release()
            case "draw":
                tickets = tuple(Ticket(number, lots) for number, lots in inputs["tickets"])
                return Draw(bytes.fromhex(inputs["seed"]), tickets)
            case "cancel_draw":
                return CancelDraw()
        return _ON_ONE[found.command](UUID(inputs["ref"]))
    except (KeyError, TypeError, ValueError) as error:
        raise NotAnEntry(f"{found.command}: {error!r}") from error


_ON_ONE: Mapping[str, type[Cancel | Accept | Decline | NoAnswer | Grant]] = {
    "cancel": Cancel,
    "accept": Accept,
    "decline": Decline,
    "no_answer": NoAnswer,
    "grant": Grant,
}


def standings(people: Iterable[Person]) -> list[dict[str, Any]]:
    return [standing(person) for person in people]


def standing(person: Person) -> dict[str, Any]:
    """Where a person stands; what is as usual is left out."""
    found: dict[str, Any] = {
        "ref": person.ref,
        "seq": person.seq,
        "kind": person.kind,
        "channel": person.channel,
        "status": person.status,
    }
    if person.pool is not None:
        found["pool"] = person.pool
    if person.priority:
        found["priority"] = person.priority
    if person.place is not None:
        found["place"] = _digits(person.place)
    if person.rank is not None:
        found["rank"] = person.rank
    if person.granted:
        found["granted"] = True
    if person.offer_until is not None:
        found["until"] = person.offer_until.isoformat()
    if person.on_offer:
        found["on_offer"] = True
    if person.by_hand:
        found["by_hand"] = True
    if person.size != 1:
        found["size"] = person.size
    if person.gather is not None:
        found["gather"] = person.gather.isoformat()
    if person.gathered:
        found["gathered"] = True
    return found


def _digits(place: Decimal) -> str:
    """All of them, and no zeros at the end: `normalize` would round to 28."""
    text = format(place, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def person_of(found: Mapping[str, Any]) -> Person:
    """The reverse of `standing`."""
    place, until, gather = found.get("place"), found.get("until"), found.get("gather")
    return Person(
        ref=UUID(found["ref"]),
        seq=found["seq"],
        kind=found["kind"],
        channel=found["channel"],
        status=found["status"],
        pool=found.get("pool"),
        priority=found.get("priority", 0),
        place=None if place is None else Decimal(place),
        rank=found.get("rank"),
        granted=found.get("granted", False),
        offer_until=None if until is None else datetime.fromisoformat(until),
        on_offer=found.get("on_offer", False),
        by_hand=found.get("by_hand", False),
        size=found.get("size", 1),
        gather=None if gather is None else datetime.fromisoformat(gather),
        gathered=found.get("gathered", False),
    )


def terms_json(terms: Terms) -> dict[str, Any]:
    """What is as usual is left out, but for what the first entries said already."""
    found: dict[str, Any] = {
        "capacity": dict(terms.plan.capacity),
        "held": [[item.seat_kind, item.channel, item.seats] for item in terms.plan.held],
        "releases": [
            [item.at.isoformat(), item.seat_kind, item.channel, item.seats] for item in terms.plan.releases
        ],
        "kinds": list(terms.kinds),
        "starts_at": terms.starts_at.isoformat(),
        "status": terms.status,
        "offer_hours": terms.offer_hours,
        "limit": terms.limit,
    }
    if terms.office is not None:
        found["office"] = office_json(terms.office)
    if terms.draw is not None:
        found["draw"] = {"closes_at": terms.draw.closes_at.isoformat()}
    if terms.party_limit != 1:
        found["party_limit"] = terms.party_limit
    if terms.gather_hours != gathering.USUAL_HOURS:
        found["gather_hours"] = terms.gather_hours
    return found


def terms_of_json(found: Mapping[str, Any]) -> Terms:
    """The reverse of `terms_json`."""
    drawn = found.get("draw")
    held = tuple(
        HeldSeats(seat_kind=kind, channel=channel, seats=seats) for kind, channel, seats in found["held"]
    )
    releases = tuple(
        DatedRelease(at=datetime.fromisoformat(at), seat_kind=kind, channel=channel, seats=seats)
        for at, kind, channel, seats in found["releases"]
    )
    return Terms(
        plan=Plan(found["capacity"], held, releases),
        kinds=tuple(found["kinds"]),
        starts_at=datetime.fromisoformat(found["starts_at"]),
        status=found["status"],
        offer_hours=found["offer_hours"],
        limit=found["limit"],
        draw=None if drawn is None else DrawTerms(datetime.fromisoformat(drawn["closes_at"])),
        office=office_of_json(found["office"]) if "office" in found else None,
        party_limit=found.get("party_limit", 1),
        gather_hours=found.get("gather_hours", gathering.USUAL_HOURS),
    )
