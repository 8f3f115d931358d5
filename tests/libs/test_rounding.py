"""Figures about people leave as multiples of 5 that are true on average."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.rounding import BASE, rounded

KEYS = st.binary(min_size=32, max_size=32)
COUNTS = st.integers(min_value=0, max_value=10_000)
WORDS = st.text(max_size=40)


@given(n=COUNTS, key=KEYS, cell=WORDS, period=WORDS)
def test_a_rounded_figure_is_a_multiple_close_to_the_truth(
    n: int, key: bytes, cell: str, period: str
) -> None:
    figure = rounded(n, key=key, cell=cell, period=period)

    assert figure % BASE == 0
    assert abs(figure - n) < BASE
    assert n % BASE != 0 or figure == n


@given(n=COUNTS, key=KEYS, cell=WORDS, period=WORDS)
def test_the_same_figure_always_rounds_the_same_way(n: int, key: bytes, cell: str, period: str) -> None:
    assert rounded(n, key=key, cell=cell, period=period) == rounded(n, key=key, cell=cell, period=period)


@given(n=st.integers(min_value=0, max_value=200), key=KEYS)
def test_rounding_is_true_on_average_over_cells(n: int, key: bytes) -> None:
    cells = 2_000
    total = sum(rounded(n, key=key, cell=f"cell {cell}", period="2026-09") for cell in range(cells))

    # A cell's error has a standard deviation under 2.5: six of them for the mean of all cells.
    assert abs(total / cells - n) < 6 * 2.5 / cells**0.5


@given(n=st.integers(min_value=1, max_value=200).filter(lambda n: n % BASE != 0))
def test_another_key_period_or_cell_draws_anew(n: int) -> None:
    key = b"k" * 32
    draws = range(100)

    assert len({rounded(n, key=key, cell=str(i), period="2026-09") for i in draws}) == 2
    assert len({rounded(n, key=key, cell="a", period=str(i)) for i in draws}) == 2
    assert len({rounded(n, key=bytes([i]) * 32, cell="a", period="2026-09") for i in draws}) == 2


def test_parts_never_run_into_one_another() -> None:
    key = b"k" * 32
    one = [rounded(2, key=key, cell=f"{i}a", period="b") for i in range(64)]
    other = [rounded(2, key=key, cell=f"{i}", period="ab") for i in range(64)]

    assert one != other


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        rounded(-1, key=b"k" * 32, cell="a", period="2026-09")
    with pytest.raises(ValueError, match="key"):
        rounded(1, key=b"short", cell="a", period="2026-09")
