"""The pure rules behind the coordinators' pages: merging two edits, who is told, what needs attention."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.web.i18n import translate
from services.events.coordination.attention import attention
from services.events.coordination.merging import differences, merged
from services.events.coordination.reaching import people, together, told

NOW = datetime(2027, 2, 1, 12, tzinfo=UTC)
VALUES = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "1", "2", "3"]))


@given(base=VALUES, theirs=VALUES, yours=VALUES)
def test_merging_keeps_both_changes_and_yours_where_they_meet(
    base: dict[str, str], theirs: dict[str, str], yours: dict[str, str]
) -> None:
    both = merged(base, theirs, yours)
    found = {item.field: item for item in differences("abc", base, theirs, yours)}
    for name in "abc":
        was, one, other = (side.get(name, "") for side in (base, theirs, yours))
        if name not in yours or other == was:
            assert both.get(name, "") == one or name in yours
        else:
            assert both[name] == other
        assert (name in found) == (one != was or other != was)
        if name in found:
            assert found[name].is_conflict == (one != was and other != was and one != other)


@pytest.mark.parametrize(
    ("by_route", "words"),
    [
        ({}, "Personne n’est inscrit : personne n’a à être averti."),
        ({"email": 0}, "Personne n’est inscrit : personne n’a à être averti."),
        ({"email": 1}, "1 personne sera avertie : 1 par courriel."),
        (
            {"email": 7, "mobile": 1, "phone": 1},
            "9 personnes seront averties : 7 par courriel, 2 par téléphone (il faudra les appeler).",
        ),
        ({"postal": 1}, "1 personne sera avertie : 1 par la poste (il faudra lui écrire)."),
        ({"pigeon": 2}, "2 personnes seront averties : 2 autrement."),
    ],
)
def test_who_is_told_is_said_by_route(by_route: Mapping[str, int], words: str) -> None:
    assert translate(told(by_route), "fr").replace("\u00a0", " ") == words


def test_the_reach_of_several_sessions_is_added_up() -> None:
    total = together([{"email": 2, "phone": 1}, {}, {"email": 1, "postal": -3}])
    assert (dict(total), people(total)) == ({"email": 3, "phone": 1}, 4)


@dataclass(frozen=True)
class Row:
    """A session in `hours`, as attention looks at it."""

    hours: float
    status: str = "published"
    capacity: int = 12
    taken: int = 12
    waitlisted: int = 0
    counts_seats: bool = True
    is_counted: bool = True
    has_trainer: bool = True

    @property
    def starts_at_utc(self) -> datetime:
        return NOW + timedelta(hours=self.hours)

    @property
    def available(self) -> int:
        return self.capacity - self.taken


def test_attention_sorts_out_what_needs_somebody() -> None:
    late, early = Row(24, "draft"), Row(24 * 20, "draft")
    full, quiet = Row(48, waitlisted=2), Row(48, taken=3)
    alone, fine = Row(24 * 10, has_trainer=False), Row(48)
    found = attention([late, full, quiet, fine, alone, early], NOW)
    assert (found.late_drafts, found.drafts) == ((late,), (early,))
    assert (found.full, found.quiet, found.without_trainer) == ((full,), (quiet,), (alone,))


def test_attention_is_quiet_about_what_nobody_can_change() -> None:
    rows = [
        Row(-1, taken=0),
        Row(48, taken=0, counts_seats=False),
        Row(48, taken=0, is_counted=False),
        Row(48, waitlisted=0),
        Row(24 * 8, taken=0),
        Row(48, taken=4),
    ]
    assert not attention(rows, NOW)
