"""Bars are as long as their values, texts fit and never meet, and the table holds every value."""

import re

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from libs.web.formats import number
from services.national import charts
from services.national.charts import BAR_HEIGHT, CHARACTER, LINE, LINE_HEIGHT, NARROW, Chart, Row

labels = st.text(st.characters(categories=["L", "Nd", "Zs", "P"]), min_size=1, max_size=80).map(
    lambda text: " ".join(text.split()) or "x"
)
values = st.integers(0, 9_999_999)


def row_of(label: str, counts: tuple[int, ...]) -> Row:
    return Row(label, counts, number(sum(counts), "fr"))


def rows_of(series: int) -> st.SearchStrategy[list[Row]]:
    counts = st.tuples(*[values] * series)
    return st.lists(st.builds(row_of, labels, counts), min_size=1, max_size=15)


rows = st.integers(1, 3).flatmap(rows_of)


@given(rows)
def test_bars_are_proportional_to_their_values(rows: list[Row]) -> None:
    parts = [
        (value, segment.width)
        for place in charts.placed(rows)
        for value, segment in zip(place.row.values, place.segments, strict=True)
    ]
    greatest = max(parts)
    for value, width in parts:
        assert abs(width * greatest[0] - value * greatest[1]) < 1e-6 * max(1, greatest[0])


@given(rows)
def test_nothing_leaves_the_drawing_and_nothing_meets(rows: list[Row]) -> None:
    above = 0.0
    for place in charts.placed(rows):
        first, last = place.segments[0], place.segments[-1]
        assert place.label_y >= above
        assert place.bar_y >= place.label_y + (LINE_HEIGHT * len(place.lines) if first.x == 0 else 0)
        above = place.bottom
        assert place.bottom == place.bar_y + BAR_HEIGHT
        for one, following in zip(place.segments, place.segments[1:], strict=False):
            assert abs(one.x + one.width - following.x) < 1e-9
        assert place.value_x > last.x + last.width
        assert place.value_x + charts.text_width(place.row.text) <= 100.001


@given(rows)
def test_texts_fit_into_a_narrow_window(rows: list[Row]) -> None:
    for place in charts.placed(rows):
        room = place.segments[0].x * NARROW / 100 or NARROW
        for line in place.lines:
            assert len(line) * CHARACTER <= room
            assert len(line) <= LINE
        assert "".join(place.lines).replace(" ", "") == place.row.label.replace(" ", "")


def test_the_picture_has_a_name_a_description_and_no_control() -> None:
    chart = Chart("mois", "Par <mois>", "Le plus : mai.", "Mois", ("a", "b"), (Row("mai", (3, 1), "3 + 1"),))
    drawn = charts.svg(chart, patterns="motif")
    assert isinstance(drawn, Markup)
    assert 'role="img"' in drawn
    assert "<title>Par &lt;mois&gt;</title><desc>Le plus : mai.</desc>" in drawn
    assert not re.search(r"<a\b|tabindex|style=", drawn)
    # What one colour tells apart, a pattern does too.
    assert drawn.count('fill="url(#motif-hatched)"') == 1


def test_a_value_of_nought_has_no_bar_and_still_its_text() -> None:
    chart = Chart("x", "t", "d", "h", ("a",), (Row("avril", (0,), "0"), Row("mai", (4,), "4")))
    drawn = charts.svg(chart, patterns="m")
    assert drawn.count("<rect") == 1
    assert ">0</text>" in drawn


def test_nothing_at_all_is_no_division_by_nought() -> None:
    assert charts.placed([Row("mai", (0, 0), "0")])[0].segments[0].width == 0
    assert "<svg" in charts.svg(Chart("x", "t", "d", "h", ("a",), ()), patterns="m")
