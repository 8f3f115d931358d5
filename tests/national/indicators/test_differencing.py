"""Somebody who has everything that was ever published learns of nobody more than the rounding allows.

docs/figures.md says what that means, claim by claim, and where it ends.
"""

import csv
import io
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.rounding import BASE
from services.national import snapshots
from services.national.indicators import wording
from services.national.indicators.answering import Answer, answer, measures_of, said
from services.national.indicators.asking import PUBLISHED_DIMENSIONS, Question
from services.national.indicators.definitions import FED
from services.national.indicators.measures import Measure
from services.national.rounding import PEOPLE, Counted, national_key, published, summed
from tests.conftest import SECRET
from tests.national.indicators.seeding import NOVEMBER, NOW, OCTOBER, Country

KEY = national_key(SECRET)
DIMENSIONS = ("region", "stream", "theme", "channel", "modality", "instance")
PERIODS = ((OCTOBER, OCTOBER), (NOVEMBER, NOVEMBER), (date(2026, 1, 1), date(2026, 12, 1)), (None, None))
PRIVATE = [(one, m) for one in FED for m in one.measures if m.source == "counts"]

# Claim 1: what is published follows from the rounded counts, and from nothing else.


def twins(count: Counted) -> list[Counted]:
    """Other true counts that are published as this one is."""
    around = range(max(0, count.n - count.base), count.n + count.base)
    same = [
        replace(count, n=n)
        for n in around
        if published(replace(count, n=n), KEY).n == published(count, KEY).n
    ]
    return [one for one in same if one.n != count.n]


def file_of(
    measure: Measure, indicator: Any, cells: Mapping[Any, Mapping[str, Counted]]
) -> tuple[bytes, list[Any]]:
    question = Question((indicator.id,), ("region",), rounded=True)
    found = said(question, {one: cells for _id, one in measures_of(question)}, [], 1, NOW, KEY)
    rows = [row for row in found.rows if row.measure is measure]
    return wording.as_csv(*wording.table(replace(found, rows=rows))), [wording.item(row) for row in rows]


@settings(max_examples=150)
@given(data=st.data(), which=st.sampled_from(PRIVATE))
def test_other_counts_with_the_same_rounding_make_the_same_file(data: st.DataObject, which: Any) -> None:
    indicator, measure = which
    names = [(count.name, count.base) for one in indicator.measures for count in one.counts]
    cells: dict[Any, dict[str, Counted]] = {}
    others: dict[Any, dict[str, Counted]] = {}
    for number, region in enumerate(("03", "12")):
        facts = data.draw(st.integers(1, 2**63)) + number
        true = {
            name: Counted(data.draw(st.integers(0, 40)) * base // PEOPLE, facts, "2026-10", "2026-10", base)
            for name, base in names
        }
        cells[region,] = true
        others[region,] = {name: data.draw(st.sampled_from([one, *twins(one)])) for name, one in true.items()}
    if all(published(one, KEY).n == 0 for one in others["12",].values()) and data.draw(st.booleans()):
        del others["12",]  # nothing at all is published as what rounds to nothing

    assert file_of(measure, indicator, others) == file_of(measure, indicator, cells)


# Claim 2: one set of facts has one published figure, however it is asked for.


TALLIES: Sequence[tuple[dict[str, Any], dict[str, int]]] = (
    ({"region": "03", "theme": "courriel", "channel": "web"}, {"attended": 7, "absent": 2}),
    ({"region": "03", "theme": "courriel", "channel": "phone"}, {"attended": 3}),
    ({"region": "03", "theme": "tablette", "channel": "web", "stream": "pro"}, {"attended": 1, "absent": 1}),
    ({"region": "16", "theme": "courriel", "channel": "desk", "instance": "sud"}, {"attended": 4}),
    (
        {"region": "16", "theme": "courriel", "channel": "web", "instance": "sud", "month": NOVEMBER},
        {"absent": 6},
    ),
    ({"region": "11", "theme": "internet", "channel": "partner", "instance": "est"}, {"attended": 3}),
)
"""Sparse on purpose: region 11 is one network, one subject, one channel, one month."""
DEFAULTS = {"channel": "web", "stream": "public", "modality": "on_site", "instance": "nord", "month": OCTOBER}
COUNTS = {
    ("I6", "value"): ("attended",),
    ("I6", "attended"): ("attended",),
    ("I7", "numerator"): ("attended",),
    ("I7", "denominator"): ("attended", "absent"),
}


async def fill(country: Country) -> None:
    for slug, region in (("nord", "03"), ("sud", "16"), ("est", "11")):
        await country.instance(slug, region)
    for which, registrations in TALLIES:
        await country.tally(registrations, **which)


def questions() -> Iterator[Question]:
    """Every question that a publication answers about these counts, but for the order of its words."""
    values = {name: sorted({{**DEFAULTS, **which}[name] for which, _n in TALLIES}) for name in DIMENSIONS}
    for size in range(PUBLISHED_DIMENSIONS + 1):
        for names in combinations(DIMENSIONS, size):
            for filtered in product(*((None, *values[name]) for name in names)):
                by = tuple(name for name, value in zip(names, filtered, strict=True) if value is None)
                filters = {n: (value,) for n, value in zip(names, filtered, strict=True) if value is not None}
                for first, last in PERIODS:
                    yield Question(("I6", "I7"), by, filters, first, last, rounded=True)


Facts = frozenset[tuple[int, str]]


def facts_behind(question: Question, cell: Mapping[str, Any], states: Sequence[str]) -> Facts:
    """The facts of TALLIES, none of them zero, that a figure sums."""
    return frozenset(
        (number, state)
        for number, (which, registrations) in enumerate(TALLIES)
        if _is_counted(question, cell, {**DEFAULTS, **which})
        for state in states
        if registrations.get(state)
    )


def _is_counted(question: Question, cell: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    after = question.first is None or row["month"] >= question.first
    before = question.last is None or row["month"] <= question.last
    wanted = all(row[name] in values for name, values in question.filters.items())
    return after and before and wanted and all(row[name] == value for name, value in cell.items())


def figures_of(found: Answer) -> Iterator[tuple[tuple[str, str], Mapping[str, Any], int]]:
    """(which count, its cell, the figure published) for every count of people in an answer."""
    for row in found.rows:
        item = wording.item(row)
        for (indicator, name), _states in COUNTS.items():
            value = item.get(name, item.get("parts", {}).get(name))
            if item["indicator"] == indicator and value is not None and not (name == "value" and row.missing):
                yield (indicator, name), row.cell, value


def truth(facts: Facts) -> int:
    return sum(TALLIES[number][1][state] for number, state in facts)


async def test_the_same_facts_have_one_figure_in_every_export(country: Country) -> None:
    await fill(country)
    seen: dict[Facts, set[int]] = defaultdict(set)
    asked: Counter[Facts] = Counter()
    async with country.database.reading() as session:
        for question in questions():
            found = await answer(session, question, KEY)
            for which, cell, figure in figures_of(found):
                facts = facts_behind(question, cell, COUNTS[which])
                seen[facts].add(figure)
                asked[facts] += 1

    lonely = next(facts for facts in seen if facts == {(5, "attended")})
    assert asked[lonely] > 50, "so many ways lead to the three people of region 11"
    assert {len(figures) for figures in seen.values()} == {1}, "one draw, so there is nothing to average"
    for facts, [figure] in ((facts, list(figures)) for facts, figures in seen.items()):
        assert figure % BASE == 0
        assert abs(figure - truth(facts)) < BASE


async def test_a_snapshot_a_filter_a_total_and_a_format_give_that_one_figure_too(country: Country) -> None:
    await fill(country)
    async with country.database.transaction() as session:
        kept = await snapshots.take(session, OCTOBER)
    assert kept is not None
    async with country.database.reading() as session:
        for question in questions():
            if (question.first, question.last) != (OCTOBER, OCTOBER):
                continue
            live = await answer(session, question, KEY)
            of_month = replace(question, first=None, last=None, snapshot=OCTOBER)
            cells, missing, concerned = await snapshots.kept_cells(session, of_month, kept)
            then = said(of_month, cells, missing, concerned, kept.taken_at, KEY)
            assert list(figures_of(then)) == list(figures_of(live))
            sheet = csv.DictReader(io.StringIO(wording.as_csv(*wording.table(live)).decode()))
            assert [row["value"] for row in sheet] == [
                "" if row.figure.value is None else str(row.figure.value) for row in live.rows
            ]


# Claim 3: distinct cells are drawn as independently as dice would be.


def some_keys(count: int) -> list[bytes]:
    source = random.Random(4)
    return [source.randbytes(32) for _ in range(count)]


Table = tuple[int, int, int, int]
"""Two regions by two channels: web and phone of the first, then of the second."""
SUMS = ((0,), (1,), (2,), (3,), (0, 1), (2, 3), (0, 2), (1, 3), (0, 1, 2, 3))
"""Everything that is published of such a table: its cells and all its totals."""


def cells_of(table: Table) -> list[Counted]:
    bits = [0x9E3779B97F4A7C15 * (i + 1) % 2**64 if n else 0 for i, n in enumerate(table)]
    facts = [Counted(n, own, "2026-10", "2026-10", PEOPLE) for n, own in zip(table, bits, strict=True)]
    return [summed(facts[i] for i in some) for some in SUMS]


def by_dice(table: Table, dice: random.Random) -> list[int]:
    """The same publication by somebody who throws a die for each set of facts."""
    drawn: dict[tuple[int, int], int] = {}
    for cell in cells_of(table):
        up = drawn.setdefault((cell.contributors, cell.n), dice.randrange(BASE))
        drawn[cell.contributors, cell.n] = up
    return [
        BASE * (cell.n // BASE + (drawn[cell.contributors, cell.n] < cell.n % BASE))
        for cell in cells_of(table)
    ]


CANDIDATES: list[tuple[Table, list[int]]] = [
    (table, [sum(table[i] for i in some) for some in SUMS])
    for table in product(range(7), repeat=4)  # type: ignore[misc]
]


def consistent(figures: Sequence[int]) -> list[Table]:
    """Every table that could have been published so: each figure less than the base away."""
    return [
        table
        for table, sums in CANDIDATES
        if all(abs(r - n) < BASE and (n % BASE != 0 or n == r) for r, n in zip(figures, sums, strict=True))
    ]


@pytest.mark.parametrize("table", [(1, 0, 0, 0), (2, 1, 3, 1), (4, 4, 4, 4), (0, 3, 2, 0), (6, 1, 5, 2)])
def test_a_whole_table_with_its_totals_gives_away_no_more_than_dice_would(table: Table) -> None:
    runs = 120
    dice = random.Random(7)
    ours = [consistent([published(cell, key).n for cell in cells_of(table)]) for key in some_keys(runs)]
    theirs = [consistent(by_dice(table, dice)) for _ in range(runs)]

    assert all(table in some for some in ours), "the truth is never excluded"
    for few in (1, 5, 25):
        mine, chance = (sum(len(some) <= few for some in found) / runs for found in (ours, theirs))
        # Two proportions of 120 runs differ by less than this in all but one case of ten thousand.
        assert mine - chance < 4 * (2 * 0.25 / runs) ** 0.5


def test_two_cells_are_drawn_independently() -> None:
    keys = some_keys(6000)
    one, other = cells_of((3, 2, 0, 0))[:2]
    ups = Counter((published(one, key).n > 0, published(other, key).n > 0) for key in keys)

    for pair, probability in {(True, True): 0.24, (True, False): 0.36, (False, True): 0.16}.items():
        assert abs(ups[pair] / len(keys) - probability) < 5 * (probability / len(keys)) ** 0.5


# Claim 4: two versions of a figure are two draws, each by the rule; nothing else moves.


@pytest.mark.parametrize("n", range(12))
def test_one_person_more_is_a_new_draw_by_the_same_rule(n: int) -> None:
    keys = some_keys(3000)
    before, after = (Counted(some, 77, "2026-10", "2026-10", PEOPLE) for some in (n, n + 1))
    seen = Counter((published(before, key).n, published(after, key).n) for key in keys)

    for r, r_after in product(outcomes(n), outcomes(n + 1)):
        probability = outcomes(n)[r] * outcomes(n + 1)[r_after]
        assert abs(seen[r, r_after] / len(keys) - probability) < 5 * (probability / len(keys)) ** 0.5 + 0.002
    assert set(seen) <= set(product(outcomes(n), outcomes(n + 1)))


def outcomes(n: int) -> dict[int, float]:
    """What the rule can publish of n, and how often."""
    low, rest = BASE * (n // BASE), n % BASE
    return {low: 1 - rest / BASE, low + BASE: rest / BASE} if rest else {n: 1.0}


async def test_one_person_more_moves_only_the_figures_that_count_them(country: Country) -> None:
    await fill(country)
    async with country.database.reading() as session:
        before = [list(figures_of(await answer(session, question, KEY))) for question in questions()]
    await country.change_tally({"attended": 8, "absent": 2}, region="03", channel="web", theme="courriel")
    changed = (0, "attended")
    async with country.database.reading() as session:
        for question, old in zip(questions(), before, strict=True):
            found = figures_of(await answer(session, question, KEY))
            new = {(which, *cell.items()): figure for which, cell, figure in found}
            for which, cell, figure in old:
                facts = facts_behind(question, cell, COUNTS[which])
                now = new.get((which, *cell.items()), 0)
                if changed in facts:
                    assert now in outcomes(truth(facts) + 1)
                else:
                    assert now == figure


def test_the_period_named_is_the_one_counted() -> None:
    october = Counted(3, 5, "2026-10", "2026-10", PEOPLE)
    december = Counted(1, 9, "2026-12", "2026-12", PEOPLE)

    assert summed([october, Counted(base=PEOPLE)]).period == "2026-10"
    assert summed([october, december]).period == "2026-10/2026-12"
