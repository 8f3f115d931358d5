"""Sharing out partitions: even, complete, and with as few moves as can be."""

from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.postgres.sharing import Place, rebalance

_MEMBERS = ["a", "b", "c", "d", "e"]


def _places(holders: list[str | None], topic: str = "t") -> list[Place]:
    return [Place((topic, number), holder, 0) for number, holder in enumerate(holders)]


def _settle(members: dict[str, list[str]], places: list[Place]) -> list[Place]:
    """Every member in turn does what it should, until nobody has anything to do."""
    for _ in range(10):
        before = list(places)
        for member in members:
            moves = rebalance(member, members, places)
            taken = {place.part for place in moves.take}
            places = [
                Place(
                    place.part,
                    member if place.part in taken else None if place.part in moves.give_up else place.holder,
                    place.epoch + (place.part in taken),
                )
                for place in places
            ]
        if places == before:
            return places
    raise AssertionError("it never settles")


def test_a_member_alone_takes_everything() -> None:
    moves = rebalance("a", {"a": ["t"]}, _places([None] * 8))
    assert (len(moves.take), moves.give_up) == (8, ())


def test_a_newcomer_gets_its_half_from_the_other() -> None:
    members = {"a": ["t"], "b": ["t"]}
    assert len(rebalance("a", members, _places(["a"] * 8)).give_up) == 4
    assert rebalance("b", members, _places(["a"] * 8)).take == ()


def test_what_a_dead_member_held_is_free() -> None:
    moves = rebalance("a", {"a": ["t"]}, _places(["a", "dead", "dead"]))
    assert [place.part for place in moves.take] == [("t", 1), ("t", 2)]


def test_members_get_only_topics_that_they_read() -> None:
    members = {"a": ["t"], "b": ["u"]}
    settled = _settle(members, _places([None] * 4, "t") + _places([None] * 4, "u"))
    assert {place.part[0]: place.holder for place in settled} == {"t": "a", "u": "b"}


@given(
    living=st.lists(st.sampled_from(_MEMBERS), min_size=1, unique=True),
    holders=st.lists(st.sampled_from([*_MEMBERS, None]), min_size=1, max_size=12),
)
def test_everything_is_held_evenly_by_the_living(living: list[str], holders: list[str | None]) -> None:
    settled = _settle({member: ["t"] for member in living}, _places(holders))
    counts = [sum(place.holder == member for place in settled) for member in living]
    assert sum(counts) == len(holders)
    assert max(counts) - min(counts) <= 1


@given(living=st.lists(st.sampled_from(_MEMBERS), min_size=1, unique=True), partitions=st.integers(1, 12))
def test_who_holds_its_share_keeps_it(living: list[str], partitions: int) -> None:
    members = {member: ["t"] for member in living}
    settled = _settle(members, _places([None] * partitions))
    assert all(rebalance(member, members, settled).give_up == () for member in living)
