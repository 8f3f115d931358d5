"""The equity report: every cell in its channel's line, each line in the sums, and words only where enough."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs import vocabularies
from libs.equity import ASSISTED, EVERYBODY, WITH_HELP, Counts, Line, Report, by_channel, report, summed
from libs.figures import Median, Ratio
from libs.messaging.federated import NO_CHANNEL, OperationalCounts
from libs.web.equity_answer import lines_of
from libs.web.equity_words import COLUMNS, rows, sentences
from libs.web.formats import NBSP
from tests.libs.test_figures import BUCKETS, buckets

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
STATES = ("confirmed", "waitlisted", "attended", "absent", "excused", "cancelled")


def cell(channel: str, **facts: Any) -> OperationalCounts:
    given: dict[str, Any] = {"month": "2027-02", "stream": "public", "modality": "on_site", "as_of": NOW}
    return OperationalCounts(**(given | {"channel": channel} | facts))


def of(*cells: OperationalCounts) -> Report:
    return report(by_channel(cells))


def line(found: Report, channel: str) -> Line:
    return next(one for one in found.lines if one.id == channel)


numbers = st.integers(0, 200)
histograms = st.just(()) | st.tuples(*[st.integers(0, 20)] * BUCKETS)
cells = st.lists(
    st.builds(
        cell,
        channel=st.sampled_from(("web", "phone", "desk", "partner", "paper", "email", "other", NO_CHANNEL)),
        registrations=st.dictionaries(st.sampled_from(STATES), numbers),
        confirmed_at_start=numbers,
        waitlisted_at_start=numbers,
        offers_made=numbers,
        offers_accepted=numbers,
        answer_minutes=histograms,
        minutes_from_opening=histograms,
        walk_ins=numbers,
    ),
    max_size=12,
)


@given(cells)
def test_the_total_is_the_sum_of_the_channels(found: list[OperationalCounts]) -> None:
    made = of(*found)
    counted = [one for one in found if one.channel != NO_CHANNEL]

    assert made.all.counts == summed(one.counts for one in made.channels)
    assert made.assisted.counts == summed(one.counts for one in made.channels if one.id in ASSISTED)
    assert made.all.counts.registrations == sum(sum(one.registrations.values()) for one in counted)
    assert sum(made.all.counts.openings) == sum(sum(one.minutes_from_opening) for one in counted)
    assert len({one.id for one in made.lines}) == len(made.lines), "each channel has one line"


@given(cells, st.randoms())
def test_the_order_of_the_cells_says_nothing(found: list[OperationalCounts], random: Any) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert of(*found) == of(*shuffled)


@given(cells)
def test_a_percentage_never_stands_on_fewer_than_ten(found: list[OperationalCounts]) -> None:
    for one in lines_of(of(*found)).channels:
        for ratio in (
            one.share,
            one.seated_at_start,
            one.waiting_at_start,
            one.offers_accepted,
            one.attendance,
        ):
            assert (ratio.value is None) == (ratio.denominator < 10)
        for median in (one.answer_minutes, one.minutes_from_opening):
            assert (median.interval is None) == (median.n < 10)


def test_every_channel_has_its_line_in_the_order_of_the_vocabulary() -> None:
    found = of(cell("carrier-pigeon", registrations={"confirmed": 1}))

    ids = [one.id for one in found.lines]
    assert ids == [*(t.id for t in vocabularies.terms("channels")), "carrier-pigeon", WITH_HELP, EVERYBODY]
    assert line(found, "paper").counts == Counts()


def test_the_figures_of_a_line() -> None:
    found = of(
        cell(
            "phone",
            registrations={"attended": 12, "absent": 3, "excused": 1, "cancelled": 4},
            confirmed_at_start=16,
            waitlisted_at_start=4,
            offers_made=20,
            offers_accepted=12,
            answer_minutes=buckets(b3=2, b5=10),
            minutes_from_opening=buckets(b9=20),
        ),
        cell("phone", month="2027-03", registrations={"waitlisted": 5}),
        cell("web", registrations={"confirmed": 75}),
        cell(NO_CHANNEL, walk_ins=9, walk_in_minutes=540),
    )

    phone = line(found, "phone")
    assert phone.counts.registrations == 25
    assert (phone.share, phone.share.percent) == (Ratio(25, 100), 25.0)
    assert (phone.seated, phone.waiting) == (Ratio(16, 20), Ratio(4, 20))
    assert phone.offers == Ratio(12, 20)
    assert phone.answer == Median(12, 84.0, (60, 120))
    assert phone.attendance == Ratio(12, 15)
    assert phone.opening.interval == (1440, 2880)
    assert found.assisted.counts == phone.counts
    assert found.all.counts.registrations == 100


def plain(text: object) -> str:
    return str(text).replace(NBSP, " ")


def some(**changes: Any) -> dict[str, Any]:
    return {
        "registrations": {"attended": 9, "absent": 1},
        "confirmed_at_start": 8,
        "waitlisted_at_start": 2,
        "minutes_from_opening": buckets(b5=10),
    } | changes


def test_a_sentence_says_what_the_figures_say() -> None:
    found = of(
        cell("phone", **some()),
        cell(
            "web", **some(confirmed_at_start=10, waitlisted_at_start=0, minutes_from_opening=buckets(b2=11))
        ),
    )

    assert [plain(sentence) for sentence in sentences(found, "fr")] == [
        "Avec de l’aide, la moitié des demandes arrivent en 2 h ou moins après l’ouverture ; par le Web, "
        "en 15 min ou moins.",
        "80,0 % des personnes inscrites avec de l’aide ont une place quand la séance commence ; par le Web, "
        "100,0 %.",
        "90,0 % des personnes inscrites avec de l’aide viennent ; par le Web, 90,0 %.",
    ]


def test_a_sentence_compares_only_where_enough_are_counted() -> None:
    alone = of(cell("web", **some()))
    late = of(cell("desk", **some(minutes_from_opening=buckets(b13=10))))

    assert [plain(sentence) for sentence in sentences(alone, "fr")] == [
        "Par le Web, la moitié des demandes arrivent en 2 h ou moins après l’ouverture ; avec de l’aide, "
        "il y en a trop peu pour le dire."
    ]
    assert "plus de 14 jours après l’ouverture" in plain(sentences(late, "fr")[0])
    assert "trop peu d’inscriptions" in plain(sentences(of(), "fr")[0])


def test_a_row_has_a_cell_for_each_column_and_too_few_make_no_percentage() -> None:
    found = {plain(row.label): row for row in rows(of(cell("desk", **some(confirmed_at_start=3))), "fr")}

    assert all(len(row.cells) == len(COLUMNS) for row in found.values())
    assert [row.sums for row in found.values()] == [False] * 6 + [True] * 2
    here = dict(zip((c.id for c in COLUMNS), found["Avec de l’aide"].cells, strict=True))
    assert (plain(here["registrations"].text), plain(here["attendance"].text)) == ("10", "90,0 %")
    assert plain(here["seated"].text) == "3 sur 5"
    assert plain(here["opening"].text) == "1 h 30"
    assert [plain(detail) for detail in here["opening"].details] == ["entre 1 h et 2 h", "sur 10"]
    empty = found["Papier"].cells
    assert [plain(one.text) for one in empty] == ["0", "0,0 %", "–", "–", "–", "–", "–", "–"]
