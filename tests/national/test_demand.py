"""Silence and what isn't shared are never zero: what a figure is worth, and what the page says of it."""

from datetime import UTC, datetime, timedelta

import pytest

from libs.web.formats import elapsed
from services.national.demand import Counts, Worth, region_figures
from services.national.filters import Filters
from services.national.freshness import STALE_AFTER, Heard, Hearing, Standing
from services.national.incomplete import incomplete

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SOME = Counts(3, 30, 20, 1, 6, 4)


def instance(
    slug: str = "nord", *regions: str, ago: float | None = 5, status: str = "active", **shares: str
) -> Heard:
    received = NOW - timedelta(seconds=ago) if ago is not None else None
    return Heard(slug, slug.title(), status, received, frozenset(regions), shares)


def hearing(*instances: Heard) -> Hearing:
    return Hearing.at(NOW, instances)


def test_an_instance_is_offline_after_two_minutes() -> None:
    limit = STALE_AFTER.total_seconds()
    assert instance(ago=limit - 0.1).standing(NOW) is Standing.LIVE
    assert instance(ago=limit).standing(NOW) is Standing.OFFLINE
    assert instance(ago=None).standing(NOW) is Standing.NEVER
    assert instance(status="suspended").standing(NOW) is Standing.SUSPENDED


def test_a_clock_ahead_of_ours_is_no_negative_silence() -> None:
    assert instance(ago=-30).silence(NOW) == timedelta(0)


def test_a_live_region_is_known_even_at_zero() -> None:
    found = region_figures("10", hearing(instance("nord", "10")), {})
    assert (found.worth, found.counts) == (Worth.KNOWN, Counts())


def test_an_offline_region_keeps_its_last_figures_and_says_whose() -> None:
    found = region_figures("10", hearing(instance("nord", "10", ago=7_800)), {"nord": SOME})
    assert (found.worth, found.counts) == (Worth.OFFLINE, SOME)
    assert [one.slug for one in found.because] == ["nord"]


def test_one_silent_instance_makes_a_shared_region_offline() -> None:
    both = hearing(instance("nord", "10"), instance("sud", "10", ago=600))
    assert region_figures("10", both, {"nord": SOME, "sud": SOME}).worth is Worth.OFFLINE


def test_a_region_that_shares_nothing_is_unshared_never_zero() -> None:
    found = region_figures("10", hearing(instance("nord", "10", public="nothing", pro="nothing")), {})
    assert found.worth is Worth.UNSHARED


@pytest.mark.parametrize(("stream", "worth"), [("public", Worth.KNOWN), ("pro", Worth.UNSHARED)])
def test_each_volet_is_shared_by_itself(stream: str, worth: Worth) -> None:
    one = instance("nord", "10", public="counts", pro="nothing")
    assert region_figures("10", hearing(one), {"nord": SOME}, stream).worth is worth


def test_half_shared_is_known_and_says_so() -> None:
    one = instance("nord", "10", public="counts", pro="nothing")
    found = region_figures("10", hearing(one), {"nord": SOME})
    assert found.worth is Worth.KNOWN
    assert [who.slug for who in found.partly] == ["nord"]


def test_a_region_that_nobody_speaks_for_is_nobodys() -> None:
    assert region_figures("CA-NU", hearing(instance("nord", "10")), {}).worth is Worth.NOBODY


def test_an_instance_without_registered_regions_speaks_where_its_sessions_are() -> None:
    found = region_figures("03", hearing(instance("demo", ago=600)), {"demo": SOME})
    assert found.worth is Worth.OFFLINE


def test_a_retired_instance_is_no_longer_waited_for() -> None:
    assert hearing(instance(status="retired", ago=1e6)).instances == ()


def test_the_longest_silence_is_said_first() -> None:
    found = hearing(instance("a", ago=300), instance("b", ago=9_000), instance("c", ago=None), instance("d"))
    assert [one.slug for one in found.silent] == ["c", "b", "a"]


def said(heard: Hearing, filters: Filters) -> list[str]:
    return [str(text).replace("\u00a0", " ") for text in incomplete(heard, filters, "fr")]


def test_the_page_says_which_figures_are_incomplete_because_of_whom() -> None:
    heard = hearing(
        instance("nord", "10", ago=7_800),
        instance("ouest", "07", ago=None),
        instance("sud", "05", public="nothing", pro="nothing"),
        instance("est", "01", public="profile", pro="nothing"),
    )
    assert said(heard, Filters()) == [
        "Derniers chiffres connus seulement : Nord.",
        "Rien n’est encore arrivé de : Ouest.",
        "Non partagé : Sud.",
        "Volet « Espace pro » non partagé : Est.",
    ]


def test_who_isnt_asked_for_isnt_named() -> None:
    heard = hearing(instance("nord", "10", ago=7_800), instance("est", "01"))
    assert said(heard, Filters(region="01")) == []
    assert said(heard, Filters(instance="est")) == []
    assert len(said(heard, Filters(region="10"))) == 1


@pytest.mark.parametrize(
    ("seconds", "french", "english"),
    [
        (0, "0 s", "0 s"),
        (12.9, "12 s", "12 s"),
        (60, "1 min", "1 min"),
        (7_800, "2 h 10", "2 h 10 min"),
        (7_200, "2 h", "2 h"),
        (3 * 86_400, "3 jours", "3 days"),
    ],
)
def test_how_long_ago_is_short(seconds: float, french: str, english: str) -> None:
    length = timedelta(seconds=seconds)
    assert elapsed(length, "fr").replace("\u00a0", " ") == french
    assert elapsed(length, "en").replace("\u00a0", " ") == english
