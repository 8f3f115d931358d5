"""A percentage and a median are said of ten or more, and a median lies where its half is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.figures import FEWEST, Median, Ratio, median, median_of, percentage
from libs.messaging.federated import MINUTES

BUCKETS = len(MINUTES) + 1
histograms = st.lists(st.integers(0, 50), min_size=BUCKETS, max_size=BUCKETS)


def buckets(**counts: int) -> list[int]:
    """`buckets(b3=2)` has two in the fourth bucket."""
    return [counts.get(f"b{number}", 0) for number in range(BUCKETS)]


@pytest.mark.parametrize(
    ("part", "whole", "expected"), [(0, 9, None), (0, 10, 0.0), (17, 20, 85.0), (1, 12, 8.3), (13, 12, 100.0)]
)
def test_a_percentage_needs_ten(part: int, whole: int, expected: float | None) -> None:
    assert percentage(part, whole) == Ratio(part, whole).percent == expected


def test_a_median_needs_ten_and_comes_with_its_bucket() -> None:
    assert median(()) == Median(0)
    assert median(buckets(b2=9)) == Median(9)
    assert median(buckets(b2=10)) == Median(10, 10.0, (5, 15))
    assert median(buckets(b0=2, b5=10)) == Median(12, 84.0, (60, 120))


def test_beyond_the_last_edge_there_is_an_interval_and_no_value() -> None:
    assert median(buckets(b0=4, b13=6)) == Median(10, None, (MINUTES[-1], None))


@given(histograms)
def test_half_are_reached_within_the_median_s_bucket_and_not_before(found: list[int]) -> None:
    n = sum(found)
    if n < FEWEST:
        assert median(found).interval is None
        return
    value, (low, high) = median_of(found)
    edges = [*MINUTES, None]
    number = edges.index(high)
    assert sum(found[: number + 1]) * 2 >= n
    assert sum(found[:number]) * 2 < n
    assert value is None if high is None else value is not None and low <= value <= high
