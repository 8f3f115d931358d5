"""How things are written: the house's examples, and what holds for every date, time and number."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markupsafe import Markup

from libs.clock import UnknownZone, zone
from libs.opening_hours import week_of
from libs.web import formats as f

local = partial(datetime, tzinfo=zone("America/Toronto"))
START = local(2026, 12, 8, 13, 30)
END = local(2026, 12, 8, 15, 30)
LANGUAGES = st.sampled_from(["fr", "en"])


def plain(text: str) -> str:
    """With ordinary spaces, so that expectations can be read."""
    return text.replace(f.NBSP, " ")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("fr", "mardi 8 décembre 2026, de 13 h 30 à 15 h 30"),
        ("en", "Tuesday, December 8, 2026, from 1:30 p.m. to 3:30 p.m."),
    ],
)
def test_a_session_is_said_in_full(language: str, expected: str) -> None:
    assert plain(f.when(START, END, language)) == expected


@pytest.mark.parametrize(
    ("hours", "french", "english"),
    [
        (
            "mo-fr 09:00-16:00",
            "du lundi au vendredi, de 9 h à 16 h",
            "Monday to Friday, from 9 a.m. to 4 p.m.",
        ),
        (
            "mo-th 09:00-12:00,13:00-16:30; fr 09:00-12:00",
            "du lundi au jeudi, de 9 h à 12 h et de 13 h à 16 h 30 ; vendredi, de 9 h à 12 h",
            "Monday to Thursday, from 9 a.m. to noon and from 1 p.m. to 4:30 p.m.; "
            "Friday, from 9 a.m. to noon",
        ),
        (
            "tu,th 18:00-24:00",
            "mardi et jeudi, de 18 h à minuit",
            "Tuesday and Thursday, from 6 p.m. to midnight",
        ),
        (
            "mo,tu,fr 10:00-11:00",
            "lundi, mardi et vendredi, de 10 h à 11 h",
            "Monday, Tuesday and Friday, from 10 a.m. to 11 a.m.",
        ),
    ],
)
def test_opening_hours_are_said_as_one_would(hours: str, french: str, english: str) -> None:
    week = week_of(hours)
    assert week is not None
    assert plain(f.opening(week, "fr")) == french
    assert plain(f.opening(week, "en")) == english


def test_a_session_that_crosses_days_says_both() -> None:
    end = local(2026, 12, 9, 0, 0)
    assert plain(f.when(START, end, "fr")) == (
        "du mardi 8 décembre 2026, à 13 h 30, au mercredi 9 décembre 2026, à 0 h"
    )
    assert plain(f.when(START, end, "en")) == (
        "from Tuesday, December 8, 2026, at 1:30 p.m., to Wednesday, December 9, 2026, at midnight"
    )


def test_the_first_of_the_month() -> None:
    day = date(2027, 1, 1)
    assert f.long_date(day, "fr") == "vendredi 1er janvier 2027"
    assert f.long_date(day, "en") == "Friday, January 1, 2027"
    assert plain(f.short_date(day, "fr")) == "1er janv. 2027"
    assert plain(f.short_date(day, "en")) == "Jan 1, 2027"


@pytest.mark.parametrize(
    ("moment", "french", "english"),
    [
        (time(13), "13 h", "1 p.m."),
        (time(13, 5), "13 h 05", "1:05 p.m."),
        (time(9, 12), "9 h 12", "9:12 a.m."),
        (time(0), "0 h", "midnight"),
        (time(0, 30), "0 h 30", "12:30 a.m."),
        (time(12), "12 h", "noon"),
        (time(12, 1), "12 h 01", "12:01 p.m."),
    ],
)
def test_times_of_day(moment: time, french: str, english: str) -> None:
    assert plain(f.time_of_day(moment, "fr")) == french
    assert plain(f.time_of_day(moment, "en")) == english


NOW = local(2026, 12, 8, 10)


@pytest.mark.parametrize(
    ("end", "french", "english"),
    [
        (local(2026, 12, 8, 17), "aujourd’hui avant 17 h", "today before 5 p.m."),
        (local(2026, 12, 9, 9, 30), "demain avant 9 h 30", "tomorrow before 9:30 a.m."),
        (local(2026, 12, 10, 17), "avant jeudi 17 h", "before Thursday 5 p.m."),
        (local(2026, 12, 14, 17), "avant lundi 17 h", "before Monday 5 p.m."),
        (
            local(2026, 12, 15, 17),
            "avant le mardi 15 décembre 2026, à 17 h",
            "before Tuesday, December 15, 2026, at 5 p.m.",
        ),
    ],
)
def test_deadlines(end: datetime, french: str, english: str) -> None:
    assert plain(f.deadline(end, NOW, "fr")) == french
    assert plain(f.deadline(end, NOW, "en")) == english


def test_when_the_calendar_was_updated() -> None:
    assert plain(f.updated_at(local(2026, 12, 8, 9, 12), NOW, "fr")) == "à 9 h 12"
    assert plain(f.updated_at(local(2026, 12, 1, 9), NOW, "fr")) == "le 1er décembre 2026, à 9 h"
    assert plain(f.updated_at(local(2026, 12, 1, 9), NOW, "en")) == "on December 1, 2026, at 9 a.m."


@pytest.mark.parametrize(
    ("minutes", "french", "english"),
    [
        (120, "2 h", "2 hours"),
        (90, "1 h 30", "1 hour 30 minutes"),
        (45, "45 minutes", "45 minutes"),
        (0, "0 minute", "0 minutes"),
    ],
)
def test_durations(minutes: int, french: str, english: str) -> None:
    assert plain(f.duration(timedelta(minutes=minutes), "fr")) == french
    assert plain(f.duration(timedelta(minutes=minutes), "en")) == english


@pytest.mark.parametrize(
    ("position", "french", "english"),
    [
        (1, "Vous êtes en attente : vous êtes la prochaine personne.", "You are waiting: you are next."),
        (2, "Vous êtes en attente : 1 personne avant vous.", "You are waiting: 1 person before you."),
        (4, "Vous êtes en attente : 3 personnes avant vous.", "You are waiting: 3 people before you."),
    ],
)
def test_the_place_in_the_line_is_a_sentence(position: int, french: str, english: str) -> None:
    assert plain(f.waiting(position, "fr")) == french
    assert plain(f.waiting(position, "en")) == english


def test_numbers() -> None:
    assert f.number(1284, "fr") == "1\u00a0284"
    assert f.number(1284, "en") == "1,284"
    assert f.number(2.5, "fr") == "2,5"
    assert f.percent(78, "fr") == "78\u00a0%"
    assert f.percent(78, "en") == "78%"
    assert [f.ordinal(n, "fr") for n in (1, 2, 11)] == ["1re", "2e", "11e"]
    assert [f.ordinal(n, "en") for n in (1, 2, 3, 11, 22, 113)] == [
        "1st",
        "2nd",
        "3rd",
        "11th",
        "22nd",
        "113th",
    ]
    assert plain(f.distance(0.4, "fr")) == "moins de 1 km"
    assert plain(f.distance(12.3, "en")) == "12 km"


def test_lists() -> None:
    assert f.listing([], "fr") == ""
    assert f.listing(["a"], "fr") == "a"
    assert f.listing(["a", "b", "c"], "fr") == "a, b et c"
    assert f.listing(iter(["a", "b"]), "en") == "a and b"


def test_capital_first_leaves_the_rest_alone() -> None:
    assert f.capital_first("mardi, Bibliothèque") == "Mardi, Bibliothèque"
    assert f.capital_first("") == ""


@pytest.mark.parametrize(
    ("typed", "shown", "link"),
    [
        ("4185550142", "418 555-0142", "tel:+14185550142"),
        ("+1 (418) 555-0142", "418 555-0142", "tel:+14185550142"),
        ("581-892-VOTE", "581 892-8683 (581-892-VOTE)", "tel:+15818928683"),
        ("418 555-0142 poste 12", "418 555-0142 poste 12", ""),
        ("418 555-0142 x12", "418 555-0142, poste 12", "tel:+14185550142;ext=12"),
        ("+33 1 42 68 53 00", "+33 1 42 68 53 00", "tel:+33142685300"),
        ("au comptoir", "au comptoir", ""),
    ],
)
def test_telephones(typed: str, shown: str, link: str) -> None:
    assert plain(f.phone(typed)) == shown
    assert f.phone_link(typed) == link


def test_a_telephone_link_escapes_what_was_typed() -> None:
    assert f.tel("<b>au comptoir</b>") == Markup("&lt;b&gt;au comptoir&lt;/b&gt;")
    assert f.tel("418 555-0142") == '<a class="tel" href="tel:+14185550142">418\u00a0555-0142</a>'


WINTER = datetime(2027, 1, 12, 18, tzinfo=UTC)
SUMMER = datetime(2027, 7, 12, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("place", "instant", "french", "english"),
    [
        ("America/St_Johns", WINTER, "heure de Terre-Neuve", "Newfoundland Time"),
        ("America/Toronto", SUMMER, "heure de l’Est", "Eastern Time"),
        ("America/Halifax", WINTER, "heure de l’Atlantique", "Atlantic Time"),
        # Manitoba no longer changes its clocks: in winter it isn't Central time any more.
        ("America/Winnipeg", WINTER, "heure du Manitoba", "Manitoba Time"),
        # Blanc-Sablon never does: in summer it isn't Atlantic time.
        ("America/Blanc-Sablon", WINTER, "heure de l’Atlantique", "Atlantic Time"),
        ("America/Blanc-Sablon", SUMMER, "heure de Blanc-Sablon", "Blanc-Sablon Time"),
        ("America/Whitehorse", WINTER, "heure du Yukon", "Yukon Time"),
        ("Europe/Paris", WINTER, "heure de l’Europe centrale", "Central European Time"),
        ("America/Atikokan", WINTER, "heure d’Atikokan", "Atikokan Time"),
    ],
)
def test_zones_are_named_by_what_their_clocks_show(
    place: str, instant: datetime, french: str, english: str
) -> None:
    assert plain(f.zone_label(place, instant, "fr")) == french
    assert plain(f.zone_label(place, instant, "en")) == english


def test_an_unknown_zone_is_an_error() -> None:
    with pytest.raises(UnknownZone):
        f.zone_label("Mars/Olympus", WINTER, "fr")


def test_typed_text_gets_its_no_break_spaces() -> None:
    assert f.typeset("de 9 h à 16 h 30 : « oui » ?", "fr") == (
        "de 9\u00a0h à 16\u00a0h\u00a030\u00a0: «\u00a0oui\u00a0»\u00a0?"
    )
    assert f.typeset("13h30", "fr") == "13\u00a0h\u00a030"
    assert f.typeset("9 a.m. to 4 p.m.", "en") == "9\u00a0a.m. to 4\u00a0p.m."
    assert f.typeset("3 histoires", "fr") == "3 histoires"


@pytest.mark.parametrize("text", ["to 4 p.m.", "C’est fini !"])
def test_a_sentence_ends_once(text: str) -> None:
    assert f.full_stop(text) == text
    assert f.full_stop("à 16 h") == "à 16 h."


@given(st.times(), LANGUAGES)
def test_a_time_never_breaks(moment: time, language: str) -> None:
    assert " " not in f.time_of_day(moment, language)


@given(st.times())
def test_a_french_time_can_be_read_back(moment: time) -> None:
    found = re.fullmatch(r"(\d{1,2})\u00a0h(?:\u00a0(\d{2}))?", f.time_of_day(moment, "fr"))
    assert found
    assert (int(found[1]), int(found[2] or 0)) == (moment.hour, moment.minute)


@given(st.integers(0, 10**12), LANGUAGES)
def test_a_number_never_breaks_and_keeps_its_digits(n: int, language: str) -> None:
    text = f.number(n, language)
    assert " " not in text
    assert re.sub(r"\D", "", text) == str(n)


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(timedelta(), timedelta(days=3)),
    LANGUAGES,
)
def test_every_session_can_be_said(start: datetime, length: timedelta, language: str) -> None:
    assume(start.year < 9999)
    text = f.when(start, start + length, language)
    assert str(start.year) in text
    assert f.time_of_day(start, language) in text
    assert f.time_of_day(start + length, language) in text


@given(st.text())
def test_any_text_can_be_a_telephone(typed: str) -> None:
    shown, link = f.phone(typed), f.phone_link(typed)
    assert shown == typed or link
    assert re.fullmatch(r"(tel:\+\d+(;ext=\d+)?)?", link)


@given(st.text(), LANGUAGES)
def test_typesetting_changes_nothing_but_spaces(typed: str, language: str) -> None:
    kept = re.sub(r"[ \u00a0]", "", f.typeset(typed, language))
    assert kept == re.sub(r"[ \u00a0]", "", typed)
    assert f.typeset(f.typeset(typed, language), language) == f.typeset(typed, language)
