"""What may never be seen, whoever computed it: S1-S4 on two observations, without any model."""

from collections import Counter
from datetime import datetime

from tests.registrations.seats.drivers import Observed, Seats, Standing
from tests.registrations.seats.model import EVERYBODY, SEATED, Model, Pool

NEXT = {
    "pending": {"pending", "confirmed", "waitlisted", "cancelled"},
    "waitlisted": {"waitlisted", "offered", "confirmed", "cancelled"},
    "offered": {"offered", "confirmed", "expired", "declined", "cancelled"},
    "confirmed": {*SEATED, "cancelled"},
    "attended": set(SEATED),
    "absent": set(SEATED),
    "excused": set(SEATED),
    "expired": {"expired"},
    "declined": {"declined"},
    "cancelled": {"cancelled"},
}
"""The seat machine of ARCHITECTURE.md, a grant (from the line straight to a seat), and corrections."""


def hold(
    before: Observed, after: Observed, now: datetime, model: Model, *, touched: str | None, more_seats: bool
) -> None:
    """All of them. The model is only asked whether the session is live.

    `touched`: whom staff have put elsewhere in the line. `more_seats`: a plan or a grant may bring some.
    """
    no_seat_is_given_twice(after)
    everybody_who_may_use_a_pool_is_counted(after)
    seats_gather_for_one_party_at_a_time_and_once(before, after)
    nobody_vanishes(before, after)
    nobody_is_overtaken(before, after, touched)
    a_newcomer_takes_no_seat_that_somebody_waits_for(before, after)
    if model.live(now) and model.settled:
        no_free_seat_is_kept_from_those_who_wait(after)
    if not more_seats:
        no_capacity_comes_from_nowhere(before, after)


def no_seat_is_given_twice(seen: Observed) -> None:
    """S1, by counting heads."""
    heads: Counter[tuple[str, str | None, str]] = Counter()
    for one in seen.people.values():
        if one.pool is not None:
            heads[one.kind, one.pool, one.status] += one.size
    assert {status for _, _, status in heads} <= {*SEATED, "offered"}, "only they have a seat"
    for (kind, channel), pool in seen.pools.items():
        seated = sum(heads.pop((kind, channel, status), 0) for status in SEATED)
        assert pool.confirmed == seated, f"{kind} {channel}: confirmed"
        assert pool.offered == heads.pop((kind, channel, "offered"), 0), f"{kind} {channel}: offered"
        assert pool.confirmed + pool.offered <= pool.effective, f"{kind} {channel}: too many people"
    assert not heads, "every seat in use belongs to a pool that is counted"
    for one in seen.people.values():
        has_seat = one.status in (*SEATED, "offered")
        assert (one.pool is not None) == has_seat
        assert one.pool in (None, EVERYBODY, one.channel), "nobody sits on another channel's seat"
        assert (one.until is not None) == (one.status == "offered")
        assert not one.granted or one.status in SEATED


def no_free_seat_is_kept_from_those_who_wait(seen: Observed) -> None:
    """S2, while the session is live."""
    for name in seen.line:
        for pool in _usable(seen.people[name]):
            found = seen.pools.get(pool)
            assert found is None or found.gathering or _free(found) < seen.people[name].size, (
                f"{name} waits though {pool} has enough free seats"
            )


def everybody_who_may_use_a_pool_is_counted(seen: Observed) -> None:
    """What a newcomer is judged by: the pool's own count of those who wait for it."""
    for pool, seats in seen.pools.items():
        waiting = sum(pool in _usable(seen.people[name]) for name in seen.line)
        assert seats.waiting == waiting, f"{pool}: {waiting} people wait for it"
        gathering = [
            name
            for name in seen.line
            if pool in _usable(seen.people[name]) and seen.people[name].gathers_until
        ]
        assert seats.gathering == len(gathering), f"{pool}: it gathers for {gathering}"


def seats_gather_for_one_party_at_a_time_and_once(before: Observed, after: Observed) -> None:
    """S2: a promise with an end, that is never given to the same party again."""
    gathering = [one for one in after.people.values() if one.gathers_until]
    assert len({one.kind for one in gathering}) == len(gathering), "two parties gather seats of one kind"
    assert all(one.status == "waitlisted" and one.size > 1 and not one.has_gathered for one in gathering)
    for name, earlier in before.people.items():
        assert after.people[name].has_gathered or not earlier.has_gathered
        assert after.people[name].size <= earlier.size, "no party grows"


def nobody_vanishes(before: Observed, after: Observed) -> None:
    """S3: from one step to the next everybody is still there, and went where the seat machine allows."""
    for name, earlier in before.people.items():
        later = after.people[name]
        assert later.status in NEXT[earlier.status], f"{name}: {earlier.status} → {later.status}"
        assert (later.number, later.channel) == (earlier.number, earlier.channel)
        assert later.on_offer == earlier.on_offer
        seated_unasked = (earlier.status, later.status) == ("waitlisted", "confirmed")
        assert not (later.on_offer and seated_unasked) or later.granted, f"{name} never said yes"
    waiting = {name for name, one in after.people.items() if one.status == "waitlisted"}
    assert sorted(after.line) == sorted(waiting), "the line is everybody who waits, once"


def nobody_is_overtaken(before: Observed, after: Observed, touched: str | None) -> None:
    """S4: those who wait keep their order; only whom staff touch (`touched`) may change places."""
    stayed = [name for name in before.line if name in after.line and name != touched]
    assert [name for name in after.line if name in before.line and name != touched] == stayed


def a_newcomer_takes_no_seat_that_somebody_waits_for(before: Observed, after: Observed) -> None:
    """S2, on whoever came in this step."""
    for name in after.people.keys() - before.people.keys():
        one = after.people[name]
        if sum(other.size for other in before.people.values()) != sum(
            after.people[other].size for other in before.people
        ):
            # Somebody who was in a party that waits, and now goes on alone: no newcomer.
            continue
        if after.draw is not None and after.draw.stage == "to_come":
            assert one.status == "pending", "nobody gets a seat by being early"
            continue
        expected = "offered" if one.on_offer else "confirmed"
        assert one.status in (expected, "waitlisted"), "only who waits for many sessions is asked first"
        if one.pool is not None:
            pool = after.pools[one.kind, one.pool]
            had = _free(pool) + one.size
            waited = [
                other
                for other in after.line
                if (one.kind, one.pool) in _usable(after.people[other])
                and (pool.gathering or had >= after.people[other].size)
            ]
            assert waited == [], f"{name} overtook {waited}"
        else:
            assert after.line[-1] == name, "who comes last stands last"


def no_capacity_comes_from_nowhere(before: Observed, after: Observed) -> None:
    """Without a new plan or a grant the seats of a kind only ever get fewer: S1's effective capacity."""
    for kind in ("on_site", "online"):
        assert _total(after, kind) <= _total(before, kind), f"more {kind} seats than before"


def _usable(one: Standing) -> tuple[Pool, ...]:
    return ((one.kind, one.channel), (one.kind, EVERYBODY))


def _free(pool: Seats) -> int:
    return pool.effective - pool.confirmed - pool.offered


def _total(seen: Observed, kind: str) -> int:
    return sum(pool.effective for (kind_, _), pool in seen.pools.items() if kind_ == kind)
