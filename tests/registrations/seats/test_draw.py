"""The draw: what it commits to, whom it ranks where, and that everybody has the chance they were promised."""

import hashlib
import hmac
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messaging.contracts import DrawRule, SessionState, WaitlistRule
from services.registrations import ledger
from services.registrations.draw import (
    DrawTerms,
    Stage,
    Ticket,
    commitment,
    ranks,
    rules_of,
    score,
    tickets_hash,
)
from services.registrations.invariants import broken
from services.registrations.pools import Plan
from services.registrations.seatbook import (
    AlreadyOver,
    Cancel,
    CancelDraw,
    Draw,
    DrawCancelled,
    DrawOver,
    Grant,
    NotWaiting,
    Replan,
    Request,
    SeatBook,
    Terms,
    terms_of,
)
from tests.registrations.conftest import session_state

NOW = datetime(2027, 1, 10, 14, 0, tzinfo=UTC)
CLOSES = NOW + timedelta(days=2)
START = (NOW + timedelta(days=10)).replace(tzinfo=None)
SESSION = UUID(int=5)
SEED = bytes(range(32))

tickets = st.lists(
    st.builds(Ticket, st.integers(1, 10_000), st.integers(1, 3)),
    max_size=40,
    unique_by=lambda ticket: ticket.number,
)
seeds = st.binary(min_size=32, max_size=32)


def test_a_ticket_draws_the_lowest_of_its_lots() -> None:
    lots = [hmac.new(SEED, text, "sha256").digest() for text in (b"7:0", b"7:1", b"7:2")]

    assert score(SEED, Ticket(7)) == lots[0]
    assert score(SEED, Ticket(7, 3)) == min(lots)


@given(seed=seeds, drawn=tickets)
def test_ranks_count_from_one_and_each_is_given_once(seed: bytes, drawn: list[Ticket]) -> None:
    found = ranks(seed, drawn)

    assert found.keys() == {ticket.number for ticket in drawn}
    assert sorted(found.values()) == list(range(1, len(drawn) + 1))


@given(seed=seeds, drawn=tickets, data=st.data())
def test_the_order_in_which_tickets_are_listed_changes_nothing(
    seed: bytes, drawn: list[Ticket], data: st.DataObject
) -> None:
    listed = data.draw(st.permutations(drawn))

    assert ranks(seed, listed) == ranks(seed, drawn)
    assert tickets_hash(listed) == tickets_hash(drawn)


@given(seed=seeds, drawn=tickets, data=st.data())
def test_who_withdraws_changes_nobody_elses_turn(
    seed: bytes, drawn: list[Ticket], data: st.DataObject
) -> None:
    left = [ticket for ticket in drawn if data.draw(st.booleans())]
    before, after = ranks(seed, drawn), ranks(seed, left)

    turns = [number for number in sorted(before, key=before.__getitem__) if number in after]
    assert turns == sorted(after, key=after.__getitem__)


@given(seed=seeds, drawn=tickets, data=st.data())
def test_more_lots_never_make_a_rank_worse(seed: bytes, drawn: list[Ticket], data: st.DataObject) -> None:
    if not drawn:
        return
    lucky = data.draw(st.sampled_from(drawn))
    more = [ticket._replace(lots=ticket.lots + 1) if ticket == lucky else ticket for ticket in drawn]

    assert ranks(seed, more)[lucky.number] <= ranks(seed, drawn)[lucky.number]


def test_every_order_of_equal_tickets_comes_as_often() -> None:
    drawn = [Ticket(1), Ticket(2), Ticket(3)]
    found: Counter[tuple[int, ...]] = Counter()
    for number in range(6_000):
        given_ranks = ranks(hashlib.sha256(b"%d" % number).digest(), drawn)
        found[tuple(sorted(given_ranks, key=given_ranks.__getitem__))] += 1

    assert found.keys() == set(permutations((1, 2, 3)))
    # 1,000 of each are expected, with a standard deviation of 29.
    assert all(abs(count - 1_000) < 120 for count in found.values())


@pytest.mark.parametrize("lots", [2, 3])
def test_a_ticket_in_so_many_lots_comes_first_so_many_times_as_often(lots: int) -> None:
    drawn = [Ticket(1, lots), *(Ticket(number) for number in range(2, 6))]
    seeds = (hashlib.sha256(b"%d" % number).digest() for number in range(6_000))

    first = sum(ranks(seed, drawn)[1] == 1 for seed in seeds)

    assert abs(first - 6_000 * lots / (lots + 4)) < 160


def test_the_commitment_is_of_seed_and_rules() -> None:
    rules = rules_of(SESSION, CLOSES, 2)
    said = json.dumps({"rules": rules, "seed": SEED.hex()}, sort_keys=True, separators=(",", ":"))

    assert commitment(SEED, rules) == hashlib.sha256(said.encode()).hexdigest()
    assert rules["closes_at"] == "2027-01-12T14:00:00Z"
    others = [
        commitment(bytes(32), rules),
        commitment(SEED, rules_of(UUID(int=6), CLOSES, 2)),
        commitment(SEED, rules_of(SESSION, CLOSES + timedelta(seconds=1), 2)),
        commitment(SEED, rules_of(SESSION, CLOSES, 1)),
    ]
    assert commitment(SEED, rules) not in others


def test_the_hash_of_the_tickets_changes_with_any_of_them() -> None:
    drawn = (Ticket(1), Ticket(2, 2))

    assert tickets_hash(drawn) == hashlib.sha256(b"[[1,1],[2,2]]").hexdigest()
    assert len({tickets_hash(drawn), tickets_hash(drawn[:1]), tickets_hash((Ticket(1), Ticket(2)))}) == 3


# In the book of seats.


def book_of(seats: int, asks: int) -> tuple[SeatBook, list[UUID]]:
    """A book with a draw to come, and the people who have asked, all by web."""
    facts = with_draw(session_state(starts_at=START))
    plan = Plan({"on_site": seats, "online": 0})
    terms = terms_of(facts)
    book = SeatBook.opened(
        Terms(plan, terms.kinds, terms.starts_at, draw=terms.draw, offer_hours=terms.offer_hours), NOW
    )
    refs = [uuid4() for _ in range(asks)]
    for ref in refs:
        book.do(Request(ref, "on_site", "web"), NOW)
    return book, refs


def with_draw(facts: SessionState, **rule: object) -> SessionState:
    waitlist = WaitlistRule(policy="draw", draw=DrawRule(closes_at=CLOSES, **rule))
    return facts.model_copy(update={"waitlist": waitlist})


def all_of(asks: int) -> tuple[Ticket, ...]:
    return tuple(Ticket(number) for number in range(1, asks + 1))


def test_nobody_gets_a_seat_by_being_early() -> None:
    book, _ = book_of(seats=3, asks=5)

    assert [person.status for person in book.people.values()] == ["pending"] * 5
    assert [person.seq for person in book.people.values()] == [1, 2, 3, 4, 5]
    assert broken(book, NOW) == []


def test_the_first_of_the_draw_have_the_seats_and_the_others_wait_in_its_order() -> None:
    book, _ = book_of(seats=3, asks=7)

    touched = book.do(Draw(SEED, all_of(7)), CLOSES)

    drawn = ranks(SEED, all_of(7))
    assert [person.seq for person in touched] == sorted(drawn, key=drawn.__getitem__)
    assert [person.rank for person in touched] == [1, 2, 3, 4, 5, 6, 7]
    assert [person.status for person in touched] == ["confirmed"] * 3 + ["waitlisted"] * 4
    assert [person.rank for person in book.line()] == [4, 5, 6, 7]
    assert broken(book, CLOSES) == []


def test_who_asks_after_the_closing_stands_behind_all_who_were_drawn() -> None:
    book, refs = book_of(seats=1, asks=3)

    touched = book.do(Draw(SEED, all_of(2)), CLOSES)
    (after,) = book.do(Request(uuid4(), "on_site", "web"), CLOSES)

    assert touched[-1].ref == refs[2]
    assert touched[-1].rank is None
    assert [person.seq for person in book.line()][-2:] == [3, after.seq]


def test_a_seat_that_is_freed_goes_to_the_next_rank() -> None:
    book, _ = book_of(seats=2, asks=4)
    seated, _, third, _ = book.do(Draw(SEED, all_of(4)), CLOSES)

    book.do(Cancel(seated.ref), CLOSES)

    assert third.status == "offered"


def test_who_withdrew_before_the_draw_leaves_their_rank_empty() -> None:
    book, refs = book_of(seats=2, asks=4)
    book.do(Cancel(refs[1]), NOW)

    touched = book.do(Draw(SEED, all_of(4)), CLOSES)

    drawn = ranks(SEED, all_of(4))
    assert {person.seq: person.rank for person in touched} == {
        number: rank for number, rank in drawn.items() if number != 2
    }
    assert book.people[refs[1]].status == "cancelled"


def test_a_draw_is_held_once() -> None:
    book, _ = book_of(seats=2, asks=4)
    book.do(Draw(SEED, all_of(4)), CLOSES)

    with pytest.raises(DrawOver):
        book.do(Draw(bytes(32), all_of(4)), CLOSES)
    with pytest.raises(DrawOver):
        book.do(CancelDraw(), CLOSES)


def test_nothing_is_drawn_once_the_session_has_begun() -> None:
    book, _ = book_of(seats=2, asks=4)

    with pytest.raises(AlreadyOver):
        book.do(Draw(SEED, all_of(4)), book.terms.starts_at)
    assert book.stage is Stage.TO_COME


def test_a_cancelled_draw_ends_every_request_and_takes_no_other() -> None:
    book, _ = book_of(seats=2, asks=4)

    touched = book.do(CancelDraw(), NOW)

    assert [person.status for person in touched] == ["cancelled"] * 4
    with pytest.raises(DrawCancelled):
        book.do(Request(uuid4(), "on_site", "web"), NOW)
    assert broken(book, NOW) == []


def test_staff_give_no_seat_before_the_draw() -> None:
    book, refs = book_of(seats=2, asks=1)

    with pytest.raises(NotWaiting):
        book.do(Grant(refs[0]), NOW)


@pytest.mark.parametrize("draw", [None, DrawTerms(CLOSES + timedelta(days=1))])
def test_a_plan_changes_no_draw(draw: DrawTerms | None) -> None:
    book, _ = book_of(seats=2, asks=3)
    terms = book.terms
    book.do(Replan(Terms(Plan({"on_site": 5, "online": 0}), terms.kinds, terms.starts_at, draw=draw)), NOW)

    assert book.terms.draw == DrawTerms(CLOSES)
    assert book.terms.plan.capacity["on_site"] == 5
    assert [person.status for person in book.people.values()] == ["pending"] * 3


def test_a_session_that_began_without_a_draw_gets_none() -> None:
    facts = session_state(starts_at=START)
    book = SeatBook.opened(terms_of(facts), NOW)

    book.do(Replan(terms_of(with_draw(facts))), NOW)

    assert (book.stage, book.terms.draw) == (None, None)


def test_the_rule_of_a_draw_counts_with_its_policy_alone() -> None:
    rule = DrawRule(closes_at=CLOSES)

    assert WaitlistRule(policy="draw", draw=rule).drawn == rule
    assert WaitlistRule(policy="first_come", draw=rule).drawn is None
    assert WaitlistRule(policy="draw").drawn is None


def test_the_ledger_tells_a_draw_again() -> None:
    book, _ = book_of(seats=2, asks=4)
    entries = [ledger.opening(SeatBook.opened(book.terms, NOW), NOW)]
    for person in list(book.people.values()):
        entries.append(ledger.entry(Request(person.ref, "on_site", "web"), (person,), NOW))
    command = Draw(SEED, (Ticket(1, 2), Ticket(2), Ticket(3), Ticket(4)))
    entries.append(ledger.entry(command, book.do(command, CLOSES), CLOSES))

    again = ledger.opened(through_json(entries[0]))
    for entry in entries[1:]:
        again.do(ledger.command_of(through_json(entry)), entry.at)

    assert again.people == book.people
    assert again.stage is Stage.DRAWN
    assert ledger.command_of(through_json(ledger.entry(CancelDraw(), (), NOW))) == CancelDraw()


def through_json(entry: ledger.Entry) -> ledger.Entry:
    """As it comes back from the database."""

    def plain(value: object) -> object:
        return json.loads(json.dumps(value, default=str))

    return ledger.Entry(entry.at, entry.command, plain(entry.inputs), plain(entry.touched))  # type: ignore[arg-type]
