"""What an address asks for: read, corrected, and written again."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from services.national.filters import NAMES, Filters, query_of, read_filters
from services.national.periods import Period, month_after, offered, read_period

TODAY = date(2026, 11, 28)


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        ("month", date(2026, 11, 1), date(2026, 11, 30)),
        ("next_month", date(2026, 12, 1), date(2026, 12, 31)),
        ("year", date(2025, 12, 1), date(2026, 11, 30)),
        ("2026-11", date(2026, 11, 1), date(2026, 11, 30)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
        ("2026-automne", date(2026, 9, 1), date(2026, 12, 31)),
        ("2027-hiver", date(2027, 1, 1), date(2027, 4, 30)),
        ("2026-ete", date(2026, 5, 1), date(2026, 8, 31)),
        ("2025", date(2025, 1, 1), date(2025, 12, 31)),
    ],
)
def test_a_period_is_whole_months(code: str, first: date, last: date) -> None:
    assert read_period(code, TODAY) == Period(code, first, last)


def test_without_a_period_it_is_what_is_to_come() -> None:
    period = read_period("", TODAY)
    assert period is not None
    assert period.to_come


@pytest.mark.parametrize("code", ["2026-13", "26", "2026-été", "demain", "2026-11-28", "²026"])
def test_an_unknown_period_is_none(code: str) -> None:
    assert read_period(code, TODAY) is None


@given(st.text(max_size=12) | st.from_regex(r"\d{4}(-(0[1-9]|1[0-2]|hiver|ete|automne))?", fullmatch=True))
def test_whatever_is_asked_for_no_period_breaks(code: str) -> None:
    period = read_period(code, TODAY)
    if period is not None and period.first and period.last:
        assert period.first.day == 1
        assert period.first <= period.last


def test_every_offered_period_can_be_read() -> None:
    for days in range(0, 800, 13):
        today = TODAY + timedelta(days=days)
        codes = [code for code, _words in offered(today)]
        assert len(codes) == len(set(codes))
        assert all(read_period(code, today) for code in codes)


def test_months_go_over_the_year() -> None:
    assert month_after(date(2026, 11, 1), 2) == date(2027, 1, 1)
    assert month_after(date(2026, 1, 1), -1) == date(2025, 12, 1)


def test_what_cant_be_understood_is_named_and_left_out() -> None:
    filters, mistakes = read_filters(QueryParams("period=demain&stream=x&theme=courriel&region=%27"), TODAY)
    assert filters == Filters(theme="courriel")
    assert list(mistakes) == ["period", "stream", "region"]


def test_an_id_that_nobody_here_knows_is_asked_for_all_the_same() -> None:
    filters, mistakes = read_filters(QueryParams("theme=robots&region=98"), TODAY)
    assert (filters.theme, filters.region, mistakes) == ("robots", "98", {})


chosen = st.builds(
    Filters,
    period=st.sampled_from(["", "month", "2026-automne"]),
    stream=st.sampled_from(["", "public", "pro"]),
    theme=st.sampled_from(["", "courriel", "x-1"]),
    region=st.sampled_from(["", "03", "CA-NB", "aucune"]),
    place=st.sampled_from(["", "L’Île & l’eau", "100 %"]),
)


@given(chosen)
def test_an_address_leads_back_to_its_filters(filters: Filters) -> None:
    assert read_filters(QueryParams(query_of(filters)), TODAY) == (filters, {})


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=150)))
def test_whatever_an_address_says_it_is_read(query: dict[str, str]) -> None:
    filters, _mistakes = read_filters(QueryParams(query), TODAY)
    assert "\0" not in filters.place
    assert len(filters.place) <= 100
