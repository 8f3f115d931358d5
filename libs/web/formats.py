"""How dates, times, numbers, telephones and lists are written, in French and in English.

Pure functions: local wall times in (aware or naive, printed as they stand), text out. The house style
wins over CLDR: U+00A0 inside times, numbers and telephones, ordinary spaces inside dates, so that a date
can be searched for and wraps. `language` is `"fr"` or `"en"`; anything else reads as French. Templates have
each of them as a filter that already knows the language: `{{ start|long_date }}`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import phonenumbers
from babel.core import get_global
from babel.dates import get_day_names, get_month_names, get_timezone_name
from markupsafe import Markup

from libs.clock import zone as named_zone
from libs.opening_hours import DAY_MINUTES, Ranges

NBSP: Final = "\u00a0"

_Names = Mapping[str, Mapping[int, str]]
_DAYS: _Names = {"fr": get_day_names(locale="fr_CA"), "en": get_day_names(locale="en_CA")}
_MONTHS: _Names = {"fr": get_month_names(locale="fr_CA"), "en": get_month_names(locale="en_CA")}
_SHORT_MONTHS: _Names = {
    "fr": get_month_names("abbreviated", locale="fr_CA"),
    "en": get_month_names("abbreviated", locale="en"),
}


class _Clocked(Protocol):
    """What has an hour and a minute: `datetime` and `time`."""

    @property
    def hour(self) -> int: ...
    @property
    def minute(self) -> int: ...


# Dates


def weekday(d: date, language: str) -> str:
    """« mardi », "Tuesday"."""
    return _DAYS[_known(language)][d.weekday()]


def month(d: date, language: str) -> str:
    """« décembre 2026 », "December 2026"."""
    return f"{_month(d, language)} {d.year:04d}"


def short_month(d: date, language: str) -> str:
    """For charts: « sept. 2026 », "Sep 2026"."""
    return f"{_SHORT_MONTHS[_known(language)][d.month]}{NBSP}{d.year:04d}"


def day(d: date, language: str) -> str:
    """The day without its year: « mardi 8 décembre », "Tuesday, December 8"."""
    name = weekday(d, language)
    if language == "en":
        return f"{name}, {_month(d, language)} {d.day}"
    return f"{name} {_day_number(d)} {_month(d, language)}"


def long_date(d: date, language: str) -> str:
    """« mardi 8 décembre 2026 », "Tuesday, December 8, 2026"."""
    return f"{day(d, language)}, {d.year:04d}" if language == "en" else f"{day(d, language)} {d.year:04d}"


def short_date(d: date, language: str) -> str:
    """For dense tables: « 8 déc. 2026 », "Dec 8, 2026". Kept on one line."""
    name = _SHORT_MONTHS[_known(language)][d.month]
    if language == "en":
        return f"{name}{NBSP}{d.day},{NBSP}{d.year:04d}"
    return f"{_day_number(d)}{NBSP}{name}{NBSP}{d.year:04d}"


def _known(language: str) -> str:
    return "en" if language == "en" else "fr"


def _month(d: date, language: str) -> str:
    return _MONTHS[_known(language)][d.month]


def _day_number(d: date) -> str:
    return "1er" if d.day == 1 else str(d.day)


# Times


def time_of_day(t: _Clocked, language: str) -> str:
    """« 13 h 30 », « 13 h »; "1:30 p.m.", "1 p.m.", "noon", "midnight". Never a plain space."""
    if language != "en":
        return f"{t.hour}{NBSP}h" + (f"{NBSP}{t.minute:02d}" if t.minute else "")
    if not t.minute and t.hour in (0, 12):
        return "noon" if t.hour else "midnight"
    minutes = f":{t.minute:02d}" if t.minute else ""
    return f"{t.hour % 12 or 12}{minutes}{NBSP}{'p.m.' if t.hour >= 12 else 'a.m.'}"


def time_range(start: _Clocked, end: _Clocked, language: str) -> str:
    """« de 13 h 30 à 15 h 30 », "from 1:30 p.m. to 3:30 p.m."; both on the same day."""
    link = ("from", "to") if language == "en" else ("de", "à")
    return f"{link[0]} {time_of_day(start, language)} {link[1]} {time_of_day(end, language)}"


def when(start: datetime, end: datetime, language: str) -> str:
    """« mardi 8 décembre 2026, de 13 h 30 à 15 h 30 »; with both dates if the session crosses days.

    Both are wall times of the session's own place. An end at midnight is still said with its date.
    """
    if start.date() == end.date():
        return f"{long_date(start, language)}, {time_range(start, end, language)}"
    first = f"{long_date(start, language)}, {_at(start, language)}"
    last = f"{long_date(end, language)}, {_at(end, language)}"
    return f"from {first}, to {last}" if language == "en" else f"du {first}, au {last}"


def at(moment: datetime, language: str) -> str:
    """« mardi 8 décembre 2026, à 13 h 30 », "Tuesday, December 8, 2026, at 1:30 p.m."."""
    return f"{long_date(moment, language)}, {_at(moment, language)}"


def updated_at(moment: datetime, now: datetime, language: str) -> str:
    """« à 9 h 12 » today, « le 7 décembre 2026, à 9 h 12 » before: what follows « mis à jour »."""
    if moment.date() == now.date():
        return _at(moment, language)
    name, clock = _month(moment, language), _at(moment, language)
    if language == "en":
        return f"on {name} {moment.day}, {moment.year:04d}, {clock}"
    return f"le {_day_number(moment)} {name} {moment.year:04d}, {clock}"


def deadline(end: datetime, now: datetime, language: str) -> str:
    """What follows « Répondez »: « avant jeudi 17 h », « aujourd’hui avant 17 h », « demain avant 17 h ».

    From a week away on, the day is said in full. Both are wall times of the reader's place.
    """
    clock = time_of_day(end, language)
    days = (end.date() - now.date()).days
    before = "before" if language == "en" else "avant"
    if days in (0, 1):
        names = ("today", "tomorrow") if language == "en" else ("aujourd’hui", "demain")
        return f"{names[days]} {before} {clock}"
    if 1 < days < 7:
        return f"{before} {weekday(end, language)} {clock}"
    return f"{before} {'' if language == 'en' else 'le '}{long_date(end, language)}, {_at(end, language)}"


def duration(length: timedelta, language: str) -> str:
    """« 2 h », « 1 h 30 », « 45 minutes »; "2 hours", "1 hour 30 minutes", "45 minutes"."""
    hours, minutes = divmod(int(length.total_seconds()) // 60, 60)
    if language != "en" and hours:
        return f"{hours}{NBSP}h" + (f"{NBSP}{minutes:02d}" if minutes else "")
    parts = [_counted(hours, "hour", "hours", language)] if hours else []
    if minutes or not hours:
        parts.append(_counted(minutes, "minute", "minutes", language))
    return " ".join(parts)


def opening(week: Sequence[Ranges], language: str) -> str:
    """When a team is there: « du lundi au vendredi, de 9 h à 12 h et de 13 h à 16 h ».

    Days with the same hours are said together, what differs after a semicolon; a closed day isn't named.
    """
    together: dict[Ranges, list[int]] = {}
    for number_, ranges in enumerate(week):
        if ranges:
            together.setdefault(ranges, []).append(number_)
    parts = [f"{_days(days, language)}, {_hours(ranges, language)}" for ranges, days in together.items()]
    return ("; " if language == "en" else f"{NBSP}; ").join(parts)


def _days(numbers: Sequence[int], language: str) -> str:
    names = [_DAYS[_known(language)][number_] for number_ in numbers]
    if len(numbers) < 3 or numbers[-1] - numbers[0] >= len(numbers):
        return listing(names, language)
    return f"{names[0]} to {names[-1]}" if language == "en" else f"du {names[0]} au {names[-1]}"


def _hours(ranges: Ranges, language: str) -> str:
    link = ("from", "to") if language == "en" else ("de", "à")
    return listing(
        (f"{link[0]} {_minute(start, language)} {link[1]} {_minute(end, language)}" for start, end in ranges),
        language,
    )


def _minute(minute: int, language: str) -> str:
    """A minute after midnight as a time; the last one is the midnight at the day's end."""
    if minute == DAY_MINUTES:
        return "midnight" if language == "en" else "minuit"
    return time_of_day(time(*divmod(minute, 60)), language)


def elapsed(length: timedelta, language: str) -> str:
    """« 12 s », « 5 min », « 2 h 10 », « 3 jours »: short enough for a sentence that changes all the time."""
    seconds = int(length.total_seconds())
    if seconds < 60:
        return f"{seconds}{NBSP}s"
    if seconds < 3_600:
        return f"{seconds // 60}{NBSP}min"
    if seconds < 48 * 3_600:
        hours, minutes = divmod(seconds // 60, 60)
        if language == "en":
            return f"{hours}{NBSP}h{NBSP}{minutes}{NBSP}min" if minutes else f"{hours}{NBSP}h"
        return f"{hours}{NBSP}h" + (f"{NBSP}{minutes:02d}" if minutes else "")
    days = seconds // 86_400
    return f"{number(days, language)}{NBSP}{'days' if language == 'en' else 'jours'}"


def iso(moment: date | datetime) -> str:
    """For `<time datetime="…">`; to the minute, with the offset when there is one."""
    return moment.isoformat(timespec="minutes") if isinstance(moment, datetime) else moment.isoformat()


def _at(t: _Clocked, language: str) -> str:
    return f"{'at' if language == 'en' else 'à'} {time_of_day(t, language)}"


# Zones. CLDR's "Central Time" misleads where a place left its neighbours' rules (Manitoba stays at -05:00
# from November 2026): the name of the larger zone is used only while both clocks agree.

_REFERENCE: Final = {
    "Newfoundland": "America/St_Johns",
    "Atlantic": "America/Halifax",
    "America_Eastern": "America/Toronto",
    "America_Central": "America/Chicago",
    "America_Mountain": "America/Denver",
    "America_Pacific": "America/Los_Angeles",
}
_PLACES: Final = {
    "America/Blanc-Sablon": ("de Blanc-Sablon", "Blanc-Sablon"),
    "America/Winnipeg": ("du Manitoba", "Manitoba"),
    "America/Regina": ("de la Saskatchewan", "Saskatchewan"),
    "America/Swift_Current": ("de la Saskatchewan", "Saskatchewan"),
    "America/Edmonton": ("de l’Alberta", "Alberta"),
    "America/Yellowknife": ("des Territoires du Nord-Ouest", "Northwest Territories"),
    "America/Inuvik": ("des Territoires du Nord-Ouest", "Northwest Territories"),
    "America/Vancouver": ("de la Colombie-Britannique", "British Columbia"),
    "America/Whitehorse": ("du Yukon", "Yukon"),
    "America/Dawson": ("du Yukon", "Yukon"),
}


def zone_label(zone: str, instant: datetime, language: str) -> str:
    """« heure de Terre-Neuve », "Newfoundland Time": for a reader who may be in another zone.

    `zone` is an IANA name, `instant` an aware datetime. Unknown zones raise `libs.clock.UnknownZone`.
    """
    if _follows_its_neighbours(named_zone(zone), instant):
        locale = "en_CA" if language == "en" else "fr_CA"
        return get_timezone_name(named_zone(zone), locale=locale, zone_variant="generic")
    city = zone.rsplit("/", 1)[-1].replace("_", " ")
    french, english = _PLACES.get(zone, (f"d’{city}" if city[:1] in "AEIOUYÉ" else f"de {city}", city))
    return f"{english} Time" if language == "en" else f"heure {french}"


def _follows_its_neighbours(here: ZoneInfo, instant: datetime) -> bool:
    meta = get_global("meta_zones").get(here.key)
    if meta not in _REFERENCE:
        # Elsewhere CLDR's own name is the best there is, as long as it has one.
        return meta is not None and here.key not in _PLACES
    there = named_zone(_REFERENCE[meta])
    return instant.astimezone(here).utcoffset() == instant.astimezone(there).utcoffset()


# Numbers, places in a line, lists


def number(value: float, language: str) -> str:
    """« 1 284 », « 2,5 », "1,284", "2.5"."""
    text = f"{value:,}"
    return text if language == "en" else text.replace(",", NBSP).replace(".", ",")


def percent(value: float, language: str) -> str:
    """`value` is already in hundredths: 78 → « 78 % », "78%"."""
    return f"{number(value, language)}%" if language == "en" else f"{number(value, language)}{NBSP}%"


def ordinal(n: int, language: str) -> str:
    """« 1re », « 2e » (a person's place, feminine); "1st", "2nd", "11th"."""
    if language != "en":
        return f"{number(n, language)}{'re' if n == 1 else 'e'}"
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{number(n, language)}{suffix}"


def people_before(position: int, language: str) -> str:
    """Where one stands in the line: 4 → « 3 personnes avant vous »."""
    ahead = position - 1
    if ahead <= 0:
        return "you are next" if language == "en" else "vous êtes la prochaine personne"
    if language == "en":
        return f"{_counted(ahead, 'person', 'people', language)} before you"
    return f"{_counted(ahead, 'personne', 'personnes', language)} avant vous"


def waiting(position: int, language: str) -> str:
    """« Vous êtes en attente : 3 personnes avant vous. »"""
    lead = "You are waiting: " if language == "en" else f"Vous êtes en attente{NBSP}: "
    return f"{lead}{people_before(position, language)}."


def distance(kilometres: float, language: str) -> str:
    """« 3 km », « moins de 1 km »."""
    if kilometres < 1:
        return f"{'less than' if language == 'en' else 'moins de'} 1{NBSP}km"
    return f"{number(round(kilometres), language)}{NBSP}km"


def listing(items: Iterable[str], language: str) -> str:
    """« a, b et c », "a, b and c"."""
    *first, last = list(items) or [""]
    return f"{', '.join(first)} {'and' if language == 'en' else 'et'} {last}" if first else last


def capital_first(text: str) -> str:
    """Only the first letter is touched: « Mardi 8 décembre »."""
    return text[:1].upper() + text[1:]


def _counted(n: int, one: str, many: str, language: str) -> str:
    # French says « 0 personne », English "0 people".
    singular = n == 1 or (n == 0 and language != "en")
    return f"{number(n, language)}{NBSP}{one if singular else many}"


def full_stop(text: str) -> str:
    """The end of a sentence, without a second dot after "p.m."."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def typeset(text: str, language: str) -> str:
    """Text that somebody typed, with no-break spaces where the language wants them."""
    if language == "en":
        return _ENGLISH_HOUR.sub(rf"\1{NBSP}\2", text)
    text = _HOUR.sub(lambda found: f"{found[1]}{NBSP}h" + (f"{NBSP}{found[2]}" if found[2] else ""), text)
    text = _BEFORE_SIGN.sub(rf"{NBSP}\1", text)
    return _AFTER_GUILLEMET.sub(f"«{NBSP}", text)


_HOUR = re.compile(r"\b(\d{1,2}) ?h(?: ?(\d{2}))?\b")
_ENGLISH_HOUR = re.compile(r"(\d) ([ap]\.m\.)")
_BEFORE_SIGN = re.compile(r" ([:;?!»%])")
_AFTER_GUILLEMET = re.compile(r"« ")


# Telephones


def phone(value: str) -> str:
    """As one dials it: « 418 555-0142 »; a word keeps its digits: « 581 892-8683 (581-892-VOTE) ».

    What is no telephone number comes back as it was typed: a person can still make sense of it.
    """
    parsed = _parsed(value)
    if parsed is None:
        return value
    if parsed.country_code == 1:
        digits = phonenumbers.national_significant_number(parsed)
        shown = f"{digits[:3]}{NBSP}{digits[3:6]}-{digits[6:]}"
    else:
        shown = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        shown = shown.replace(" ", NBSP)
    if parsed.extension:
        shown += f", poste{NBSP}{parsed.extension}"
    return f"{shown} ({value.strip()})" if _spells_a_word(value) else shown


def phone_link(value: str) -> str:
    """The address of a telephone link, `tel:+14185550142`; empty if `value` is no telephone number."""
    parsed = _parsed(value)
    if parsed is None:
        return ""
    dialled = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return f"tel:{dialled}" + (f";ext={parsed.extension}" if parsed.extension else "")


def tel(value: str) -> Markup:
    """The number as a link that a telephone can dial, kept on one line."""
    address = phone_link(value)
    if not address:
        return Markup("{}").format(value)
    return Markup('<a class="tel" href="{}">{}</a>').format(address, phone(value))


def _parsed(value: str) -> phonenumbers.PhoneNumber | None:
    try:
        parsed = phonenumbers.parse(value, "CA")
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_possible_number(parsed) else None


def _spells_a_word(value: str) -> bool:
    return phonenumbers.is_alpha_number(value)
