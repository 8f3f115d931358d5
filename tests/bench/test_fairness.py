"""The fairness simulation: it loses nobody, keeps the rules, repeats, and the page shows what it prints."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bench.fairness import program, telephone
from bench.fairness.assumptions import OFFICE, Assumptions
from bench.fairness.course import Fate, Outcome, play
from bench.fairness.crowd import ASSISTED, CHANNELS, WEB, Workshop, tours
from bench.fairness.policies import Policy, policies, shared_out
from bench.fairness.shares import Count, ratio, share
from bench.fairness.tables import simulate, tables
from bench.load import ROOT
from libs.messaging.contracts import SessionState
from services.registrations import invariants
from services.registrations.office_hours import OfficeHours, office_hours
from services.registrations.seatbook import SeatBook

ASSUMED = Assumptions()
FEW, SEED = 24, 7
FIRST_COME, HELD, DRAW, WEIGHTED = policies(ASSUMED)
EVERY = pytest.mark.parametrize("policy", policies(ASSUMED), ids=lambda policy: policy.name)


def workshops(count: int = FEW, seed: int = SEED, assumed: Assumptions = ASSUMED) -> Iterator[Workshop]:
    return (workshop for tour in tours(count, seed, assumed) for workshop in tour)


def a_day(day: int, time: str) -> datetime:
    """An instant of January 2026 on the desk's clock; the 13th is a Tuesday."""
    return datetime.fromisoformat(f"2026-01-{day}T{time}:00-05:00").astimezone(UTC)


def an_office() -> OfficeHours:
    facts: SessionState = next(workshops(1)).facts
    office = office_hours(OFFICE, facts)
    assert office is not None
    return office


class Rules:
    """Looks at a book after each command: no rule is broken, and whoever has asked is in it."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.asked = 0

    def look(self, book: SeatBook, now: datetime) -> None:
        assert invariants.broken(book, now) == []
        assert sum(pool.used for pool in book.pools.values()) <= self.seats
        assert len(book.people) == book.last_seq >= self.asked
        self.asked = book.last_seq


@EVERY
def test_nobody_is_lost_and_no_rule_is_broken_at_any_step(policy: Policy) -> None:
    for workshop in workshops():
        rules = Rules(workshop.facts.capacity.on_site)

        outcome = play(workshop, policy, ASSUMED, rules.look)

        assert outcome.book.people.keys() == {person.ref for person in workshop.people}
        assert rules.asked == len(workshop.people) == len(outcome.fates)
        assert all(fate.told_at is not None for fate in outcome.fates)
        assert all(person.status != "pending" for person in outcome.book.people.values())


@EVERY
def test_what_is_counted_is_what_the_book_says(policy: Policy) -> None:
    for workshop in workshops():
        outcome = play(workshop, policy, ASSUMED)
        status = {ref: person.status for ref, person in outcome.book.people.items()}
        for fate in outcome.fates:
            has_had = status[fate.person.ref] == "confirmed" or (
                status[fate.person.ref] == "cancelled" and fate.person.cancels is not None
            )
            assert (fate.seated_at is not None) == has_had
            assert fate.told_at is not None
            assert fate.person.began <= fate.person.asks_at <= fate.told_at
            assert fate.told_at <= (fate.seated_at or fate.told_at) < workshop.facts.starts_at_utc
        assert outcome.taken == sum(one == "confirmed" for one in status.values())


def test_every_policy_meets_the_same_people() -> None:
    first, *others = simulate(FEW, SEED, ASSUMED)
    people = [fate.person for fate in first.fates()]

    assert len(others) == 3
    assert all([fate.person for fate in other.fates()] == people for other in others)


def test_the_same_seed_says_the_same_and_another_says_another() -> None:
    said = tables(8, SEED, ASSUMED)

    assert tables(8, SEED, ASSUMED) == said
    assert tables(8, SEED + 1, ASSUMED) != said


def test_more_sessions_leave_the_first_as_they_were() -> None:
    assert list(workshops(16))[:8] == list(workshops(8))


class Holding:
    """Looks at how many seats of a workshop with held pools are used by web people."""

    def __init__(self, facts: SessionState) -> None:
        self.held = {one.channel: one.seats for one in facts.held_seats}
        self.general = facts.capacity.on_site - sum(self.held.values())
        (self.released_at,) = {release.at for release in facts.releases}
        self.most = 0

    def look(self, book: SeatBook, now: datetime) -> None:
        people = [person for person in book.people.values() if person.pool is not None]
        assert all(person.pool in ("", person.channel) for person in people)
        by_web = sum(person.channel == "web" for person in people)
        if now < self.released_at:
            seats = {key.channel: pool.effective for key, pool in book.pools.items() if key.channel}
            assert seats == self.held
            assert by_web <= self.general
        self.most = max(self.most, by_web)


def test_seats_are_held_for_their_channel_until_their_release_and_then_given_away() -> None:
    """Before it, all who come by the web have the general seats at most; after it some get more."""
    beyond = 0
    for workshop in workshops(80):
        holding = Holding(HELD.applied(workshop.facts, ASSUMED))
        assert set(holding.held) <= {"phone", "desk", "partner"}

        play(workshop, HELD, ASSUMED, holding.look)

        beyond += holding.most > holding.general
    assert beyond > 0


def test_held_seats_are_shared_by_the_demand() -> None:
    assert shared_out(4, ASSUMED) == {"phone": 2, "desk": 1, "partner": 1}
    for seats in range(16):
        assert sum(shared_out(seats, ASSUMED).values()) == seats


def in_time(outcome: Outcome) -> list[Fate]:
    """Those who asked before the closing that a draw would have, in the order of their requests."""
    draw = DRAW.applied(outcome.workshop.facts, ASSUMED).waitlist.draw
    assert draw is not None
    return [fate for fate in outcome.fates if fate.person.asks_at < draw.closes_at]


def drawn_early(outcomes: list[Outcome]) -> tuple[int, float, float]:
    """Of the earlier half of each workshop, how many got a seat at once: how many, mean and variance.

    Without regard to time it is hypergeometric in each workshop.
    """
    found, mean, variance = 0, 0.0, 0.0
    for outcome in outcomes:
        at_once = [not fate.waited for fate in in_time(outcome)]
        everybody, early, seated = len(at_once), len(at_once) // 2, sum(at_once)
        found += sum(at_once[:early])
        mean += seated * early / everybody
        rest = (1 - early / everybody) * (everybody - seated) / (everybody - 1)
        variance += seated * early / everybody * rest
    return found, mean, variance


def off_by_chance(variance: float, probability: float) -> float:
    """How far a sum of hypergeometric counts lies from its mean, with so small a probability at most.

    Each is a sum of independent trials (Vatutin and Mikhailov 1982), so Bernstein's inequality holds:
    P(|S - mean| >= t) <= 2 exp(-t² / (2 (variance + t / 3))).
    """
    log = math.log(2 / probability)
    return log / 3 + math.sqrt((log / 3) ** 2 + 2 * log * variance)


def test_in_a_draw_the_chance_does_not_depend_on_the_time_of_asking() -> None:
    """A true draw fails with a probability of less than one in a million; first come fails for sure."""
    some = list(workshops(200))

    found, mean, variance = drawn_early([play(workshop, DRAW, ASSUMED) for workshop in some])
    assert abs(found - mean) < off_by_chance(variance, 1e-6)

    found, mean, variance = drawn_early([play(workshop, FIRST_COME, ASSUMED) for workshop in some])
    assert found - mean > 3 * off_by_chance(variance, 1e-6)


def test_in_a_weighted_draw_only_first_times_gain() -> None:
    """A ticket in two lots comes before another with twice the odds."""
    gained = {True: 0, False: 0}
    for workshop in workshops(80):
        plain, weighted = (play(workshop, policy, ASSUMED) for policy in (DRAW, WEIGHTED))
        for before, after in zip(in_time(plain), in_time(weighted), strict=True):
            assert before.person is after.person
            gained[before.person.is_new] += (not after.waited) - (not before.waited)

    assert gained[True] == -gained[False] > 0


def test_the_desk_answers_in_order_as_far_as_its_lines_and_hours_go() -> None:
    ten = timedelta(minutes=10)
    calls = [(a_day(13, "09:00"), ten), (a_day(13, "09:01"), ten), (a_day(13, "15:59"), ten)]

    assert telephone.answered(calls, 1, an_office()) == [
        a_day(13, "09:10"),
        a_day(13, "09:20"),
        a_day(13, "16:09"),
    ]
    assert telephone.answered(calls[:2], 2, an_office()) == [a_day(13, "09:10"), a_day(13, "09:11")]
    late = [(a_day(13, "15:55"), ten), (a_day(13, "15:56"), ten)]
    assert telephone.answered(late, 1, an_office()) == [a_day(13, "16:05"), a_day(14, "09:10")]


def test_callers_ask_while_the_desk_is_there_or_at_the_end_of_a_call() -> None:
    """Nobody is served before they began to try, and the web knows no queue."""
    moment = timedelta(microseconds=1)
    for workshop in workshops():
        for person in workshop.people:
            assert person.began >= (workshop.facts.opens_at or person.began)
            assert person.asks_at >= person.began
            if person.group in WEB:
                assert person.asks_at == person.began
            else:
                assert person.group in ASSISTED
                assert workshop.office.after(person.began - moment, moment) == person.began


def test_the_crowd_is_as_assumed() -> None:
    """As many by each group as the parts say; a fifth of 1,000 workshops lies within 5 deviations."""
    people = [person for workshop in workshops(200) for person in workshop.people]

    for group in CHANNELS:
        part = getattr(ASSUMED, group)
        deviation = math.sqrt(len(people) * part * (1 - part))
        assert abs(sum(person.group == group for person in people) - len(people) * part) < 5 * deviation


def test_a_share_has_the_interval_that_tours_say() -> None:
    alike = [Count(5, 10)] * 4
    apart = [Count(1, 10), Count(9, 10)] * 2

    found = share(alike)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    found = share(apart)
    assert found.value == 0.5
    assert found.low is not None
    assert found.low == pytest.approx(0.5 - 1.96 * math.sqrt(4 / 3 * 4 * 0.1**2))
    assert share([Count(0, 0)]).value is None
    assert share([Count(1, 2)]).low is None


def test_twice_the_share_is_a_ratio_of_two() -> None:
    found = ratio([Count(4, 10)] * 3, [Count(2, 10)] * 3)

    assert found.value == pytest.approx(2)
    assert found.low == pytest.approx(2)
    assert ratio([Count(4, 10)], [Count(0, 10)]).value is None


def test_every_assumption_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--sessions", "2", "--demand-most", "1.4", "--lots", "3"]) == 0

    said = capsys.readouterr().out
    assert "| `--demand-most` | 1.4 |" in said
    assert "| draw, 3 lots |" in said


@pytest.mark.parametrize("what", [("--lines", "0"), ("--seats-least", "16"), ("--draw-days", "30")])
def test_what_cannot_be_is_refused(what: tuple[str, str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        program.main(["--sessions", "2", *what])


def test_the_page_shows_what_the_program_prints() -> None:
    page = (ROOT / "docs" / "fairness.md").read_text("utf-8")

    assert tables(program.SESSIONS, program.SEED, ASSUMED) in page
