"""The rules of seats by example: each command, and each reason for which one is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest

from libs.messaging.contracts import HeldSeats
from libs.messaging.contracts import Release as Step
from services.registrations.pools import Plan, PoolKey
from services.registrations.seatbook import (
    Accept,
    AlreadyOver,
    Cancel,
    Command,
    Decline,
    Full,
    Grant,
    Lapse,
    Move,
    NoAnswer,
    NotWaiting,
    OfferOver,
    Person,
    Prioritise,
    Refused,
    Release,
    Replan,
    Request,
    SeatBook,
    Terms,
    TooEarly,
)

NOW = datetime(2027, 1, 10, 14, 0, tzinfo=UTC)
START = NOW + timedelta(days=10)
ROOM, PHONE, CALL = PoolKey("on_site"), PoolKey("on_site", "phone"), PoolKey("online")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Session:
    """A book in which people have names and time passes when a test says so."""

    def __init__(
        self,
        seats: int,
        *,
        online: int | None = None,
        held: int = 0,
        releases: tuple[tuple[timedelta, int], ...] = (),
        limit: int | None = None,
        party_limit: int = 1,
        gather_hours: float = 24,
    ) -> None:
        """`held` seats are kept for the telephone; `releases`: how long before the start, how many."""
        plan = Plan(
            {"on_site": seats, "online": online or 0},
            (HeldSeats(seat_kind="on_site", channel="phone", seats=held),) if held else (),
            tuple(
                Step(at=START - before, seat_kind="on_site", channel="phone", seats=count)
                for before, count in releases
            ),
        )
        kinds = ("on_site",) if online is None else ("on_site", "online")
        self.now = NOW
        terms = Terms(plan, kinds, START, limit=limit, party_limit=party_limit, gather_hours=gather_hours)
        self.book = SeatBook.opened(terms, NOW)

    def do(self, command: Command) -> list[tuple[str, str]]:
        """The names and new states of those whom it touched."""
        names = {ref(name): name for name in self.names}
        return [(names[person.ref], person.status) for person in self.book.do(command, self.now)]

    names = tuple("ABCDEFGH")

    def ask(self, *people: str, channel: str = "web", kind: str = "on_site", size: int = 1) -> None:
        for name in people:
            self.do(Request(ref(name), kind, channel, size))

    def replan(self, **changes: object) -> list[tuple[str, str]]:
        return self.do(Replan(replace(self.book.terms, **changes)))  # type: ignore[arg-type]

    def seats(self, count: int) -> list[tuple[str, str]]:
        """A new number of seats in the room."""
        plan = self.book.terms.plan
        return self.replan(plan=replace(plan, capacity={**plan.capacity, "on_site": count}))

    def __getitem__(self, name: str) -> Person:
        return self.book.people[ref(name)]

    def states(self, names: str) -> str:
        """The first letters: c(onfirmed), o(ffered), w(aitlisted), e(xpired), d(eclined), x: cancelled."""
        return "".join("x" if self[name].status == "cancelled" else self[name].status[0] for name in names)

    def line(self) -> str:
        names = {ref(name): name for name in self.names}
        return "".join(names[person.ref] for person in self.book.line())

    def effective(self) -> int:
        return sum(pool.effective for pool in self.book.pools.values())


def ref(name: str) -> UUID:
    return uuid5(UUID(int=0), name)


# Asking for a seat.


def test_seats_go_to_who_asks_first_and_then_the_line_begins() -> None:
    session = Session(2)
    session.ask("A", "B", "C", "D")
    assert (session.states("ABCD"), session.line()) == ("ccww", "CD")
    assert [session[name].seq for name in "ABCD"] == [1, 2, 3, 4]


def test_a_newcomer_doesnt_take_a_seat_that_somebody_waits_for() -> None:
    """Found so: a seat is free and A waits, as in a book that hasn't called anybody yet. It calls first."""
    waiting = Person(ref("A"), 1, "on_site", "web", "waitlisted")
    book = SeatBook.opened(Session(1).book.terms, NOW, [waiting], last_seq=1)

    called = book.do(Release(), NOW)
    (newcomer,) = book.do(Request(ref("B"), "on_site", "web"), NOW)

    assert newcomer.status == "waitlisted"
    assert [person.ref for person in called] == [ref("A")]


def test_a_free_seat_is_offered_to_who_waits_for_many_sessions_and_never_simply_theirs() -> None:
    session = Session(2)
    session.do(Request(ref("A"), "on_site", "web", on_offer=True))
    session.ask("B")
    session.do(Request(ref("C"), "on_site", "web", on_offer=True))
    assert session.states("ABC") == "ocw"
    assert session["A"].offer_until == NOW + DAY

    session.do(Decline(ref("A")))
    session.do(Accept(ref("C")))
    assert session.states("ABC") == "dcc"


def test_a_held_seat_is_for_its_channel_even_past_those_who_cannot_use_it() -> None:
    session = Session(2, held=1)
    session.ask("A", "B")
    session.ask("C", "D", channel="phone")
    assert session.states("ABCD") == "cwcw"
    assert (session["A"].pool, session["C"].pool) == ("", "phone")


def test_a_channel_uses_its_own_seats_before_everybodys() -> None:
    session = Session(2, held=1)
    session.ask("A", "B", channel="phone")
    assert [session[name].pool for name in "AB"] == ["phone", ""]


def test_the_room_and_the_call_are_counted_apart() -> None:
    session = Session(1, online=1)
    session.ask("A", "B", kind="online")
    session.ask("C", "D")
    assert session.states("ABCD") == "cwcw"


def test_beyond_its_limit_the_line_takes_nobody_more() -> None:
    session = Session(1, online=0, limit=2)
    session.ask("A", "B")
    session.ask("C", kind="online")
    refused(Full, session, Request(ref("D"), "on_site", "web"))
    session.do(Cancel(ref("B")))
    session.ask("D")
    assert session.states("ABCD") == "cxww"


def test_a_limit_of_nobody_means_no_line() -> None:
    session = Session(1, limit=0)
    session.ask("A")
    refused(Full, session, Request(ref("B"), "on_site", "web"))


# Leaving.


def test_a_freed_seat_is_offered_to_the_first_in_line_at_once() -> None:
    session = Session(1)
    session.ask("A", "B", "C")
    assert session.do(Cancel(ref("A"))) == [("A", "cancelled"), ("B", "offered")]
    assert session["B"].offer_until == NOW + DAY
    assert session.line() == "C"


def test_who_leaves_the_line_changes_nobody_elses_place() -> None:
    session = Session(1)
    session.ask("A", "B", "C", "D")
    assert session.do(Cancel(ref("C"))) == [("C", "cancelled")]
    assert session.line() == "BD"


def test_a_freed_seat_returns_to_its_pool_and_skips_those_who_may_not_use_it() -> None:
    session = Session(1, held=1)
    session.ask("A", channel="phone")
    session.ask("B")
    session.ask("C", channel="phone")
    assert session.do(Cancel(ref("A"))) == [("A", "cancelled"), ("C", "offered")]
    assert (session.states("BC"), session["C"].pool) == ("wo", "phone")


@pytest.mark.parametrize("command", [Cancel, Accept, Decline, NoAnswer, Grant])
def test_somebody_who_left_cannot_come_back_by_any_command(command: Callable[[UUID], Command]) -> None:
    session = Session(1)
    session.ask("A", "B")
    session.do(Cancel(ref("A")))
    refused(Refused, session, command(ref("A")))
    refused(Refused, session, command(ref("nobody")))


def test_cancelling_twice_is_refused() -> None:
    session = Session(1)
    session.ask("A")
    session.do(Cancel(ref("A")))
    refused(AlreadyOver, session, Cancel(ref("A")))


def test_nobody_is_called_once_the_session_has_begun() -> None:
    session = Session(1)
    session.ask("A", "B")
    session.now = START
    assert session.do(Cancel(ref("A"))) == [("A", "cancelled")]
    assert session.states("AB") == "xw"


def test_nobody_is_called_for_a_session_that_was_held_already() -> None:
    session = Session(1)
    session.ask("A", "B")
    session.replan(status="held")
    assert session.do(Cancel(ref("A"))) == [("A", "cancelled")]


# Offers.


def offered() -> Session:
    """One seat: A has left, it is kept for B, C waits."""
    session = Session(1)
    session.ask("A", "B", "C")
    session.do(Cancel(ref("A")))
    return session


def test_an_accepted_offer_is_a_seat() -> None:
    session = offered()
    assert session.do(Accept(ref("B"))) == [("B", "confirmed")]
    assert (session["B"].pool, session["B"].offer_until) == ("", None)


def test_a_declined_offer_goes_to_the_next() -> None:
    assert offered().do(Decline(ref("B"))) == [("B", "declined"), ("C", "offered")]


def test_an_unanswered_offer_goes_to_the_next_when_its_end_is_recorded() -> None:
    session = offered()
    session.now += DAY - MINUTE
    assert session.do(Lapse()) == []
    session.now += MINUTE
    assert session.do(Lapse()) == [("B", "expired"), ("C", "offered")]
    assert session["C"].offer_until == session.now + DAY


def test_an_offer_can_be_accepted_late_as_long_as_its_end_is_not_recorded() -> None:
    session = offered()
    session.now += 2 * DAY
    assert session.do(Accept(ref("B"))) == [("B", "confirmed")]


def test_after_that_it_is_over() -> None:
    session = offered()
    session.now += 2 * DAY
    session.do(Lapse())
    refused(OfferOver, session, Accept(ref("B")))
    refused(OfferOver, session, Decline(ref("B")))


@pytest.mark.parametrize("command", [Accept, Decline, NoAnswer])
@pytest.mark.parametrize("name", ["C", "A"])
def test_only_who_is_offered_a_seat_can_answer(command: Callable[[UUID], Command], name: str) -> None:
    refused(OfferOver, offered(), command(ref(name)))


def test_on_the_last_day_an_offer_lasts_a_quarter_of_an_hour() -> None:
    session = Session(1)
    session.ask("A", "B")
    session.now = START - DAY
    session.do(Cancel(ref("A")))
    assert session["B"].offer_until == START - DAY + 15 * MINUTE


def test_on_the_last_day_one_call_that_nobody_answers_is_enough() -> None:
    session = offered()
    refused(TooEarly, session, NoAnswer(ref("B")))
    session.now = START - DAY
    assert session.do(NoAnswer(ref("B"))) == [("B", "expired"), ("C", "offered")]


# The ladder of releases.


def test_a_release_offers_the_held_seats_to_those_who_wait() -> None:
    session = Session(3, held=2, releases=((2 * DAY, 1), (DAY, 1)))
    session.ask("A", "B", "C")
    assert session.do(Release()) == []
    session.now = START - 2 * DAY
    assert session.do(Release()) == [("B", "offered")]
    session.now = START - DAY
    assert session.do(Release()) == [("C", "offered")]


def test_a_released_seat_that_is_taken_becomes_everybodys_when_it_empties() -> None:
    session = Session(1, held=1, releases=((DAY, 1),))
    session.ask("A", channel="phone")
    session.ask("B")
    session.now = START - DAY
    assert session.do(Release()) == []
    assert session.do(Cancel(ref("A"))) == [("A", "cancelled"), ("B", "offered")]
    assert session["B"].pool == ""


# A plan that changes.


def test_a_larger_plan_calls_the_line_in_order() -> None:
    session = Session(1)
    session.ask("A", "B", "C", "D")
    assert session.seats(3) == [("B", "offered"), ("C", "offered")]


def test_a_smaller_plan_removes_nobody_and_seats_go_as_they_empty() -> None:
    session = Session(3)
    session.ask("A", "B", "C", "D")
    assert session.seats(1) == []
    assert (session.states("ABCD"), session.effective()) == ("cccw", 3)
    for name, left in (("A", 2), ("B", 1)):
        assert session.do(Cancel(ref(name))) == [(name, "cancelled")]
        assert session.effective() == left
    assert session.do(Cancel(ref("C"))) == [("C", "cancelled"), ("D", "offered")]


def test_an_earlier_start_shortens_the_offers_that_are_out() -> None:
    session = offered()
    assert session.replan(starts_at=NOW + 30 * HOUR) == [("B", "offered")]
    assert session["B"].offer_until == NOW + 15 * HOUR
    assert session.replan(starts_at=START) == []


def test_a_session_that_moves_online_keeps_everybodys_seat_and_place() -> None:
    session = Session(2, held=1)
    session.ask("A", channel="phone")
    session.ask("B", "C")
    plan = Plan({"on_site": 0, "online": 1})
    moved = session.replan(plan=plan, kinds=("online",))
    assert moved == [("A", "confirmed"), ("B", "confirmed"), ("C", "waitlisted")]
    assert {session[name].kind for name in "ABC"} == {"online"}
    assert (session["A"].pool, session.book.pools[CALL].effective, session.line()) == ("", 2, "C")


def test_a_cancelled_session_ends_everything_and_calls_nobody() -> None:
    session = offered()
    session.ask("D")
    assert session.replan(status="cancelled") == [(name, "cancelled") for name in "BCD"]
    assert session.states("ABCD") == "xxxx"


def test_a_pool_that_is_new_knows_who_waits_for_it() -> None:
    session = Session(1)
    session.ask("A")
    session.ask("B", channel="phone")
    held = (HeldSeats(seat_kind="on_site", channel="phone", seats=1),)
    session.replan(plan=Plan({"on_site": 1, "online": 0}, held))
    assert session.book.pools[PHONE].waiting == 1


# What staff can do.


def test_a_grant_is_one_seat_more_for_as_long_as_it_is_used() -> None:
    session = Session(1)
    session.ask("A", "B", "C")
    assert session.do(Grant(ref("C"))) == [("C", "confirmed")]
    assert (session["C"].granted, session.effective()) == (True, 2)
    assert session.do(Cancel(ref("C"))) == [("C", "cancelled")]
    assert (session.effective(), session.line()) == (1, "B")


def test_a_plan_neither_swallows_a_grant_nor_counts_it_twice() -> None:
    session = Session(1)
    session.ask("A", "B", "C")
    session.do(Grant(ref("B")))
    assert session.seats(2) == [("C", "offered")]
    assert session.effective() == 3


@pytest.mark.parametrize("command", [Grant, lambda who: Move(who, None), lambda who: Prioritise(who, 1)])
@pytest.mark.parametrize("name", ["A", "B"])
def test_staff_arrange_only_those_who_wait(command: Callable[[UUID], Command], name: str) -> None:
    refused(NotWaiting, offered(), command(ref(name)))


def test_staff_put_somebody_before_another() -> None:
    session = Session(0)
    session.ask("A", "B", "C", "D")
    session.do(Move(ref("D"), ref("B")))
    session.do(Move(ref("C"), ref("A")))
    session.do(Move(ref("B"), ref("C")))
    assert session.line() == "BCAD"


def test_staff_put_somebody_last_and_who_comes_after_still_stands_behind() -> None:
    session = Session(0)
    session.ask("A", "B")
    session.do(Move(ref("A"), None))
    session.ask("C")
    assert session.line() == "BAC"


def test_nobody_is_put_before_somebody_who_does_not_wait() -> None:
    session = offered()
    refused(NotWaiting, session, Move(ref("C"), ref("B")))
    assert session.do(Move(ref("C"), ref("C"))) == [("C", "waitlisted")]
    assert session["C"].place is None


def test_a_higher_class_is_called_first_and_within_it_who_came_first() -> None:
    session = Session(1)
    session.ask("A", "B", "C", "D")
    for name in "DC":
        session.do(Prioritise(ref(name), 3))
    assert session.line() == "CDB"
    assert session.do(Cancel(ref("A"))) == [("A", "cancelled"), ("C", "offered")]


def test_who_is_moved_before_somebody_joins_their_class() -> None:
    session = Session(0)
    session.ask("A", "B", "C")
    session.do(Prioritise(ref("B"), 3))
    session.do(Move(ref("C"), ref("B")))
    assert (session.line(), session["C"].priority) == ("CBA", 3)


def test_a_class_puts_somebody_back_to_where_they_came() -> None:
    session = Session(0)
    session.ask("A", "B", "C")
    session.do(Move(ref("C"), ref("A")))
    session.do(Prioritise(ref("C"), 0))
    assert session.line() == "ABC"


def test_somebody_can_be_put_before_a_person_whose_neighbour_came_back_from_another_class() -> None:
    """The number of a request must never be the place that staff gave to somebody else."""
    session = Session(0)
    session.ask("A", "B", "C", "D")
    session.do(Prioritise(ref("B"), 1))
    session.do(Move(ref("D"), ref("C")))
    session.do(Prioritise(ref("B"), 0))
    assert session.line() in ("ABDC", "ADBC")
    ahead, behind = session.line()[1:3]
    session.do(Move(ref("A"), ref(behind)))
    assert session.line() == f"{ahead}A{behind}C"


def refused(reason: type[Refused], session: Session, command: Command) -> None:
    """It is refused, and not a number or a seat has changed."""
    before = (
        {key: replace(person) for key, person in session.book.people.items()},
        {key: replace(pool) for key, pool in session.book.pools.items()},
        session.book.last_seq,
    )
    with pytest.raises(reason):
        session.do(command)
    assert (session.book.people, session.book.pools, session.book.last_seq) == before
