"""The line: who stands where, who is called, and where staff put somebody."""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registrations.pools import GENERAL, PoolKey
from services.registrations.waitlist import between, in_order, pool_for, promotions, standing

ROOM, CALL = PoolKey("on_site"), PoolKey("online")
CHANNELS = ("phone", "desk")


@dataclass(frozen=True)
class Waiting:
    """Somebody in a line."""

    seq: int
    kind: str = "on_site"
    channel: str = "web"
    priority: int = 0
    place: Decimal | None = None
    rank: int | None = None
    size: int = 1
    gathered: bool = False


def numbers(line: list[Waiting]) -> list[int]:
    return [one.seq for one in in_order(line)]


waiters = st.lists(
    st.builds(
        Waiting,
        seq=st.integers(1, 1000),
        kind=st.sampled_from(("on_site", "online")),
        channel=st.sampled_from(("web", *CHANNELS)),
        priority=st.sampled_from((0, 0, 0, 1, 9)),
        place=st.none() | st.decimals(0, 1000, places=2),
    ),
    max_size=20,
    unique_by=lambda one: one.seq,
)
free_seats = st.dictionaries(
    st.builds(PoolKey, st.sampled_from(("on_site", "online")), st.sampled_from((GENERAL, *CHANNELS))),
    st.integers(0, 5),
)


def test_first_come_first_served_whatever_the_channel() -> None:
    assert numbers([Waiting(3, channel="desk"), Waiting(1, channel="phone"), Waiting(2)]) == [1, 2, 3]


def test_a_higher_class_stands_before_everybody_of_a_lower_one() -> None:
    assert numbers([Waiting(1), Waiting(2, priority=1), Waiting(3, priority=9)]) == [3, 2, 1]


def test_who_was_moved_stands_where_they_were_put() -> None:
    assert numbers([Waiting(1), Waiting(2), Waiting(3, place=Decimal("1.5"))]) == [1, 3, 2]


def test_a_place_counts_within_a_class_only() -> None:
    assert numbers([Waiting(1), Waiting(2, priority=1, place=Decimal(100))]) == [2, 1]


@given(waiters, st.randoms())
def test_the_order_doesnt_depend_on_how_the_rows_were_read(line: list[Waiting], chance: Random) -> None:
    shuffled = list(line)
    chance.shuffle(shuffled)
    assert in_order(shuffled) == in_order(line)


@given(waiters, st.data())
def test_who_leaves_changes_nobodys_order(line: list[Waiting], data: st.DataObject) -> None:
    stays = data.draw(st.sets(st.sampled_from(range(len(line))))) if line else set()
    left = [one for index, one in enumerate(line) if index in stays]
    assert in_order(left) == [one for one in in_order(line) if one in left]


@given(free_seats, waiters, st.randoms())
def test_the_line_is_called_in_order_and_nobody_is_left_whom_a_free_seat_fits(
    free: dict[PoolKey, int], line: list[Waiting], chance: Random
) -> None:
    called = promotions(free, line)

    left = dict(free)
    for promotion in called:
        left[promotion.pool] -= 1
        assert promotion.pool.seat_kind == promotion.waiter.kind
        assert promotion.pool.channel in (GENERAL, promotion.waiter.channel)
    assert all(count >= 0 for count in left.values()), "no seat is offered twice"
    chosen = [promotion.waiter for promotion in called]
    assert len(set(chosen)) == len(chosen), "nobody is offered two seats"
    for waiter in set(line) - set(chosen):
        assert pool_for(left, waiter.kind, waiter.channel) is None
    chance.shuffle(line)
    assert promotions(free, line) == called, "the order in which rows were read doesn't matter"


@given(st.integers(0, 5), waiters)
def test_nobody_is_called_before_somebody_who_could_have_had_the_seat(
    seats: int, line: list[Waiting]
) -> None:
    called = [promotion.waiter for promotion in promotions({ROOM: seats}, line)]
    assert called == [one for one in in_order(line) if one.kind == "on_site"][:seats]


def test_a_seat_of_ones_own_channel_is_used_before_everybodys() -> None:
    free = {ROOM: 1, PoolKey("on_site", "phone"): 1}
    assert pool_for(free, "on_site", "phone") == PoolKey("on_site", "phone")
    assert pool_for(free, "on_site", "web") == ROOM
    assert pool_for(free | {ROOM: 0}, "on_site", "web") is None
    assert pool_for(free, "online", "phone") is None


def test_somebody_whom_no_seat_fits_is_passed_over_and_keeps_their_place() -> None:
    line = [Waiting(1), Waiting(2, channel="phone"), Waiting(3, kind="online")]
    called = promotions({PoolKey("on_site", "phone"): 1, CALL: 1}, line)
    assert [promotion.waiter.seq for promotion in called] == [2, 3]


@pytest.mark.parametrize("ahead", [None, Waiting(1), Waiting(9, place=Decimal("3.999"))])
def test_somebody_is_put_between_two_neighbours(ahead: Waiting | None) -> None:
    behind = Waiting(4)
    place = between(ahead, behind)
    assert place < standing(behind)
    assert ahead is None or standing(ahead) < place


def test_hundreds_of_people_can_be_put_before_the_same_person() -> None:
    anchor, line = Waiting(2), [Waiting(1), Waiting(2)]
    for number in range(3, 400):
        ahead = in_order(line)[-2]
        line.append(Waiting(number, place=between(ahead, anchor)))
    assert numbers(line) == [1, *range(3, 400), 2]


class Desk:
    """Staff at work on a line of six, with a list beside it that is reordered by hand."""

    def __init__(self) -> None:
        self.line = [Waiting(number) for number in range(1, 7)]

    def find(self, seq: int) -> Waiting:
        return next(one for one in self.line if one.seq == seq)

    def put(self, one: Waiting) -> None:
        self.line = [one if other.seq == one.seq else other for other in self.line]

    def move(self, seq: int, before: int) -> None:
        anchor = self.find(before)
        ahead = [one for one in in_order(self.line) if one.priority == anchor.priority and one.seq != seq]
        neighbours = ahead[: ahead.index(anchor)]
        place = between(neighbours[-1] if neighbours else None, anchor)
        self.put(replace(self.find(seq), priority=anchor.priority, place=place))


deeds = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(1, 6), st.integers(1, 6)),
        st.tuples(st.just("prefer"), st.integers(1, 6), st.sampled_from((0, 0, 5))),
    ),
    max_size=12,
)


@given(deeds)
def test_staff_put_people_exactly_where_they_say_whatever_they_did_before(
    done: list[tuple[str, int, int]],
) -> None:
    desk = Desk()
    for deed, seq, argument in done:
        others = [number for number in numbers(desk.line) if number != seq]
        if deed == "prefer":
            desk.put(replace(desk.find(seq), priority=argument, place=None))
        elif seq != argument:
            desk.move(seq, argument)
            wanted = list(others)
            wanted.insert(wanted.index(argument), seq)
            assert numbers(desk.line) == wanted
        assert [number for number in numbers(desk.line) if number != seq] == others
