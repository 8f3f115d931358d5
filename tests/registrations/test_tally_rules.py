"""The rules of counting: every row in one cell, however it is cut, and the past as the ledger tells it."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs import vocabularies
from libs.messaging.federated import MINUTES, OperationalCounts, cell_key
from services.registrations import profiles
from services.registrations.models import STATUSES
from services.registrations.profiles import Figure, Group, Visit
from services.registrations.seat_history import Moment, Offer, history
from services.registrations.tallies import (
    CountedSession,
    Kind,
    Operational,
    Participation,
    histogram,
    kind_of,
)
from tests.registrations.conftest import session_state

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
START = datetime(2027, 2, 3, 18, tzinfo=UTC)
KEY = b"k" * 32

channels = st.sampled_from(("web", "phone", "desk", "carrier-pigeon"))
instants = st.integers(0, 60 * 24 * 40).map(lambda minutes: START - timedelta(minutes=minutes))
participations = st.builds(
    Participation,
    channel=channels,
    status=st.sampled_from(STATUSES),
    asked_at=instants,
    at_start=st.sampled_from((None, "confirmed", "waitlisted", "attended", "cancelled")),
    by_wait=st.booleans(),
)
offers = st.builds(Offer, channel=channels, made_at=instants, accepted_at=st.none() | st.just(START))
sessions = st.lists(
    st.builds(
        CountedSession,
        kind=st.builds(
            Kind,
            month=st.sampled_from(("2027-01", "2027-02")),
            region=st.sampled_from((None, "03", "CA-NB")),
            stream=st.sampled_from(("public", "pro")),
            theme=st.sampled_from((None, "courriel", "other")),
            modality=st.sampled_from(("on_site", "online", "hybrid")),
        ),
        lasts=st.sampled_from((timedelta(hours=2), timedelta(minutes=45))),
        opened_at=instants,
        participations=st.lists(participations, max_size=6),
        offers=st.lists(offers, max_size=4),
        walk_ins=st.integers(0, 5),
    ),
    max_size=8,
)


@given(sessions)
def test_the_sum_of_the_cells_is_what_there_is_however_it_is_cut(found: list[CountedSession]) -> None:
    counts = Operational()
    for session in found:
        counts.add(session)
    cells = counts.cells(NOW)

    assert len({cell_key(cell) for cell in cells}) == len(cells), "each cell once"
    for cut in ("month", "region", "stream", "theme", "modality"):
        for value in {getattr(session.kind, cut) for session in found}:
            rows = [session for session in found if getattr(session.kind, cut) == value]
            agree(rows, [cell for cell in cells if getattr(cell, cut) == value])
    agree(found, cells)


def agree(rows: Iterable[CountedSession], cells: Iterable[OperationalCounts]) -> None:
    rows, cells = list(rows), list(cells)
    people = [one for session in rows for one in session.participations]
    made = [offer for session in rows for offer in session.offers]
    taken = [offer for offer in made if offer.accepted_at is not None]
    states: Counter[str] = Counter()
    for cell in cells:
        states.update(cell.registrations)
    assert states == Counter(one.status for one in people)
    by_channel: Counter[str] = Counter()
    for cell in cells:
        by_channel[cell.channel] += sum(cell.registrations.values())
    known = vocabularies.ids("channels")
    assert +by_channel == Counter(one.channel if one.channel in known else "other" for one in people)
    assert total(cells, "confirmed_at_start") == sum(
        one.at_start in ("confirmed", "attended") for one in people
    )
    assert total(cells, "waitlisted_at_start") == sum(one.at_start == "waitlisted" for one in people)
    assert total(cells, "offers_made") == len(made)
    assert total(cells, "offers_accepted") == len(taken)
    assert sum(sum(cell.answer_minutes) for cell in cells) == len(taken)
    hurried = [one for one in people if not one.by_wait]
    assert sum(sum(cell.minutes_from_opening) for cell in cells) == len(hurried)
    assert total(cells, "walk_ins") == sum(session.walk_ins for session in rows)
    assert total(cells, "walk_in_minutes") == sum(session.walk_ins * minutes(session) for session in rows)
    assert total(cells, "attended_minutes") == sum(
        minutes(session) for session in rows for one in session.participations if one.status == "attended"
    )


def total(cells: Iterable[OperationalCounts], measure: str) -> int:
    return sum(getattr(cell, measure) for cell in cells)


def minutes(session: CountedSession) -> int:
    return session.lasts // timedelta(minutes=1)


@given(st.lists(st.floats(0, 100_000)))
def test_a_histogram_counts_everybody_in_the_bucket_whose_upper_edge_is_next(values: list[float]) -> None:
    found = histogram(values)

    assert sum(found) == len(values)
    assert len(found) in ((len(MINUTES) + 1,) if values else (0,))
    for place, edge in enumerate(MINUTES):
        assert sum(found[: place + 1]) == sum(value <= edge for value in values)


def test_an_id_that_no_vocabulary_has_counts_under_other_and_its_word_never_leaves() -> None:
    strange = session_state(theme="Le tricot de Mme Gagné", region="Chez Rose")

    kind = kind_of(strange)

    assert kind is not None
    assert (kind.theme, kind.region) == ("other", "other")
    assert kind_of(session_state(stream="Rose")) is None
    assert kind_of(session_state(modality="Rose")) is None


def test_a_session_counts_in_the_month_of_its_local_start() -> None:
    evening = datetime.fromisoformat("2027-01-31T19:30")

    kind = kind_of(session_state(starts_at=evening, timezone="America/Vancouver"))

    assert kind is not None
    assert kind.month == "2027-01"


# The past, as the ledger tells it.


def moment(minutes: int, *people: tuple[int, str]) -> Moment:
    """So many minutes before the start (or after, below zero): these numbers have this state now."""
    touched = [{"seq": seq, "status": status, "channel": "web"} for seq, status in people]
    return Moment(START - timedelta(minutes=minutes), touched)


LIFE = [
    moment(9000),
    moment(8000, (1, "confirmed")),
    moment(7000, (2, "waitlisted")),
    moment(6000, (3, "waitlisted")),
    moment(5000, (1, "cancelled"), (2, "offered")),
    moment(4990, (2, "offered")),  # the session moves: the offer ends earlier, and is the same one
    moment(4000, (2, "expired"), (3, "offered")),
    moment(3990, (3, "confirmed")),
    moment(100, (4, "waitlisted")),
    moment(0, (4, "cancelled")),
    moment(-5, (3, "attended")),
]


def test_the_start_is_told_by_what_was_true_then() -> None:
    past = history(LIFE, START, NOW)

    assert past.at_start == {1: "cancelled", 2: "expired", 3: "confirmed", 4: "waitlisted"}
    assert past.known_since == START - timedelta(minutes=9000)
    assert history(LIFE, START, START - timedelta(minutes=1)).at_start == {}, "it has not begun"


def test_each_offer_counts_once_with_the_time_of_its_answer() -> None:
    past = history(LIFE, START, NOW)

    assert [(offer.made_at, offer.accepted_at) for offer in past.offers] == [
        (START - timedelta(minutes=5000), None),
        (START - timedelta(minutes=4000), START - timedelta(minutes=3990)),
    ]


def test_a_ledger_younger_than_its_session_tells_the_start_by_how_it_found_everybody() -> None:
    past = history([moment(-60, (1, "confirmed"), (2, "waitlisted")), moment(-70, (1, "absent"))], START, NOW)

    assert past.at_start == {1: "confirmed", 2: "waitlisted"}


# Figures about people.

groups = st.builds(Group, st.just("2027-02"), st.sampled_from(("03", "")), st.sampled_from(("public", "pro")))
visits = st.lists(
    st.builds(
        Visit,
        group=groups,
        person=st.sampled_from((b"a", b"b", b"c", b"d")),
        order=st.tuples(st.integers(1, 28).map(lambda day: datetime(2027, 2, day, tzinfo=UTC)), st.just("")),
        answers=st.none() | st.frozensets(st.sampled_from(("aines_65", "handicap", "Mme Gagné"))),
    ),
    max_size=12,
    unique_by=lambda visit: (visit.group, visit.person, visit.order),
)


@given(visits)
def test_people_are_counted_once_and_their_visits_each(found: list[Visit]) -> None:
    counted = profiles.figures(found)

    for group in {visit.group for visit in found}:
        own = [visit for visit in found if visit.group == group]
        assert counted[Figure(group, "participations")] == len(own)
        assert counted[Figure(group, "people")] == len({visit.person for visit in own})
        last = {visit.person: visit for visit in sorted(own, key=lambda visit: visit.order)}
        answered = [visit.answers for visit in last.values() if visit.answers is not None]
        assert counted[Figure(group, "answered")] == len(answered)
        for id_ in ("aines_65", "handicap"):
            assert counted[Figure(group, "target_group", id_)] == sum(id_ in one for one in answered)


@given(visits, st.lists(st.integers(1, 28), max_size=5))
def test_erasing_sessions_in_their_order_changes_no_figure(found: list[Visit], days: list[int]) -> None:
    kept: Counter[Figure] = Counter()
    still = list(found)
    for day in sorted(days):
        gone = [visit for visit in still if visit.order[0].day <= day]
        still = [visit for visit in still if visit.order[0].day > day]
        kept += profiles.left_behind(gone, still)

        assert kept + profiles.figures(still) == profiles.figures(found)


@given(visits)
def test_what_is_announced_of_people_is_rounded_whole_and_names_known_words_only(found: list[Visit]) -> None:
    present = {visit.group for visit in found} | {Group("2027-02", "04", "public")}
    counted = profiles.figures(found)
    cells = profiles.announced(sorted(present), counted, key=KEY, as_of=NOW)

    known = vocabularies.ids("target_groups")
    assert len(cells) == len(present) * (3 + len(known)), "no figure is left out, not even a zero"
    for cell in cells:
        exact = counted[Figure(Group(cell.month, cell.region or "", cell.stream), cell.dimension, cell.value)]
        assert abs(cell.rounded - exact) < 5
        assert cell.value == "" or cell.value in known
