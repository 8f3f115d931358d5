"""Parties by example: together or not at all, seats that gather for a while, and parties that change."""

from datetime import timedelta

import pytest

from services.registrations import ledger
from services.registrations.invariants import broken
from services.registrations.seatbook import (
    Cancel,
    Grant,
    Lapse,
    Move,
    NotSmaller,
    NotWaiting,
    PartyTooLarge,
    Release,
    Request,
    Shrink,
    Split,
)
from tests.registrations.seats.test_seatbook import DAY, HOUR, NOW, PHONE, ROOM, START, Session, ref, refused


def session(seats: int, **options: object) -> Session:
    return Session(seats, party_limit=4, **options)  # type: ignore[arg-type]


def full(seats: int, **options: object) -> Session:
    """Everybody seated is alone: A, B, and so on."""
    found = session(seats, **options)
    found.ask(*"ABCD"[:seats])
    return found


# Together or not at all.


def test_a_party_sits_in_one_pool_and_takes_as_many_seats_as_it_is() -> None:
    found = session(4, held=1)
    found.ask("A", channel="phone", size=2)
    assert found["A"].pool == ""
    assert found.book.pools[PHONE].confirmed == 0
    assert found.book.pools[ROOM].confirmed == 2


def test_a_party_that_does_not_fit_waits_as_a_whole() -> None:
    found = session(3)
    found.ask("A", "B", size=2)
    assert found.states("AB") == "cw"
    assert found.book.waiting == 1, "one request waits"


def test_a_party_above_the_sessions_limit_is_refused() -> None:
    refused(PartyTooLarge, session(9), Request(ref("A"), "on_site", "web", 5))
    refused(PartyTooLarge, Session(9), Request(ref("A"), "on_site", "web", 2))


def test_a_party_that_leaves_frees_all_its_seats_at_once() -> None:
    found = session(3)
    found.ask("A", size=3)
    found.ask("B", "C")
    assert found.do(Cancel(ref("A"))) == [("A", "cancelled"), ("B", "offered"), ("C", "offered")]


def test_seats_over_capacity_are_given_to_the_whole_party() -> None:
    found = session(2)
    found.ask("A", "B", size=2)
    found.do(Grant(ref("B")))
    assert found.book.pools[ROOM].granted == 2
    assert found.effective() == 4


# Seats that gather.


def test_freed_seats_gather_for_the_party_at_the_head_and_go_to_nobody_behind() -> None:
    found = full(3)
    found.ask("E", size=2)
    found.ask("F")
    assert found.do(Cancel(ref("A"))) == [("A", "cancelled"), ("E", "waitlisted")]
    assert found["E"].gather == NOW + DAY
    assert found.book.pools[ROOM].gathering == 1
    assert found.do(Cancel(ref("B"))) == [("B", "cancelled"), ("E", "offered")]
    assert found.book.pools[ROOM].gathering == 0
    assert found.do(Cancel(ref("C"))) == [("C", "cancelled"), ("F", "offered")]


def test_a_newcomer_takes_no_seat_that_gathers() -> None:
    found = full(2)
    found.ask("E", size=2)
    found.do(Cancel(ref("A")))
    found.ask("F")
    assert found.states("EF") == "ww"


def test_a_party_that_comes_to_too_few_seats_has_them_kept_too() -> None:
    found = session(3)
    found.ask("A", size=2)
    found.ask("B", size=2)
    assert found["B"].gather is not None
    found.ask("C")
    assert found["C"].status == "waitlisted"


def test_in_the_end_they_go_to_those_behind_and_the_party_keeps_its_place() -> None:
    found = full(3)
    found.ask("E", size=2)
    found.ask("F")
    found.do(Cancel(ref("A")))
    found.now += DAY - HOUR
    assert found.do(Lapse()) == []
    found.now += HOUR
    assert found.do(Lapse()) == [("E", "waitlisted"), ("F", "offered")]
    assert found["E"].gathered
    assert found["E"].gather is None
    found.ask("G")
    assert found.line() == "EG"


def test_seats_gather_for_a_party_once_only_but_it_sits_whenever_it_fits() -> None:
    found = full(3)
    found.ask("E", size=2)
    found.do(Cancel(ref("A")))
    found.now += DAY
    found.do(Lapse())
    assert found.states("E") == "w"
    assert found.book.pools[ROOM].gathering == 0
    found.ask("F")
    assert found.states("F") == "c", "nobody waits whom one seat would do"
    found.do(Cancel(ref("B")))
    assert found["E"].gather is None
    assert found.do(Cancel(ref("C"))) == [("C", "cancelled"), ("E", "offered")]


def test_the_next_party_may_gather_once_the_first_had_its_time() -> None:
    found = full(4)
    found.ask("E", "F", size=3)
    found.do(Cancel(ref("A")))
    assert found["F"].gather is None
    found.now += DAY
    found.do(Lapse())
    assert found["F"].gather == found.now + DAY


def test_seats_gather_no_longer_than_half_of_what_is_left() -> None:
    found = full(2)
    found.ask("E", size=2)
    found.now = START - timedelta(hours=30)
    found.do(Cancel(ref("A")))
    assert found["E"].gather == START - timedelta(hours=15)


def test_an_earlier_start_shortens_the_gathering() -> None:
    found = full(2)
    found.ask("E", size=2)
    found.do(Cancel(ref("A")))
    found.replan(starts_at=NOW + timedelta(hours=30))
    assert found["E"].gather == NOW + timedelta(hours=15)


def test_a_session_may_let_nothing_gather() -> None:
    found = full(2, gather_hours=0)
    found.ask("E", size=2)
    found.ask("F")
    assert found.do(Cancel(ref("A"))) == [("A", "cancelled"), ("F", "offered")]


def test_nothing_gathers_for_a_party_that_could_never_fit() -> None:
    found = full(2)
    found.ask("E", size=3)
    found.ask("F")
    assert found.do(Cancel(ref("A"))) == [("A", "cancelled"), ("F", "offered")]


def test_it_stops_when_the_plan_becomes_too_small_for_the_party() -> None:
    found = full(3)
    found.ask("E", size=3)
    found.ask("F")
    found.do(Cancel(ref("A")))
    found.do(Cancel(ref("B")))
    assert found.seats(2) == [("E", "waitlisted"), ("F", "offered")]
    assert found["E"].gathered


def test_a_channels_own_seats_and_everybodys_are_kept_but_no_other_channels() -> None:
    found = session(3, held=2)
    found.ask("A")
    found.ask("B", "C", channel="phone")
    found.ask("E", size=2)
    assert found.do(Cancel(ref("B"))) == [("B", "cancelled")], "E may not use a seat kept for the phone"
    found.ask("F", channel="phone", size=2)
    assert found["F"].gather is not None
    found.ask("G", channel="phone")
    assert found["G"].status == "waitlisted"


def test_staff_who_move_somebody_ahead_do_not_break_what_was_promised() -> None:
    found = full(2)
    found.ask("E", size=2)
    found.ask("F")
    found.do(Cancel(ref("A")))
    found.do(Move(ref("F"), ref("E")))
    assert found.do(Release()) == []
    assert found.line() == "FE"
    assert found.do(Cancel(ref("B"))) == [("B", "cancelled"), ("E", "offered")]
    assert broken(found.book, found.now) == []


# Parties that change.


def test_a_party_may_split_and_the_new_part_stands_right_behind() -> None:
    found = full(3)
    found.ask("E", size=3)
    found.ask("F")
    assert found.do(Split(ref("E"), ref("G"), 1)) == [("E", "waitlisted"), ("G", "waitlisted")]
    assert found.line() == "EGF"
    assert (found["E"].size, found["G"].size) == (2, 1)


def test_the_part_that_fits_is_offered_what_had_gathered() -> None:
    found = full(2)
    found.ask("E", size=2)
    found.do(Cancel(ref("A")))
    assert found.do(Split(ref("E"), ref("G"), 1)) == [("E", "offered"), ("G", "waitlisted")]


def test_nobody_gains_a_second_gathering_by_splitting() -> None:
    found = full(4)
    found.ask("E", size=4)
    found.do(Cancel(ref("A")))
    found.do(Split(ref("E"), ref("G"), 2))
    assert found["E"].gather is not None
    assert found["G"].gathered


def test_somebody_alone_last_of_all_stays_before_who_comes_later() -> None:
    found = full(2)
    found.ask("E", size=2)
    found.do(Split(ref("E"), ref("G"), 1))
    found.ask("F")
    assert found.line() == "EGF"


def test_fewer_come_and_their_seats_go_on_at_once() -> None:
    found = session(3)
    found.ask("A", size=3)
    found.ask("B", "C")
    assert found.do(Shrink(ref("A"), 1)) == [("A", "confirmed"), ("B", "offered"), ("C", "offered")]


def test_a_smaller_party_that_fits_is_offered_its_seats() -> None:
    found = full(2)
    found.ask("E", size=2)
    found.do(Cancel(ref("A")))
    assert found.do(Shrink(ref("E"), 1)) == [("E", "offered")]
    assert found.book.pools[ROOM].gathering == 0


@pytest.mark.parametrize("size", [0, 2, 3])
def test_a_party_only_becomes_smaller_and_somebody_still_comes(size: int) -> None:
    found = full(2)
    found.ask("E", size=2)
    refused(NotSmaller, found, Shrink(ref("E"), size))
    refused(NotSmaller, found, Split(ref("E"), ref("G"), size))


def test_only_a_party_that_waits_splits() -> None:
    found = session(2)
    found.ask("A", size=2)
    refused(NotWaiting, found, Split(ref("A"), ref("G"), 1))


# The ledger.


@pytest.mark.parametrize("command", [
    Request(ref("A"), "on_site", "web"), Request(ref("A"), "on_site", "web", 3),
    Split(ref("A"), ref("B"), 2), Shrink(ref("A"), 1),
])  # fmt: skip
def test_the_ledger_gives_the_commands_back(command: Request | Split | Shrink) -> None:
    entry = ledger.entry(command, (), NOW)
    inputs = {name: str(value) if name.endswith("ref") else value for name, value in entry.inputs.items()}
    assert ledger.command_of(ledger.Entry(NOW, entry.command, inputs, [])) == command


def test_what_is_as_usual_is_left_out_so_old_entries_stay_readable() -> None:
    alone, party = Session(1), session(1, gather_hours=3)
    assert ledger.terms_json(alone.book.terms).keys() & {"party_limit", "gather_hours"} == set()
    for found in (alone, party):
        assert ledger.terms_of_json(ledger.terms_json(found.book.terms)) == found.book.terms
    alone.ask("A")
    assert ledger.standing(alone["A"]).keys() & {"size", "gather", "gathered"} == set()
