"""Whether what was seen of a session is what the model says of it."""

from tests.registrations.seats.drivers import Observed, Seats, Standing
from tests.registrations.seats.model import SEATED, Model, Pool


def agrees(model: Model, seen: Observed) -> None:
    assert seen.line == [one.name for one in model.line]
    numbers = [seen.people[name].number for name in model.people]
    assert numbers == sorted(set(numbers)), "each request has its number, in the order of requests"
    assert seen.people == {name: _standing(model, name, seen) for name in model.people}
    assert (seen.draw and seen.draw.stage) == model.stage
    assert seen.draw is None or seen.draw.tickets == model.tickets
    assert seen.draw is None or (seen.draw.seed is not None) == (model.stage == "drawn"), "no seed before"
    assert seen.pools == {pool: _seats(model, pool) for pool, effective in model.seats.items() if effective}


def _standing(model: Model, name: str, seen: Observed) -> Standing:
    one = model.people[name]
    return Standing(
        one.kind,
        one.channel,
        # Numbers rise, but the model doesn't say by how much.
        seen.people[name].number,
        one.status,
        one.pool,
        one.priority,
        one.rank,
        one.granted,
        one.until,
        one.on_offer,
        one.size,
        one.gathers_until,
        one.has_gathered,
    )


def _seats(model: Model, pool: Pool) -> Seats:
    here = [one for one in model.people.values() if (one.kind, one.pool) == pool]
    return Seats(
        model.seats[pool],
        sum(one.size for one in here if one.status in SEATED),
        sum(one.size for one in here if one.status == "offered"),
        len(model.waiting_for(pool)),
        sum(one.gathers_until is not None for one in model.waiting_for(pool)),
    )
